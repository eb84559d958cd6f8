"""How a broken rule of a JSON Schema is worded: never with the value, which may be a secret."""

import json

from caelus.naming import printable


def worded(error) -> str:
    """Which rule jsonschema's error says is broken, without the value that broke it."""
    place, keyword = (None, None, None, *error.absolute_schema_path)[-3:-1]
    about = "has a name that " if keyword == "propertyNames" and place != "properties" else ""
    return about + _worded(error)


def _worded(error) -> str:
    rule, value = error.validator, error.validator_value
    if rule == "minLength" and value == 1:
        return "must not be empty"
    shown = printable(json.dumps(value, ensure_ascii=False), 300)
    if rule == "type":
        shown = " or ".join([value] if isinstance(value, str) else value)
    if rule == "format" and value in WORDED_FORMATS:
        return f"must be {WORDED_FORMATS[value]}"
    return MESSAGES.get(rule, "breaks the rule {rule}: {shown}").format(rule=rule, shown=shown)


WORDED_FORMATS = {
    "hostname": "a host name (RFC 1123), such as cloud.example.org",
    "email": "an e-mail address, such as ada@example.org",
    "uri": "a whole address (URI), such as https://example.org/",
    "date": "a date, such as 2030-01-31",
    "date-time": "a date and time with its zone, such as 2030-01-31T12:30:00Z",
    "time": "a time with its zone, such as 12:30:00Z",
    "duration": "a duration (ISO 8601), such as P1DT12H",
    "line": "one line without control characters",
    "word": "one word of at most 1000 bytes that does not begin with a hyphen",
}
MESSAGES = {
    "type": "must be of type {shown}",
    "required": "is missing",
    "additionalProperties": "is not a known field",
    "unevaluatedProperties": "has a field that is not known",
    "enum": "must be one of {shown}",
    "const": "must be {shown}",
    "minimum": "must be at least {shown}",
    "maximum": "must be at most {shown}",
    "exclusiveMinimum": "must be greater than {shown}",
    "exclusiveMaximum": "must be less than {shown}",
    "multipleOf": "must be a multiple of {shown}",
    "minLength": "must have at least {shown} characters",
    "maxLength": "must have at most {shown} characters",
    "pattern": "must match the pattern {shown}",
    "format": "must be of format {shown}",
    "minItems": "must have at least {shown} items",
    "maxItems": "must have at most {shown} items",
    "uniqueItems": "must not repeat an item",
    "dependentRequired": "lacks a field that goes with another: {shown}",
    "minProperties": "must have at least {shown} fields",
    "maxProperties": "must have at most {shown} fields",
    "anyOf": "fits none of the forms that the schema allows",
    "oneOf": "must fit exactly one of the forms that the schema allows",
    "not": "is what the schema forbids",
    None: "holds what is not allowed",  # jsonschema does not say under which key
}
