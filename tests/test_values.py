"""How values come about: merging, bindings, and what a template or a user may not say."""

import http.server
import json
import threading

import pytest

from caelus import values
from caelus.errors import Conflict

FACTS = {
    "domainname": "ada.example.org",
    "deployment_uid": "notes-ada-abc123",
    "user": {"email": "ada@example.org", "id": 7},
    "product": {"name": "Notes"},
}
USER_TAKES_ANYTHING = {"properties": {"user": {"type": "object"}}}
DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
SECRET = "hunter2-very-secret"


def final(bindings=None, user_values=None, defaults=None, schema=None):
    capabilities = None if bindings is None else {"bindings": bindings}
    return values.final_values(defaults, schema, capabilities, user_values, FACTS)


def bound(template, **more):
    """What a binding of `template` to /x puts there; None where it puts nothing there."""
    return final({"/x": template}, **more).get("x")


def refused(bindings=None, *, defaults=None, schema=None, capabilities=None):
    """The sentence with which a template is refused."""
    if bindings is not None:
        capabilities = {"bindings": bindings}
    with pytest.raises(Conflict) as caught:
        values.check_template(defaults, schema, capabilities)
    return caught.value.detail


def accepted(bindings=None, *, defaults=None, schema=None):
    values.check_template(defaults, schema, {"bindings": bindings or {}})


def user_values_refused(schema, user_values):
    with pytest.raises(Conflict) as caught:
        values.check_user_values(schema, user_values)
    return caught.value.detail


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


# Bindings


def test_the_bindings_of_the_contract_give_what_it_says():
    bindings = {
        "/ingress/hosts/0/host": "${domainname}",
        "/app/url": "https://${domainname}",
        "/app/replicas": "${values.user.replicas}",
    }
    assert final(bindings, {"replicas": 3}, schema=USER_TAKES_ANYTHING) == {
        "user": {"replicas": 3},
        "ingress": {"hosts": [{"host": "ada.example.org"}]},
        "app": {"url": "https://ada.example.org", "replicas": 3},
    }


@pytest.mark.parametrize("value", [3, 2.5, True, None, "x", ["a", 1], {"a": {"b": 1}}])
def test_a_single_reference_keeps_the_type_of_its_value(value):
    result = final({"/x": "${values.user.v}"}, {"v": value}, schema=USER_TAKES_ANYTHING)
    assert result["x"] == value
    assert type(result["x"]) is type(value)


def test_a_bound_object_is_a_copy():
    result = final({"/x": "${values.user.v}"}, {"v": {"a": 1}}, schema=USER_TAKES_ANYTHING)
    result["x"]["a"] = 2
    assert result["user"] == {"v": {"a": 1}}


def test_a_value_that_the_user_left_out_binds_nothing():
    given = {"defaults": {"x": "default"}, "user_values": {"other": 1}}
    assert final({"/x": "${values.user.v}"}, **given)["x"] == "default"
    assert final({"/y/z": "${values.user.v}"}, **given).keys() == {"x", "user"}


def test_a_text_with_a_value_that_the_user_left_out_binds_nothing():
    assert bound("size ${values.user.v}", defaults={"x": "default"}) == "default"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("${deployment_uid}.${domainname}", "notes-ada-abc123.ada.example.org"),
        ("mailto:${user.email}", "mailto:ada@example.org"),
        ("no ${user.id} of ${product.name}", "no 7 of Notes"),
        ("${values.user.n}/${values.user.f}", "3/0.5"),
        ("on: ${values.user.b}", "on: true"),
        ("list ${values.user.l}", 'list [1,"ä"]'),
        ("$$", "$"),
        ("$$$$", "$$"),
        ("$${domainname}", "${domainname}"),
        ("cost $$${values.user.n}", "cost $3"),
    ],
)
def test_references_inside_a_text_become_text(template, text):
    user_values = {"n": 3, "f": 0.5, "b": True, "l": [1, "ä"]}
    assert bound(template, user_values=user_values, schema=USER_TAKES_ANYTHING) == text


def test_default_values_can_be_referred_to_too():
    defaults = {"db": {"hosts": ["one", "two"]}}
    assert bound("${values.db.hosts.1}", defaults=defaults) == "two"
    assert bound("${values.db.hosts.2}", defaults=defaults) is None
    assert bound("${values.db.hosts.01}", defaults=defaults) is None


