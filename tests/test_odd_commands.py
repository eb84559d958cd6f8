"""Odd words on the command line."""

import io
import os
import pathlib
import re
import subprocess
import sys

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import caelus
from caelus.cli import main
from caelus.operations import OPERATIONS
from tests.conftest import argv_of
from tests.oddities import FULL, MEGABYTE, few
from tests.oddities import orphan as orphan

DEEP = "[" * 100_000

# The command line


ODD_WORDS = [
    "",
    " ",
    "-",
    "--",
    "---",
    "-x",
    "-h=1",
    "--x",
    "--=",
    "=",
    "--help=1",
    "\n",
    "\t",
    "\x1b[31m",
    "\x85",
]


ODD_WORDS += [
    "\udcff",
    "\udc80\udcfe",
    "ä",
    "😀",
    "x" * 100_000,
    "1",
    "0",
    "-1",
    "1.0",
    "9" * 5000,
    "null",
    "[]",
]


ODD_WORDS += [
    "{",
    "{}",
    "[EMAIL]",
    "EMAIL",
    "(",
    "|",
    "...",
    "<id>",
    "%s",
    "{0}",
    "$(id)",
    "`id`",
    "'",
    '"',
    "\\",
]


class Terminal:
    """Runs `caelus` in this process, with standard streams as a real process has them."""

    def __init__(self, monkeypatch, directory):
        self._monkeypatch, self._directory = monkeypatch, directory

    def file(self, content: bytes, name: str = "input") -> str:
        path = self._directory / name
        path.write_bytes(content)
        return str(path)

    def run(self, *argv: str, stdin: bytes = b"") -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        out, err = io.BytesIO(), io.BytesIO()
        with open(self.file(stdin, "stdin"), encoding="utf-8") as given:
            for name, stream in (
                ("stdin", given),
                ("stdout", io.TextIOWrapper(out, "utf-8", "strict", write_through=True)),
                ("stderr", io.TextIOWrapper(err, "utf-8", "backslashreplace", write_through=True)),
            ):
                self._monkeypatch.setattr(sys, name, stream)
            code = main(list(argv))
            return code, out.getvalue().decode(), err.getvalue().decode()

    def refused(self, *argv: str, stdin: bytes = b"") -> str:
        """The one sentence with which a command line is refused."""
        code, out, err = self.run(*argv, stdin=stdin)
        assert (code, out) == (1, ""), (argv, err)
        return sentence(code, err)

    def misused(self, *argv: str) -> str:
        code, out, err = self.run(*argv)
        assert (code, out) == (2, ""), (argv, err)
        return sentence(code, err)


def sentence(code: int, err: str) -> str:
    """What standard error says besides the log: one line, and the usage where that is wrong."""
    assert "Traceback" not in err
    assert "internal error" not in err
    assert " | ERROR" not in err
    told = [
        line for line in err.splitlines() if not re.match(r"[-\d]+ [:\d]+ \| (INFO|WARNING)", line)
    ]
    if code == 0:
        assert told == []
        return ""
    assert re.search(r"\w", told[0])
    assert code == 2 or len(told) == 1
    return told[0]


@pytest.fixture
def terminal(monkeypatch, tmp_path, shop):
    new = {"desired_template_id": 1, "domainname": "a.example.org"}
    assert shop("create-deployment", user_id=1, **new).ok
    return Terminal(monkeypatch, tmp_path)


@pytest.fixture
def terminal_alone(monkeypatch, tmp_path):
    """One without a database: what is refused early needs none."""
    return Terminal(monkeypatch, tmp_path)


WORD = st.sampled_from(["1", "1", "2", *ODD_WORDS]) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8
)


def words_of(operation):
    """Words that may follow a command: options of its own, strange ones, values and pieces."""
    options = sorted({"--x", *re.findall(r"--[a-z-]+", operation.usage)})
    option = st.sampled_from(options)
    loose = st.lists(WORD | st.builds("{}={}".format, option, WORD) | option, max_size=4)
    return loose | st.lists(WORD, min_size=len(operation.ids), max_size=len(operation.ids))


def test_any_command_line_is_answered(terminal):
    for operation in OPERATIONS:

        @few
        @given(st.just(operation.command), words_of(operation), st.binary(max_size=20))
        def run(command, words, stdin):
            code, out, err = terminal.run(command, *words, stdin=stdin)
            assert code in (0, 1, 2)
            sentence(code, err)
            assert (out == "") == (code != 0)

        run()


