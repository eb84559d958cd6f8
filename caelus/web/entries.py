"""What a form holds, as a browser posts it: names made from JSON paths, with their texts.

A name is `user/hosts/0`: keys and row numbers, percent-encoded. What it says beside a value comes
after a colon, which no encoded key has: `:item` the numbers of a list's rows in order, `:key` a
row's name, `:json` the value as JSON, `:null` and `:blank` (empty on purpose) as ticks, `:choice`
and `:was` an alternative, now and as it was shown, `:unset` what a tick is that says nothing,
`:here` that there is a group or list, though it may be empty.
"""

import bisect
import json
import re
from collections.abc import Iterable
from urllib.parse import quote

from caelus import jsontext, marks
from caelus.web.merging import Parts, canonical
from caelus.web.shapes import Shape, is_secret, root, shape

ROOT = "user"
MOST_FIELDS = 2000  # of a form; what would make it longer is shown as JSON
DEEPEST = 6  # groups and lists inside each other; what is below is shown as JSON
_DEEPEST_NAME = 60
_ROW = re.compile("[0-9]{1,6}")
_KEPT_KEY = re.compile(r"[^\r\n\0]+")
Pairs = Iterable[tuple[str, str]]


def below(name: str, key: str) -> str:
    return f"{name}/{quote(key, safe='', errors='surrogatepass')}"


class Entries:
    """Pairs of a posted form by their names."""

    def __init__(self, pairs: Pairs = ()):
        self._texts: dict[str, list[str]] = {}
        for name, text in pairs:
            if name.count("/") <= _DEEPEST_NAME:
                self.add(name, text)
        self._sorted: list[str] | None = None

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, name: str, text: str) -> None:
        self._texts.setdefault(name, []).append(text)
        self._sorted = None

    def text(self, name: str) -> str | None:
        """What was posted last by this name: a tick comes after what stands for none."""
        return self._texts.get(name, [None])[-1]

    def rows(self, name: str) -> list[str]:
        """The names of a list's rows, in order."""
        numbers = dict.fromkeys(self._texts.get(f"{name}:item", ()))
        return [f"{name}/{number}" for number in numbers if _ROW.fullmatch(number)]

    def has(self, name: str) -> bool:
        """Whether anything is said of the value of this name, or inside it."""
        return name in self._texts or self._starts(f"{name}/") or self._starts(f"{name}:")

    def _starts(self, prefix: str) -> bool:
        if self._sorted is None:
            self._sorted = sorted(self._texts)
        at = bisect.bisect_left(self._sorted, prefix)
        return at < len(self._sorted) and self._sorted[at].startswith(prefix)

    def pairs(self) -> list[tuple[str, str]]:
        return [(name, text) for name, texts in self._texts.items() for text in texts]

    def forget(self, name: str) -> None:
        """All that is said of the value of this name, and inside it."""
        inside = (f"{name}/", f"{name}:")
        for other in [n for n in self._texts if n == name or n.startswith(inside)]:
            del self._texts[other]
        self._sorted = None

    def add_row(self, name: str) -> None:
        taken = [int(row.rpartition("/")[2]) for row in self.rows(name)]
        self.add(f"{name}:item", str(max(taken, default=-1) + 1))

    def remove_row(self, row: str) -> None:
        name, _, number = row.rpartition("/")
        kept = [text for text in self._texts.get(f"{name}:item", ()) if text != number]
        self._texts[f"{name}:item"] = kept
        self.forget(row)


def written(schema: dict, document: dict | None) -> Entries:
    """What a browser would post of a form that shows `document` and was not touched."""
    entries = Entries()
    if document is not None:
        _write(entries, root(schema), document, ROOT, 0)
    return entries


def settled(parts: Parts, name: str) -> Shape:
    """The shape of the value called `name`; the whole of what users set is an object."""
    found = shape(parts)
    if name != ROOT:
        return found
    if found.kind in ("group", "map", "choice"):
        return found._replace(nullable=False)
    why = found.why if found.kind == "json" else "It is to be an object {...}."
    return Shape("json", found.rules, why=why)


def _write(entries: Entries, parts: Parts, value, name: str, depth: int) -> None:
    found = settled(parts, name)
    if value is None and found.nullable:
        entries.add(f"{name}:null", "on")
    elif not _fits(found, value) or _too_much(entries, found, value, depth):
        entries.add(f"{name}:json", json.dumps(value, ensure_ascii=False, indent=2))
    elif found.kind == "choice":
        _write_choice(entries, found, value, name, depth)
    else:
        _write_shaped(entries, found, value, name, depth)


