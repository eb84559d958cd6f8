"""Fixtures: a database of each kind, the two surfaces over it, a Kubernetes API, real helm."""

import contextlib
import json
import logging
import os
import re
import threading
import urllib.parse
import wsgiref.simple_server
from dataclasses import dataclass

import falcon.testing
import psycopg
import pytest
import yaml

from caelus import config, database, patience, startup
from caelus.api import create_app
from caelus.cli import main
from caelus.operations import BY_COMMAND
from tests import admin
from tests.kube import KubeServer
from tests.postgres import find_postgres, private_postgres
from tests.tools import HELM_MAJORS, ToolsUnavailable, tool_directory


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    """No setting of the machine that runs the tests reaches them."""
    for name in os.environ:
        if name.startswith("CAELUS_") and not name.startswith("CAELUS_TEST_"):
            monkeypatch.delenv(name)
    for name in ("DATABASE_URL", "KUBECONFIG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CAELUS_DATA_DIR", str(tmp_path / "data"))
    # What `main` sets for its process, and a request for its thread, must not outlive the test.
    patience.become(patience.WAIT_SECONDS)
    monkeypatch.setattr(logging.getLogger(), "handlers", logging.getLogger().handlers[:])


# Databases


@pytest.fixture(scope="session")
def postgres_server():
    """A Postgres server's URL: POSTGRES_TEST_DATABASE_URL, or one of the suite's own."""
    url = os.environ.get("POSTGRES_TEST_DATABASE_URL")
    if url:
        yield url
    elif find_postgres() is None:
        pytest.skip("no postgres program here, and POSTGRES_TEST_DATABASE_URL is not set")
    else:
        with private_postgres() as url:
            yield url


