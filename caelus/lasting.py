"""Documents that nobody changes, such as a template's, with what was once found out about them."""


class Lasting(dict):
    """A JSON object that is read for as long as it is there, never changed."""

    def __init__(self, document: dict):
        super().__init__(document)
        self.found: dict = {}  # by the function that found it


def known(document, find):
    """What `find(document)` gives; of what is lasting it is asked once. Nobody changes it either,
    and no secret may be in it."""
    if not isinstance(document, Lasting):
        return find(document)
    if find not in document.found:
        document.found[find] = find(document)
    return document.found[find]
