"""What breaks a JSON Schema: Caelus's own and those of templates, told in plain messages."""

import sys
import time

import pytest

from caelus import naming, references, schemas, validation
from caelus.errors import Conflict

# Texts of queries and command lines


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        (schemas.ID, "7", 7),
        (schemas.ID, "-7", -7),
        (schemas.ID, "007", 7),
        (schemas.OPTIONAL_ID, "7", 7),
        (schemas.ID, "7.0", "7.0"),
        (schemas.ID, "+7", "+7"),
        (schemas.ID, " 7", " 7"),
        (schemas.ID, "7\n", "7\n"),
        (schemas.ID, "1_0", "1_0"),
        (schemas.ID, "٧", "٧"),
        (schemas.ID, "", ""),
        (schemas.ID, "9" * 5000, "9" * 5000),
        (schemas.NAME, "7", "7"),
        ({}, "7", "7"),
    ],
)
def test_a_text_is_a_number_only_where_one_is_wanted(schema, text, value):
    result = validation.from_text(schema, text)
    assert (type(result), result) == (type(value), value)


# Input schemas and their messages


def messages(schema, document) -> dict:
    return {naming.dotted(p): m for p, m in validation.input_errors(schema, document)}


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        (schemas.ID, "x", "must be of type integer"),
        (schemas.ID, True, "must be of type integer"),
        (schemas.ID, 1.5, "must be of type integer"),
        (schemas.ID, 0, "must be at least 1"),
        (schemas.ID, 2**63, "must be at most 9223372036854775807"),
        (schemas.OPTIONAL_ID, "x", "must be of type integer or null"),
        (schemas.NAME, "", "must not be empty"),
        (schemas.NAME, " ", 'must match the pattern "\\\\S"'),
        (schemas.NAME, "x" * 201, "must have at most 200 characters"),
        (schemas.NAME, "a\nb", "must be one line without control characters"),
        (schemas.LABEL, "a\x1b[2J", "must be one line without control characters"),
        (
            schemas.STATUS,
            "x",
            'must be one of ["provisioning", "ready", "error", "deleting", "deleted"]',
        ),
        (schemas.EMAIL, "x", "must be an e-mail address, such as ada@example.org"),
        (schemas.DOMAIN, "-", "must be a host name (RFC 1123), such as cloud.example.org"),
        (
            schemas.WORD,
            "a b",
            "must be one word of at most 1000 bytes that does not begin with a hyphen",
        ),
        ({"not": {}}, 1, "is what the schema forbids"),
        ({"contains": {}}, [], "breaks the rule contains: {}"),
    ],
)
def test_a_message_says_what_would_be_right(schema, value, message):
    assert messages(schemas.fields(it=schema), {"it": value}) == {"it": message}


def test_missing_and_unknown_fields_are_named():
    schema = schemas.fields("a b", a={}, b={}, c={})
    assert messages(schema, {"b": 1, "x.y": 2, "z\ud800": 3}) == {
        "a": "is missing",
        "x.y": "is not a known field",
        "z\\ud800": "is not a known field",
    }


def test_a_request_with_thousands_of_faults_gets_a_short_answer():
    found = messages(schemas.fields(a={}), {f"x{i}" * 100: i for i in range(5000)})
    assert len(found) == 10
    assert all(len(name) <= 103 for name in found)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "A.b",
        "1.2.3.4.example.org",
        "xn--nxasmq6b",
        "a-b.c",
        "a" * 63,
        ".".join(["a" * 49] * 5),
        "0",
    ],
)
def test_a_host_name_is_accepted(name):
    assert messages(schemas.fields(it=schemas.DOMAIN), {"it": name}) == {}


