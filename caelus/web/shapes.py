"""What a schema comes to for one value: the kind of field, its rules, what is inside.

References are followed, allOf is merged, anyOf and oneOf are read where they are plain. What is
not plain is of kind `json`, and `why` says so.
"""

import collections
from typing import NamedTuple

from caelus import jsontext, references
from caelus.web.merging import Merged, Parts, canonical

MOST_LISTED = 100  # options in a select; texts beyond that are typed, with proposals
MOST_BRANCHES = 50
_CONDITIONS = {"if", "dependentSchemas", "dependencies", "unevaluatedProperties", "$dynamicRef"}
# What only forbids: the API checks it, the form looks the same without it.
_FORBIDDING = {"required", "not", "minProperties", "maxProperties", "title", "description"}
_OF_OBJECTS = {"properties", "additionalProperties", "patternProperties", "required"}
_OF_TEXTS = {"pattern", "minLength", "maxLength"}
_OF_NUMBERS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
# What narrows a value that has its field already.
_REFINING = _FORBIDDING | _OF_TEXTS | _OF_NUMBERS | {"properties", "propertyNames"}
_REFINING |= {"type", "enum", "const", "format", "minItems", "maxItems", "uniqueItems"}
_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object"}


class Choice(NamedTuple):
    value: object
    label: str


class Branch(NamedTuple):
    label: str
    parts: Parts
    read: frozenset  # as `shape` takes it


class Shape(NamedTuple):
    """`kind` is text, number, integer, boolean, select, group, list, map, choice, json or never."""

    kind: str
    rules: dict = {}
    properties: dict[str, Parts] = {}
    required: frozenset = frozenset()
    rest: Parts = ()  # of what is not among the properties: shown as rows if there is a schema
    closed: bool = False  # takes no further properties
    more: str = ""  # why a group has a field for further properties
    items: Parts = ()
    options: tuple[Choice, ...] = ()
    branches: tuple[Branch, ...] = ()
    nullable: bool = False
    why: str = ""  # of kind json
    ids: frozenset = frozenset()  # of the schemas that it was made of, to know them again


def root(schema: dict) -> Parts:
    """The parts for the whole of what users may set: the template's schema has it."""
    whole = references.opened(schema)
    return (whole.inner(schema["properties"]["user"]),)


def shape(parts: Parts, read: frozenset = frozenset()) -> Shape:
    """`read` are the lists of alternatives that need no more looking at."""
    merged = Merged(parts, read)
    ids = frozenset(id(piece.contents) for piece in merged.pieces)
    if merged.never:
        return Shape("never", why="the schema allows nothing here", ids=ids)
    if merged.alternatives:
        return _of_alternatives(parts, merged, read)._replace(ids=ids)
    types = _types(merged)
    nullable = "null" in types if types else False
    found = _of_types(merged, types - {"null"} if types else None)
    if merged.enum is not None:
        found = _select(merged.rules, [Choice(value, shown(value)) for value in merged.enum], types)
    found = found._replace(rules=merged.rules, ids=ids)
    return _or_null(found) if nullable and merged.enum is None else found


def _or_null(found: Shape) -> Shape:
    """The shape, with null allowed beside what it allows."""
    if found.kind == "boolean":
        yes_and_no = (Choice(True, shown(True)), Choice(False, shown(False)))
        found = found._replace(kind="select", options=yes_and_no)
    if found.kind == "select":
        there = any(option.value is None for option in found.options)
        null = () if there else (Choice(None, shown(None)),)
        return found._replace(options=(*found.options, *null))
    return found._replace(nullable=found.kind != "json")


def shown(value) -> str:
    """A value as an option's label."""
    if value is None or value == "":
        return "null" if value is None else "(empty)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else jsontext.compact(value)


def _types(merged: Merged) -> set | None:
    """The types that a value may have; guessed where the schema does not tell. None: any."""
    if merged.types is not None:
        return merged.types - {"integer"} if "number" in merged.types else merged.types
    if merged.said & _OF_OBJECTS:
        return {"object"}
    if merged.items:
        return {"array"}
    if merged.said & _OF_TEXTS or isinstance(merged.rules.get("format"), str):
        return {"string"}
    if merged.said & _OF_NUMBERS:
        return {"number"}
    samples = [merged.rules.get("default"), *merged.rules.get("examples", [])[:1]]
    named = {_NAMES[type(sample)] for sample in samples if type(sample) in _NAMES}
    return named if len(named) == 1 else None


