"""What plainly fits a JSON Schema, seen without jsonschema, which takes twenty times as long.

Only a yes counts: what does not fit, or is not plain, is for jsonschema to judge and to word.
"""

import functools
import re
from collections.abc import Callable

from caelus import patterns

NEWEST_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TYPES = {
    **{"string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,)},
    **{"object": (dict,), "array": (list,), "null": (type(None),)},
}
_NUMBER = _TYPES["number"]
_NOTES = ("title", "description", "default", "examples", "$comment", "writeOnly", "generate")
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"


def fits(schema, value) -> bool:
    """Whether `value` certainly fits: the schema has only words that are known here, which mean
    the same in all drafts."""
    return _fits(_WORDS, schema, value)


def fits_input(schema: dict, value) -> bool:
    """The same of Caelus's own input schemas, with their formats."""
    return _fits(_OWN_WORDS, schema, value)


def _fits(words: dict[str, Callable], schema, value) -> bool:
    if not isinstance(schema, dict):
        return schema is True
    return all(
        word in words and words[word](wanted, value, schema) for word, wanted in schema.items()
    )


def _type(wanted, value, schema) -> bool:
    names = [wanted] if isinstance(wanted, str) else wanted
    return any(type(value) in _TYPES.get(name, ()) for name in names)


def _properties(words: dict, wanted: dict, value, schema) -> bool:
    return not isinstance(value, dict) or all(
        _fits(words, wanted[name], item) for name, item in value.items() if name in wanted
    )


def _known_only(wanted, value, schema) -> bool:
    if wanted is not False or not isinstance(value, dict):
        return wanted in (True, False)
    return value.keys() <= schema.get("properties", {}).keys()


_WORDS = dict.fromkeys(_NOTES, lambda *_: True) | {
    "$schema": lambda wanted, *_: wanted == NEWEST_DRAFT,
    "type": _type,
    "properties": lambda *given: _properties(_WORDS, *given),
    "additionalProperties": _known_only,
    "required": lambda wanted, value, _: not isinstance(value, dict) or value.keys() >= {*wanted},
    "items": lambda wanted, value, _: (
        not isinstance(value, list) or all(fits(wanted, item) for item in value)
    ),
    "enum": lambda wanted, value, _: isinstance(value, str) and value in wanted,
    "minimum": lambda wanted, value, _: type(value) not in _NUMBER or value >= wanted,
    "maximum": lambda wanted, value, _: type(value) not in _NUMBER or value <= wanted,
    "minLength": lambda wanted, value, _: not isinstance(value, str) or len(value) >= wanted,
    "maxLength": lambda wanted, value, _: not isinstance(value, str) or len(value) <= wanted,
}


# The formats of Caelus's own input schemas; all of them match the whole string


def _matches(pattern: re.Pattern, longest: int, value) -> bool:
    return not isinstance(value, str) or (
        len(value.encode()) <= longest and pattern.fullmatch(value) is not None
    )


FORMATS = {
    name: functools.partial(_matches, re.compile(pattern), longest)
    for name, longest, pattern in (
        ("hostname", 253, rf"(?ai)(?!\d+(\.\d+){{3}}$){_LABEL}(\.{_LABEL})*"),
        ("email", 254, r"[^@{}\s\x00-\x1f\x7f]+@[^@{}\s\x00-\x1f\x7f]+"),
        ("pod", 253, r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?"),
        ("line", 1000, r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*"),
        ("word", 1000, r"[^-\s\x00-\x1f\x7f][^\s\x00-\x1f\x7f]*"),
    )
}
_OWN_WORDS = _WORDS | {
    "properties": lambda *given: _properties(_OWN_WORDS, *given),
    "format": lambda wanted, value, _: FORMATS[wanted](value),
    "pattern": lambda wanted, value, _: (
        not isinstance(value, str) or re.search(patterns.meant(wanted), value) is not None
    ),
}
