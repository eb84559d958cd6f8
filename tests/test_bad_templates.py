"""Templates of which no deployment could ever be made."""

import http.server
import json
import threading

import pytest

from caelus import values
from tests.values_made import SECRET, accepted, refused, user_values_refused

DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"

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
        ({"home": ""}, "/home must be a whole address (URI), such as https://example.org/"),
    ],
)
def test_default_values_that_break_the_schema_are_refused_with_the_place(defaults, place):
    schema = {
        "properties": {
            "a": {"type": "integer", "maximum": 10},
            "b": {"properties": {"c": {"items": {"type": "string"}}}},
            "user": {"properties": {"size": {"type": "integer"}}},
            "odd": {"exclusiveMinimum": 4},
            "home": {"format": "uri"},
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


def test_a_default_that_has_no_format_yet_may_wait_for_a_user_or_a_binding():
    home = {"properties": {"home": {"format": "uri"}}}
    schema = {"properties": {"user": home, "site": home}}
    accepted(defaults={"user": {"home": ""}}, schema=schema)
    bound = {"/site/home": "https://${domainname}/"}
    accepted(bound, defaults={"site": {"home": ""}}, schema=schema)


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
