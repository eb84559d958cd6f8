"""Where Python, jsonschema and charts read JSON Schema each in their own way."""

import pytest

from caelus import references, schemas, validation
from caelus.errors import Conflict

DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    "name",
    [
        "https://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft-07/schema",
        "http://json-schema.org/draft-07/schema",
        "https://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft/2020-12/schema",
        "http://json-schema.org/draft/2019-09/schema#",
        "https://json-schema.org/schema#",
        "http://json-schema.org/schema",
    ],
)
def test_a_draft_is_known_by_http_and_https(name):
    schema = {"$schema": name, "properties": {"user": {"type": "string"}}}
    references.check_schema(schema)
    assert validation.schema_errors(schema, {"user": 1}) == [(("user",), "must be of type string")]


def test_draft_4_stays_draft_4_by_https():
    schema = {"$schema": "https://json-schema.org/draft-04/schema", "minimum": 1}
    assert validation.schema_errors(schema | {"exclusiveMinimum": True}, 1)


@pytest.mark.parametrize(
    "name", ["json-schema.org/draft-07/schema", "ftp://json-schema.org/schema"]
)
def test_another_address_is_no_draft(name):
    with pytest.raises(Conflict, match="is not known"):
        references.check_schema({"$schema": name})


@pytest.mark.parametrize(
    "schema, text",
    [(schemas.NAMESPACE, "caelus"), (schemas.DIGEST, DIGEST)],
)
def test_a_line_break_at_the_end_of_an_input_is_refused(schema, text):
    assert validation.input_errors(schema, text) == []
    assert validation.input_errors(schema, f"{text}\n") != []


@pytest.mark.parametrize("pattern", ["^[a-z]+$", "^$|^[a-z]+$", "^(b|a$)", r"^\w$", "(?i)^A$"])
def test_a_line_break_at_the_end_of_a_value_is_refused_as_helm_refuses_it(pattern):
    schema = {"type": "string", "pattern": pattern}
    assert validation.schema_errors(schema, "a") == []
    assert validation.schema_errors(schema, "a\n") != []


@pytest.mark.parametrize(
    "pattern, text", [(r"a\$", "a$"), ("^[$]$", "$"), ("[]$]x", "$x"), (r"^[\]$]+$", "]$")]
)
def test_a_dollar_that_is_no_end_is_a_dollar(pattern, text):
    assert validation.schema_errors({"pattern": pattern}, text) == []


def test_names_known_by_a_pattern_end_where_it_does():
    schema = {"patternProperties": {"^a$": {}}, "additionalProperties": False}
    assert validation.schema_errors(schema, {"a": 1}) == []
    assert validation.schema_errors(schema, {"a\n": 1}) != []


NAMES = {"propertyNames": {"pattern": "^a$"}}


@pytest.mark.parametrize(
    "schema, document, errors",
    [
        (NAMES, {"b": 1}, [((), 'has a name that must match the pattern "^a$"')]),
        ({"properties": {"x": NAMES}}, {"x": {"a": 1}}, []),
        (
            {"properties": {"propertyNames": {"type": "string"}}},
            {"propertyNames": 1},
            [(("propertyNames",), "must be of type string")],
        ),
        ({"propertyNames": False}, {"a": 1}, [((), "holds what is not allowed")]),
    ],
)
def test_a_rule_for_names_is_told_as_one(schema, document, errors):
    assert validation.schema_errors(schema, document) == errors


def test_a_field_that_another_one_needs_is_told():
    schema = {"dependentRequired": {"cert": ["key"]}}
    ((_, said),) = validation.schema_errors(schema, {"cert": "x"})
    assert said == 'lacks a field that goes with another: {"cert": ["key"]}'
