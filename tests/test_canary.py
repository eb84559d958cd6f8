"""Secrets go in by every way, through real helm; afterwards they are in the cluster alone."""

import base64
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import urllib.request

import psycopg
import pytest

from caelus.secretvalues import MASK
from tests.admin import BEARER
from tests.kube import ApiError, KubeServer
from tests.program import Program
from tests.tools import HELM_MAJORS, tool_directory

CHART = pathlib.Path(__file__).parent / "charts" / "app"
CANARIES = {
    "by rest": "canary<&>\"'-by-rest",
    "by cli": "canary-by-cli-$(x)`y`",
    "default": "canary-in-the-default-values",
    "updated": "canary-by-an-update",
    "refused": "canary-that-is-refused",
    "once plain": "canary-that-was-plain",
}
SECRET = {"type": "string", "writeOnly": True}
MADE = SECRET | {"generate": {"length": 40}}
# A wrapper round helm and kubectl that writes down what others can see of them.
WRAPPER = """#!/bin/sh
cat /proc/$$/cmdline /proc/$$/environ >> {seen}
exec {program} "$@"
"""
TEMPLATES = {  # of a chart that tells its secrets wherever it can
    "secret.yaml": """apiVersion: v1
kind: Secret
metadata:
  name: {{ .Release.Name }}-secret
stringData:
  all: {{ toJson .Values | quote }}
""",
    "NOTES.txt": "Your password is {{ .Values.user.password }} and {{ .Values.smtp }}",
    "fail.yaml": "{{ if .Values.user.fail }}{{ fail (toJson .Values) }}{{ end }}",
}


def template(version: str, chart: pathlib.Path, *, marks_token: bool) -> dict:
    user = {"password": SECRET, "token": SECRET if marks_token else {"type": "string"}}
    user |= {"made": MADE, "fail": {"type": "boolean"}}
    schema = {"properties": {"user": {"properties": user}, "smtp": SECRET, "db": MADE}}
    return {
        "chart_ref": str(chart),
        "chart_version": version,
        "default_values_json": {"smtp": CANARIES["default"]},
        "values_schema_json": schema,
        "capabilities_json": {"bindings": {"/message": "m ${values.user.password} ${values.db}"}},
        "health_timeout_sec": 4,
    }


class Watch:
    """What anybody on the machine, or who asks Caelus, can see."""

    def __init__(self, directory: pathlib.Path):
        self.seen = directory / "seen"
        self.answers = []
        self.started = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _look(self):
        """The processes that Caelus starts, those of helm and kubectl too, while they run."""
        mine = str(self.seen.parent).encode()  # not those of tests that run beside this one
        while not self._over.wait(0.01):
            for process in pathlib.Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    environ = (process / "environ").read_bytes()
                    started = b"STARTED_BY_CAELUS=", b"CAELUS_LOG_LEVEL=DEBUG"
                    if mine in environ and any(mark in environ for mark in started):
                        self.started.add((process / "cmdline").read_bytes() + environ)

    def everything(self) -> bytes:
        texts = [json.dumps(a, ensure_ascii=False) + repr(a) for a in self.answers]
        return "".join(texts).encode() + self.seen.read_bytes() + b"".join(self.started)


@pytest.fixture
def chart(tmp_path):
    copy = shutil.copytree(CHART, tmp_path / "chart")
    for name, text in TEMPLATES.items():
        (copy / "templates" / name).write_text(text)
    (copy / "values.schema.json").unlink()
    return copy


@pytest.fixture
def api():
    with KubeServer() as server:
        yield server


@pytest.fixture(params=HELM_MAJORS, ids="helm{}".format)
def program(request, api, database_url, tmp_path):
    settings = {}
    for name in ("helm", "kubectl"):
        wrapper = tmp_path / name
        real = tool_directory(request.param) / name
        wrapper.write_text(WRAPPER.format(seen=tmp_path / "seen", program=real))
        wrapper.chmod(0o755)
        settings[f"CAELUS_{name.upper()}"] = str(wrapper)
    settings["KUBECONFIG"] = api.kubeconfig(tmp_path / "kubeconfig")
    settings["CAELUS_LOG_LEVEL"] = "DEBUG"
    return Program(CAELUS_DATA_DIR=str(tmp_path / "data"), **settings)


