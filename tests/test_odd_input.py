"""No input, however strange, gives a 500 or a traceback: REST, and the CLI further down."""

import io
import json
import logging
import os
import pathlib
import re
import subprocess
import sys
import urllib.parse

import falcon.testing
import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as bounded
from hypothesis import strategies as st

import caelus
from caelus import openapi
from caelus.api import create_app
from caelus.cli import main
from caelus.operations import BY_COMMAND, OPERATIONS
from tests import admin, orphan_stub
from tests.conftest import TEMPLATE, argv_of

MEGABYTE = 1024 * 1024
DEEP = "[" * 100_000
PATHS = openapi.document()["paths"]
few = bounded(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Answer:
    def __init__(self, status: str, headers: list, content: bytes):
        self.status, self.content = int(status.partition(" ")[0]), content
        self.headers = {name.lower(): value for name, value in headers}


def ask(app, method: str, path: bytes, query: str = "", body: bytes = b"", **environ) -> Answer:
    """The answer to a request that may be one that no HTTP library would send."""
    headers = {
        "Content-Type": "application/json",
        "Host": "localhost",
        "Authorization": admin.BEARER,
    }
    sent = falcon.testing.create_environ(body=body, headers=headers)
    # As WSGI has it: every octet of the path one character.
    sent |= {"REQUEST_METHOD": method, "PATH_INFO": path.decode("latin-1"), "QUERY_STRING": query}
    sent |= {"CONTENT_LENGTH": str(len(body))} | environ
    started = falcon.testing.StartResponseMock()
    content = b"".join(app({k: v for k, v in sent.items() if v is not None}, started))
    return Answer(started.status, started.headers, content)


def check(answer: Answer, caplog) -> int:
    """Refused or done, but never at a loss; gives the status."""
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == []
    assert answer.status < 500, answer.content
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        problem = json.loads(answer.content.decode())
        assert problem["status"] == answer.status
        assert problem["title"]
        assert re.search(r"\w", problem["detail"])
        assert len(answer.content) < 20_000
    return answer.status


@pytest.fixture(autouse=True)
def orphan(tmp_path, monkeypatch):
    """A cluster that has one, for what is well formed."""
    for name, value in orphan_stub.settings(tmp_path).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def app_alone(rest):
    """The app with nothing in its database but an admin."""
    return create_app()


@pytest.fixture
def app(shop):
    """The app over a shop in which something is deployed."""
    new = {"desired_template_id": 1, "domainname": "a.example.org"}
    assert shop("create-deployment", user_id=1, **new).ok
    return create_app()


# Anything, by the OpenAPI document

SCRAPS = [
    "",
    " ",
    "\0",
    "\ud800",
    "\udcff",
    "\x85",
    "'",
    '"',
    "%",
    "%00",
    "\\",
    "/",
    "..",
    "ä",
    "😀",
    "x" * 5000,
]
SCRAPS += [
    "1",
    "0",
    "-1",
    "1.0",
    "1e3",
    "9" * 30,
    "9" * 5000,
    "null",
    "true",
    "NaN",
    "a@b",
    "a.example.org",
]
SCRAPS += [
    "sha256:" + "0" * 64,
    "$ref",
    "#",
    "http://[",
    "${domainname}",
    "$",
    "oci://x/y",
    "-x",
    "error",
    "done",
]
NUMBERS = [
    0,
    -1,
    1,
    2,
    1.0,
    1.5,
    1e308,
    float("inf"),
    float("nan"),
    2**31,
    2**63 - 1,
    2**63,
    -(2**63),
    10**400,
]
TEXT = st.sampled_from(SCRAPS) | st.text(max_size=8)
VALUE = st.recursive(
    st.none() | st.booleans() | st.sampled_from(NUMBERS) | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
# What a template's columns are about: parts of schemas, bindings and values that may fit together.
WORDS = [
    "properties",
    "user",
    "type",
    "object",
    "$ref",
    "#/properties/user",
    "$defs",
    "items",
    "bindings",
]
WORDS += [
    "/a",
    "/a/0",
    "/user/x",
    "${values.user.x}",
    "${values.a}",
    "pattern",
    "(",
    "required",
    "$schema",
    "x",
    "a",
]
PART = st.recursive(
    st.sampled_from(WORDS) | st.booleans() | st.integers(-1, 3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3)
    ),
    max_leaves=8,
)
ID = st.sampled_from(["1", "1", "1", "2", "99"]) | TEXT


def fitting(schema: dict):
    """Values that a field may well take, and many that it may not."""
    kind = schema.get("type", "string")
    if "object" in kind:
        return st.dictionaries(st.sampled_from(WORDS), PART, max_size=3) | VALUE
    if "integer" in kind:
        return st.sampled_from([1, 2]) | VALUE
    if "boolean" in kind:
        return st.booleans() | VALUE
    return st.sampled_from(["a@example.org", "b.example.org", "x"]) | VALUE


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.command)
def test_any_request_is_answered(app, caplog, operation):
    told = PATHS[operation.path][operation.method.lower()]
    queried = [p["name"] for p in told["parameters"] if p["in"] == "query"]
    fields = {name: fitting(schema) for name, schema in operation.input["properties"].items()}
    bodies = st.fixed_dictionaries({}, optional=fields | {"id": VALUE, "x": VALUE}) | VALUE
    queries = st.lists(st.tuples(st.sampled_from([*queried, "x", ""]) | TEXT, TEXT), max_size=3)

    @few
    @given(st.lists(ID, min_size=3, max_size=3), queries, bodies, st.booleans())
    def run(ids, query, body, as_json):
        path = operation.path.format(**dict(zip(operation.ids, ids, strict=False)))
        pairs = [(encoded(name), encoded(value)) for name, value in query]
        answer = ask(
            app,
            operation.method,
            encoded(path),
            urllib.parse.urlencode(pairs),
            json.dumps(body, ensure_ascii=as_json).encode("utf-8", "surrogatepass"),
        )
        status = check(answer, caplog)
        assert str(status) in told["responses"] or "/" in "".join(ids) or "" in ids, status

    run()


