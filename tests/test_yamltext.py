"""YAML: files of values as helm would read them, and documents that read back as they were."""

import io
import pathlib
import subprocess
import sys

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from caelus import yamltext

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
ROOT = pathlib.Path(yamltext.__file__).parent.parent
TRICKY = [
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "yes",
    "no",
    "on",
    "y",
    "0x1",
    "1e3",
    "1_000",
    "010",
]
TRICKY += [
    "0b1",
    "0o7",
    "22:30",
    "=",
    "<<",
    "~",
    "null",
    "",
    " ",
    "- a",
    "a: b",
    "#",
    "'",
    '"',
    "%",
]
TRICKY += [
    "\x85",
    "a\x85b",
    "\u2028",
    "\ufeff",
    "\x7f",
    "\x1b[0m",
    "\t",
    "\n",
    "a\n",
    "\n a",
    "a \nb",
]
TRICKY += [
    "😀",
    "日本",
    "é" * 2000,
    "word " * 500,
    ".inf",
    ".nan",
    "1.",
    ".5",
    "+1",
    "-",
    "?",
    "@",
    "`",
]
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.sampled_from(TRICKY),
    lambda inner: st.lists(inner) | st.dictionaries(TEXT | st.sampled_from(TRICKY), inner),
    max_leaves=10,
)


def dumped(document) -> str:
    stream = io.StringIO()
    yamltext.dump(document, stream)
    return stream.getvalue()


def refused(text: str) -> str:
    with pytest.raises(ValueError) as caught:
        yamltext.load(text)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence) < 300
    return sentence


# Reading


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z"),
        ("2026-01-01 10:00:00", "2026-01-01 10:00:00"),
        ("22:30", "22:30"),
        ("1:30:00", "1:30:00"),
        ("190:20:30.15", "190:20:30.15"),
        ("=", "="),
        ("1.2.3", "1.2.3"),
        ("1.2", 1.2),
        ("'1'", "1"),
        ("1", 1),
        ("-1", -1),
        ("+1", 1),
        ("1_000", 1000),
        ("0x1F", 31),
        ("010", 8),
        ("0b101", 5),
        ("1e3", 1000.0),
        ("1.5e-3", 0.0015),
        (".5", 0.5),
        ("1.", 1.0),
        ("0x_", "0x_"),
        ("0b_", "0b_"),
        ("1١", "1١"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("-", "-"),
        (".", "."),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("!!str 1", "1"),
        ("!!int '0x1F'", 31),
        ("!!float 1", 1.0),
        ('"\\u00e4\\x41\\n"', "äA\n"),
        ("[1, [2]]", [1, [2]]),
    ],
)
def test_a_plain_value_has_one_of_jsons_types(text, value):
    result = yamltext.load(f"a: {text}" if text != "-" else "a: '-'")["a"]
    assert (type(result), result) == (type(value), value)


def test_json_is_yaml():
    assert yamltext.load('{"a": [1, 2.5, true, null, "x"], "b": {}}') == {
        "a": [1, 2.5, True, None, "x"],
        "b": {},
    }


def test_an_empty_text_is_null():
    assert yamltext.load("") is None
    assert yamltext.load("# nothing\n") is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("1: x", "1"),
        ("-5: x", "-5"),
        ("1.5: x", "1.5"),
        ("true: x", "true"),
        ("~: x", "null"),
        ("80: x", "80"),
        ("22:30: x", "22:30"),
        ("2026-01-01: x", "2026-01-01"),
        ("=: x", "="),
    ],
)
def test_a_key_becomes_a_string(text, key):
    assert yamltext.load(text) == {key: "x"}
    assert yamltext.load(f"a: [{{{text}}}]") == {"a": [{key: "x"}]}


def test_an_alias_stands_for_what_it_names():
    document = yamltext.load("a: &x {1: y}\nb: *x\nc: [*x, *x]\nd: {<<: *x, k: v}")
    one = {"1": "y"}
    assert document == {"a": one, "b": one, "c": [one, one], "d": one | {"k": "v"}}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [1", "not YAML: did not find expected ',' or ']' at line 2, column 1"),
        ("a: b: c", "not YAML: mapping values are not allowed in this context at line 1, column 5"),
        ("\ta: 1", "not YAML: found character that cannot start any token at line 1, column 1"),
        ("a: 1\n---\nb: 2", "not YAML: but found another document at line 2, column 1"),
        ("a: *x", "not YAML: found undefined alias at line 1, column 4"),
        ("? [1]\n: 2", "not YAML: found unhashable key at line 1, column 3"),
        ("? {a: 1}\n: 2", "not YAML: found unhashable key at line 1, column 3"),
        ("a: \0", "not YAML: "),
        ("a: \x07", "not YAML: "),
        ('a: "\\ud800"', "not YAML: found invalid Unicode character escape code"),
        ("a: !!int x", "not YAML: no int that can be read at line 1, column 4"),
        ("a: !!int ''", "not YAML: no int that can be read at line 1, column 4"),
        ("a: !!float x", "not YAML: no float that can be read at line 1, column 4"),
        ("a: !!bool maybe", "not YAML: no bool that can be read at line 1, column 4"),
        ("a: " + "9" * 5000, "not YAML: no int that can be read at line 1, column 4"),
        ("a: !!timestamp x", "not YAML: could not determine a constructor for the tag"),
        ("a: !!timestamp 2026-01-01", "not YAML: could not determine a constructor for the tag"),
        ("a: !!binary aGk=", "not YAML: could not determine a constructor for the tag"),
        ("a: !!set {x}", "not YAML: could not determine a constructor for the tag"),
        ("a: !!omap [x: 1]", "not YAML: could not determine a constructor for the tag"),
        ("a: !!python/name:os.system", "not YAML: could not determine a constructor for the tag"),
        ("!!python/object/apply:os.system [id]", "not YAML: could not determine a constructor"),
        ("a: !mine x", "not YAML: could not determine a constructor for the tag"),
        ("<<: 5", "not YAML: expected a mapping or list of mappings for merging"),
        ("\ud800", "'utf-8' codec can't encode character"),
    ],
)
def test_what_is_no_yaml_of_jsons_types_is_refused_with_one_sentence(text, sentence):
    assert refused(text).startswith(sentence)


