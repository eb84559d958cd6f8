"""Where a template's schema says that a value is a secret, and which ones Caelus is to make.

`writeOnly: true` or `format: password` marks a secret, `generate` beside it one to be made. Pure:
schema and document in, JSON Pointers out. No condition is evaluated: what any branch of anyOf,
oneOf, if and the like marks is a secret.
"""

import contextlib
from collections.abc import Iterator

from caelus import jsontext, references
from caelus.errors import Conflict
from caelus.lasting import known
from caelus.references import Part
from caelus.validation import BoundedPatterns

MASK = "*" * 8  # shown in the place of a secret
LENGTHS = range(8, 257)  # of what is generated
MOST_PARTS = 100_000  # of a schema, looked at for `generate`; references can multiply them
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_LISTS = ("allOf", "anyOf", "oneOf")  # of schemas for the value itself
_BRANCHES = ("if", "then", "else")
_BY_PRESENCE = ("dependentSchemas", "dependencies")


def secret_places(schema: dict | None, document) -> set[str]:
    """The places in `document` that `schema` marks as secret; none lies inside another.

    Raises Conflict for a schema that can't be followed.
    """
    if not known(schema, _marks_any):
        return set()
    found, seen = set(), set()
    todo = [("", document, references.opened(schema))]
    while todo:
        place, value, part = todo.pop()
        contents = part.contents
        if not isinstance(contents, dict) or (id(contents), place) in seen:
            continue  # seen before where references lead round in a circle
        seen.add((id(contents), place))
        if _is_marked(contents):
            found.add(place)
            continue
        todo += ((place, value, target) for target in _referred(part))
        todo += ((place, value, part.inner(schema)) for schema in _of_itself(contents))
        for key, item, schema in _of_items(contents, value):
            todo.append((f"{place}/{escaped(key)}", item, part.inner(schema)))
    return outermost(found)


def marked(schema, place: str = "") -> Iterator[tuple[str, dict]]:
    """Every part of the schema that marks a secret, with its place in the schema."""
    if isinstance(schema, dict):
        if _is_marked(schema):
            yield place or "/", schema
        for key, part in schema.items():
            yield from marked(part, f"{place}/{escaped(key)}")
    elif isinstance(schema, list):
        for number, part in enumerate(schema):
            yield from marked(part, f"{place}/{number}")


def generated_places(schema: dict | None) -> dict[str, int]:
    """The places of the values that Caelus is to make, and how many characters each is to have.

    Raises Conflict, with the place named, for a `generate` that can't be followed.
    """
    return known(schema, _all_generated)


def _all_generated(schema: dict | None) -> dict[str, int]:
    if schema is None or '"generate"' not in jsontext.compact(schema):
        return {}
    return dict(_generating(schema))


def with_generated(values: dict[str, object]) -> dict:
    """The document that has these values at these places, and nothing else."""
    document = {}
    for place, value in values.items():
        *way, last = tokens(place)
        node = document
        for token in way:
            node = node.setdefault(token, {})
        node[last] = value
    return document


def escaped(key) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")


def tokens(place: str) -> list[str]:
    """The keys and indexes of a JSON Pointer."""
    return [t.replace("~1", "/").replace("~0", "~") for t in place.split("/")[1:]]


def is_inside(place: str, places: set[str]) -> bool:
    """Whether `place` is one of `places`, or lies below one."""
    way = place.split("/")
    return any("/".join(way[:length]) in places for length in range(1, len(way) + 1))


def outermost(places: set[str]) -> set[str]:
    """Those that lie inside no other."""
    if "" in places:
        return {""}
    return {place for place in places if not is_inside(place.rpartition("/")[0], places)}


# One schema's parts


def _marks_any(schema: dict | None) -> bool:
    """Whether anything in the schema may be what `_is_marked` looks for."""
    text = jsontext.compact(schema)
    return '"writeOnly":true' in text or '"format":"password"' in text


def _is_marked(contents: dict) -> bool:
    return contents.get("writeOnly") is True or contents.get("format") == "password"