def spellings(secret: str) -> set[bytes]:
    """A secret as it may be found."""
    texts = {secret, json.dumps(secret)[1:-1], json.dumps(json.dumps(secret))[3:-3]}
    texts |= {secret.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")}
    encoded = [base64.b64encode(("x" * n + secret).encode())[4:-4] for n in range(3)]
    return {text.encode() for text in texts} | set(encoded)


def assert_nowhere(secrets: dict[str, str], where: str, content: bytes) -> None:
    found = {
        name for name, secret in secrets.items() if any(s in content for s in spellings(secret))
    }
    assert found == set(), f"told in {where}"


def tables(url: str) -> bytes:
    """The rows of a Postgres database."""
    with psycopg.connect(url) as connection:
        names = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        rows = [connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in names]
    return str(rows).encode() + json.dumps(rows, default=str, ensure_ascii=False).encode()


def applied(api: KubeServer) -> str:
    """What the chart's Secrets hold."""
    encoded = (o["data"].get("all", "") for o in api.objects("v1", "secrets"))
    return " ".join(str(json.loads(base64.b64decode(text))) for text in encoded if text)


def get(url: str) -> str:
    request = urllib.request.Request(url, headers={"Authorization": BEARER})
    with urllib.request.urlopen(request) as response:
        return response.read().decode()


def test_no_secret_is_told_anywhere(program, api, chart, database_url, tmp_path):
    first, path = "/users/1/deployments/1", "/users/1/deployments"
    secrets, said_by_cli = dict(CANARIES), []
    with Watch(tmp_path) as watch, program.serve() as server:

        def ask(*request):
            status, document = server.ask(*request)
            watch.answers.append(document)
            return status, document

        def settled(at: str, *statuses: str) -> dict:
            document = server.wait_for(at, *statuses)
            watch.answers.append(document)
            return document

        def caelus(*argv: str, stdin: str = ""):
            command = [sys.executable, "-m", "caelus", *argv]
            done = subprocess.run(
                command, env=program.env, input=stdin, capture_output=True, text=True
            )
            said_by_cli.append(done.stdout + done.stderr)
            return done.returncode

        ask("POST", "/users", {"email": "ada@example.org"})
        ask("POST", "/products", {"name": "App"})
        for version, marks_token in (("1", False), ("2", True)):
            body = template(version, chart, marks_token=marks_token)
            assert ask("POST", "/products/1/templates", body)[0] == 201

        # By REST and by CLI; the token is no secret yet, and so is not looked for in the answer.
        values = {"password": CANARIES["by rest"], "token": CANARIES["once plain"]}
        body = {"desired_template_id": 1, "domainname": "a.example.org", "user_values_json": values}
        assert server.ask("POST", path, body)[0] == 201
        assert server.wait_for(first, "ready", "error")["status"] == "ready"
        mine = ("--user-id=1", "--desired-template-id=2", "--domainname=b.example.org")
        by_cli = json.dumps({"password": CANARIES["by cli"]})
        assert caelus("create-deployment", *mine, "--user-values-file=-", stdin=by_cli) == 0
        assert settled(f"{path}/2", "ready", "error")["status"] == "ready"

        # What helm gets, to know that it was there to be told; and what was generated.
        for number, name in ((1, "by rest"), (2, "by cli")):
            _, document = server.ask("POST", f"{path}/{number}/reveal-secrets")
            assert document["secrets"]["/user/password"] == CANARIES[name]
            secrets |= {
                f"{place} {number}": document["secrets"][place] for place in ("/db", "/user/made")
            }
        assert CANARIES["by cli"] in applied(api), "helm was not given what is looked for"

        # The newer template makes a secret of the token; the mask keeps the password.
        assert ask("PUT", first, {"desired_template_id": 2})[0] == 200
        upgraded = settled(first, "ready", "error")
        assert upgraded["status"] == "ready"
        assert upgraded["user_values_json"] == {"password": MASK, "token": MASK}

        # Refused by Caelus, by the chart, by the cluster.
        status, refusal = ask(
            "PUT", first, {"user_values_json": {"password": [CANARIES["refused"]]}}
        )
        assert status == 409
        assert "/password must be of type string" in refusal["detail"]
        bad = json.dumps({"password": {CANARIES["refused"]: 1}})
        change = ("update-deployment", "--user-id=1", "--deployment-id=1", "--user-values-file=-")
        assert caelus(*change, stdin=bad) == 1
        updated = {"password": CANARIES["updated"], "token": MASK}
        assert ask("PUT", first, {"user_values_json": updated | {"fail": True}})[0] == 200
        failed = settled(first, "ready", "error")
        assert failed["status"] == "error"
        api.intercept = lambda method, path, query: (
            ApiError(
                422,
                "Invalid",
                f"Secret is invalid: data: {CANARIES['updated']}, was {CANARIES['by rest']}",
            )
            if "/secrets/" in path and "-secret" in path and method in ("PATCH", "PUT")
            else None
        )
        assert ask("PUT", first, {"user_values_json": updated})[0] == 200
        failed = settled(first, "ready", "error")
        assert failed["status"] == "error"
        assert "***" in failed["last_error"]
        api.intercept = None
        assert ask("POST", f"{first}/retry")[0] == 202
        assert settled(first, "ready")["user_values_json"] == {"password": MASK, "token": MASK}

        for page in ("/openapi.json", "/docs", "/docs/start.js"):
            watch.answers.append(get(server.url + page))
        for question in (
            *(
                "/users",
                "/products",
                "/products/1",
                "/products/1/templates",
                "/deployments",
                "/jobs",
            ),
            *(path, f"{first}/events", f"{path}/2/events", "/events", "/products/1/templates/1"),
        ):
            assert ask("GET", question)[0] == 200
        for command in ("list-all-deployments", "list-jobs", "list-all-events", "rotate-key"):
            assert caelus(command) == 0
        log = server.log
        content = watch.everything()
        if database_url.startswith("postgresql"):
            assert_nowhere(secrets, "the tables", tables(database_url))
        else:
            files = sorted(tmp_path.glob("caelus.db*"))
            assert tmp_path / "caelus.db-wal" in files
            for file in files:
                assert_nowhere(secrets, file.name, file.read_bytes())
    assert b"helm" in content
    assert_nowhere(secrets, "an answer, an argv or an environment", content)
    assert_nowhere(secrets, "the log", "\n".join(log).encode())
    assert any("helm upgrade" in line for line in log)
    assert_nowhere(secrets, "the command line's output", "\n".join(said_by_cli).encode())
    for file in (tmp_path / "data").rglob("*"):
        if file.is_file():
            assert_nowhere(secrets, str(file), file.read_bytes())


def test_no_child_has_the_key_in_its_environment(program, chart, tmp_path):
    key = base64.b64encode(os.urandom(32)).decode()
    program.env |= {"CAELUS_SECRET_KEY": key}
    program.yaml("create-user", "ada@example.org")
    program.yaml("create-product", "App")
    fields = template("1", chart, marks_token=True)
    options = [
        f"--{name.replace('_', '-')}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in fields.items()
    ]
    program.yaml("create-template", "--product-id=1", *options)
    mine = ("--user-id=1", "--desired-template-id=1", "--domainname=a.example.org")
    program.yaml("create-deployment", *mine, '--user-values-json={"password": "p"}')
    assert program.yaml("reconcile", "1")["status"] == "ready"
    seen = (tmp_path / "seen").read_bytes()
    assert b"upgrade" in seen
    assert b"STARTED_BY_CAELUS=" in seen
    assert key.encode() not in seen
    assert b"CAELUS_SECRET_KEY" not in seen