@pytest.mark.parametrize(
    "name",
    ["", ".", "a.", ".a", "a..b", "-a", "a-", "a-.b", "a_b", "a b", "a/b", "*.a", "a:80", "a\n"]
    + ["a" * 64, ".".join(["a" * 50] * 6), "ä.org", "ſ.org", "\u212a.org", "ı.org", "１.org"],
)
def test_what_is_no_host_name_is_refused(name):
    assert list(messages(schemas.fields(it=schemas.DOMAIN), {"it": name})) == ["it"]


@pytest.mark.parametrize("word", ["-x", "--set", "", " ", "a b", "a\n", "a\0", "a\x7f", "ä" * 501])
def test_what_could_be_taken_for_an_option_is_no_word(word):
    assert list(messages(schemas.fields(it=schemas.WORD), {"it": word})) == ["it"]


@pytest.mark.parametrize("word", ["oci://example.org/x", "./a-b.tgz", "1.0.0+build", "ä" * 500])
def test_a_chart_and_its_version_are_words(word):
    assert messages(schemas.fields(it=schemas.WORD), {"it": word}) == {}


@pytest.mark.parametrize(
    "end", [*map(chr, range(1, 32)), "\x7f", "\x85", "\x9b", "\u2028", "\u2029"]
)
def test_a_name_is_one_line(end):
    assert list(messages(schemas.fields(it=schemas.NAME), {"it": f"a{end}"})) == ["it"]


# Schemas of templates


def test_a_schema_is_evaluated_only_after_its_references_lead_somewhere():
    schema = {"properties": {"a": {"$ref": "#/nowhere"}}}
    with pytest.raises(Conflict, match="leads nowhere"):
        references.check_schema(schema)
    with pytest.raises(Conflict, match="leads nowhere"):
        validation.schema_errors(schema, {"a": 1})


def test_the_depth_of_the_stack_does_not_outlive_a_refusal():
    before = sys.getrecursionlimit()
    with pytest.raises(Conflict):
        validation.schema_errors({"$ref": "#"}, {})
    assert sys.getrecursionlimit() == before
    assert validation.schema_errors({"type": "object"}, {}) == []


@pytest.mark.parametrize(
    ("items", "unique"),
    [
        ([], True),
        ([1, 2], True),
        ([1, 1], False),
        ([1, 1.0], False),
        ([1, True], True),
        ([0, False, "0", None, "", [], {}], True),
        ([{"a": 1, "b": [2.0]}, {"b": [2], "a": 1.0}], False),
        ([{"a": 1}, {"a": True}], True),
        ([[1, 2], [2, 1]], True),
        ([0.0, -0.0], False),
        ([2**62, float(2**62)], False),
        (["a", "a"], False),
    ],
)
@pytest.mark.parametrize("draft", [{}, {"$schema": "http://json-schema.org/draft-07/schema#"}])
def test_items_are_unique_as_json_schema_says(items, unique, draft):
    schema = draft | {"properties": {"a": {"uniqueItems": True}}}
    expected = [] if unique else [(("a",), "must not repeat an item")]
    assert validation.schema_errors(schema, {"a": items}) == expected
    assert validation.schema_errors({"uniqueItems": False}, items) == []


def test_a_long_list_of_unique_objects_is_checked_in_a_moment():
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "uniqueItems": True}
    before = time.process_time()
    assert validation.schema_errors(schema, [{"host": n} for n in range(20_000)]) == []
    assert time.process_time() - before < 10  # each with each: minutes


def test_a_pattern_that_would_take_years_gives_up():
    schema = {"properties": {"name": {"pattern": "^(a|a)*(b|b)*(a|a|a)*$"}}}
    with pytest.raises(Conflict, match="takes too long"):
        validation.schema_errors(schema, {"name": "a" * 60 + "!"})


@pytest.mark.parametrize("domain", ["127.0.0.1", "1.2.3.4"])
def test_an_address_is_no_host_name(domain):
    schema = {"properties": {"domain": {"type": "string", "format": "hostname"}}}
    assert validation.input_errors(schema, {"domain": domain})
    assert not validation.input_errors(schema, {"domain": f"{domain}.example.org"})
