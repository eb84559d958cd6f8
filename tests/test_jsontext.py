"""JSON as text: what comes in is what every database, YAML and Go program can carry."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caelus import jsontext, naming
from caelus.errors import Invalid, TooLarge

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
    assert jsontext.parse(json.dumps(document)) == document
    assert jsontext.parse(jsontext.compact(document).encode()) == document


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
        jsontext.parse(text)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_no_message_about_broken_json_repeats_it():
    with pytest.raises(ValueError) as caught:
        jsontext.parse(f'{{"password": "{SECRET}" "x"}}')
    assert SECRET not in str(caught.value)


# What is safe to store


@patient
@given(JSON)
def test_a_sane_document_is_stored(document):
    jsontext.check(document)


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
            jsontext.check(document)
        assert caught.value.errors == ((place, message),)


@pytest.mark.parametrize(
    "value", [2**63 - 1, -(2**63) + 1, True, None, 1.7e308, -0.0, "\ud7ff\ue000"]
)
def test_the_greatest_values_are_still_stored(value):
    jsontext.check({"a": [value]})


@pytest.mark.parametrize("key", ["\0", "a\0", "\udc80"])
def test_a_key_that_can_not_be_stored_is_refused(key):
    with pytest.raises(Invalid) as caught:
        jsontext.check({"user": {key: 1}})
    assert caught.value.errors == (("user", "has a key with a NUL or a lone surrogate"),)


@pytest.mark.parametrize("kind", [list, dict])
def test_nesting_ends_at_100_levels(kind):
    jsontext.check(nested(100, kind))
    with pytest.raises(Invalid, match="is nested deeper than 100 levels"):
        jsontext.check(nested(101, kind))
    with pytest.raises(Invalid, match="is nested deeper than 100 levels"):
        jsontext.check(nested(50_000, kind))


def test_a_document_that_holds_itself_is_refused():
    document = {}
    document["a"] = [document]
    with pytest.raises(Invalid, match="^a.0.a is nested deeper than 100 levels$"):
        jsontext.check(document)


def test_a_document_of_too_many_parts_is_refused_however_few_objects_make_it():
    document = ["x"] * 10
    for _ in range(9):
        document = [document] * 10
    with pytest.raises(TooLarge, match="more than 1000000 parts"):
        jsontext.check(document)


# Showing paths and texts


def test_a_pointer_escapes_what_rfc_6901_says():
    assert naming.pointer(("a/b", 0, "c~d", "", "\ud800")) == "/a~1b/0/c~0d//\\ud800"
    assert naming.pointer(()) == ""


def test_a_shown_text_is_cut_and_can_be_encoded():
    assert naming.printable("x" * 101) == "x" * 100 + "..."
    assert naming.printable("\udcff") == "\\udcff"
    assert naming.printable("日本") == "日本"


def test_compact_json_is_real_utf_8():
    assert jsontext.compact({"a": ["日本", 1.0, None]}) == '{"a":["日本",1.0,null]}'