def weight(found: Shape) -> int:
    """As how many fields a row of a list or map counts: ten options are as much as one."""
    inside = found.items or found.rest
    return 1 + len(shape(inside).options) // 10 if inside else 1


def _too_much(entries: Entries, found: Shape, value, depth: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    return depth > DEEPEST or len(entries) + len(value) * weight(found) > MOST_FIELDS


def _write_shaped(entries: Entries, found: Shape, value, name: str, depth: int) -> None:
    if value in ("", [], {}) and not isinstance(value, bool) and found.kind != "select":
        entries.add(f"{name}:blank", "on")
    if found.kind == "group":
        _write_group(entries, found, value, name, depth)
    elif found.kind == "map":
        _write_rows(entries, found.rest, value, name, depth)
    elif found.kind == "list":
        for number, item in enumerate(value):
            entries.add(f"{name}:item", str(number))
            _write(entries, found.items, item, f"{name}/{number}", depth + 1)
    else:
        entries.add(name, text_of(found, value))


def text_of(found: Shape, value) -> str:
    """A value that is no object or list, as its field holds it."""
    if found.kind == "select":
        return option_text(found, value)
    return value if isinstance(value, str) else json.dumps(value)


def option_text(found: Shape, value) -> str:
    """As JSON; in the option's own words where it is among them: 1 for 1.0."""
    wanted = canonical(value)
    same = (o.value for o in found.options if canonical(o.value) == wanted)
    return jsontext.compact(next(same, value))


def _write_group(entries: Entries, found: Shape, value: dict, name: str, depth: int) -> None:
    for key, item in value.items():
        if key in found.properties:
            _write(entries, found.properties[key], item, below(name, key), depth + 1)
    rest = {key: item for key, item in value.items() if key not in found.properties}
    if rest and found.rest and _keys_keep(rest):
        _write_rows(entries, found.rest, rest, f"{name}:rest", depth)
    elif rest:
        text = json.dumps(rest, ensure_ascii=False, indent=2)
        entries.add(f"{name}:rest:json", text)


def _write_rows(entries: Entries, parts: Parts, value: dict, name: str, depth: int) -> None:
    for number, (key, item) in enumerate(value.items()):
        entries.add(f"{name}:item", str(number))
        entries.add(f"{name}/{number}:key", key)
        _write(entries, parts, item, f"{name}/{number}", depth + 1)


def _write_choice(entries: Entries, found: Shape, value, name: str, depth: int) -> None:
    shapes = [shape(branch.parts, branch.read) for branch in found.branches]
    number = next(n for n, branch in enumerate(shapes) if _suits(branch, value))
    entries.add(f"{name}:choice", str(number))
    _write_shaped(entries, shapes[number], value, name, depth)


# What a field can hold


def _fits(found: Shape, value) -> bool:
    """Whether the field holds the value such that it comes back as it was."""
    kind = found.kind
    if is_secret(found.rules) and value == marks.MASK:
        return kind in ("text", "number", "integer")
    if kind == "text":
        return isinstance(value, str) and "\r" not in value and "\0" not in value
    if kind in ("number", "integer"):
        whole = isinstance(value, int) or isinstance(value, float) and value.is_integer()
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and (whole or kind == "number")
    if kind == "map":
        return isinstance(value, dict) and _keys_keep(value)
    if kind == "choice":
        shapes = (shape(branch.parts, branch.read) for branch in found.branches)
        return isinstance(value, dict) and any(_suits(branch, value) for branch in shapes)
    wanted = {"boolean": bool, "list": list, "group": dict}.get(kind)
    return kind == "select" or wanted is not None and isinstance(value, wanted)


def _keys_keep(value: dict) -> bool:
    return all(_KEPT_KEY.fullmatch(key) for key in value)


def _suits(branch: Shape, value: dict) -> bool:
    """Whether the object is of this branch, as far as its own properties tell.

    No more is asked for: a second branch that suits as well would hold the same.
    """
    if not _fits(branch, value) or not branch.required <= value.keys():
        return False
    if branch.closed and not value.keys() <= branch.properties.keys():
        return False
    inside = ((branch.properties.get(key, branch.rest), item) for key, item in value.items())
    return all(_may_be(shape(parts), item) for parts, item in inside if parts)


def _may_be(found: Shape, value) -> bool:
    if found.options:
        return canonical(value) in {canonical(option.value) for option in found.options}
    nothing = value is None and found.nullable
    return nothing or found.kind == "json" or _fits(found, value)