@few
@given(words=st.lists(WORD | st.sampled_from(["help", "--help", "--version", "list"]), max_size=3))
def test_any_first_word_is_answered(terminal_alone, words):
    code, _, err = terminal_alone.run(*words)
    assert code in (0, 2)
    sentence(code, err)


NO_NUMBERS = [
    "abc",
    "0",
    "-1",
    "1.0",
    "9" * 5000,
    "\udcff",
    "",
    " 1",
    "\x1b[31m",
    "1\n2",
    "x" * 100_000,
]


def test_no_odd_id_is_found(terminal):
    for operation in (o for o in OPERATIONS if o.ids):
        for name in operation.ids:
            for odd in NO_NUMBERS:
                ids = dict.fromkeys(operation.ids, "1") | {name: odd}
                argv = argv_of(operation.command, FULL.get(operation.command, {}) | ids)
                assert "not found: an id is a whole number" in terminal.refused(*argv)


TEMPLATE_ARGV = ["create-template", "--product-id=1", "--chart-ref=x", "--chart-version=9"]
DEPLOYMENT_ARGV = ["create-deployment", "--user-id=1", "--desired-template-id=1", "--domainname=x"]
OBJECT_OPTIONS = [  # what comes before the option, and its name without -json or -file
    (TEMPLATE_ARGV, "--default-values"),
    (TEMPLATE_ARGV, "--values-schema"),
    (TEMPLATE_ARGV, "--capabilities"),
    (DEPLOYMENT_ARGV, "--user-values"),
    (["update-deployment", "--user-id=1", "--deployment-id=1"], "--user-values"),
]
NO_OBJECT = {
    "nothing": "",
    "a blank": " ",
    "half an object": "{",
    "two objects": "{} {}",
    "a list": "[]",
    "null": "null",
    "a number": "5",
    "a text": '"x"',
    "NaN": '{"a": NaN}',
    "an integer of 5000 digits": '{"a": ' + "9" * 5000 + "}",
    "2**63": '{"a": [9223372036854775808]}',
    "beyond floats": '{"a": 1e400}',
    "NUL": '{"a": "\\u0000"}',
    "a key with NUL": '{"\\u0000": 1}',
    "a lone surrogate": '{"a": "\\ud800"}',
    "deep lists": DEEP,
    "deep objects": '{"a":' * 100_000,
    "deep and closed": '{"a":' + "[" * 200 + "]" * 200 + "}",
}
NO_OBJECT_FILE = {name: text.encode() for name, text in NO_OBJECT.items() if name != "NaN"} | {
    "octets": bytes(range(256)),
    "not UTF-8": b"a: \xff",
    "UTF-16": "a: 1".encode("utf-16"),
    "2 MB": b"a: " + b"x" * 2 * MEGABYTE,
    "2 MB of blanks": b" " * 2 * MEGABYTE,
    "broken YAML": b"a: [1",
    "two documents": b"a: 1\n---\nb: 2",
    "a YAML list": b"- a",
    "a YAML text": b"a",
    "a tab": b"\ta: 1",
    "a tag": b"a: !!python/object/apply:os.getpid []",
    "a bad number": b"a: !!int x",
    "an alias of nothing": b"a: *x",
    "what holds itself": b"a: &a [*a]",
    "a bomb": b"a: &a [x,x,x,x]\n"
    + b"".join(b"%c: &%c [*%c,*%c,*%c,*%c]\n" % (c, c, *[c - 1] * 4) for c in range(98, 120)),
    "deep YAML": b"- " * 100_000,
    "a control character": b"a: \x07",
    "a raw NUL": b"a: \0",
    "infinity": b"a: 1e400",
}


@pytest.mark.parametrize(
    ("argv", "option"), OBJECT_OPTIONS, ids=lambda v: v if v == str(v) else v[0]
)
def test_what_is_no_json_object_is_refused_and_named(terminal_alone, argv, option):
    for name, text in (NO_OBJECT | {"an octet": "\udcff", "inside": '{"a": "\udcff"}'}).items():
        told = terminal_alone.refused(*argv, f"{option}-json={text}")
        assert re.match(f"{option}-json|{field_of(option)}", told), name
        assert len(told) < 500


