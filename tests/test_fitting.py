"""What is let through without jsonschema is what jsonschema lets through."""

import subprocess
import sys

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caelus import fitting, validation
from caelus.operations import OPERATIONS
from tests.test_jsontext import patient

NAMES = st.sampled_from(["a", "b", "c"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(-3, 3)
    | st.sampled_from(["", "a", "bb", "a.b", "a@b", "-", "x" * 4])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner), max_leaves=6
)
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "object", "array", "null"])


def schemas(inner):
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, unique=True),
            "properties": st.dictionaries(NAMES, inner),
            "additionalProperties": st.booleans() | inner,
            "required": st.lists(NAMES, unique=True),
            "items": inner,
            "enum": st.lists(SCALARS, min_size=1),
            "minimum": st.integers(-2, 2) | st.floats(-2, 2),
            "maximum": st.integers(-2, 2),
            "exclusiveMinimum": st.integers(-2, 2),
            "minLength": st.integers(0, 3),
            "maxLength": st.integers(0, 3),
            "const": SCALARS,
            "not": inner,
            "default": SCALARS,
            "writeOnly": st.booleans(),
        },
    )


SCHEMAS = st.recursive(st.booleans() | schemas(st.booleans()), schemas, max_leaves=4)


@patient
@given(SCHEMAS, VALUES)
def test_what_fits_is_valid(schema, value):
    if fitting.fits(schema, value):
        assert jsonschema.Draft202012Validator(schema).is_valid(value)


@patient
@given(st.sampled_from([o.input for o in OPERATIONS]), st.data())
def test_what_fits_as_input_is_valid(schema, drawn):
    names = st.sampled_from([*schema["properties"], "other"])
    value = drawn.draw(st.dictionaries(names, VALUES))
    if fitting.fits_input(schema, value):
        formats = validation.input_formats()
        assert jsonschema.Draft202012Validator(schema, format_checker=formats).is_valid(value)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer"}, 1, True),
        ({"type": ["string", "null"]}, None, 1),
        ({"type": "number"}, 1.5, "1.5"),
        ({"minimum": 1}, 1, 0.5),
        ({"maximum": 1}, 1, 2),
        ({"minLength": 1}, "a", ""),
        ({"maxLength": 1}, "a", "aa"),
        ({"enum": ["a"]}, "a", "b"),
        ({"items": {"type": "string"}}, ["a"], ["a", 1]),
        ({"required": ["a"]}, {"a": 1}, {"b": 1}),
        ({"properties": {"a": {"type": "string"}}}, {"a": "", "b": 1}, {"a": 1}),
        ({"properties": {"a": True}, "additionalProperties": False}, {"a": 1}, {"b": 1}),
        ({"properties": {"a": False}}, {"b": 1}, {"a": 1}),
    ],
)
def test_each_word_is_judged(schema, good, bad):
    assert fitting.fits(schema, good)
    assert not fitting.fits(schema, bad)
    assert not jsonschema.Draft202012Validator(schema).is_valid(bad)


@pytest.mark.parametrize("draft", ["03", "04", "06", "07"])
def test_another_draft_is_not_judged(draft):
    assert fitting.fits({"$schema": fitting.NEWEST_DRAFT, "type": "string"}, "x")
    assert not fitting.fits({"$schema": f"http://json-schema.org/draft-{draft}/schema#"}, "x")


@pytest.mark.parametrize(
    "schema", [{"$ref": "#/$defs/a"}, {"format": "email"}, {"pattern": "a"}, {"unheard": True}]
)
def test_what_is_not_plain_is_not_judged(schema):
    assert not fitting.fits(schema, "a")
    assert not fitting.fits({"properties": {"a": schema}}, {"a": "a"})


def test_a_good_request_does_not_wait_for_jsonschema_to_be_imported():
    script = (
        "import sys; from caelus import validation; from caelus.operations import BY_COMMAND\n"
        "schema = BY_COMMAND['create-deployment'].input\n"
        "good = {'desired_template_id': 1, 'domainname': 'a.example.org'}\n"
        "assert not validation.input_errors(schema, good)\n"
        "own = {'properties': {'a': {'type': 'string'}}}\n"
        "assert not validation.schema_errors(own, {'a': ''})\n"
        "sys.exit('jsonschema' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_a_line_break_after_the_end_of_a_pattern_is_no_plain_fit():
    schema = {"pattern": "^a$"}
    assert fitting.fits_input(schema, "a")
    assert not fitting.fits_input(schema, "a\n")
