"""Which places of a document a schema marks as secret, wherever the mark hides."""

import pytest

from caelus.errors import Conflict
from caelus.marks import generated_places, outermost, secret_places, with_generated
from caelus.references import check_schema

PASSWORD = {"type": "string", "format": "password"}
SECRET = {"writeOnly": True}
MADE = {"type": "string", "writeOnly": True, "generate": {"length": 32}}


@pytest.mark.parametrize(
    ("schema", "document", "places"),
    [
        ({"properties": {"a": PASSWORD, "b": SECRET, "c": {}}}, {"a": 1, "b": 2, "c": 3}, "/a /b"),
        ({"properties": {"a": PASSWORD}}, {}, ""),
        ({"properties": {"a": {"writeOnly": False}, "b": {"format": "email"}}}, {"a": 1}, ""),
        ({"patternProperties": {"^s_": SECRET}}, {"s_x": 1, "x": 2}, "/s_x"),
        (
            {"properties": {"a": {}}, "patternProperties": {"^b": {}}, "additionalProperties": SECRET},
            {"a": 1, "b": 2, "c": 3},
            "/c",
        ),
        ({"properties": {"a": {}}, "unevaluatedProperties": SECRET}, {"a": 1, "b": 2}, "/b"),
        ({"items": {"properties": {"p": SECRET}}}, [{"p": 1}, {"q": 1}, {"p": 1}], "/0/p /2/p"),
        ({"prefixItems": [{}, SECRET]}, [1, 2, 3], "/1"),
        ({"prefixItems": [{}], "items": SECRET}, [1, 2, 3], "/1 /2"),
        ({"prefixItems": [{}], "unevaluatedItems": SECRET}, [1, 2], "/1"),
        ({"contains": SECRET}, [1], "/0"),
        ({"allOf": [{}, {"properties": {"a": SECRET}}]}, {"a": 1}, "/a"),
        ({"anyOf": [{"properties": {"a": {"type": "null"}}}, {"properties": {"a": SECRET}}]},
         {"a": None}, "/a"),
        ({"oneOf": [True, {"properties": {"a": SECRET}}]}, {"a": 1}, "/a"),
        ({"if": False, "then": {"properties": {"a": SECRET}}}, {"a": 1}, "/a"),
        ({"if": True, "else": {"properties": {"a": SECRET}}}, {"a": 1}, "/a"),
        ({"if": {"properties": {"a": SECRET}}}, {"a": 1}, "/a"),
        ({"dependentSchemas": {"x": {"properties": {"a": SECRET}}}}, {"a": 1}, "/a"),
        ({"properties": {"a": {"$ref": "#/$defs/s"}}, "$defs": {"s": SECRET}}, {"a": 1}, "/a"),
        ({"properties": {"a": {"$ref": "#s"}}, "$defs": {"s": {"$anchor": "s"} | SECRET}},
         {"a": 1}, "/a"),
        ({"properties": {"a": {"$dynamicRef": "#s"}},
          "$defs": {"s": {"$dynamicAnchor": "s"} | SECRET}}, {"a": 1}, "/a"),
        ({"properties": {"a": {"$ref": "urn:s#/$defs/t"}},
          "$defs": {"s": {"$id": "urn:s", "$defs": {"t": {"$ref": "#/$defs/u"}, "u": SECRET}}}},
         {"a": 1}, "/a"),
        ({"$ref": "#/$defs/s", "$defs": {"s": {"properties": {"a": SECRET}}}}, {"a": 1}, "/a"),
        ({"properties": {"a": {"allOf": [{"$ref": "#/$defs/s"}]}}, "$defs": {"s": SECRET}},
         {"a": [1]}, "/a"),
        ({"properties": {"a": SECRET}}, {"a": {"b": {"c": [1]}}}, "/a"),
        ({"properties": {"a": {"allOf": [{"properties": {"b": SECRET}}, SECRET]}}},
         {"a": {"b": 1}}, "/a"),
        ({"properties": {"a/b~c": SECRET}}, {"a/b~c": 1}, "/a~1b~0c"),
        ({"properties": {"": SECRET}}, {"": 1}, "/"),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"s": SECRET},
          "properties": {"a": {"$ref": "#/definitions/s"}, "l": {"items": [{}, SECRET]}},
          "dependencies": {"x": ["a"], "y": {"properties": {"d": SECRET}}}},
         {"a": 1, "l": [1, 2, 3], "d": 1}, "/a /d /l/1"),
        ({"$schema": "http://json-schema.org/draft-07/schema#",
          "items": [{}], "additionalItems": SECRET}, [1, 2], "/1"),
        ({"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveAnchor": True,
          "properties": {"p": SECRET, "kid": {"$recursiveRef": "#"}}},
         {"kid": {"kid": {"p": 1}}}, "/kid/kid/p"),
    ],
)  # fmt: skip
def test_a_mark_is_found(schema, document, places):
    check_schema(schema)
    assert secret_places(schema, document) == set(places.split())