@pytest.mark.parametrize(
    ("pointer", "result"),
    [
        ("/a~1b", {"a/b": "v"}),
        ("/a~0b", {"a~b": "v"}),
        ("/a~01", {"a~1": "v"}),
        ("/", {"": "v"}),
        ("//x", {"": {"x": "v"}}),
        ("/a.b/c d", {"a.b": {"c d": "v"}}),
        ("/hosts/0", {"hosts": ["v"]}),
        ("/hosts/-", {"hosts": ["v"]}),
        ("/hosts/0/0/name", {"hosts": [[{"name": "v"}]]}),
        ("/ports/80", {"ports": {"80": "v"}}),
    ],
)
def test_a_pointer_makes_what_is_missing_on_its_way(pointer, result):
    assert final({pointer: "v"}) == result


@pytest.mark.parametrize(
    ("pointer", "hosts"),
    [
        ("/hosts/0/host", [{"host": "v", "path": "/"}, 2]),
        ("/hosts/1", [{"path": "/"}, "v"]),
        ("/hosts/2", [{"path": "/"}, 2, "v"]),
        ("/hosts/-", [{"path": "/"}, 2, "v"]),
        ("/hosts/-/host", [{"path": "/"}, 2, {"host": "v"}]),
    ],
)
def test_a_pointer_into_a_list_changes_that_item_alone(pointer, hosts):
    defaults = {"hosts": [{"path": "/"}, 2]}
    assert final({pointer: "v"}, defaults=defaults)["hosts"] == hosts
    assert defaults == {"hosts": [{"path": "/"}, 2]}


def test_null_in_the_way_counts_as_missing():
    assert final({"/a/b": "v"}, defaults={"a": None}) == {"a": {"b": "v"}}


def test_bindings_apply_one_after_the_other():
    assert final({"/a": "${values.base}", "/a/b": "v"}, defaults={"base": {"c": 1}}) == {
        "base": {"c": 1},
        "a": {"c": 1, "b": "v"},
    }


def test_a_binding_wins_over_user_values():
    result = final({"/user/size": "fixed"}, {"size": "mine"}, schema=USER_TAKES_ANYTHING)
    assert result == {"user": {"size": "fixed"}}


def test_a_user_value_in_the_way_of_a_binding_is_refused():
    with pytest.raises(Conflict, match="^binding /user/a/b can never resolve: there is a plain"):
        final({"/user/a/b": "v"}, {"a": SECRET}, schema=USER_TAKES_ANYTHING)


# What a template may not say


@pytest.mark.parametrize(
    ("pointer", "reason"),
    [
        ("", "is no JSON Pointer"),
        ("a/b", "is no JSON Pointer"),
        ("/a~2b", "is no JSON Pointer"),
        ("/a~", "is no JSON Pointer"),
        ("/name/x", "a plain value in its way"),
        ("/zero/x", "a plain value in its way"),
        ("/list/3", "has no item 3"),
        ("/list/x", "has no item x"),
        ("/list/01", "has no item 01"),
        ("/list/-1", "has no item -1"),
        ("/list/1\n", "has no item 1"),
        ("/list/٠", "has no item ٠"),
        ("/list/" + "9" * 5000, "has no item 999"),
        ("/list/0/x", "a plain value in its way"),
    ],
)
def test_a_pointer_that_can_never_resolve_is_refused_with_its_name(pointer, reason):
    defaults = {"name": "x", "zero": 0, "list": [1, 2]}
    sentence = refused({pointer: "v"}, defaults=defaults)
    assert sentence.startswith(f"binding {pointer[:100]}")
    assert reason in sentence
    assert len(sentence) < 500


def test_a_pointer_through_what_another_binding_makes_a_text_is_refused():
    for text in ("v", "${domainname}", "${domainname}${values.a}"):
        sentence = refused({"/x": text, "/x/y": "v"}, defaults={"a": 1})
        assert sentence == "binding /x/y can never resolve: there is a plain value in its way"
    accepted({"/x": "${values.a}", "/x/y": "v"}, defaults={"a": {}})


@pytest.mark.parametrize(
    "reference",
    ["", "x", "user", "user.name", "domain", "values.", "values..a", ".", "domainname.x", " "]
    + ["Domainname", "values .a", "9" * 5000],
)
def test_an_unknown_reference_is_refused_with_its_place(reference):
    sentence = refused({"/app/url": f"a${{{reference}}}"}, defaults={"": {"a": 1}})
    assert sentence.startswith(f"binding /app/url refers to ${{{reference[:100]}")
    assert sentence.endswith(
        "is not known; "
        "there are domainname, deployment_uid, user.email, user.id, product.name and values.*"
    )


