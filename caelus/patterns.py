"""Regular expressions of JSON Schema, as Python has to be given them."""

import functools
import re

# The end of the text, among what it is not: escaped, or in a class.
_DOLLAR = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\$", re.DOTALL)
_LINES = re.compile(r"\(\?[a-zA-Z]*m")  # a flag: `$` is the end of a line


@functools.lru_cache
def meant(pattern: str) -> str:
    """The pattern with `$` as JSON Schema means it, and helm: to Python a line break may follow."""
    if _LINES.match(pattern):
        return pattern
    return _DOLLAR.sub(lambda found: r"\Z" if found[0] == "$" else found[0], pattern)