def _of_types(merged: Merged, types: set | None) -> Shape:
    if types is None:
        return Shape("json", why="The schema does not say of what type it is.")
    if len(types) != 1:
        return Shape("json", why=f"It may be {_either(types)}.")
    kind = {"string": "text"}.get(*types, *types)
    if is_secret(merged.rules) and kind not in ("text", "number", "integer"):
        return Shape("json", why="It is secret as a whole.")
    if kind == "array":
        return _list(merged)
    return _object(merged) if kind == "object" else Shape(kind)


def is_secret(rules: dict) -> bool:
    return rules.get("writeOnly") is True or rules.get("format") == "password"


def _either(types: set) -> str:
    words = {
        "string": 'a text (in "quotes")',
        "array": "a list [...]",
        "object": "an object {...}",
        "number": "a number",
        "integer": "a whole number",
        "boolean": "true or false",
    }
    return " or ".join(sorted(words.get(name, name) for name in types)) or "nothing"


def _list(merged: Merged) -> Shape:
    tuples = "prefixItems" in merged.said or merged.said & {"items"} and not merged.items
    if tuples or any(part.contents is False for part in merged.items):
        return Shape("json", why="Its items are not all of one kind.")
    if not merged.items or all(part.contents in (True, {}) for part in merged.items):
        return Shape("json", why="A list; the schema does not say of what.")
    return Shape("list", items=tuple(merged.items))


def _object(merged: Merged) -> Shape:
    schemas = [part for part in merged.rest if isinstance(part.contents, dict) and part.contents]
    closed = any(part.contents is False for part in merged.rest)
    rest = () if closed else tuple(schemas)
    conditional = merged.said & _CONDITIONS
    if merged.properties:
        more = "The schema has conditions." if conditional else ""
        more = more or ("Some names are known by a pattern only." if merged.patterns else "")
        if closed and not merged.patterns or rest and not conditional:
            more = ""  # there can be none, or they have rows
        properties = {name: tuple(parts) for name, parts in merged.properties.items()}
        required = frozenset(merged.required)
        found = Shape("group", properties=properties, required=required, rest=rest, more=more)
        return found._replace(closed=closed and not merged.patterns)
    if conditional:
        return Shape("json", why="The schema has conditions.")
    if rest and not merged.patterns:
        return Shape("map", rest=rest)
    if len(merged.patterns) == 1 and not rest:
        return Shape("map", rest=tuple(merged.patterns))
    return Shape("json", why="An object {...}; the schema does not say what is in it.")


# Alternatives


def _of_alternatives(parts: Parts, merged: Merged, read: frozenset) -> Shape:
    """With the first list of alternatives read, if it is plain."""
    listed, branches = merged.alternatives[0]
    read = read | {listed}
    live = [branch for branch in branches if not _only_null(branch)]
    if all(_only_forbids(branch) for branch in branches) or _all_refine(branches, merged):
        return shape(parts, read)
    if (options := _options(live)) is not None:
        return _with_options(parts, merged, read, options, len(live) < len(branches))
    if len(live) == 1:
        found = shape((*parts, *live[0]), read)
        return _or_null(found) if len(branches) > 1 else found
    kinds = [Merged(branch, frozenset()) for branch in live]
    types = [_types(one) or merged.types for one in kinds]
    if _same_scalar(types):
        scalar = parts[0]._replace(contents={"type": next(iter(types[0]))})
        found = shape((*parts, scalar), read)
        return _or_null(found) if len(live) < len(branches) else found
    objects = all(kind == {"object"} and not one.alternatives for kind, one in zip(types, kinds))
    if objects and len(live) == len(branches) <= MOST_BRANCHES and len(merged.alternatives) == 1:
        return _choice(parts, merged, read, list(zip(live, kinds)))
    return Shape("json", merged.rules, why=_several(types))


