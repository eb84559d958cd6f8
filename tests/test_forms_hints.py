"""What tells people how a value is to be written, and which of two alike is which."""

import pytest

from caelus.web import editor
from caelus.web.fields import Field
from caelus.web.forms import form
from caelus.web.posted import posted
from tests.markup import Page, rendered

TEXT = {"type": "string"}


def of(**properties) -> dict:
    return {"properties": {"user": {"type": "object", "properties": properties}}}


def only(schema: dict) -> Field:
    return form(of(it=schema)).fields[0]


def control(schema: dict) -> dict:
    return Page(rendered(form(of(it=schema)))).named("user/it")


def test_options_that_look_alike_are_told_apart():
    labels = [o.label for o in only({"enum": [1, "1", None, "null", True, "yes", "no", 2]}).options]
    assert labels[1:] == ["1", '"1"', "null", '"null"', "true", '"yes"', "no", "2"]


def test_options_of_the_same_title_are_told_apart():
    same = [{"const": 1, "title": "One"}, {"const": "a", "title": "One"}]
    assert [o.label for o in only({"oneOf": same}).options][1:] == ["1", '"a"']


def test_a_value_that_is_listed_twice_is_one_option():
    assert [o.label for o in only({"enum": ["a", "b", "a"]}).options][1:] == ["a", "b"]


def test_properties_that_would_look_alike_are_called_by_their_names():
    names = ["a.b", "a/b", "a_b", "", "other"]
    shown = form(of(**dict.fromkeys(names, TEXT)))
    assert [field.label for field in shown.fields] == ["a.b", "a/b", "a_b", "(no name)", "Other"]


@pytest.mark.parametrize("name", ["date-time", "time", "ipv4", "ipv6", "uuid", "duration", "email"])
def test_a_format_shows_how_it_is_written(name):
    shown = control({"type": "string", "format": name})["placeholder"]
    assert shown.startswith("such as ")
    assert only({"type": "string", "format": name, "examples": ["x"]}).placeholder == "x"


def test_a_format_of_no_text_shows_none():
    assert only({"type": "integer", "format": "ipv4"}).placeholder == ""


def test_the_browser_says_which_pattern_it_checks():
    shown = control({"type": "string", "pattern": "^[a-z]+$", "description": "Small letters"})
    assert shown["title"] == "It must match ^[a-z]+$"


@pytest.mark.parametrize(
    "schema, told",
    [
        ({"pattern": "^[a-z]+$"}, True),
        ({"pattern": "^[a-z]+$", "description": "Small letters"}, False),
        ({"pattern": r"^\d+$", "description": "Digits"}, True),  # the browser does not check it
    ],
)
def test_a_pattern_is_told_where_nothing_else_would_tell_it(schema, told):
    assert ("It must match" in Page(rendered(form(of(it=TEXT | schema)))).words) == told


def test_a_single_option_is_still_what_is_posted():
    schema = of(it={"enum": ["a", "a"]})
    schema["properties"]["user"]["required"] = ["it"]
    assert posted(schema, Page(rendered(form(schema))).pairs()).document == {"it": "a"}


def test_the_example_of_the_editor_is_whole():
    schema = editor.arguments(editor.example())["values_schema_json"]
    assert [field.label for field in form(schema).fields] == ["Greeting", "Copies"]