@pytest.mark.parametrize(
    ("argv", "option"), OBJECT_OPTIONS, ids=lambda v: v if v == str(v) else v[0]
)
def test_a_file_that_holds_no_object_is_refused_and_named(terminal_alone, argv, option):
    for name, content in NO_OBJECT_FILE.items():
        path = terminal_alone.file(content)
        for told in (
            terminal_alone.refused(*argv, f"{option}-file={path}"),
            terminal_alone.refused(*argv, f"{option}-file=-", stdin=content),
        ):
            assert re.match(f"{option}-file|{field_of(option)}|cannot read|{path} is|- is", told), (
                name
            )
            assert len(told) < 500


def field_of(option: str) -> str:
    return option.removeprefix("--").replace("-", "_") + "_json"


@pytest.mark.parametrize(
    "path",
    ["", ".", "/", "no/such", "x" * 5000, "\udcff", "a\nb", "/dev/null", "~", "file:///etc/hosts"],
)
def test_a_file_that_can_not_be_read_is_refused(terminal_alone, path):
    told = terminal_alone.refused(*TEMPLATE_ARGV, f"--default-values-file={path}")
    assert re.match("cannot read |--default-values-file must hold", told)


def test_only_one_option_reads_standard_input(terminal_alone):
    options = ["--default-values-file=-", "--capabilities-file=-"]
    told = terminal_alone.misused(*TEMPLATE_ARGV, *options)
    assert told == "only one option can read standard input"


@pytest.mark.parametrize(
    "options",
    [
        ["--default-values-json={}", "--default-values-file=x"],
        ["--default-values-json={}", "--default-values-json={}"],
        ["--default-values-json"],
        ["--chart-ref=y"],
        ["--health-timeout-sec"],
        ["--nonsense=1"],
        ["-x"],
        ["surplus"],
        ["--", "surplus"],
    ],
)
def test_wrong_usage_says_what_would_be_right(terminal_alone, options):
    code, out, err = terminal_alone.run(*TEMPLATE_ARGV, *options)
    assert (code, out) == (2, "")
    assert sentence(code, err)
    assert "Usage:" in err
    assert err.rstrip().endswith("see: caelus create-template --help")


@pytest.mark.parametrize("port", ["x", "-1", "65536", "9" * 5000, "٨٠", " 80", "\udcff", "1.0"])
def test_no_odd_port_is_served(terminal_alone, port):
    told = terminal_alone.refused("serve", f"--port={port}")
    assert told.startswith("port must be a whole number from 0 to 65535, not ")
    told = terminal_alone.refused("serve", f"--workers={port}")
    assert told.startswith("workers must be a whole number from 0 to 64, not ")


def test_no_odd_host_is_served(terminal):
    for host in ("192.0.2.1", "\udcff", "x" * 300, "a..b", "a b", "[::1]", "\x1b"):
        told = terminal.refused("serve", f"--host={host}", "--port=0")
        assert told.startswith("cannot listen on"), host


def test_no_odd_deployment_is_reconciled(terminal):
    for odd in ("99", *NO_NUMBERS):
        assert "not found" in terminal.refused("reconcile", odd)


@pytest.mark.parametrize("command", ["serve", "reconcile", "migrate"])
def test_the_commands_of_the_machine_take_nothing_else(terminal_alone, command):
    for words in (
        ["--nonsense"],
        ["1", "2"],
        ["--watch", "1"],
        ["--port"],
        ["-x"],
        ["\udcff", "1"],
    ):
        terminal_alone.misused(command, *words)


# In a process of its own


@pytest.fixture
def process(terminal):
    def run(*argv, **environ) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "caelus", *argv],
            cwd=pathlib.Path(caelus.__file__).parent.parent,
            env=os.environ | environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
        )

    return run


def test_octets_that_are_no_text_are_shown_as_escapes(process):
    done = process(b"get-user", b"\xff\xfe")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"user \\udcff\\udcfe not found: an id is a whole number\n"
    done = process(b"create-user", b"\xe4@example.org")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"email must not hold a lone surrogate\n"


def test_a_terminal_without_the_letters_gets_escapes(process):
    done = process("create-product", "日本 ä", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert yaml.safe_load(done.stdout.decode("ascii"))["name"] == "日本 ä"