PIECES = st.sampled_from([b"users", b"products", b"docs", b"assets", b"1", b"..", b"", b"healthz"])


@few
@given(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
    st.lists(PIECES | st.binary(max_size=5), max_size=6).map(b"/".join),
    st.binary(max_size=20).map(lambda octets: octets.decode("latin-1")),
    st.binary(max_size=20),
)
def test_any_path_and_method_is_answered(app, caplog, method, path, query, body):
    check(ask(app, method, b"/" + path, query, body), caplog)


# Known oddities over REST

WITH_BODY = [o for o in OPERATIONS if o.changes and o.input["properties"]]
NO_JSON = {
    "half an object": b'{"email": "a@exa',
    "two objects": b"{}{}",
    "single quotes": b"{'email': 'a'}",
    "a form": b"email=a%40example.org&is_admin=1",
    "XML": b"<user/>",
    "NUL": b"\0",
    "octets": bytes(range(256)),
    "not UTF-8": b'{"email": "\xff@example.org"}',
    "half a character": b'{"email": "\xf0\x9f"}',
    "a control character": b'{"email": "a\x01b"}',
    "NaN": b'{"is_admin": NaN}',
    "Infinity": b'{"template_id": -Infinity}',
    "an integer of 5000 digits": b'{"template_id": ' + b"9" * 5000 + b"}",
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"description":' * 50_000,
    "deep and closed": b"[" * 20_000 + b"]" * 20_000,
    "a list": b"[]",
    "a list of objects": b"[{}]",
    "a text": b'"x"',
    "a number": b"5",
    "null": b"null",
    "true": b"true",
    "a text of 2 MB": b'{"name": "' + b"x" * 2 * MEGABYTE + b'"}',
    "2 MB of blanks": b" " * 2 * MEGABYTE,
    "UTF-16 of half a character": "[1]".encode("utf-16")[:-1],
}
UNFIT = {  # JSON that is no fit value for any field
    "NUL": b'"a\\u0000b"',
    "a lone surrogate, escaped": b'"\\ud800"',
    "a lone surrogate, raw": b'"\xed\xa0\x80"',
    "a low surrogate alone": b'"\\udc00x"',
    "an integer of 4000 digits": b"9" * 4000,
    "2**63": b"9223372036854775808",
    "beyond floats": b"1e400",
    "deep nesting": b"[" * 200 + b"]" * 200,
    "deep objects": b'{"a":' * 200 + b"1" + b"}" * 200,
    "a key with NUL": b'{"a\\u0000": 1}',
    "a key with a surrogate": b'{"\\udfff": 1}',
    "surrogates inside": b'{"a": [{"b": "\\ud83d"}]}',
}
FULL = {
    "create-user": {"email": "x@example.org"},
    "update-user": {"is_admin": True},
    "create-token": {"name": "x"},
    "create-product": {"name": "X"},
    "update-product": {"description": "X", "icon": None},
    "create-template": TEMPLATE | {"chart_version": "9"},
    "create-deployment": {"desired_template_id": 1, "domainname": "x.example.org"},
    "update-deployment": {"domainname": "x.example.org"},
    "adopt": {"namespace": orphan_stub.UID, "user_id": 1, "template_id": 2},
}