def _several(types: list) -> str:
    plain = [kind for kind in types if kind and len(kind) == 1]
    if len(plain) < len(types) or len({*map(tuple, plain)}) < 2:
        return "It may have one of several forms."
    return f"It may be {_either(set().union(*plain))}."


def _only_null(branch: Parts) -> bool:
    contents = branch[0].contents
    return isinstance(contents, dict) and (
        contents.get("type") in ("null", ["null"])
        or contents.get("enum") == [None]
        or contents.get("const", 0) is None
    )


def _only_forbids(branch: Parts) -> bool:
    contents = branch[0].contents
    return isinstance(contents, dict) and contents.keys() <= _FORBIDDING


def _all_refine(branches: list[Parts], merged: Merged) -> bool:
    """Whether the branches only narrow what the form has without them, and have no names."""
    return (
        bool(merged.properties)
        and all(_refines(b[0].contents, merged) and not _only_null(b) for b in branches)
        and not any(_named(Merged(branch, frozenset())) for branch in branches)
    )


def _refines(contents, known: Merged) -> bool:
    if not isinstance(contents, dict) or contents.keys() - _REFINING:
        return False
    inner = contents.get("properties", {})
    if not inner:
        return _types(known) is not None
    merged = {n: Merged(tuple(known.properties.get(n, ())), frozenset()) for n in inner}
    return all(_refines(schema, merged[name]) for name, schema in inner.items())


def _options(live: list[Parts]) -> list[Choice] | None:
    """What the branches list, if that is all they do; nothing where only null is left."""
    options = []
    for branch in live:
        one = Merged(branch, frozenset())
        if one.enum is None or one.alternatives:
            return None
        title = one.rules.get("title") if len(one.enum) == 1 else None
        options += (Choice(value, title or shown(value)) for value in one.enum)
    return options


def _with_options(parts, merged: Merged, read, options: list[Choice], null: bool) -> Shape:
    if merged.enum is not None:
        kept = {canonical(value) for value in merged.enum}
        options = [option for option in options if canonical(option.value) in kept]
    if null:
        options = [*options, Choice(None, shown(None))]
    if len(merged.alternatives) > 1:
        return Shape("json", merged.rules, why="It may have one of several forms.")
    return _select(merged.rules, options, merged.types)


def _told_apart(options: list[Choice]) -> tuple[Choice, ...]:
    """Each value once; with JSON for the labels that two have: 1 and the text "1"."""
    once = {}
    for option in options:
        once.setdefault(canonical(option.value), option)
    often = collections.Counter(option.label for option in once.values())
    return tuple(
        o if often[o.label] == 1 else o._replace(label=jsontext.compact(o.value))
        for o in once.values()
    )


def _select(rules: dict, options: list[Choice], types: set | None) -> Shape:
    typed = all(isinstance(o.value, str) and o.value.isprintable() and o.value for o in options)
    kind = "text" if typed and len(options) > MOST_LISTED else "select"
    return Shape(kind, rules, options=tuple(options) if kind == "text" else _told_apart(options))


def _same_scalar(types: list) -> bool:
    scalars = ({"string"}, {"integer"}, {"number"}, {"boolean"})
    return types[0] in scalars and all(kind == types[0] for kind in types)


def _choice(parts: Parts, merged: Merged, read: frozenset, live: list) -> Shape:
    branches = []
    for number, (branch, one) in enumerate(live, 1):
        whole = (*parts, *branch)
        branches.append(Branch(_called(one, number), whole, read))
        if shape(whole, read).kind not in ("group", "map"):
            return Shape("json", merged.rules, why="It may have one of several forms.")
    return Shape("choice", merged.rules, branches=tuple(branches))


def _called(one: Merged, number: int) -> str:
    """A branch's name: its title, or what it alone wants."""
    return _named(one) or " and ".join(sorted(one.required)) or f"Form {number}"


def _named(one: Merged) -> str:
    if "title" in one.rules:
        return str(one.rules["title"])
    for name, parts in one.properties.items():
        enum = Merged(tuple(parts), frozenset()).enum
        if enum is not None and len(enum) == 1:
            return f"{name}: {shown(enum[0])}"
    return ""