def test_without_a_schema_nothing_is_marked():
    assert secret_places(None, {"password": 1}) == set()


def test_references_in_a_circle_come_to_an_end():
    schema = {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "allOf": [{"$ref": "#"}, {"$ref": "#/$defs/node"}],
                "anyOf": [{"$ref": "#"}] * 20,
                "properties": {"p": PASSWORD, "kids": {"items": {"$ref": "#"}}},
            }
        },
    }
    document = {}
    for _ in range(30):
        document = {"p": 1, "kids": [document]}
    places = secret_places(schema, document)
    assert len(places) == 30
    assert "/kids/0/kids/0/p" in places


def test_the_outermost_are_those_in_no_other():
    assert outermost({"/a", "/a/b", "/ab", "/c/d", "/c/d/e"}) == {"/a", "/ab", "/c/d"}
    assert outermost({"", "/a"}) == {""}


# What is to be generated


def test_what_is_to_be_generated_is_found_by_properties_references_and_all_of():
    schema = {
        "properties": {"user": {"properties": {"a/b": MADE}}, "db": {"$ref": "#/$defs/db"}},
        "$defs": {
            "db": {"allOf": [{"properties": {"p": MADE}}]},
            "unused": {"items": MADE},
        },
    }
    assert generated_places(schema) == {"/user/a~1b": 32, "/db/p": 32}
    assert with_generated({"/user/a~1b": 1, "/db/p": 2, "/db/q": 3}) == {
        "user": {"a/b": 1},
        "db": {"p": 2, "q": 3},
    }


def test_a_schema_inside_itself_generates_at_its_first_level_alone():
    schema = {"properties": {"p": MADE, "kid": {"$ref": "#"}}}
    assert generated_places(schema) == {"/p": 32}


def test_a_property_may_be_called_generate():
    assert generated_places({"properties": {"generate": {"type": "boolean"}}}) == {}
    assert generated_places({"enum": [{"generate": 1}]}) == {}


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"generate": {"length": 8}}, "the top"),
        ({"properties": {"a": {"items": MADE}}}, "/a"),
        ({"properties": {"a": {"anyOf": [MADE]}}}, "/a"),
        ({"properties": {"a": {"patternProperties": {"b": MADE}}}}, "/a"),
        ({"if": {"properties": {"a": MADE}}}, "/a"),
        *(
            ({"properties": {"a": {"generate": wrong}}}, "/a")
            for wrong in (
                *(True, 32, {}, {"length": 7}, {"length": 257}, {"length": "32"}),
                *({"length": True}, {"length": 32.0}, {"length": 32, "alphabet": "a"}, None),
            )
        ),
    ],
)
def test_what_cannot_be_generated_is_refused_with_its_place(schema, place):
    with pytest.raises(Conflict, match=f"^values schema: at {place}: generate must be "):
        generated_places(schema)


def test_a_schema_that_multiplies_without_end_is_refused():
    definitions = {
        f"d{n}": {"properties": {name: {"$ref": f"#/$defs/d{n + 1}"} for name in "xy"}}
        for n in range(40)
    }
    schema = {"$ref": "#/$defs/d0", "$defs": definitions | {"d40": MADE}}
    with pytest.raises(Conflict, match="too intricate"):
        generated_places(schema)