def send(app, operation, body: bytes, **environ) -> Answer:
    path = operation.path.format(**dict.fromkeys(operation.ids, "1"))
    return ask(app, operation.method, path.encode(), body=body, **environ)


def test_the_longest_body_is_taken_and_one_octet_more_is_not(app, caplog):
    for operation in WITH_BODY:
        document = json.dumps(FULL[operation.command]).encode()
        longest = document.ljust(MEGABYTE)
        assert check(send(app, operation, longest + b" "), caplog) == 413
        # A first-attempt job blocks the update; the body has been read by then.
        expected = 409 if operation.command == "update-deployment" else operation.status
        assert check(send(app, operation, longest), caplog) == expected


@pytest.mark.parametrize("kind", [None, "", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_of_another_type_is_refused(app_alone, caplog, kind):
    for operation in WITH_BODY:
        body = json.dumps(FULL[operation.command]).encode()
        assert check(send(app_alone, operation, body, CONTENT_TYPE=kind), caplog) == 415


ODD_TYPES = [
    "multipart/form-data; boundary=x",
    "application/json-patch+json",
    "a" * 9000,
    "\xff",
    ";",
]
ODD_TYPES += ["application/json, text/plain", "APPLICATION", "*/*", "text/json;application/json"]


def test_no_content_type_confuses(app, caplog):
    operation = BY_COMMAND["create-user"]
    for kind in ODD_TYPES:
        body = b'{"email": "x@example.org"}'
        assert check(send(app, operation, body, CONTENT_TYPE=kind), caplog) == 415
    for number, kind in enumerate(["application/json; charset=latin-1", " Application/JSON ;x"]):
        body = json.dumps({"email": f"x{number}@example.org"}).encode()
        assert check(send(app, operation, body, CONTENT_TYPE=kind), caplog) == 201


def test_a_strange_query_is_answered(app, caplog):
    for operation in (o for o in OPERATIONS if not o.changes):
        path = operation.path.format(**dict.fromkeys(operation.ids, "1")).encode()
        for query in (
            "x=1",
            "limit=1&limit=2",
            "after=%00",
            "limit=%ff",
            "%ff=1",
            "limit=9" + "9" * 5000,
        ):
            assert check(ask(app, "GET", path, query), caplog) == 422, query
        for query in (
            "limit=1;after=2",
            "limit[]=1",
            "limit=1%2C2",
            "a" * 100_000,
            "x=" + "%" * 9999,
        ):
            assert check(ask(app, "GET", path, query), caplog) in (200, 422), query
        for query in ("", "&", "=", "&&=&=", "%", "limit=", "limit", "?", "#"):
            assert check(ask(app, "GET", path, query), caplog) in (200, 422), query


ODD_IDS = [
    b"",
    b"%",
    b"\xff",
    b"\xc0\xaf",
    b"\0",
    b"1\n",
    b" 1",
    b"+1",
    b"1.0",
    b"0x1",
    b"1e0",
    b"-1",
    b"01",
]
ODD_IDS += [
    b"9" * 19,
    b"9" * 5000,
    "١".encode(),
    b"..",
    b"1;x=1",
    b"x" * 100_000,
    b"\xed\xa0\x80",
    b"null",
    b"'",
]


def test_an_id_that_is_no_number_is_not_found(app, caplog):
    for operation in (o for o in OPERATIONS if o.ids):
        body = json.dumps(FULL.get(operation.command, {})).encode()
        for name in operation.ids:
            for odd in ODD_IDS:
                ids = dict.fromkeys(operation.ids, "1") | {name: "{}"}
                before, after = operation.path.format(**ids).encode().split(b"{}")
                answer = ask(app, operation.method, before + odd + after, body=body)
                assert check(answer, caplog) in ((404, 405) if odd == b"" else (404,)), odd


def test_a_head_request_has_no_body(app, caplog):
    for path in (*PATHS, "/", "/docs", "/docs/assets/swagger_style.css"):
        answer = ask(app, "HEAD", path.encode())
        assert answer.content == b""
        assert answer.status < 500
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


def test_unknown_methods_and_paths_are_refused(app, caplog):
    for path in PATHS:
        for method in ("PATCH", "TRACE", "CONNECT", "PROPFIND", "FOO", "get", "", "G\xcbT"):
            assert check(ask(app, method, path.encode()), caplog) in (400, 404, 405)
    for path in (
        b"/nope",
        b"/users/",
        b"/users//",
        b"/USERS",
        b"/\xff",
        b"/" + b"x" * 100_000,
    ):
        assert check(ask(app, "GET", path), caplog) == 404, path


def test_no_file_but_the_assets_is_served(app_alone, caplog):
    for name in (
        b"",
        b"..",
        b"../../etc/passwd",
        b"%2e%2e/x",
        b"..\\x",
        b"\0",
        b"\xff",
        b"x" * 9000,
    ):
        assert check(ask(app_alone, "GET", b"/docs/assets/" + name), caplog) == 404, name
    assert check(ask(app_alone, "GET", b"/docs/assets/../../etc/passwd"), caplog) == 404
    assert check(ask(app_alone, "GET", b"/docs/assets//etc/passwd"), caplog) == 404


ODD_HEADERS = [
    ("CONTENT_LENGTH", ["x", "-1", "1.5", "9" * 5000, " ", "0x1", "1, 2"]),
    ("HTTP_ACCEPT", ["", "\xff", "application/xml", "a" * 9000, "*/*;q=x", ",,,", "text/html"]),
    ("HTTP_HOST", ["", "\xff", "a b", "[::1", ":", "x" * 9000, "a:b:c"]),
    ("HTTP_ORIGIN", ["null", "\xff", "x" * 9000, "http://evil.example.org", "file://"]),
    (
        "HTTP_COOKIE",
        ["=", ";;;", "\xff", "a" * 9000, 'a="'],
    ),
    ("HTTP_RANGE", ["bytes=9-1", "x", "bytes=-", "bytes=0-1,3-4", "bytes=99999999999-"]),
    ("HTTP_IF_MODIFIED_SINCE", ["x", "\xff", "Thu, 99 Foo 2026"]),
    ("HTTP_IF_NONE_MATCH", ["x", '"', '*,"', "\xff" * 9000]),
    ("HTTP_AUTHORIZATION", ["", "Basic", "Basic \xff", "Bearer " + "x" * 9000]),
    ("HTTP_TRANSFER_ENCODING", ["chunked", "x"]),
    ("HTTP_EXPECT", ["100-continue", "x"]),
    ("HTTP_FORWARDED", ["for=;;by=", "x"]),
    ("HTTP_X_FORWARDED_HOST", ["\xff", ",,"]),
    ("HTTP_X_HTTP_METHOD_OVERRIDE", ["DELETE", "\xff"]),
    ("REMOTE_ADDR", [None, "", "\xff"]),
    ("SERVER_PROTOCOL", ["", "HTTP/9.9"]),
]


def test_no_header_confuses(app, caplog):
    for number, (name, value) in enumerate((n, v) for n, values in ODD_HEADERS for v in values):
        user = json.dumps({"email": f"x{number}@example.org"}).encode()
        for method, path, body in (
            ("GET", b"/users", b""),
            ("POST", b"/users", user),
            ("PUT", b"/products/1", b'{"description": "x"}'),
            ("DELETE", b"/products/99", b""),
            ("GET", b"/docs", b""),
            ("GET", b"/docs/assets/swagger_style.css", b""),
            ("GET", b"/", b""),
            ("OPTIONS", b"/users", b""),
        ):
            check(ask(app, method, path, body=body, **{name: value}), caplog)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_page_of_another_site_changes_nothing(app_alone, caplog, method):
    for operation in (o for o in OPERATIONS if o.method == method):
        body = json.dumps(FULL.get(operation.command, {})).encode()
        for origin in ("http://evil.example.org", "null", "\xff", "http://falconframework.org:81"):
            assert check(send(app_alone, operation, body, HTTP_ORIGIN=origin), caplog) == 403


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
