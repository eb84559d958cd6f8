"""Forms from schemas whose parts narrow each other, as those of real charts do."""

import pytest

from caelus.web.fields import Field
from caelus.web.forms import form
from caelus.web.posted import posted
from tests.markup import Page, rendered

TEXT = {"type": "string"}
PROVIDER = {"type": "object", "properties": {"key": TEXT, "url": TEXT}}
PROVIDERS = {"one": PROVIDER, "two": PROVIDER}
ONE = {"properties": {"one": {"properties": {"key": {"minLength": 1}}}}}
TWO = {"properties": {"two": {"properties": {"key": {"minLength": 1}}}, "one": {"type": "object"}}}


def shown(user: dict) -> Field:
    return form({"properties": {"user": user}})


def names(field: Field) -> list[str]:
    return [inner.label for inner in field.fields]


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf"])
def test_alternatives_that_only_narrow_the_fields_do_not_hide_them(keyword):
    made = shown({"type": "object", "properties": PROVIDERS, keyword: [ONE, TWO]})
    assert (made.kind, names(made)) == ("group", ["One", "Two"])


@pytest.mark.parametrize(
    "branch",
    [
        {"properties": {"three": TEXT}},  # a field of its own
        {"properties": {"one": {"properties": {"more": TEXT}}}},
        {"properties": {"one": {"$ref": "#"}}},
        ONE | {"title": "The first"},  # a name to choose by
    ],
)
def test_alternatives_that_bring_more_are_a_choice(branch):
    assert (
        shown({"type": "object", "properties": PROVIDERS, "anyOf": [branch, TWO]}).kind != "group"
    )


def test_a_choice_by_a_constant_stays_one():
    kinds = [{"properties": {"kind": {"const": kind}}} for kind in ("s3", "disk")]
    made = shown({"type": "object", "properties": {"kind": TEXT, "path": TEXT}, "oneOf": kinds})
    assert (made.kind, [o.label for o in made.options[1:]]) == (
        "choice",
        ["kind: s3", "kind: disk"],
    )


def test_an_alternative_of_null_stays_one_beside_a_narrowing_one():
    inner = {"properties": PROVIDERS, "anyOf": [ONE, {"type": "null"}]}
    made = shown({"type": "object", "properties": {"it": inner}}).fields[0]
    assert (made.kind, made.null) == ("group", False)


def test_a_closed_object_has_no_field_for_further_properties_for_its_conditions():
    rule = {"if": {"required": ["a"]}, "then": {"required": ["b"]}}
    user = {"type": "object", "properties": {"a": TEXT, "b": TEXT}, "allOf": [rule]}
    assert names(shown(user)) == ["A", "B", "Further properties"]
    assert names(shown(user | {"additionalProperties": False})) == ["A", "B"]


def test_what_a_closed_object_refuses_beside_a_reference_has_no_field():
    user = {"$ref": "#/$defs/all", "properties": {"a": TEXT}, "additionalProperties": False}
    schema = {
        "$defs": {"all": {"properties": {"a": TEXT, "b": TEXT}}},
        "properties": {"user": user},
    }
    assert names(form(schema)) == ["A"]


def test_what_no_field_is_shown_for_is_kept():
    user = {"allOf": [{"properties": {"b": TEXT}}], "additionalProperties": False}
    schema, document = {"properties": {"user": user | {"properties": {"a": TEXT}}}}, {"b": "old"}
    page = Page(rendered(form(schema, document)))
    assert posted(schema, page.pairs()).document == document
