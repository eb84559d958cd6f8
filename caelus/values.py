"""The values that helm gets: defaults, the user's own, and what a template's bindings add.

Everything here is pure: documents in, documents out.
"""

import re

from caelus import isolation, marks, references, validation
from caelus.errors import BadValues, Conflict
from caelus.lasting import known

REFERENCES = ("domainname", "deployment_uid", "user.email", "user.id", "product.name")
_TOKEN = re.compile(r"\$\$|\$\{([^{}$]*)\}|\$")
_ESCAPE = re.compile(r"~(?![01])")
MISSING = object()
# Rules that more values can't satisfy: merging adds and replaces, it never takes away. What is
# merely empty (minLength, minItems, required) may wait for a user to fill it.
_FINAL_RULES = (
    {"type", "enum", "const", "pattern", "additionalProperties"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    | {"maxLength", "maxItems", "maxProperties", "uniqueItems"}
)
# Keywords behind which a property may hide: what they hold is not searched.
_OPEN_KEYWORDS = {"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "then", "else"} | {
    "patternProperties",
    "dependentSchemas",
    "prefixItems",
}

BINDINGS_ONLY = (
    'with the capability {"user_values": "bindings_only"} what users set gets to the chart by '
    "bindings alone"
)
_POLICIES = {  # what else a template may say in its capabilities; the first is the default
    "drift": ("correct", "warn", "off"),
    "on_upgrade_failure": ("rollback", "keep"),
    "user_text": ("line", "any"),
    "user_values": ("pass", "bindings_only"),
}
# In a chart that does not quote them these end a value, or run as a part of its templates: with the
# rights of Caelus, and so in others' namespaces. YAML breaks lines at more than \n.
_UNSAFE_TEXT = re.compile("[\x00-\x08\n-\x1f\x7f\x85\u2028\u2029]|{{")


def policy(capabilities: dict | None, name: str) -> str:
    """What the template says of `drift` or another of the `_POLICIES`."""
    return (capabilities or {}).get(name) or _POLICIES[name][0]


def _check_policies(capabilities: dict) -> None:
    for name, choices in _POLICIES.items():
        value = capabilities.get(name)
        if value is not None and value not in choices:
            quote = '; in YAML, put "off" in quotes' if value is False else ""
            raise Conflict(
                f"capabilities: /{name} must be one of {', '.join(choices)}, "
                f"not {validation.compact(value)[:100]}{quote}"
            )


def _check_isolation(said) -> None:
    if said is not None and (wrong := isolation.problem(said)):
        place = validation.pointer(("isolation", *wrong.path))
        raise Conflict(f"capabilities: {place} {wrong.text}")


def check_template(defaults: dict | None, schema: dict | None, capabilities: dict | None) -> None:
    """Refuse a template of which no deployment could ever be made.

    Raises Conflict with the place named: a bad schema, default values that break it whatever a
    user sets, a binding that can never resolve, a capability of the wrong shape.
    """
    if schema is not None:
        references.check_schema(schema)
    takes_plain_http(capabilities)
    _check_policies(capabilities or {})
    _check_isolation((capabilities or {}).get("isolation"))
    _check_no_plain_secret(schema)
    defaults = merge(defaults or {}, _checked_generated(schema))
    bindings = _checked_bindings((capabilities or {}).get("bindings"))
    _check_pointers(defaults, bindings)
    _check_reach(bindings, capabilities)
    for place, parts in bindings.items():
        for reference in (part for part in parts if isinstance(part, tuple)):
            _check_reference(place, reference, defaults, schema)
    if schema is not None:
        _check_defaults(defaults, schema, bindings)
        _check_bound_secrets(schema, bindings)


def _check_no_plain_secret(schema) -> None:
    """Everybody reads the schema: what it says of a secret must not be one."""
    for place, part in marks.marked(schema):
        said = [name for name in ("default", "const", "examples") if part.get(name)]
        if said:
            raise Conflict(
                f"values schema: at {place}: {said[0]} would show a secret to all who read the "
                "template; put it into the default values"
            )


def _check_bound_secrets(schema: dict, bindings: dict[str, list]) -> None:
    for place, parts in bindings.items():
        if any(isinstance(part, tuple) for part in parts) or not parts:
            continue
        sample: dict = {}
        _put(sample, place, "".join(parts))
        if marks.is_inside(place, marks.secret_places(schema, sample)):
            raise _bad(place, "would show a secret to all; put it into the default values")


def _checked_generated(schema: dict | None) -> dict:
    """A sample of what is generated for a deployment.

    Raises Conflict with the place of what can't be generated, or is no secret.
    """
    lengths = marks.generated_places(schema)
    sample = marks.with_generated({place: "x" * lengths[place] for place in lengths})
    secret = marks.secret_places(schema, {"user": {}} | sample)
    if secret & {"", "/user"}:
        raise Conflict("values schema: mark the secrets among the values, not all as one secret")
    for place in lengths:
        if not marks.is_inside(place, secret):
            raise Conflict(
                f"values schema: at {place}: what is generated must be a secret; "
                "put writeOnly: true beside it"
            )
    rules = {"type", "minLength", "maxLength"}
    for path, text in validation.schema_errors(schema, sample, rules=rules) if lengths else ():
        raise Conflict(f"values schema: at {validation.pointer(path)}: what is generated {text}")
    return sample


def takes_plain_http(capabilities: dict | None) -> bool:
    """Whether the chart may come over plain http. Raises Conflict for what is no boolean."""
    said = (capabilities or {}).get("plain_http", False)
    if not isinstance(said, bool):
        raise Conflict("capabilities: /plain_http must be true or false")
    return said


def check_user_values(schema: dict | None, user_values: dict | None) -> None:
    """Refuse user values that the template does not take. Raises Conflict with the places."""
    if user_values is None:
        return
    if takes_user_values(schema):
        errors = validation.schema_errors(schema, user_values, ("properties", "user"))
        _refuse("user values", errors, schema, {"user": user_values}, "/user")
    elif user_values:
        raise Conflict("user values are not allowed: the template's schema has no properties.user")


def check_user_text(capabilities: dict | None, user_values: dict | None) -> None:
    """Refuse texts that a chart may take for more than a value, unless the template allows them.

    Raises Conflict with the place; the text itself is not told.
    """
    if policy(capabilities, "user_text") == "any":
        return
    for path in _unsafe(user_values or {}, ()):
        place = validation.printable("".join(f"/{key}" for key in path))
        text = (
            "has a line break or {{, which a chart may take for more than text; a template takes "
            'it with {"user_text": "any"} in its capabilities'
        )
        field = validation.field_in("user_values_json", path)
        raise BadValues(f"user values: {place} {text}", [(field, text)])


def _unsafe(document, path: tuple):
    if isinstance(document, dict):
        for key, item in document.items():
            if _UNSAFE_TEXT.search(key):
                yield (*path, key.encode("unicode_escape").decode())
            yield from _unsafe(item, (*path, key))
    elif isinstance(document, list):
        for number, item in enumerate(document):
            yield from _unsafe(item, (*path, number))
    elif isinstance(document, str) and _UNSAFE_TEXT.search(document):
        yield path


def check_chart(chart_schema: dict | None, schema: dict | None, capabilities: dict | None) -> None:
    """Refuse a template whose users' values the schema in its chart has no room for.

    Raises Conflict with the way out.
    """
    passed = takes_user_values(schema) and policy(capabilities, "user_values") == "pass"
    if passed and not may_hold(chart_schema, ("user",)):
        raise Conflict(f"the chart's own schema does not allow user; {BINDINGS_ONLY}")


def final_values(
    defaults: dict | None,
    schema: dict | None,
    capabilities: dict | None,
    user_values: dict | None,
    facts: dict,
) -> dict:
    """The values for helm; `facts` holds `domainname`, `deployment_uid`, `user`, `product`.

    Raises Conflict where a binding does not fit the values or the result breaks the schema, which
    both know `user` even where the chart does not get it.
    """
    given = user_values is not None and (user_values or takes_user_values(schema))
    values = _merged(defaults or {}, {"user": user_values} if given else {})  # only read here
    bindings = known(capabilities, _bindings)
    context = facts | {"values": values}
    result = validation.copied(values)
    for place, parts in bindings.items():
        bound = _render(parts, context)
        if bound is not MISSING:
            _put(result, place, validation.copied(bound))
    if schema is not None:
        _refuse("values", validation.schema_errors(schema, result), schema, result)
    if policy(capabilities, "user_values") == "bindings_only":
        result.pop("user", None)
    return result


def merge(base: dict, over: dict) -> dict:
    """`over` laid on `base`: objects merge by key, anything else replaces. Shares no object."""
    return validation.copied(_merged(base, over))


def _merged(base: dict, over: dict) -> dict:
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        result[key] = _merged(old, value) if both else value
    return result


def takes_user_values(schema: dict | None) -> bool:
    return "user" in ((schema or {}).get("properties") or {})


def _refuse(what: str, errors: validation.Errors, schema: dict, document: dict, root="") -> None:
    """Raise Conflict with the errors; their paths start at `root` of `document`.

    What is inside a secret is not told, for its keys may be part of it.
    """
    if not errors:
        return
    secret = marks.secret_places(schema, document)
    told = {}
    for path, text in errors:
        place = root + "".join(f"/{marks.escaped(key)}" for key in path)
        if marks.is_inside(place.rpartition("/")[0], secret):
            place = next(other for other in secret if marks.is_inside(place, {other}))
            path, text = marks.tokens(place.removeprefix(root)), "is not what the schema wants"
        field = _field(what, (*marks.tokens(root), *path))
        told.setdefault(f"{validation.pointer(path) or '/'} {text}", (field, text))
    raise BadValues(f"{what} are not valid: {'; '.join(told)}", list(told.values()))


def _field(what: str, path: tuple) -> str:
    """The field of a request that holds what is at `path` of the values."""
    if what == "default values":
        return validation.field_in("default_values_json", path)
    if path[:1] == ("user",):
        return validation.field_in("user_values_json", path[1:])
    return validation.field_in("values", path)


# Bindings: {JSON Pointer: string template}, read into {pointer: [text or reference path]}


def _bindings(capabilities: dict | None) -> dict[str, list]:
    return _checked_bindings((capabilities or {}).get("bindings"))


def _checked_bindings(bindings) -> dict[str, list]:
    if bindings is None:
        return {}
    if not isinstance(bindings, dict):
        raise Conflict("capabilities: /bindings must be an object of pointer: template")
    return {place: _parse(place, template) for place, template in bindings.items()}


def _parse(place: str, template) -> list:
    if not place.startswith("/") or _ESCAPE.search(place):
        raise _bad(place, "is no JSON Pointer: that begins with / and escapes ~ as ~0")
    if place.count("/") > validation.MAX_DEPTH:
        raise _bad(place, f"leads deeper than {validation.MAX_DEPTH} levels")
    if not isinstance(template, str):
        raise _bad(place, "must have a string as its template")
    parts, at = [], 0
    for token in _TOKEN.finditer(template):
        parts.append(template[at : token.start()])
        at = token.end()
        if token[0] == "$":
            raise _bad(place, "has a lone $: write $$ for a dollar sign, ${name} for a value")
        parts.append("$" if token[0] == "$$" else tuple(token[1].split(".")))
    parts.append(template[at:])
    return [part for part in parts if part != ""]


def _bad(place: str, problem: str) -> Conflict:
    return Conflict(f"binding {validation.printable(place)} {problem}")


def _check_reference(place: str, reference: tuple, defaults: dict, schema: dict | None) -> None:
    name = validation.printable(".".join(reference))
    if name in REFERENCES:
        return
    if reference[0] != "values" or "" in reference:
        known = f"{', '.join(REFERENCES)} and values.*"
        raise _bad(place, f"refers to ${{{name}}}, which is not known; there are {known}")
    path = reference[1:]
    if look_up(defaults, path) is not MISSING:
        return
    user = ((schema or {}).get("properties") or {}).get("user", False)
    if path[0] != "user" or not may_hold(user, path[1:]):
        raise _bad(
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


def _check_pointers(defaults: dict, bindings: dict) -> None:
    values = validation.copied(defaults)
    for place, parts in bindings.items():
        anything = len(parts) == 1 and parts[0][:1] == ("values",)
        _put(values, place, {} if anything else "")


def _check_reach(bindings: dict, capabilities: dict | None) -> None:
    for place in bindings if policy(capabilities, "user_values") == "bindings_only" else ():
        if _tokens(place)[0] == "user":
            raise _bad(place, "is not given to the chart, as user_values is bindings_only")


def _check_defaults(defaults: dict, schema: dict, bindings: dict) -> None:
    bound = [_tokens(place) for place in bindings]
    errors = validation.schema_errors(schema, defaults, rules=_FINAL_RULES)
    wrong = [
        (path, text)
        for path, text in errors
        if not any(_overlap(tuple(map(str, path)), other) for other in bound)
    ]
    _refuse("default values", wrong, schema, defaults)


def _overlap(path: tuple, other: tuple) -> bool:
    return all(a == b for a, b in zip(path, other, strict=False))


def _render(parts: list, context: dict):
    """The bound value, or MISSING where a reference has none."""
    if len(parts) == 1 and isinstance(parts[0], tuple):
        return look_up(context, parts[0])
    text = ""
    for part in parts:
        value = part if isinstance(part, str) else look_up(context, part)
        if value is MISSING or value is None:
            return MISSING
        text += value if isinstance(value, str) else validation.compact(value)
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


def _tokens(place: str) -> tuple[str, ...]:
    return tuple(t.replace("~1", "/").replace("~0", "~") for t in place.split("/")[1:])


def _put(document: dict, place: str, value) -> None:
    """Set what is at a JSON Pointer, making what is missing on the way.

    A missing container becomes a list where the pointer goes on with `0` or `-`, else an object.
    """
    *way, last = tokens = _tokens(place)
    node = document
    for token, following in zip(way, tokens[1:], strict=True):
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
        raise _bad(place, "can never resolve: there is a plain value in its way")
    if token == "-" or token == str(len(node)):
        return None
    if _index(token) not in range(len(node)):
        item = validation.printable(token)
        raise _bad(place, f"can never resolve: a list on its way has no item {item}")
    return node[int(token)]


def _assign(node, token: str, value, place: str) -> None:
    if isinstance(node, dict):
        node[token] = value
    elif token == "-" or int(token) == len(node):
        node.append(value)
    else:
        node[int(token)] = value
