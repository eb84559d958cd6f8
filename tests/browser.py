"""What a browser without JavaScript makes of a page's form: its fields, and what it would post."""

import re
from html.parser import HTMLParser

import jinja2

from caelus.web.fields import Field

PAGES = jinja2.Environment(
    loader=jinja2.PackageLoader("caelus.web"), autoescape=True, undefined=jinja2.StrictUndefined
)
_PAGE = '{% from "fields.html" import fields %}{{ fields(root) }}'
_NUMBER = re.compile(r"-?([0-9]+(\.[0-9]+)?|\.[0-9]+)([eE][-+]?[0-9]+)?")


def rendered(root: Field) -> str:
    return PAGES.from_string(_PAGE).render(root=root)


class Control(dict):
    """A field's attributes, with its `tag`, its `text` if it has any, its `options`."""


class Page(HTMLParser):
    """The controls of a page, in order; `buttons` apart."""

    def __init__(self, html: str):
        super().__init__()
        self.controls, self.buttons, self.tags, self.words = [], [], [], ""
        self._open = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = Control(attrs, tag=tag)
        self.tags.append(attributes)
        if tag == "option":
            self._open["options"].append(attributes)
        elif tag in ("input", "select", "textarea"):
            self._open = attributes | {"text": "", "options": []}
            self.controls.append(self._open)
        elif tag == "button":
            self.buttons.append(attributes)

    def handle_data(self, data):
        self.words += data
        if self._open is not None and self._open["tag"] == "textarea":
            self._open["text"] += data

    def handle_endtag(self, tag):
        if tag in ("textarea", "select", "datalist"):
            self._open = None

    def named(self, name: str) -> Control:
        """The last of that name that is seen."""
        return [c for c in self.controls if c.get("name") == name and c.get("type") != "hidden"][-1]

    def pairs(self, **typed: str) -> list[tuple[str, str]]:
        """What the browser posts, once `typed` is typed into the fields of these ids."""
        return [
            (control["name"], text)
            for control in self.controls
            for text in [_posted(control | _over(control, typed))]
            if text is not None and "disabled" not in control
        ]


def _over(control: Control, typed: dict) -> dict:
    return {"typed": typed[control["id"]]} if control.get("id") in typed else {}


def _posted(control: dict) -> str | None:
    kind, typed = control.get("type", "text"), control.get("typed")
    if control["tag"] == "select":
        chosen = [o["value"] for o in control["options"] if "selected" in o]
        text = (chosen or [control["options"][0]["value"]])[-1]
    elif kind == "checkbox":
        return control["value"] if "checked" in control else None
    else:
        text = control["text"] if control["tag"] == "textarea" else control.get("value", "")
    text = text if typed is None else typed
    return _sanitised(text, "textarea" if control["tag"] == "textarea" else kind)


def _sanitised(text: str, kind: str) -> str:
    """What HTML makes of a value of each kind of input."""
    if kind == "textarea":
        text = re.sub("\r\n?", "\n", text).removeprefix("\n")
        return text.replace("\n", "\r\n")
    text = re.sub("[\r\n]", "", text) if kind != "hidden" else text
    if kind in ("email", "url"):
        return text.strip(" \t\f")
    if kind == "number":
        return text if _NUMBER.fullmatch(text) else ""
    if kind == "date":
        return text if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else ""
    return text