def bomb(joint: str, levels: int = 9) -> str:
    """Little text that stands for 10 to the power of `levels` parts."""
    lines = ["a0: &a0 {k0: v}"]
    for level in range(1, levels + 1):
        inner = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} {joint.format(inner)}")
    return "\n".join(lines)


@pytest.mark.parametrize("joint", ["[{}]", "{{x: [{}]}}", "{{<<: [{}]}}"])
def test_little_text_that_stands_for_much_is_refused_at_once(joint):
    assert yamltext.load(bomb(joint, levels=3)) is not None
    assert refused(bomb(joint)) == "the document has more than 1000000 parts"


@pytest.mark.parametrize(
    "text", ["&a [*a]", "&a {x: *a}", "&a {<<: *a}", "&a {k: &b {<<: [*a, *a]}}", "a: &a [[[*a]]]"]
)
def test_what_holds_itself_is_refused(text):
    assert refused(text) == "the document has more than 1000000 parts"


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("- ", ""), ("{a: ", "}")])
def test_nesting_ends_at_100_levels(opening, closing):
    assert yamltext.load(opening * 99 + "[]" + closing * 99) is not None
    assert refused(opening * 100 + "[]" + closing * 100) == "nested deeper than 100 levels"


def test_no_depth_ends_the_interpreter():
    program = """
import sys
from caelus import yamltext
for opening in sys.argv[1:]:
    try:
        yamltext.load(opening * 100_000)
    except ValueError as e:
        print(e)
"""
    openings = ["[", "- ", "{a: ", "? ", "[{a: ", "- ? ", "!!seq [", "&a [", "a: [", "'", "!!str "]
    done = subprocess.run(
        [sys.executable, "-c", program, *openings], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:8] == ["nested deeper than 100 levels"] * 8


@patient
@given(st.text())
def test_any_text_is_read_or_refused(text):
    try:
        yamltext.load(text)
    except ValueError as e:
        assert "\n" not in str(e)


SCRAPS = [
    "a",
    "1",
    ":",
    "-",
    "?",
    "[",
    "]",
    "{",
    "}",
    ",",
    " ",
    "\n",
    "  ",
    "&x ",
    "*x",
    "<<",
    "!!int ",
]
SCRAPS += [
    "!!bool ",
    "!!str ",
    "!a ",
    "|",
    ">",
    "'",
    '"',
    "#",
    "---",
    "...",
    "%YAML 1.1",
    "~",
    "0x",
    ".",
]


@patient
@given(st.lists(st.sampled_from(SCRAPS), max_size=30).map("".join))
def test_any_mixture_of_yamls_signs_is_read_or_refused(text):
    try:
        document = yamltext.load(text)
    except ValueError:
        return
    assert yaml.safe_load(dumped(document)) == document


# Writing


@patient
@given(JSON)
@example({text: text for text in TRICKY})
@example(TRICKY)
@example({"a": [[], {}, [[]], {"b": {}}], "x" * 300: "y" * 300})
@example([1e16, 1e-7, 0.1, -0.0, 1.7e308, 5e-324, 2**63, -(2**63)])
def test_a_document_reads_back_as_it_was(document):
    text = dumped(document)
    for read in (yaml.safe_load, yamltext.load):
        result = read(text)
        assert result == document
        assert repr(result) == repr(document)  # 1 == True == 1.0


def test_what_stands_twice_is_written_twice():
    shared = {"x": [1]}
    assert dumped({"a": shared, "b": shared}) == "a:\n  x:\n  - 1\nb:\n  x:\n  - 1\n"


def test_the_order_of_a_document_is_kept():
    assert dumped({"id": 1, "email": "x", "a": None}) == "id: 1\nemail: x\na: null\n"


def test_letters_of_all_languages_are_readable():
    assert dumped({"name": "日本 é"}) == "name: 日本 é\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_of_another_encoding_gets_escapes(encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    yamltext.dump({"name": "日本 é"}, stream)
    assert yaml.safe_load(stream.buffer.getvalue().decode("ascii")) == {"name": "日本 é"}


@pytest.mark.parametrize(
    "text",
    ["p: !hunter2", "p: *hunter2", "p: !hunter2!x y", "p: !!hunter2 x", "p: &hunter2 &hunter2 x"],
)
def test_an_error_does_not_repeat_what_may_be_a_password_without_quotes(text):
    with pytest.raises(ValueError) as caught:
        yamltext.load(text)
    assert "hunter2" not in str(caught.value)