def _referred(part: Part) -> Iterator[Part]:
    for keyword in _REFERENCES:
        if keyword in part.contents:
            # A draft that does not know the keyword need not have what it leads to.
            with contextlib.suppress(Conflict):
                yield part.referred(keyword)


def _of_itself(contents: dict) -> Iterator:
    """The schemas inside that are about the same value."""
    for keyword in _LISTS:
        yield from contents.get(keyword, [])
    yield from (contents[keyword] for keyword in _BRANCHES if keyword in contents)
    for keyword in _BY_PRESENCE:  # which may also name other properties instead
        yield from (s for s in contents.get(keyword, {}).values() if not isinstance(s, list))


def _of_items(contents: dict, value) -> Iterator[tuple]:
    """(key or index, item, schema) for what is in `value`."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from ((key, item, schema) for schema in _of_property(contents, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from ((index, item, schema) for schema in _of_index(contents, index))


def _of_property(contents: dict, key: str) -> list:
    named, patterns = contents.get("properties", {}), contents.get("patternProperties", {})
    found = [named[key]] if key in named else []
    found += [schema for p, schema in patterns.items() if BoundedPatterns.search(p, key)]
    # What another branch evaluates counts as unevaluated here, to be on the safe side.
    rest = ("additionalProperties", "unevaluatedProperties")
    return found or [contents[keyword] for keyword in rest if keyword in contents]


def _of_index(contents: dict, index: int) -> list:
    items = contents.get("items", True)
    if isinstance(items, list):  # as before draft 2020-12
        first, rest = items, contents.get("additionalItems", True)
    else:
        first, rest = contents.get("prefixItems", []), items
    found = first[index : index + 1] or [rest, contents.get("unevaluatedItems", True)]
    return [*found, contents.get("contains", True)]


# What is to be made


def _generating(schema: dict) -> Iterator[tuple[str, int]]:
    """Follows properties, references and allOf; what says `generate` elsewhere is refused."""
    # (place, whether one value is meant, part, the contents that it lies in)
    todo, looked_at = [("", True, references.opened(schema), frozenset())], 0
    while todo:
        place, single, part, above = todo.pop()
        contents = part.contents
        looked_at += 1
        if looked_at > MOST_PARTS:
            raise Conflict("values schema: too intricate to look for generate in it")
        if not isinstance(contents, dict) or id(contents) in above:
            continue  # a schema inside itself would make values without end
        if "generate" in contents:
            yield place, _length(place, single, contents["generate"])
        above |= {id(contents)}
        todo += ((place, single, target, above) for target in _referred(part))
        for below, inner, alone in _inner(part):
            todo.append((place + below, single and alone, part.inner(inner), above))


def _inner(part: Part) -> Iterator[tuple]:
    """(what to add to the place, schema, whether it is about one value, whatever comes)."""
    contents = part.contents
    named, all_of = contents.get("properties", {}), contents.get("allOf", [])
    yield from ((f"/{escaped(name)}", schema, True) for name, schema in named.items())
    yield from (("", schema, True) for schema in all_of)
    unused = (contents.get(keyword, {}) for keyword in ("$defs", "definitions"))
    passed = [*named.values(), *all_of, *(s for schemas in unused for s in schemas.values())]
    known = {id(schema) for schema in passed}
    yield from (("", schema, False) for schema in part.every_inner() if id(schema) not in known)


def _length(place: str, single: bool, wanted) -> int:
    """The length that a `generate` asks for. Raises Conflict for one that makes no sense."""
    at = f"values schema: at {place or 'the top'}: generate"
    if not single or not place:
        raise Conflict(
            f"{at} must be a property's own; it can't be in a list, a pattern or an alternative"
        )
    length = wanted.get("length") if isinstance(wanted, dict) and len(wanted) == 1 else None
    if type(length) is not int or length not in LENGTHS:
        raise Conflict(f'{at} must be {{"length": N}}, N from {LENGTHS[0]} to {LENGTHS[-1]}')
    return length