@pytest.mark.parametrize(
    "template", ["$", "a$b", "${", "${domainname", "$domainname", "$$$", "${{a}}"]
)
def test_a_lone_dollar_sign_is_refused(template):
    assert refused({"/x": template}).startswith("binding /x has a lone $: write $$")


@pytest.mark.parametrize("template", [None, 1, True, ["${domainname}"], {"a": "b"}])
def test_a_binding_that_is_no_text_is_refused(template):
    assert refused({"/x": template}) == "binding /x must have a string as its template"


@pytest.mark.parametrize("bindings", [[], "x", 1, True, ["/x"]])
def test_bindings_that_are_no_object_are_refused(bindings):
    sentence = refused(capabilities={"bindings": bindings})
    assert sentence == "capabilities: /bindings must be an object of pointer: template"


def test_a_capability_that_is_not_known_is_no_fault():
    values.check_template(None, None, {"colour": [1], "Bindings": 5})
    values.check_template(None, None, {"bindings": None})


@pytest.mark.parametrize(
    "reference",
    ["values.a", "values.db.port", "values.hosts.1", "values.user.size", "values.user.list.0"]
    + [
        "values.user.any.thing",
        "values.user.pair.0",
        "values.user.true",
        "values.user.far.x",
        "values",
    ],
)
def test_a_reference_that_may_resolve_is_accepted(reference):
    user = {
        "properties": {
            "size": {},
            "list": {"type": "array", "items": {"type": "string"}},
            "any": {"type": "object"},
            "pair": {"prefixItems": [{}], "items": False},
            "true": True,
            "far": {"$ref": "#/$defs/far"},
        },
        "additionalProperties": False,
    }
    schema = {"properties": {"user": user}, "$defs": {"far": {"properties": {"x": {}}}}}
    defaults = {"a": 1, "db": {"port": 5432}, "hosts": ["x", "y"]}
    accepted({"/x": f"${{{reference}}}"}, defaults=defaults, schema=schema)


@pytest.mark.parametrize(
    "reference",
    ["values.b", "values.a.b", "values.hosts.2", "values.hosts.x", "values.hosts." + "9" * 5000]
    + [
        "values.user.colour",
        "values.user.size.x",
        "values.user.list.x",
        "values.user.no",
        "values.0",
    ],
)
def test_a_reference_that_can_never_resolve_is_refused_with_its_place(reference):
    user = {
        "properties": {
            "size": {"type": "integer"},
            "list": {"type": "array"},
            "no": False,
        },
        "additionalProperties": False,
    }
    sentence = refused(
        {"/app/x": f"${{{reference}}}"},
        defaults={"a": 1, "hosts": ["x", "y"]},
        schema={"properties": {"user": user}},
    )
    assert sentence.startswith(f"binding /app/x refers to ${{{reference[:100]}")
    assert sentence.endswith(
        "can never resolve: neither the default values nor the schema's properties.user have it"
    )


def test_a_reference_to_user_values_needs_properties_user():
    for schema in (None, {}, {"properties": {}}, {"properties": {"user": False}}):
        assert "can never resolve" in refused({"/x": "${values.user.a}"}, schema=schema)


def test_a_list_of_item_schemas_of_an_older_draft_may_hold_the_reference():
    schema = {"$schema": DRAFT_7, "properties": {"user": {"items": [{}]}}}
    accepted({"/x": "${values.user.0.a}"}, schema=schema)


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ({"type": "text"}, "/properties/a/type"),
        ({"type": ["string", 5]}, "/properties/a/type"),
        ({"minimum": "1"}, "/properties/a/minimum"),
        ({"properties": []}, "/properties/a/properties"),
        ({"required": "x"}, "/properties/a/required"),
        ({"items": [{}]}, "/properties/a/items"),
        ({"enum": 5}, "/properties/a/enum"),
        ({"multipleOf": 0}, "/properties/a/multipleOf"),
        ({"pattern": "("}, "/properties/a/pattern"),
        ({"pattern": "x{99999999999999}"}, "/properties/a/pattern"),
        ({"pattern": "(" * 5000 + ")" * 5000}, "/properties/a/pattern"),
        ({"patternProperties": {"[": {}}}, "/properties/a/patternProperties"),
        ({"$ref": 5}, "/properties/a/$ref"),
        ({"$schema": 5}, "/properties/a/$schema"),
        ("object", "/properties/a"),
        (None, "/properties/a"),
    ],
)
def test_what_is_no_json_schema_is_refused_with_the_place(part, place):
    sentence = refused(schema={"properties": {"a": part}})
    assert sentence.startswith(f"values schema: at {place}: ")


