"""A form from a JSON Schema: single values and secrets."""

import json

import pytest

from caelus.marks import MASK
from caelus.web.forms import again, form
from caelus.web.posted import number, posted
from tests.form_parts import TEXT, field, of, page, typed
from tests.markup import rendered

# Nothing to be set


@pytest.mark.parametrize("schema", [None, {}, {"properties": {}}, {"properties": {"user": False}}])
def test_without_a_schema_for_users_it_says_that_nothing_can_be_set(schema):
    assert "takes no values" in page(schema).words
    assert posted(schema, [("user/x", "1")]).document == {}


@pytest.mark.parametrize("user", [True, {}, {"type": "object"}, {"type": "string"}])
def test_a_schema_that_says_nothing_is_one_json_field(user):
    schema = {"properties": {"user": user}}
    assert form(schema).name == "user:json"
    assert "required" not in page(schema).named("user:json")  # nothing is a document, too
    assert typed(schema, **{}).document == {}
    assert posted(schema, [("user:json", '{"a": [1]}')]).document == {"a": [1]}
    assert posted(schema, [("user:json", "[1]")]).errors == [
        ("user_values_json", "must be a JSON object {...}")
    ]


# Single values


@pytest.mark.parametrize("text", ["1e3", "1000", "1000.0", "01000", "+1000", " 1000 ", "1E+3"])
def test_a_whole_number_may_be_written_in_any_way(text):
    assert number(text, whole=True) == 1000


@pytest.mark.parametrize(
    "text", ["1.5", "1e-1", "ten", "", "1 000", "0x10", "٣", "1e999", "nan", "9" * 500, "1,5"]
)
def test_what_is_no_whole_number_is_told(text):
    assert number(text, whole=True) is None


def test_a_number_that_is_none_is_told_and_shown_again():
    schema = of(size={"type": "integer"})
    result = posted(schema, [("user/size", "ten")])
    assert result.errors == [("user_values_json.size", "must be a whole number")]
    shown = field(again(schema, result.pairs, result.errors), "user/size")
    assert (shown.value, shown.kind, shown.errors) == ("ten", "text", ("must be a whole number",))


def test_what_is_left_empty_is_left_out():
    schema = of("name", name=TEXT, note=TEXT, size={"type": "integer"}, on={"type": "boolean"})
    assert typed(schema).document == {}


def test_an_empty_text_is_kept_where_it_was_one_and_can_be_told_where_there_is_a_default():
    schema = of(greeting=TEXT | {"default": "Hello"})
    assert typed(schema).document == {}
    assert typed(schema, {"greeting": ""}).document == {"greeting": ""}
    pairs = [*page(schema).pairs(), ("user/greeting:blank", "on")]
    assert posted(schema, pairs).document == {"greeting": ""}


def test_a_default_is_filled_in_only_where_something_must_be_said():
    size = {"type": "integer", "default": 3}
    assert typed(of("size", size=size)).document == {"size": 3}
    assert typed(of(size=size)).document == {}
    assert "Default: 3" in page(of(size=size)).words


def test_the_templates_own_values_are_the_defaults_that_are_told():
    schema = of(mail={"type": "object", "properties": {"port": {"type": "integer", "default": 1}}})
    assert "Default: 25" in page(schema, defaults={"mail": {"port": 25}}).words


def test_a_default_is_seen_where_nothing_is_chosen_or_typed():
    properties = {
        "room": {"enum": ["1Gi", "10Gi"], "default": "10Gi"},
        "copies": {"type": "integer", "default": 1, "examples": [5]},
        "key": {"type": "string", "writeOnly": True, "default": "changeme"},
    }
    room, copies, key = form(of(**properties)).fields
    assert [option.label for option in room.options] == ["default (10Gi)", "1Gi", "10Gi"]
    assert page(of(room=properties["room"])).words.count("10Gi") == 2
    assert (copies.value, copies.placeholder) == ("", "1")
    assert key.placeholder == ""


def test_a_boolean_without_a_default_has_three_states():
    schema = of(on={"type": "boolean"})
    for text, document in (("", {}), ("true", {"on": True}), ("false", {"on": False})):
        assert typed(schema, on=text).document == document


@pytest.mark.parametrize("default", [True, False])
def test_a_boolean_that_stays_at_its_default_is_left_out(default):
    schema = of(on={"type": "boolean", "default": default})
    shown = page(schema)
    assert ("checked" in shown.named("user/on")) is default
    assert posted(schema, shown.pairs()).document == {}
    ticks = [pair for pair in shown.pairs() if pair != ("user/on", "true")]
    other = ticks if default else [*ticks, ("user/on", "true")]
    assert posted(schema, other).document == {"on": not default}


def test_null_is_said_by_a_tick_and_not_together_with_a_value():
    schema = of(tag={"type": ["string", "null"]})
    assert typed(schema, {"tag": None}).document == {"tag": None}
    assert typed(schema).document == {}
    result = typed(schema, {"tag": None}, tag="v1")
    assert result.errors == [
        ("user_values_json.tag", "is null and has a value: take away one of them")
    ]


