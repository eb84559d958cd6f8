"""The command line with `--server`: what it asks, whom it trusts with a token, what it says."""

import contextlib
import http.server
import io
import json
import os
import pty
import socket
import ssl
import stat
import sys
import threading

import pytest
import trustme

from caelus import remote
from caelus.cli import main
from tests import admin
from tests.conftest import TEMPLATE, Cli, listening, make_admin
from tests.program import Program, wait_until

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PROBLEM = "application/problem+json"
SOMEWHERE = "http://caelus.example.org"


class Answering(http.server.ThreadingHTTPServer):
    """Answers every request alike; `asked` has (method, path, headers) of each."""

    def __init__(self, status=200, kind="application/json", body=b"[]", length=None, **headers):
        super().__init__(("127.0.0.1", 0), OneAnswer)
        self.asked = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.headers = headers | {"Content-Type": kind, "Content-Length": str(length or len(body))}
        self.status, self.body = status, body

    def handle_error(self, *_):
        pass  # a client that trusts no certificate of ours goes away


class OneAnswer(http.server.BaseHTTPRequestHandler):
    def answer(self):
        self.server.asked.append((self.command, self.path, dict(self.headers)))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def running(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A user of their own, without proxies."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CAELUS_LOG_LEVEL", "ERROR")  # of the server, which is in this process
    for name in ("XDG_CONFIG_HOME", "http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path


@pytest.fixture
def local(capsys):
    return Cli(capsys)


@pytest.fixture
def served(settings):
    """The URL of a Caelus over this database, with the tests' admin."""
    make_admin()
    with listening() as url:
        yield url


@pytest.fixture
def token(rest):
    """A token of user 1, an admin."""
    rest("create-user", email="ada@example.org", is_admin=True)
    return rest("create-token", user_id=1).document["token"]


@pytest.fixture
def type_in(monkeypatch):
    """type_in(text): what standard input holds."""

    def fill(text: str):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return fill


def ask(capsys, server: str, *argv: str, token: str = "x"):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAELUS_TOKEN", token)
        return Cli(capsys, f"--server={server}").run(*argv)


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Logging in


@on_sqlite
def test_a_login_stores_the_token_for_its_owner_alone(served, token, local, type_in, home):
    type_in(f"{token}\n")
    shown = local.run("login", f"{served}/").document
    assert shown == {"server": served, "email": "ada@example.org", "is_admin": True}
    folder = home / ".config" / "caelus"
    assert mode(folder) == 0o700
    assert [path.name for path in folder.iterdir()] == ["servers.json"]
    assert mode(folder / "servers.json") == 0o600
    assert [user["id"] for user in local.run(f"--server={served}", "list-users").document] == [0, 1]


@on_sqlite
def test_logins_to_several_servers_stand_side_by_side(served, token, local, type_in):
    with listening() as other:
        for url in (served, other):
            type_in(token)
            assert local.run("login", url).ok
        assert local.run("logout", served).document == {"server": served}
        assert local.run(f"--server={other}", "list-users").ok
    refused = local.run("--server", served, "list-users")
    assert refused.code == 1
    assert refused.sentence == (
        f"no token for {served}; run: caelus login {served}, or set CAELUS_TOKEN"
    )
    assert "no token" in local.run("logout", served).sentence


@on_sqlite
@pytest.mark.parametrize("text", ["caelus_wrong", "", "two words", "ü" * 3000])
def test_a_token_that_lets_nobody_in_is_not_stored(served, local, type_in, home, text):
    type_in(text)
    answer = local.run("login", served)
    assert answer.code == 1
    assert len(answer.sentence.splitlines()) == 1
    assert not (home / ".config").exists()


@on_sqlite
def test_a_token_is_asked_for_without_being_shown(served, token, home):
    """On a terminal of its own."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-m", "caelus", "login", served], Program().env)
    shown = b""

    def read(until: bytes) -> bool:
        nonlocal shown
        with contextlib.suppress(OSError):  # once it has ended
            shown += os.read(terminal, 1000)
        return until in shown

    wait_until(lambda: read(b"Token for"))
    os.write(terminal, token.encode() + b"\n")
    wait_until(lambda: read(b"is_admin: true"))
    assert os.waitpid(pid, 0)[1] == 0
    assert token.encode() not in shown
    assert token in (home / ".config/caelus/servers.json").read_text()


@on_sqlite
def test_the_environment_wins_over_what_is_stored(served, token, local, type_in, monkeypatch):
    type_in(token)
    assert local.run("login", served).ok
    monkeypatch.setenv("CAELUS_TOKEN", "caelus_wrong")
    refused = local.run(f"--server={served}", "list-users")
    assert refused.code == 1
    assert "expired or revoked; set another CAELUS_TOKEN" in refused.sentence


@on_sqlite
@pytest.mark.parametrize("text", ["{", "[]", '{"x": 1}'])
def test_a_broken_store_is_named(local, home, text, settings):
    (home / ".config/caelus").mkdir(parents=True)
    (home / ".config/caelus/servers.json").write_text(text)
    answer = local.run("--server=http://localhost:1", "list-users")
    assert answer.code == 1
    assert "servers.json" in answer.sentence


# What is asked of whom


@on_sqlite
def test_nothing_of_this_machine_is_made_or_needed(served, home, capsys, monkeypatch):
    monkeypatch.delenv("CAELUS_DATABASE_URL")
    monkeypatch.setenv("CAELUS_DATA_DIR", str(home / "never"))
    assert ask(capsys, served, "list-users", token=admin.TOKEN).ok
    assert not (home / "never").exists()


@on_sqlite
def test_the_server_may_be_named_by_the_environment(served, local, monkeypatch):
    monkeypatch.setenv("CAELUS_SERVER", served)
    monkeypatch.setenv("CAELUS_TOKEN", admin.TOKEN)
    assert local.run("create-user", "ada@example.org").ok
    monkeypatch.delenv("CAELUS_TOKEN")
    assert "no token" in local.run("list-users", "--after=0").sentence
    assert len(local.run("--server=", "list-users", "--after=0").document) == 1


@on_sqlite
def test_a_file_is_read_here(served, shop, home, capsys):
    (home / "values.yaml").write_text("size: 3")
    options = ("--user-id=1", "--desired-template-id=1", "--domainname=a.example.org")
    file = f"--user-values-file={home / 'values.yaml'}"
    made = ask(capsys, served, "create-deployment", *options, file, token=admin.TOKEN)
    assert made.document["user_values_json"] == {"size": 3}


@on_sqlite
def test_a_plain_user_may_do_what_they_may(served, shop, capsys):
    token = shop("create-token", user_id=1).document["token"]
    assert ask(capsys, served, "get-user", "1", token=token).ok
    for argv, sentence in (
        (("get-user", "0"), "user 0 not found: an id is a whole number"),
        (("get-user", "2"), "user 2 not found"),
        (("delete-user", "1"), "DELETE /users/1 is for admins only"),
        (("list-jobs",), "GET /jobs does not exist for you at"),
    ):
        refused = ask(capsys, served, *argv, token=token)
        assert refused.code == 1
        assert refused.sentence.startswith(sentence)


@pytest.mark.parametrize("command", ["serve", "migrate", "verify-audit"])
def test_a_command_about_the_machine_asks_no_server(command, local, monkeypatch):
    said = f"caelus {command} is about the machine that it runs on"
    refused = local.run(f"--server={SOMEWHERE}", command)
    assert (refused.code, refused.sentence.startswith(said)) == (2, True)
    monkeypatch.setenv("CAELUS_SERVER", SOMEWHERE)
    assert local.run(command).code == 2
    assert "--server=" in local.run(command).sentence


@pytest.mark.parametrize(
    "url",
    ["", "caelus.example.org", "ftp://a.example.org", "https://a/b", "https://u:secret@a.example"]
    + ["https://a:x", "https://a?b", "https://", "https://a b", "https://[1", "http://[x]"],
)
def test_a_url_that_names_no_server_is_refused(url, local, capsys):
    answer = ask(capsys, url, "list-users") if url else local.run("--server")
    assert answer.code == 2
    assert "https://caelus.example.org" in answer.sentence
    assert "secret" not in answer.sentence


def test_an_option_behind_the_command_is_told_its_place(local):
    answer = local.run("list-users", "--server=http://localhost:1")
    assert answer.code == 2
    assert "--server goes before the command" in answer.sentence


# Whom a token is sent to


def test_no_token_goes_over_plain_http(capsys, monkeypatch):
    with running(Answering()) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        refused = ask(capsys, SOMEWHERE, "list-users")
        assert refused.code == 1
        assert f"{SOMEWHERE} is plain http" in refused.sentence
        assert proxy.asked == []


def test_plain_http_may_be_allowed_for_a_server(local, capsys, type_in, monkeypatch):
    """The proxy stands for the network: it answers for every name."""
    user = json.dumps({"id": 1, "email": "ada@example.org", "is_admin": False}).encode()
    with running(Answering(body=user)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        type_in("caelus_one")
        assert local.run("login", "--plain-http", SOMEWHERE).ok
        assert local.run(f"--server={SOMEWHERE}", "get-user", "1").document["id"] == 1
        assert "is plain http" in ask(capsys, "http://b.example.org", "list-users").sentence
        assert [path for _, path, _ in proxy.asked] == [f"{SOMEWHERE}/me", f"{SOMEWHERE}/users/1"]
        monkeypatch.setenv("no_proxy", "caelus.example.org")
        assert "can't be reached" in local.run(f"--server={SOMEWHERE}", "get-user", "1").sentence


def test_this_machine_is_asked_by_no_proxy(capsys, monkeypatch):
    with running(Answering()) as proxy, running(Answering()) as server:
        for name in ("http_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert ask(capsys, server.url, "list-users").document == []
        assert proxy.asked == []


def test_a_proxy_is_named_without_its_password(capsys, monkeypatch):
    with running(Answering(status=403)) as proxy:
        with_password = proxy.url.replace("//", "//eve:hush@")
        monkeypatch.setenv("all_proxy", with_password)
        refused = ask(capsys, "https://caelus.example.org", "list-users")
        assert f"(by the proxy {proxy.url[7:]}) can't be reached" in refused.sentence
        assert "hush" not in refused.sentence


def test_a_redirect_is_named_and_gets_no_token(capsys):
    with running(Answering()) as other:
        with running(Answering(status=307, Location=f"{other.url}/users")) as server:
            refused = ask(capsys, server.url, "list-users")
        assert refused.code == 1
        assert f"leads on to {other.url}/users" in refused.sentence
        assert other.asked == []


def test_only_a_trusted_certificate_gets_a_token(capsys, monkeypatch, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = Answering()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with running(server):
        url = f"https://localhost:{server.server_port}"
        refused = ask(capsys, url, "list-users")
        assert refused.code == 1
        assert "can't be trusted" in refused.sentence
        assert "SSL_CERT_FILE" in refused.sentence
        assert server.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert ask(capsys, url, "list-users").document == []
        by_address = ask(capsys, f"https://127.0.0.1:{server.server_port}", "list-users")
        assert "can't be trusted" in by_address.sentence
        monkeypatch.delenv("SSL_CERT_FILE")
        monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: NO_PATHS)
        monkeypatch.setattr(remote, "CA_FILES", ("/nowhere", str(tmp_path / "ca.pem")))
        assert ask(capsys, url, "list-users").document == []


NO_PATHS = ssl.DefaultVerifyPaths(None, None, "", "", "", "")


# What does not answer as Caelus does


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"status": 502, "kind": "text/html"}, "answers 502 with text/html, not as Caelus does"),
        ({"status": 502, "body": b"{}"}, "answers 502 with application/json"),
        ({"kind": "text/html"}, "answers 200 with text/html"),
        ({"body": b"["}, "not JSON"),
        ({"body": b"[" * 100_000}, "nested too deeply"),
        ({"body": b"\xff"}, "not UTF-8"),
        ({"body": b"{}"}, "not as Caelus does"),
        ({"body": b"[]", "length": 100}, "has not answered to the end"),
        ({"status": 404, "kind": PROBLEM}, "answers 404 and no reason"),
        ({"status": 500, "kind": PROBLEM, "body": b'{"detail": 5}'}, "answers 500 and no reason"),
        ({"status": 418, "kind": PROBLEM, "body": b'{"detail": "a\\u001b\\n"}'}, "a\\x1b\\x0a"),
        ({"status": 204, "body": b""}, "another version of Caelus"),
    ],
)
def test_what_answers_otherwise_is_told_of_in_one_line(capsys, answer, said):
    with running(Answering(**answer)) as server:
        refused = ask(capsys, server.url, "list-users")
    assert refused.code == 1
    assert said in refused.sentence
    assert len(refused.sentence.splitlines()) == 1


@pytest.mark.parametrize(
    ("status", "detail"),
    [(404, "GET /users does not exist"), (405, "GET /users is not allowed")],
)
def test_another_version_of_caelus_is_suspected(capsys, status, detail):
    body = json.dumps({"title": "x", "status": status, "detail": detail}).encode()
    with running(Answering(status=status, kind=PROBLEM, body=body)) as server:
        refused = ask(capsys, server.url, "list-users")
    assert refused.sentence.startswith(f"{detail} for you at {server.url}, or that is another")


def test_a_change_without_an_answer_may_have_been_done(capsys, monkeypatch):
    monkeypatch.setattr(remote, "ANSWER_SECONDS", 0.2)
    with socket_that_listens() as url:
        sentence = ask(capsys, url, "create-user", "ada@example.org").sentence
        assert f"{url} has not answered within 0.2 s; it may have been done" in sentence
        assert "try again" in ask(capsys, url, "list-users").sentence


def test_who_is_not_there_is_named(capsys):
    with socket_that_listens() as url:
        pass
    sentence = ask(capsys, url, "list-users").sentence
    assert sentence == (
        f"{url} can't be reached: Connection refused; check that `caelus serve` runs there"
    )
    nowhere = ask(capsys, "https://caelus.invalid", "list-users").sentence
    assert "https://caelus.invalid can't be reached" in nowhere


@contextlib.contextmanager
def socket_that_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


# What is sent


@pytest.mark.parametrize(
    ("argv", "method", "path"),
    [
        (("list-jobs", "--status=done", "--limit=1"), "GET", "/jobs?status=done&limit=1"),
        (("list-jobs", "--status=a&b=c"), "GET", "/jobs?status=a%26b%3Dc"),
        (("delete-token", "1", "2"), "DELETE", "/users/1/tokens/2"),
        (("create-token", "1"), "POST", "/users/1/tokens"),
    ],
)
def test_a_row_becomes_its_request(capsys, argv, method, path):
    body = b"[]" if argv[0].startswith("list") else b'{"id": 1}'
    with running(Answering(body=body)) as server:
        assert ask(capsys, server.url, *argv).code == 0
    ((asked_method, asked_path, headers),) = server.asked
    assert (asked_method, asked_path) == (method, path)
    assert headers["Authorization"] == "Bearer x"
    assert headers["Prefer"] == "return=representation"
    assert "Content-Type" not in headers


@pytest.mark.parametrize("name", ["\udcff", "x\0"])
def test_what_no_request_can_carry_is_refused_here(capsys, name):
    with running(Answering()) as server:
        refused = ask(capsys, server.url, "list-jobs", f"--status={name}")
    assert refused.code == 1
    assert refused.sentence.startswith("status ")
    assert server.asked == []


@on_sqlite
def test_the_template_of_the_suite_comes_through_whole(served, shop, capsys):
    shown = ask(capsys, served, "get-template", "1", "1", token=admin.TOKEN).document
    assert TEMPLATE.items() <= shown.items()


def test_a_version_is_told_as_json(capsys):
    assert main(["version", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.keys() >= {"version", "schema", "python", "sqlite", "platform", "frozen"}
    assert main(["version"]) == 0
    assert f"schema: {told['schema']}" in capsys.readouterr().out