@pytest.mark.parametrize(
    "name", ["", "draft-07", "http://example.org/my", "http://[", 5, None, {}, ["x"], "x" * 9000]
)
def test_an_unknown_dialect_is_refused(name):
    sentence = refused(schema={"$schema": name})
    assert sentence.startswith(f"values schema: $schema {str(name)[:100]}")
    assert sentence.endswith("is not known")


def test_the_dialect_can_not_change_below_the_top():
    schema = {"properties": {"a": {"$schema": DRAFT_4, "exclusiveMinimum": 5}}}
    assert (
        refused(schema=schema) == "values schema: $schema can't change below the top; say it there"
    )
    accepted(schema={"$schema": DRAFT_7, "properties": {"a": {"$schema": DRAFT_7}}})


def test_the_dialect_that_the_schema_names_is_used():
    older = {"minimum": 1, "exclusiveMinimum": True}
    assert refused(schema={"properties": {"a": older}}).startswith(
        "values schema: at /properties/a/exclusiveMinimum: "
    )
    schema = {"$schema": DRAFT_4, "properties": {"user": {"properties": {"a": older}}}}
    accepted(schema=schema)
    values.check_user_values(schema, {"a": 2})
    user_values_refused(schema, {"a": 1})


def test_draft_7_reads_a_list_of_items_as_one_schema_for_each():
    schema = {
        "$schema": DRAFT_7,
        "definitions": {"pair": {"items": [{"type": "integer"}, {"type": "string"}]}},
        "properties": {"user": {"properties": {"pair": {"$ref": "#/definitions/pair"}}}},
    }
    accepted(schema=schema)
    values.check_user_values(schema, {"pair": [1, "x"]})
    assert user_values_refused(schema, {"pair": [1, 2]}) == (
        "user values are not valid: /pair/1 must be of type string"
    )


@pytest.mark.parametrize(
    "reference",
    ["#/$defs/nope", "#nope", "other.json", "http://[bad", "#/allOf/x", "#/allOf/9", "#/x/y/z"]
    + ["#/title/none", "#/allOf/" + "9" * 5000, "file:///etc/passwd", "urn:x:y", "#/%ff"],
)
def test_a_reference_that_leads_nowhere_is_refused_with_its_name(reference):
    schema = {"title": "x", "x": {"y": 5}, "allOf": [{}], "properties": {"a": {"$ref": reference}}}
    sentence = refused(schema=schema)
    assert sentence.startswith(f"values schema: $ref '{reference[:100]}")
    hint = "it counts from the top of the whole schema, so what it means must be there"
    if not reference.startswith("#/"):
        hint = "only references inside the schema are followed"
    assert sentence.endswith(f"leads nowhere; {hint}")


def test_a_reference_of_draft_4_must_be_a_text_too():
    for odd in (5, None, [], {"type": "object"}):
        sentence = refused(schema={"$schema": DRAFT_4, "properties": {"a": {"$ref": odd}}})
        assert "leads nowhere" in sentence


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ({"type": "text"}, "/type"),
        ({"properties": {"s": {"minLength": "1"}}}, "/properties/s/minLength"),
        ({"properties": {"s": {"pattern": "("}}}, "/properties/s/pattern"),
        (5, "the top"),
        (None, "the top"),
    ],
)
def test_what_only_a_reference_makes_a_schema_is_checked_too(target, place):
    schema = {"x-parts": {"a": target}, "properties": {"user": {"$ref": "#/x-parts/a"}}}
    sentence = refused(schema=schema)
    assert sentence.startswith(f"values schema: $ref '#/x-parts/a': at {place}: ")


def test_a_reference_behind_a_reference_is_followed():
    schema = {
        "x-parts": {"a": {"$ref": "#/x-parts/b"}, "b": {"$ref": "http://127.0.0.1:1/schema"}},
        "properties": {"user": {"$ref": "#/x-parts/a"}},
    }
    assert refused(schema=schema).startswith(
        "values schema: $ref 'http://127.0.0.1:1/schema' leads"
    )


def test_an_id_that_is_no_address_is_refused():
    assert refused(schema={"$id": "http://[bad"}).startswith("values schema: an $id or $ref is no")


