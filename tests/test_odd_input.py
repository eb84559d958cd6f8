"""Anything that the OpenAPI document allows or not, and known oddities over REST."""

import json
import logging
import re
import urllib.parse

import falcon.testing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caelus import openapi
from caelus.api import create_app
from caelus.operations import BY_COMMAND, OPERATIONS
from tests import admin
from tests.oddities import FULL, MEGABYTE, few
from tests.oddities import orphan as orphan

PATHS = openapi.document()["paths"]


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
