"""Bindings of a template: they put facts and values where an unmodified chart looks for them.

`{JSON Pointer: string template}`, read into `{pointer: [text or reference]}`: a reference, that
is what is between `${` and `}`, becomes the tuple of its words.
"""

import re

from caelus import jsontext, naming
from caelus.errors import Conflict

REFERENCES = ("domainname", "deployment_uid", "user.email", "user.id", "product.name")
_TOKEN = re.compile(r"\$\$|\$\{([^{}$]*)\}|\$")
_ESCAPE = re.compile(r"~(?![01])")
MISSING = object()
# Keywords behind which a property may hide: what they hold is not searched.
_OPEN_KEYWORDS = {"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "then", "else"} | {
    "patternProperties",
    "dependentSchemas",
    "prefixItems",
}


def checked(capabilities: dict | None) -> dict[str, list]:
    """The bindings of a template. Raises Conflict with the place of one that can't be read."""
    said = (capabilities or {}).get("bindings")
    if said is None:
        return {}
    if not isinstance(said, dict):
        raise Conflict("capabilities: /bindings must be an object of pointer: template")
    return {place: _parse(place, template) for place, template in said.items()}


def check_fit(bound: dict[str, list], defaults: dict, schema: dict | None) -> None:
    """Raise Conflict with the place of a binding that can never resolve."""
    _check_pointers(defaults, bound)
    for place, parts in bound.items():
        for reference in (part for part in parts if isinstance(part, tuple)):
            _check_reference(place, reference, defaults, schema)


def laid_on(values: dict, bound: dict[str, list], facts: dict) -> dict:
    """A copy of `values` with what the bindings say, of the `facts` and of `values` itself.

    Raises Conflict where one does not fit.
    """
    result, context = jsontext.copied(values), facts | {"values": values}
    for place, parts in bound.items():
        value = _render(parts, context)
        if value is not MISSING:
            put(result, place, jsontext.copied(value))
    return result


def _parse(place: str, template) -> list:
    if not place.startswith("/") or _ESCAPE.search(place):
        raise bad(place, "is no JSON Pointer: that begins with / and escapes ~ as ~0")
    if place.count("/") > jsontext.MAX_DEPTH:
        raise bad(place, f"leads deeper than {jsontext.MAX_DEPTH} levels")
    if not isinstance(template, str):
        raise bad(place, "must have a string as its template")
    parts, at = [], 0
    for token in _TOKEN.finditer(template):
        parts.append(template[at : token.start()])
        at = token.end()
        if token[0] == "$":
            raise bad(place, "has a lone $: write $$ for a dollar sign, ${name} for a value")
        parts.append("$" if token[0] == "$$" else tuple(token[1].split(".")))
    parts.append(template[at:])
    return [part for part in parts if part != ""]


def bad(place: str, problem: str) -> Conflict:
    return Conflict(f"binding {naming.printable(place)} {problem}")


def _check_reference(place: str, reference: tuple, defaults: dict, schema: dict | None) -> None:
    name = naming.printable(".".join(reference))
    if name in REFERENCES:
        return
    if reference[0] != "values" or "" in reference:
        known = f"{', '.join(REFERENCES)} and values.*"
        raise bad(place, f"refers to ${{{name}}}, which is not known; there are {known}")
    path = reference[1:]
    if look_up(defaults, path) is not MISSING:
        return
    user = ((schema or {}).get("properties") or {}).get("user", False)
    if path[0] != "user" or not may_hold(user, path[1:]):
        raise bad(
            place,
            f"refers to ${{{name}}}, which can never resolve: "
            "neither the default values nor the schema's properties.user have it",
        )


def may_hold(schema, path: tuple) -> bool:
    """Could a document that fits `schema` have something at `path`? True where unsure."""
    if not isinstance(schema, dict) or not path:
        return schema is not False
    if _OPEN_KEYWORDS & schema.keys():
        return True
    head, rest = path[0], path[1:]
    if head in schema.get("properties", {}):
        return may_hold(schema["properties"][head], rest)
    kinds = schema.get("type", ["object", "array"])
    if "array" in kinds and _index(head) is not None:
        return may_hold(schema.get("items", True), rest)
    return "object" in kinds and may_hold(schema.get("additionalProperties", True), rest)


def _check_pointers(defaults: dict, bound: dict[str, list]) -> None:
    values = jsontext.copied(defaults)
    for place, parts in bound.items():
        anything = len(parts) == 1 and parts[0][:1] == ("values",)
        put(values, place, {} if anything else "")


def _render(parts: list, context: dict):
    """The bound value, or MISSING where a reference has none."""
    if len(parts) == 1 and isinstance(parts[0], tuple):
        return look_up(context, parts[0])
    text = ""
    for part in parts:
        value = part if isinstance(part, str) else look_up(context, part)
        if value is MISSING or value is None:
            return MISSING
        text += value if isinstance(value, str) else jsontext.compact(value)
    return text


def look_up(document, path: tuple):
    for part in path:
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list) and _index(part) in range(len(document)):
            document = document[int(part)]
        else:
            return MISSING
    return document


def _index(token: str) -> int | None:
    """The place in a list that a token names, as RFC 6901 writes it; None for what is none."""
    return int(token) if re.fullmatch("0|[1-9][0-9]{0,8}", token) else None


def tokens(place: str) -> tuple[str, ...]:
    return tuple(t.replace("~1", "/").replace("~0", "~") for t in place.split("/")[1:])


def put(document: dict, place: str, value) -> None:
    """Set what is at a JSON Pointer, making what is missing on the way.

    A missing container becomes a list where the pointer goes on with `0` or `-`, else an object.
    """
    *way, last = steps = tokens(place)
    node = document
    for token, following in zip(way, steps[1:], strict=True):
        child = _child(node, token, place)
        if child is None:
            child = [] if following in ("0", "-") else {}
            _assign(node, token, child, place)
        node = child
    _child(node, last, place)
    _assign(node, last, value, place)


def _child(node, token: str, place: str):
    if isinstance(node, dict):
        return node.get(token)
    if not isinstance(node, list):
        raise bad(place, "can never resolve: there is a plain value in its way")
    if token == "-" or token == str(len(node)):
        return None
    if _index(token) not in range(len(node)):
        item = naming.printable(token)
        raise bad(place, f"can never resolve: a list on its way has no item {item}")
    return node[int(token)]


def _assign(node, token: str, value, place: str) -> None:
    if isinstance(node, dict):
        node[token] = value
    elif token == "-" or int(token) == len(node):
        node.append(value)
    else:
        node[int(token)] = value
