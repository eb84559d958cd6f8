"""The document that a posted form means, as the API takes it."""

import json
import re
from decimal import Decimal
from typing import NamedTuple

from caelus import jsontext, marks, naming
from caelus.errors import CaelusError
from caelus.web.entries import ROOT, Entries, Pairs, below, settled
from caelus.web.merging import Parts
from caelus.web.shapes import Shape, is_secret, root, shape

PLACE = "user_values_json"  # the field of the API that the document goes into
_MISSING = object()
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,4})?")
_PLAIN = re.compile("[-+]?[0-9]+")
_BUTTONS = ("_add", "_remove", "_show")
Errors = list[tuple[str, str]]  # (field as the API names it, message)


class Posted(NamedTuple):
    """`again`: a button asked for another row or choice, so the form is to be shown, not used.

    `pairs` is what to show it with, and also what to show beside errors.
    """

    document: dict
    errors: Errors
    again: bool
    pairs: list[tuple[str, str]]


def posted(schema: dict, pairs: Pairs) -> Posted:
    """What the form for `schema` means; what is left empty is left out.

    What can't be read is told in `errors` and stands in the document as the text that it is. What
    the schema wants is for the API to check.
    """
    pairs = list(pairs)
    entries = Entries(pair for pair in pairs if pair[0] not in _BUTTONS)
    if not takes_values(schema):
        return Posted({}, [], False, [])
    if _pressed(entries, pairs):
        return Posted({}, [], True, entries.pairs())
    reader = _Reader(entries)
    document = reader.read(root(schema), ROOT, (), True)
    document = {} if document is _MISSING else document
    if not isinstance(document, dict):
        reader.tell((), "must be a JSON object {...}")
    if reader.changed:
        return Posted({}, [], True, entries.pairs())
    for row in reader.dropped:
        entries.remove_row(row)
    return Posted(document, reader.errors, False, entries.pairs())


def takes_values(schema: dict | None) -> bool:
    """Whether there is anything to be set."""
    return ((schema or {}).get("properties") or {}).get("user", False) is not False


def pairs_of(wrong) -> Errors:
    """Errors as `forms` places them, from a CaelusError, a problem document, or a list of either
    the API's `{field, message}` or such pairs."""
    if isinstance(wrong, CaelusError):
        wrong = wrong.document()
    if isinstance(wrong, dict):
        wrong = wrong.get("errors") or [("", wrong.get("detail", ""))]
    pairs = (e if isinstance(e, tuple) else (e["field"], e["message"]) for e in wrong)
    return [(field, message) for field, message in pairs]


def api_name(path: tuple) -> str:
    """A path in the document as the API names it in errors."""
    return naming.field_in(PLACE, path)


def as_json(entries: Entries, parts: Parts, name: str) -> str:
    """What the fields of the value called `name` say, as the JSON that says the same."""
    value = _Reader(entries, chosen=True).read(parts, name, (), False)
    return "" if value is _MISSING else json.dumps(value, ensure_ascii=False, indent=2)


def _pressed(entries: Entries, pairs: list) -> bool:
    """Do what the form's own buttons ask for; whether there was any."""
    asked = [(name, text) for name, text in pairs if name in _BUTTONS]
    for name, text in asked:
        if name == "_add":
            entries.add_row(text)
        elif name == "_remove":
            entries.remove_row(text)
    return bool(asked)