@pytest.fixture(scope="session")
def postgres_database(postgres_server, worker_id):
    """A database of this worker's own."""
    name = f"caelus_test_{worker_id}"
    with psycopg.connect(postgres_server, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {name}")
    yield urllib.parse.urlsplit(postgres_server)._replace(path=f"/{name}").geturl()
    with psycopg.connect(postgres_server, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(postgres_database):
    """The database, emptied: much quicker than a new one."""
    with psycopg.connect(postgres_database, autocommit=True) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        server.execute("DROP SCHEMA public CASCADE")
        server.execute("CREATE SCHEMA public")
    return postgres_database


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request, tmp_path, monkeypatch):
    """The URL of a new, empty database, set in the environment; once for each kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'caelus.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
    monkeypatch.setenv("CAELUS_DATABASE_URL", url)
    yield url
    with contextlib.suppress(AttributeError):  # never connected
        database.database.close()
        if hasattr(database.database.obj, "close_all"):
            database.database.close_all()


@pytest.fixture
def settings(database_url):
    """A database with the schema, connected to in this process; the settings of it."""
    loaded = config.load(os.environ)
    startup.upgrade_database(loaded)
    return loaded


@pytest.fixture
def empty_cluster(tmp_path, monkeypatch):
    """A kubectl that sees nothing anywhere."""
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("""#!/bin/sh\n[ "$1" != get ] || echo '{"items": []}'\n""")
    kubectl.chmod(0o755)
    monkeypatch.setenv("CAELUS_KUBECTL", str(kubectl))


# Surfaces


@dataclass
class Answer:
    """What a surface answered: REST's status or the CLI's exit code, a document or a sentence."""

    code: int
    document: object = None
    sentence: str = ""

    @property
    def ok(self) -> bool:
        return self.code in (0, 200, 201, 202, 204)


class Cli:
    """Runs `caelus` in this process, with `options` before the command."""

    name = "cli"

    def __init__(self, capsys, *options: str):
        self._capsys = capsys
        self._options = options

    def run(self, *argv: str) -> Answer:
        self._capsys.readouterr()
        code = main([*self._options, *argv])
        out, err = self._capsys.readouterr()
        sentence = "\n".join(line for line in err.splitlines() if " | INFO " not in line)
        return Answer(code, yaml.safe_load(out) if code == 0 else None, sentence)

    def __call__(self, command: str, **arguments) -> Answer:
        return self.run(*argv_of(command, arguments))


def make_admin() -> None:
    for row in admin.ROWS:
        database.database.execute_sql(row)


class Rest:
    """Sends the request of an operation to the app, as an admin."""

    name = "rest"

    def __init__(self):
        make_admin()
        headers = {"Host": "localhost", "Authorization": admin.BEARER}
        self.client = falcon.testing.TestClient(create_app(), headers=headers)

    def __call__(self, command: str, **arguments) -> Answer:
        operation = BY_COMMAND[command]
        ids = {name: arguments.pop(name) for name in operation.ids}
        path = operation.path.format(**{n: urllib.parse.quote(str(v)) for n, v in ids.items()})
        extra = {"params" if operation.method == "GET" else "json": arguments or None}
        if operation.method == "POST" and operation.input["properties"]:
            extra = {"json": arguments}
        extra["remote_addr"] = "127.0.0.1"
        result = self.client.simulate_request(operation.method, path, **extra)
        document = result.json if result.content else None
        if result.status_code >= 400:
            assert result.headers["content-type"] == "application/problem+json"
            return Answer(result.status_code, None, document["detail"])
        return Answer(result.status_code, document)


class QuietHandler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def listening():
    """The app behind a real socket, in a thread of this process; gives its URL."""
    server = wsgiref.simple_server.make_server(
        "127.0.0.1", 0, create_app(), handler_class=QuietHandler
    )

    def serve():
        server.serve_forever(poll_interval=0.01)
        database.database.close()  # the connection of this thread

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def argv_of(command: str, arguments: dict) -> list[str]:
    """The command line of an operation."""
    operation = BY_COMMAND[command]
    usage = operation.usage[operation.usage.index("Usage:") :].partition("\n\n")[0]
    words = {name: word for word, name in operation.words.items()}
    argv, positional = [command], []
    for word in re.findall(r"(?<![=<\w-])[A-Z_]+(?!\w)", usage):
        name = operation.words.get(word, word.lower())
        if name in arguments:
            positional.append(str(arguments.pop(name)))
    for name, value in arguments.items():
        option = words.get(name, "--" + name.replace("_", "-"))
        if f"{option}=" not in usage and isinstance(value, bool):
            argv += [option] * value
        else:
            as_json = name.endswith("_json") or isinstance(value, bool)
            argv.append(f"{option}={json.dumps(value) if as_json else value}")
    return [*argv, *positional]


@pytest.fixture
def cli(settings, capsys):
    return Cli(capsys)


@pytest.fixture
def rest(settings):
    return Rest()


@pytest.fixture
def remote_cli(settings, capsys, monkeypatch):
    """The command line of an admin who asks this database over HTTP."""
    make_admin()
    monkeypatch.setenv("CAELUS_TOKEN", admin.TOKEN)
    with listening() as url:
        yield Cli(capsys, f"--server={url}")


@pytest.fixture(params=["rest", "cli"])
def surface(request, settings, capsys):
    """Both surfaces, one after the other: surface(command, **arguments) -> Answer."""
    return Rest() if request.param == "rest" else Cli(capsys)


@pytest.fixture
def shop(rest):
    """A user (1), a product (1) and two templates (1, 2) of it."""
    created = (
        rest("create-user", email="ada@example.org"),
        rest("create-product", name="Notes"),
        rest("create-template", product_id=1, **TEMPLATE),
        rest("create-template", product_id=1, **TEMPLATE | {"chart_version": "1.1.0"}),
    )
    assert [answer.code for answer in created] == [201] * 4
    return rest


TEMPLATE = {
    "chart_ref": "oci://registry.example.org/notes",
    "chart_version": "1.0.0",
    "default_values_json": {"replicas": 1},
    "values_schema_json": {
        "type": "object",
        "properties": {
            "replicas": {"type": "integer"},
            "user": {
                "type": "object",
                "properties": {"size": {"type": "integer", "maximum": 10}},
                "additionalProperties": False,
            },
        },
    },
    "capabilities_json": {"bindings": {"/host": "${domainname}"}},
}


@pytest.fixture(params=HELM_MAJORS, ids="helm{}".format)
def programs(request):
    """The directory of the real programs, for each major of helm."""
    try:
        return tool_directory(request.param)
    except ToolsUnavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture
def kube():
    with KubeServer() as server:
        yield server


@contextlib.contextmanager
def counted():
    """The SQL that is run in the block, without BEGIN and COMMIT."""
    found = []

    def note(event):
        if not event.sql.startswith(("BEGIN", "COMMIT", "ROLLBACK")):
            found.append(event.sql)

    database.database.query_hooks.append(note)
    try:
        yield found
    finally:
        database.database.query_hooks.remove(note)
