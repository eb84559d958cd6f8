"""The values that helm gets, and what a user may say."""

import pytest

from caelus import values
from caelus.errors import Conflict
from tests.values_made import (
    FACTS,
    SECRET,
    USER_TAKES_ANYTHING,
    accepted,
    final,
    refused,
    user_values_refused,
)

# Merging


@pytest.mark.parametrize(
    ("base", "over", "merged"),
    [
        ({}, {}, {}),
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"a": {"b": 1, "c": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": 5}, {"a": 5}),
        ({"a": 5}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        ({"a": {"b": 1}}, {"a": {}}, {"a": {"b": 1}}),
    ],
)
def test_objects_merge_by_key_and_anything_else_replaces(base, over, merged):
    assert values.merge(base, over) == merged


def test_merging_changes_neither_side_and_shares_nothing_with_them():
    base, over = {"a": {"b": [1]}}, {"a": {"c": [2]}}
    merged = values.merge(base, over)
    merged["a"]["b"].append(9)
    merged["a"]["c"].append(9)
    assert (base, over) == ({"a": {"b": [1]}}, {"a": {"c": [2]}})


def test_user_values_are_laid_on_the_defaults_under_user():
    assert final(
        defaults={"replicas": 1, "user": {"size": 1, "theme": "dark"}},
        user_values={"size": 5},
        schema=USER_TAKES_ANYTHING,
    ) == {"replicas": 1, "user": {"size": 5, "theme": "dark"}}


def test_without_anything_the_final_values_are_empty():
    assert final() == {}


def test_omitted_user_values_add_no_user():
    assert final(defaults={"a": 1}, schema=USER_TAKES_ANYTHING) == {"a": 1}


def test_empty_user_values_satisfy_a_schema_that_requires_user():
    schema = USER_TAKES_ANYTHING | {"required": ["user"]}
    assert final(user_values={}, schema=schema) == {"user": {}}
    with pytest.raises(Conflict, match="/user is missing"):
        final(user_values=None, schema=schema)


def test_empty_user_values_add_nothing_where_the_schema_has_no_user():
    assert final(user_values={}, schema={"additionalProperties": False}) == {}


def test_the_result_is_checked_against_the_whole_schema():
    schema = {"properties": {"x": {"type": "integer"}}}
    with pytest.raises(Conflict, match="^values are not valid: /x must be of type integer$"):
        final({"/x": "${domainname}"}, schema=schema)


# What a user may not say


@pytest.mark.parametrize("schema", [None, {}, {"properties": {}}, {"properties": {"a": {}}}])
def test_user_values_need_properties_user(schema):
    values.check_user_values(schema, None)
    values.check_user_values(schema, {})
    assert user_values_refused(schema, {"a": 1}) == (
        "user values are not allowed: the template's schema has no properties.user"
    )


def test_user_values_are_checked_against_properties_user_alone():
    schema = {"properties": {"user": {"properties": {"a": {"type": "integer"}}}}, "required": ["x"]}
    values.check_user_values(schema, {"a": 1, "b": 2})
    assert user_values_refused(schema, {"a": "1"}) == (
        "user values are not valid: /a must be of type integer"
    )


def test_empty_user_values_are_checked_too_but_not_omitted_ones():
    schema = {"properties": {"user": {"required": ["name"]}}}
    assert user_values_refused(schema, {}) == "user values are not valid: /name is missing"
    values.check_user_values(schema, None)


def test_the_user_schema_may_refer_to_definitions_at_the_top():
    schema = {
        "$defs": {"size": {"type": "integer", "maximum": 10}},
        "properties": {"user": {"properties": {"size": {"$ref": "#/$defs/size"}}}},
    }
    accepted(schema=schema)
    values.check_user_values(schema, {"size": 10})
    assert user_values_refused(schema, {"size": 11}) == (
        "user values are not valid: /size must be at most 10"
    )


def test_no_user_value_is_allowed_where_properties_user_is_false():
    assert user_values_refused({"properties": {"user": False}}, {"a": 1}) == (
        "user values are not valid: / holds what is not allowed"
    )


@pytest.mark.parametrize(
    "rule",
    [
        {"type": "integer"},
        {"enum": ["a", "b"]},
        {"const": "a"},
        {"pattern": "^x$"},
        {"maxLength": 3},
        {"minLength": 300},
        {"format": "ipv4"},
        {"format": "regex", "maxLength": 1},
        {"not": {}},
        {"anyOf": [{"type": "integer"}, {"const": 5}]},
        {"oneOf": [{}, {}]},
        {"allOf": [{"type": "null"}]},
        {"if": {}, "then": {"maxLength": 1}},
    ],
)
def test_no_message_repeats_a_value(rule):
    user = {"properties": {"a": rule, "b": {"items": rule, "uniqueItems": True}}}
    schema = {"properties": {"user": user | {"minProperties": 5}}}
    sentence = user_values_refused(schema, {"a": SECRET, "b": [SECRET, SECRET]})
    assert "/a " in sentence
    assert SECRET not in sentence
    with pytest.raises(Conflict) as caught:
        final(user_values={"a": SECRET, "b": [SECRET]}, schema=schema)
    assert SECRET not in caught.value.detail


def test_every_wrong_value_is_named_at_once():
    schema = {
        "properties": {
            "user": {
                "properties": {"a": {"type": "integer"}, "b": {"maximum": 1}},
                "required": ["c"],
                "additionalProperties": False,
            }
        }
    }
    sentence = user_values_refused(schema, {"a": "x", "b": 2, "d~e/f": 1})
    told = set(sentence.removeprefix("user values are not valid: ").split("; "))
    assert told == {
        "/a must be of type integer",
        "/b must be at most 1",
        "/c is missing",
        "/d~0e~1f is not a known field",
    }


# What users may write


@pytest.mark.parametrize(
    "text",
    ["x\n---\nkind: Role", "x\u2028y", "x\u0085y", "{{ lookup }}", "x\x00", "x\r"],
)
def test_text_that_a_chart_may_take_for_more_is_refused_unless_the_template_takes_it(text):
    for document in ({"a": [{"b": text}]}, {"a": {text: 1}}):
        with pytest.raises(Conflict, match="user values: /a/.* has a line break") as caught:
            values.check_user_text(None, document)
        assert "lookup" not in caught.value.detail or text in document["a"]
        values.check_user_text({"user_text": "any"}, document)
    values.check_user_text(None, {"a": "plain {text} with: a # and a\ttab", "b": 1, "c": None})
    values.check_user_text(None, None)


def test_a_tenants_text_gets_into_nobody_elses_namespace(shop):
    """By both ways in, before anything is stored."""
    answer = shop(
        "create-template",
        product_id=1,
        chart_ref="oci://registry.example.org/other",
        chart_version="1",
        values_schema_json={"properties": {"user": {"properties": {"motd": {"type": "string"}}}}},
    )
    asked = {"user_id": 1, "desired_template_id": answer.document["id"]}
    asked |= {"domainname": "a.example.org", "user_values_json": {"motd": "{{ lookup }}"}}
    refused = shop("create-deployment", **asked)
    assert (refused.code, shop("list-deployments", user_id=1).document) == (409, [])
    assert "/motd" in refused.sentence


@pytest.mark.parametrize("said", [{"default": "x"}, {"const": "x"}, {"examples": ["x"]}])
def test_a_schema_that_tells_a_secret_is_refused(said):
    schema = {"properties": {"user": {"properties": {"pw": {"writeOnly": True} | said}}}}
    with pytest.raises(Conflict, match="values schema: at /properties/user/properties/pw"):
        values.check_template(None, schema, None)
    values.check_template(None, {"properties": {"pw": {"writeOnly": True, "default": ""}}}, None)


def test_a_binding_that_tells_a_secret_is_refused():
    schema = {"properties": {"db": {"properties": {"pw": {"writeOnly": True}}}}}
    with pytest.raises(Conflict, match="binding /db/pw would show a secret"):
        values.check_template(None, schema, {"bindings": {"/db/pw": "hunter2"}})
    values.check_template(None, schema, {"bindings": {"/db/host": "db", "/db/pw": "${user.email}"}})


# Charts that have no room for `user`


SIZED = {
    "properties": {"user": {"properties": {"size": {"type": "integer"}}}},
    "required": ["user"],
}
BINDINGS_ONLY = {"user_values": "bindings_only", "bindings": {"/replicas": "${values.user.size}"}}


def test_a_chart_may_get_what_users_set_by_bindings_alone():
    values.check_template(None, SIZED, BINDINGS_ONLY)
    defaults = {"user": {"size": 1, "x": 2}, "image": "a"}
    for given, replicas in (({"size": 3}, 3), (None, 1)):
        result = values.final_values(defaults, SIZED, BINDINGS_ONLY, given, FACTS)
        assert result == {"image": "a", "replicas": replicas}
    passed = values.final_values(defaults, SIZED, {"user_values": "pass"}, {"size": 3}, FACTS)
    assert passed == {"image": "a", "user": {"size": 3, "x": 2}}


def test_what_the_chart_does_not_get_is_checked_all_the_same():
    with pytest.raises(Conflict, match="values are not valid: /user is missing"):
        values.final_values(None, SIZED, BINDINGS_ONLY, None, FACTS)


@pytest.mark.parametrize("pointer", ["/user", "/user/size"])
def test_a_binding_to_what_the_chart_does_not_get_is_refused(pointer):
    said = refused(capabilities=BINDINGS_ONLY | {"bindings": {pointer: "x"}})
    assert said == f"binding {pointer} is not given to the chart, as user_values is bindings_only"


STRICT = {"additionalProperties": False, "properties": {"image": {}}}


def test_a_chart_whose_schema_has_no_room_for_user_is_told_with_the_way_out():
    with pytest.raises(Conflict, match=r'does not allow user; with .* {"user_values": "bindings'):
        values.check_chart(STRICT, SIZED, None)


@pytest.mark.parametrize(
    ("chart", "schema", "capabilities"),
    [
        (STRICT, SIZED, BINDINGS_ONLY),
        (STRICT, {"properties": {"image": {}}}, None),
        (STRICT, None, None),
        (STRICT | {"properties": {"user": {}}}, SIZED, None),
        ({"properties": {"image": {}}}, SIZED, None),
        (None, SIZED, None),
    ],
)
def test_a_chart_that_is_given_no_user_or_may_have_room_for_it_is_taken(
    chart, schema, capabilities
):
    values.check_chart(chart, schema, capabilities)