def test_an_enum_of_anything_is_a_select():
    schema = of(x={"enum": ["a", 1, True, None, {"b": [2]}, ""]})
    assert [o.label for o in field(form(schema), "user/x").options] == [
        *("not set", "a", "1", "yes", "null"),
        *('{"b":[2]}', "(empty)"),
    ]
    for value in ("a", 1, True, None, {"b": [2]}, ""):
        assert json.dumps(typed(schema, {"x": value}).document) == json.dumps({"x": value})


@pytest.mark.parametrize("keyword", ["oneOf", "anyOf"])
def test_constants_with_titles_are_a_select(keyword):
    choices = [{"const": 1, "title": "Small"}, {"const": 9, "title": "Large"}, {"type": "null"}]
    shown = field(form(of(x={keyword: choices}), {"x": 9}), "user/x")
    assert [(o.label, o.chosen) for o in shown.options] == [
        *(("not set", False), ("Small", False), ("Large", True), ("null", False))
    ]


def test_a_huge_enum_of_texts_is_typed_with_proposals():
    schema = of(zone={"enum": [f"Zone {n}" for n in range(500)]})
    shown = page(schema, {"zone": "Zone 7"})
    assert shown.named("user/zone")["list"] == "user/zone:list"
    assert posted(schema, shown.pairs()).document == {"zone": "Zone 7"}


def test_a_value_that_is_no_longer_among_the_options_is_kept_and_told():
    schema = of(size={"enum": ["S", "L"]})
    assert "no longer among them" in page(schema, {"size": "M"}).words
    assert typed(schema, {"size": "M"}).document == {"size": "M"}


@pytest.mark.parametrize(
    "said, value, kind",
    [
        ("date", "2020-01-31", "date"),
        ("date", "tomorrow", "text"),
        ("email", "a@b.example", "email"),
        ("email", " a@b", "text"),
        ("uri", "https://a.example/", "url"),
        ("uri", "a.example", "text"),
        ("date-time", "2020-01-31T00:00:00Z", "text"),
        ("textarea", "x", "textarea"),
        (None, "two\nlines", "textarea"),
        (None, "\n\nlines\n", "textarea"),
        (None, "a\rb", "json"),
        (None, 5, "json"),
    ],
)
def test_a_format_has_its_input_as_long_as_that_keeps_the_value(said, value, kind):
    schema = of(x=TEXT | ({"format": said} if said else {}))
    assert form(schema, {"x": value}).fields[0].kind == kind
    assert typed(schema, {"x": value}).document == {"x": value}


# Secrets


def test_a_secret_is_kept_by_its_mask_and_left_out_when_emptied():
    schema = of(key=TEXT | {"writeOnly": True, "minLength": 20}, pin={"type": "integer"})
    shown = page(schema, {"key": MASK}).named("user/key")
    assert (shown["type"], shown["autocomplete"]) == ("password", "new-password")
    assert "minlength" not in shown
    assert typed(schema, {"key": MASK}).document == {"key": MASK}
    assert typed(schema, {"key": MASK}, key="new").document == {"key": "new"}
    assert typed(schema, {"key": MASK}, key="").document == {}


@pytest.mark.parametrize(
    "secret",
    [{"type": "integer"}, {"type": "array", "items": TEXT}, {"type": "object"}, {"enum": ["a"]}],
)
def test_a_secret_of_any_type_is_kept_by_its_mask(secret):
    assert typed(of(x=secret | {"writeOnly": True}), {"x": MASK}).document == {"x": MASK}


def test_a_secret_that_is_generated_need_not_be_given():
    schema = of("key", key=TEXT | {"format": "password", "generate": {"length": 20}})
    shown = page(schema)
    assert "required" not in shown.named("user/key")
    assert "Leave it empty and Caelus makes one." in shown.words
    assert typed(schema).document == {}


def test_buttons_that_need_javascript_are_hidden_without_it():
    buttons = page(of(key=TEXT | {"format": "password"})).buttons
    hooks = [b for b in buttons if "data-reveal" in b or "data-generate" in b]
    assert len(hooks) == 2
    assert all("hidden" in b and b["type"] == "button" for b in hooks)


@pytest.mark.parametrize(
    ("rules", "length", "told"),
    [
        ({}, "24", None),
        ({"minLength": 6, "maxLength": 12}, "12", "6 to 12 characters."),
        ({"minLength": 40}, "40", "At least 40 characters."),
        ({"maxLength": 12, "pattern": "^[a-zA-Z0-9]+$"}, "12", "At most 12 characters."),
        ({"pattern": "^[0-9a-f]{32}$"}, None, None),
        ({"pattern": "^[a-z]"}, None, None),
        ({"minLength": 10**9}, None, "At least 1000000000 characters."),
        ({"maxLength": 0}, None, "At most 0 characters."),
        ({"type": "integer"}, None, None),
    ],
)
def test_the_browser_makes_a_secret_only_where_the_schema_takes_it(rules, length, told):
    shown = page(of(key=TEXT | {"format": "password"} | rules))
    made = [button["data-length"] for button in shown.buttons if "data-generate" in button]
    assert made == ([length] if length else [])
    assert told is None or told in shown.words


def test_the_default_of_a_secret_is_told_nowhere():
    schema = of(key=TEXT | {"writeOnly": True}, map=TEXT | {"format": "password"})
    shown = rendered(form(schema, defaults={"key": "swordfish", "map": "swordfish"}))
    assert "swordfish" not in shown