class _Reader:
    def __init__(self, entries: Entries, chosen: bool = False):
        self._entries, self._chosen = entries, chosen  # each choice is as it was shown
        self.errors: Errors = []
        self.dropped: list[str] = []  # rows that say nothing
        self.changed = False  # another choice than the one that was shown

    def tell(self, path: tuple, message: str) -> None:
        self.errors.append((api_name(path), message))

    def read(self, parts: Parts, name: str, path: tuple, firm: bool):
        """The value called `name`, or _MISSING.

        `firm`: it must be there, whatever is in it, as all around it is there.
        """
        if (text := self._entries.text(f"{name}:json")) is not None:
            return self._json(text, path)
        found = settled(parts, name)
        value = self._said(found, name, path, firm)
        if self._entries.text(f"{name}:null") is not None and found.nullable:
            if value in (_MISSING, {}, []):
                return None
            self.tell(path, "is null and has a value: take away one of them")
        if value is not _MISSING:
            return value
        empty = {"group": {}, "map": {}, "list": [], "text": ""}.get(found.kind, _MISSING)
        blank = self._entries.text(f"{name}:blank") is not None
        return empty if blank or firm and found.kind not in ("text", "choice") else _MISSING

    def _said(self, found: Shape, name: str, path: tuple, firm: bool):
        if not self._entries.has(name):
            return _MISSING
        if found.kind == "choice":
            return self._choice(found, name, path)
        if found.kind == "group":
            return self._group(found, name, path, firm and not found.nullable) or _MISSING
        if found.kind == "map":
            return self._rows(found.rest, name, path) or _MISSING
        if found.kind == "list":
            return self._list(found, name, path) or _MISSING
        text = self._entries.text(name)
        return _MISSING if not text else self._value(found, name, text, path)

    def _value(self, found: Shape, name: str, text: str, path: tuple):
        if found.kind == "boolean" and text == self._entries.text(f"{name}:unset"):
            return _MISSING
        if found.kind in ("boolean", "select"):
            return self._json(text, path)
        if found.kind == "text" or is_secret(found.rules) and text == marks.MASK:
            return text.replace("\r\n", "\n")
        value = number(text, whole=found.kind == "integer")
        if value is None:
            self.tell(path, f"must be {'a whole' if found.kind == 'integer' else 'a'} number")
        return text if value is None else value

    def _json(self, text: str, path: tuple):
        if not text.strip():
            return _MISSING
        try:
            return jsontext.parse(text)
        except ValueError as e:
            self.tell(path, f"is {e}" if str(e).startswith("not JSON") else str(e))
            return text

    def _group(self, found: Shape, name: str, path: tuple, firm: bool) -> dict:
        values = {}
        for key, parts in found.properties.items():
            inner = below(name, key)
            needed = firm and key in found.required
            known = needed or self._entries.has(inner)
            value = self.read(parts, inner, (*path, key), needed) if known else _MISSING
            if value is not _MISSING:
                values[key] = value
        return values | self._rest(found, f"{name}:rest", path)

    def _rest(self, found: Shape, name: str, path: tuple) -> dict:
        text = self._entries.text(f"{name}:json")
        if text is None:
            rest = self._rows(found.rest, name, path) if found.rest else {}
        else:
            rest = self._json(text, path)
            rest = {} if rest is _MISSING else rest
        if not isinstance(rest, dict):
            self.tell(path, "has further properties that are no JSON object {...}")
            return {}
        for key in rest.keys() & found.properties.keys():
            self.tell((*path, key), "is also among the further properties: take away one of them")
        return rest

    def _rows(self, parts: Parts, name: str, path: tuple) -> dict:
        values = {}
        for row in self._entries.rows(name):
            key = self._entries.text(f"{row}:key") or ""
            value = self.read(parts, row, (*path, key), bool(key))
            if not key and value is _MISSING:
                self.dropped.append(row)
            elif not key:
                self.tell(path, "has a value without a name")
            elif key in values:
                self.tell((*path, key), "is there twice")
            else:
                values[key] = self._of_row(parts, value, (*path, key))
        return values

    def _of_row(self, parts: Parts, value, path: tuple):
        """A row's value: a name with no text has the empty one."""
        if value is _MISSING and shape(parts).kind != "text":
            self.tell(path, "needs a value")
        return "" if value is _MISSING else value

    def _list(self, found: Shape, name: str, path: tuple) -> list:
        values = []
        for row in self._entries.rows(name):
            value = self.read(found.items, row, (*path, len(values)), False)
            if value is _MISSING:
                self.dropped.append(row)
            else:
                values.append(value)
        return values

    def _choice(self, found: Shape, name: str, path: tuple):
        chosen, was = (self._entries.text(f"{name}:{word}") or "" for word in ("choice", "was"))
        was = chosen if self._chosen else was
        self.changed |= chosen != was
        branches = dict(zip(map(str, range(len(found.branches))), found.branches))
        if chosen not in branches:
            return _MISSING
        branch = shape(branches[chosen].parts, branches[chosen].read)
        if chosen != was:
            self._forget_constants(branch, name)
        if branch.kind == "map":
            return self._rows(branch.rest, name, path)
        return self._group(branch, name, path, True)

    def _forget_constants(self, branch: Shape, name: str) -> None:
        """What told the other choices from this one."""
        for key, parts in branch.properties.items():
            options = shape(parts).options
            if len(options) == 1:
                self._entries.forget(below(name, key))


def number(text: str, whole: bool) -> int | float | None:
    """What a text says as a number, written as people and browsers write it: 007, .5, 1e3."""
    text = text.strip()
    if len(text) > 400 or not _NUMBER.fullmatch(text):
        return None
    if _PLAIN.fullmatch(text):
        return int(text)
    value = float(text)
    if value - value != 0:
        return None
    if not whole or abs(value) >= 2**64:
        return value if not whole or value.is_integer() else None
    exact = Decimal(text)
    return int(exact) if exact == exact.to_integral_value() else None