def test_relative_references_follow_the_ids():
    schema = {
        "$id": "https://example.org/notes",
        "properties": {"user": {"$ref": "size#/$defs/small"}},
        "$defs": {"s": {"$id": "size", "$defs": {"small": {"maxProperties": 1}}}},
    }
    accepted(schema=schema)
    values.check_user_values(schema, {"a": 1})
    user_values_refused(schema, {"a": 1, "b": 2})


@pytest.mark.parametrize(
    ("defaults", "place"),
    [
        ({"a": "x"}, "/a must be of type integer"),
        ({"a": 11}, "/a must be at most 10"),
        ({"b": {"c": ["x", 5]}}, "/b/c/1 must be of type string"),
        ({"d/e": 1}, "/d~1e is not a known field"),
        ({"user": {"size": "x"}}, "/user/size must be of type integer"),
        ({"odd": 4}, "/odd must be greater than 4"),
    ],
)
def test_default_values_that_break_the_schema_are_refused_with_the_place(defaults, place):
    schema = {
        "properties": {
            "a": {"type": "integer", "maximum": 10},
            "b": {"properties": {"c": {"items": {"type": "string"}}}},
            "user": {"properties": {"size": {"type": "integer"}}},
            "odd": {"exclusiveMinimum": 4},
        },
        "additionalProperties": False,
    }
    assert refused(defaults=defaults, schema=schema) == f"default values are not valid: {place}"


def test_what_the_defaults_lack_may_come_from_bindings_and_users():
    schema = {
        "required": ["host", "user"],
        "properties": {"host": {"type": "string"}, "user": {"required": ["name"]}},
        "additionalProperties": False,
    }
    accepted({"/host": "${domainname}"}, defaults={"user": {}}, schema=schema)


def test_default_values_that_a_binding_replaces_may_break_the_schema():
    schema = {"properties": {"a": {"properties": {"host": {"type": "string"}}}}}
    defaults = {"a": {"host": None}}
    assert "/a/host" in refused(defaults=defaults, schema=schema)
    accepted({"/a/host": "${domainname}"}, defaults=defaults, schema=schema)


def test_a_template_with_nothing_is_accepted():
    values.check_template(None, None, None)
    values.check_template({}, {}, {})


def test_a_schema_that_refers_to_itself_without_end_is_a_conflict():
    sentence = "the values schema refers to itself without end"
    assert refused(schema={"$ref": "#"}) == sentence
    schema = {"properties": {"user": {"$ref": "#/properties/user"}}}
    values.check_template(None, schema, None)
    assert user_values_refused(schema, {"a": 1}) == sentence


def test_a_schema_of_nested_parts_takes_deep_values():
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
    schema = {"properties": {"user": {"$ref": "#/$defs/node"}}, "$defs": {"node": node}}
    accepted(schema=schema)
    deep, wrong = {}, 5
    for _ in range(90):
        deep, wrong = {"next": deep}, {"next": wrong}
    values.check_user_values(schema, deep)
    sentence = user_values_refused(schema, wrong)
    assert sentence == f"user values are not valid: {'/next' * 90} must be of type object"


@pytest.mark.parametrize("keyword", ["not", "items", "additionalProperties", "properties"])
def test_a_schema_too_deep_to_be_checked_is_a_conflict(keyword):
    schema = {}
    for _ in range(3000):
        schema = {"properties": {"a": schema}} if keyword == "properties" else {keyword: schema}
    assert refused(schema=schema) == "values schema: nested too deeply to be checked"


def test_patterns_with_flags_of_their_own_can_be_joined():
    patterns = {"(?i)a": {}, "(?i)b": {}}
    user = {"patternProperties": patterns, "additionalProperties": False}
    sentence = user_values_refused({"properties": {"user": user}}, {"A": 1, "c": SECRET})
    assert sentence == "user values are not valid: /c is not a known field"


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


# No network


@pytest.fixture
def counting_server():
    """A web server of schemas that any value fits; gives its URL and the requests it had."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps({"type": "object"}).encode())

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef", "$schema"])
@pytest.mark.parametrize("with_id", [False, True])
def test_no_schema_makes_caelus_ask_another_server(counting_server, keyword, with_id):
    url, requests = counting_server
    base = {"$id": f"{url}/base"} if with_id else {}
    address = "other.json" if with_id and keyword != "$schema" else f"{url}/other.json"
    schema = base | {"properties": {"user": {keyword: address}}}
    assert address in refused(schema=schema)
    stored = base | {"properties": {"user": {"$ref": address}}}
    assert "leads nowhere" in user_values_refused(stored, {"a": 1})
    assert requests == []


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
