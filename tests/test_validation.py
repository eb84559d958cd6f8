"""What may come in: JSON that every database, YAML and Go program can carry, and plain messages."""

import json
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caelus import references, schemas, validation
from caelus.errors import Conflict, Invalid, TooLarge

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SECRET = "hunter2-very-secret"
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("ab~/ .ä"), inner),
    max_leaves=10,
)


def nested(levels: int, kind=list):
    document = kind()
    for _ in range(levels):
        document = [document] if kind is list else {"a": document}
    return document


# Reading JSON


@patient
@given(JSON)
def test_json_reads_back_as_it_was_written(document):
    assert validation.parse_json(json.dumps(document)) == document
    assert validation.parse_json(validation.compact(document).encode()) == document


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "not JSON: Expecting value at line 1, column 1"),
        ("{", "not JSON: Expecting property name enclosed in double quotes at line 1, column 2"),
        ('{"a":\n x}', "not JSON: Expecting value at line 2, column 2"),
        ("{} {}", "not JSON: Extra data at line 1, column 4"),
        ("{'a': 1}", "not JSON: Expecting property name enclosed in double quotes"),
        ('"\n"', "not JSON: Invalid control character at at line 1, column 2"),
        ("NaN", "not JSON: NaN is no JSON number"),
        ('{"a": -Infinity}', "not JSON: -Infinity is no JSON number"),
        ("9" * 5000, "not JSON: Exceeds the limit"),
        (b"\xff\xfe\xfd", "not JSON: the text is not UTF-8"),
        (b'{"a": "\xff"}', "not JSON: the text is not UTF-8"),
        (b"\0", "not JSON: "),
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
    ],
)
def test_what_is_no_json_is_refused_with_one_sentence(text, sentence):
    with pytest.raises(ValueError) as caught:
        validation.parse_json(text)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_no_message_about_broken_json_repeats_it():
    with pytest.raises(ValueError) as caught:
        validation.parse_json(f'{{"password": "{SECRET}" "x"}}')
    assert SECRET not in str(caught.value)


# What is safe to store


@patient
@given(JSON)
def test_a_sane_document_is_stored(document):
    validation.check_document(document)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a\0b", "must not hold a NUL character"),
        ("\ud800", "must not hold a lone surrogate"),
        ("x\udfffx", "must not hold a lone surrogate"),
        (2**63, "must fit into 64 bits"),
        (-(2**63), "must fit into 64 bits"),
        (10**4000, "must fit into 64 bits"),
        (float("inf"), "must be a finite number"),
        (float("-inf"), "must be a finite number"),
        (float("nan"), "must be a finite number"),
    ],
)
def test_what_no_database_could_carry_is_refused_with_its_place(value, message):
    for document, place in (
        (value, "document"),
        ({"user": {"hosts": ["x", value]}}, "user.hosts.1"),
        ([[], {"": [value]}], "1..0"),
    ):
        with pytest.raises(Invalid) as caught:
            validation.check_document(document)
        assert caught.value.errors == ((place, message),)


@pytest.mark.parametrize(
    "value", [2**63 - 1, -(2**63) + 1, True, None, 1.7e308, -0.0, "\ud7ff\ue000"]
)
def test_the_greatest_values_are_still_stored(value):
    validation.check_document({"a": [value]})


@pytest.mark.parametrize("key", ["\0", "a\0", "\udc80"])
def test_a_key_that_can_not_be_stored_is_refused(key):
    with pytest.raises(Invalid) as caught:
        validation.check_document({"user": {key: 1}})
    assert caught.value.errors == (("user", "has a key with a NUL or a lone surrogate"),)


@pytest.mark.parametrize("kind", [list, dict])
def test_nesting_ends_at_100_levels(kind):
    validation.check_document(nested(100, kind))
    with pytest.raises(Invalid, match="is nested deeper than 100 levels"):
        validation.check_document(nested(101, kind))
    with pytest.raises(Invalid, match="is nested deeper than 100 levels"):
        validation.check_document(nested(50_000, kind))


def test_a_document_that_holds_itself_is_refused():
    document = {}
    document["a"] = [document]
    with pytest.raises(Invalid, match="^a.0.a is nested deeper than 100 levels$"):
        validation.check_document(document)


def test_a_document_of_too_many_parts_is_refused_however_few_objects_make_it():
    document = ["x"] * 10
    for _ in range(9):
        document = [document] * 10
    with pytest.raises(TooLarge, match="more than 1000000 parts"):
        validation.check_document(document)


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
    return {validation.dotted(p): m for p, m in validation.input_errors(schema, document)}


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


# Showing paths and texts


def test_a_pointer_escapes_what_rfc_6901_says():
    assert validation.pointer(("a/b", 0, "c~d", "", "\ud800")) == "/a~1b/0/c~0d//\\ud800"
    assert validation.pointer(()) == ""


def test_a_shown_text_is_cut_and_can_be_encoded():
    assert validation.printable("x" * 101) == "x" * 100 + "..."
    assert validation.printable("\udcff") == "\\udcff"
    assert validation.printable("日本") == "日本"


def test_compact_json_is_real_utf_8():
    assert validation.compact({"a": ["日本", 1.0, None]}) == '{"a":["日本",1.0,null]}'


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
