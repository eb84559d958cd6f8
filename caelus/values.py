"""The values that helm gets: defaults, the user's own, and what a template's bindings add.

Everything here is pure: documents in, documents out.
"""

import re

from caelus import bindings, jsontext, marks, naming, policies, references, validation
from caelus.errors import BadValues, Conflict
from caelus.lasting import known
from caelus.policies import policy

# Rules that more values can't satisfy: merging adds and replaces, it never takes away. What is
# merely empty (minLength, minItems, required) may wait for a user to fill it.
_FINAL_RULES = (
    {"type", "enum", "const", "pattern", "additionalProperties"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    | {"maxLength", "maxItems", "maxProperties", "uniqueItems"}
)
BINDINGS_ONLY = (
    'with the capability {"user_values": "bindings_only"} what users set gets to the chart by '
    "bindings alone"
)
# In a chart that does not quote them these end a value, or run as a part of its templates: with the
# rights of Caelus, and so in others' namespaces. YAML breaks lines at more than \n.
_UNSAFE_TEXT = re.compile("[\x00-\x08\n-\x1f\x7f\x85\u2028\u2029]|{{")


def check_template(defaults: dict | None, schema: dict | None, capabilities: dict | None) -> None:
    """Refuse a template of which no deployment could ever be made.

    Raises Conflict with the place named: a bad schema, default values that break it whatever a
    user sets, a binding that can never resolve, a capability of the wrong shape.
    """
    if schema is not None:
        references.check_schema(schema)
    policies.check(capabilities)
    _check_no_plain_secret(schema)
    defaults = merge(defaults or {}, _checked_generated(schema))
    bound = bindings.checked(capabilities)
    bindings.check_fit(bound, defaults, schema)
    _check_reach(bound, capabilities)
    if schema is not None:
        _check_defaults(defaults, schema, bound)
        _check_bound_secrets(schema, bound)


def _check_no_plain_secret(schema) -> None:
    """Everybody reads the schema: what it says of a secret must not be one."""
    for place, part in marks.marked(schema):
        said = [name for name in ("default", "const", "examples") if part.get(name)]
        if said:
            raise Conflict(
                f"values schema: at {place}: {said[0]} would show a secret to all who read the "
                "template; put it into the default values"
            )


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
        raise Conflict(f"values schema: at {naming.pointer(path)}: what is generated {text}")
    return sample


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
        place = naming.printable("".join(f"/{key}" for key in path))
        text = (
            "has a line break or {{, which a chart may take for more than text; a template takes "
            'it with {"user_text": "any"} in its capabilities'
        )
        field = naming.field_in("user_values_json", path)
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
    if passed and not bindings.may_hold(chart_schema, ("user",)):
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
    result = bindings.laid_on(values, known(capabilities, bindings.checked), facts)
    if schema is not None:
        _refuse("values", validation.schema_errors(schema, result), schema, result)
    if policy(capabilities, "user_values") == "bindings_only":
        result.pop("user", None)
    return result


def merge(base: dict, over: dict) -> dict:
    """`over` laid on `base`: objects merge by key, anything else replaces. Shares no object."""
    return jsontext.copied(_merged(base, over))


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
        told.setdefault(f"{naming.pointer(path) or '/'} {text}", (field, text))
    raise BadValues(f"{what} are not valid: {'; '.join(told)}", list(told.values()))


def _field(what: str, path: tuple) -> str:
    """The field of a request that holds what is at `path` of the values."""
    if what == "default values":
        return naming.field_in("default_values_json", path)
    if path[:1] == ("user",):
        return naming.field_in("user_values_json", path[1:])
    return naming.field_in("values", path)


def _check_defaults(defaults: dict, schema: dict, bound: dict[str, list]) -> None:
    places = [bindings.tokens(place) for place in bound]
    errors = validation.schema_errors(schema, defaults, rules=_FINAL_RULES)
    formats = validation.schema_errors(schema, defaults, rules={"format"})
    # An empty text for a user to replace has no format yet.
    errors += [(path, text) for path, text in formats if path[:1] != ("user",)]
    wrong = [
        (path, text)
        for path, text in errors
        if not any(_overlap(tuple(map(str, path)), other) for other in places)
    ]
    _refuse("default values", wrong, schema, defaults)


def _overlap(path: tuple, other: tuple) -> bool:
    return all(a == b for a, b in zip(path, other, strict=False))


def _check_reach(bound: dict[str, list], capabilities: dict | None) -> None:
    for place in bound if policy(capabilities, "user_values") == "bindings_only" else ():
        if bindings.tokens(place)[0] == "user":
            raise bindings.bad(place, "is not given to the chart, as user_values is bindings_only")


def _check_bound_secrets(schema: dict, bound: dict[str, list]) -> None:
    for place, parts in bound.items():
        if any(isinstance(part, tuple) for part in parts) or not parts:
            continue
        sample: dict = {}
        bindings.put(sample, place, "".join(parts))
        if marks.is_inside(place, marks.secret_places(schema, sample)):
            raise bindings.bad(place, "would show a secret to all; put it into the default values")
