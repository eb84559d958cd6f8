"""What several schemas that hold together say of one value: those behind $ref and allOf, too."""

import json

from caelus import validation
from caelus.references import Part

Parts = tuple[Part, ...]  # schemas that hold together for one value
_LARGEST = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
_SMALLEST = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}
_ABOUT = ("title", "description", "default", "examples", "deprecated", "readOnly")
_ALSO = ("format", "multipleOf", "writeOnly", "generate", "propertyNames")


class Merged:
    """What the parts say together."""

    def __init__(self, parts: Parts, read: frozenset):
        self.rules, self.properties, self.required = {}, {}, set()
        self.types, self.enum, self.pieces = None, None, _pieces(parts)
        self.rest, self.patterns, self.items = [], [], []
        self.alternatives, self.said = [], set()
        self.never = any(piece.contents is False for piece in self.pieces)
        for piece in self.pieces:
            if isinstance(piece.contents, dict):
                self._add(piece, _modern(piece.contents), read)
        for piece in self.pieces:
            self._close(piece.contents)

    def _add(self, piece: Part, contents: dict, read: frozenset) -> None:
        self.said |= contents.keys()
        self._add_rules(contents)
        for name, schema in contents.get("properties", {}).items():
            self.properties.setdefault(name, []).append(piece.inner(schema))
        self.required |= set(contents.get("required", ()))
        if "additionalProperties" in contents:
            self.rest.append(piece.inner(contents["additionalProperties"]))
        self.patterns += (piece.inner(s) for s in contents.get("patternProperties", {}).values())
        if isinstance(contents.get("items"), (dict, bool)):
            self.items.append(piece.inner(contents["items"]))
        for keyword in ("anyOf", "oneOf"):
            listed = contents.get(keyword, [])
            if listed and id(listed) not in read:
                branches = [(piece.inner(schema),) for schema in listed]
                self.alternatives.append((id(listed), branches))

    def _close(self, contents) -> None:
        """Forget what a piece that is closed does not know: nobody can set it."""
        if not isinstance(contents, dict) or contents.get("additionalProperties") is not False:
            return
        if not contents.get("patternProperties"):
            known = contents.get("properties", {})
            self.properties = {n: parts for n, parts in self.properties.items() if n in known}

    def _add_rules(self, contents: dict) -> None:
        rules = self.rules
        for keyword in (*_ABOUT, *_ALSO):
            if keyword in contents:
                rules.setdefault(keyword, contents[keyword])
        for keywords, choose in ((_LARGEST, max), (_SMALLEST, min)):
            for keyword in contents.keys() & keywords:
                bound = contents[keyword]
                rules[keyword] = choose(rules.get(keyword, bound), bound)
        if "pattern" in contents:
            rules.setdefault("patterns", []).append(contents["pattern"])
        if "type" in contents:
            self.types = _meet(self.types, contents["type"])
        listed = [contents["const"]] if "const" in contents else contents.get("enum")
        if listed is not None:
            self.enum = listed if self.enum is None else _common(self.enum, listed)


def _pieces(parts: Parts) -> list[Part]:
    """The parts with all that they refer to or take in by allOf, each once."""
    found, seen, todo = [], set(), list(reversed(parts))
    while todo:
        piece = todo.pop()
        contents = piece.contents
        if id(contents) in seen:
            continue
        seen.add(id(contents))
        found.append(piece)
        if isinstance(contents, dict):
            todo += (piece.inner(schema) for schema in reversed(contents.get("allOf", [])))
            if "$ref" in contents:
                todo.append(piece.referred("$ref"))
    return found


def _modern(contents: dict) -> dict:
    """As newer drafts have it: draft 4 says `exclusiveMinimum: true` beside the minimum."""
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(contents.get(exclusive), bool):
            rest = {k: v for k, v in contents.items() if k not in (bound, exclusive)}
            kept = exclusive if contents[exclusive] else bound
            contents = rest | ({kept: contents[bound]} if bound in contents else {})
    return contents


def _meet(types: set | None, said) -> set:
    said = {said} if isinstance(said, str) else set(said)
    if "number" in said:
        said.add("integer")
    return said if types is None else types & said


def _common(listed: list, other: list) -> list:
    known = {canonical(value) for value in other}
    return [value for value in listed if canonical(value) in known]


def canonical(value) -> str:
    """The same text for values that JSON Schema takes for equal: 1 and 1.0, but not true."""
    return json.dumps(validation.comparable(value), sort_keys=True)
