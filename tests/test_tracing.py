"""A request's id: who may choose it, and where it is found again; the log as JSON."""

import json
import logging
import re

import falcon.testing
import pytest

from caelus import attempts, config, jobs, logs, reconcile, tracing, worker
from caelus.api import create_app
from caelus.cli import main
from caelus.errors import ConfigError
from caelus.models import Deployment, Job
from caelus.process import Tools
from tests import admin
from tests.program import Program

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
MADE = re.compile("[0-9a-f]{16}")
NEW = ("--user-id=1", "--desired-template-id=1", "--domainname=a.example.org")
BODY = {"desired_template_id": 1, "domainname": "a.example.org"}


@pytest.fixture
def log(monkeypatch, caplog):
    """What the log tells, an object for each line."""
    lines = []

    class Keep(logging.Handler):
        def emit(self, record):
            lines.append(json.loads(logs.JsonFormatter().format(record)))

    monkeypatch.setattr(logging.getLogger("caelus"), "handlers", [Keep(logging.INFO)])
    caplog.set_level(logging.INFO, "caelus")
    return lines


def client(**headers) -> falcon.testing.TestClient:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    own = {"Host": "localhost", "Authorization": admin.BEARER}
    return falcon.testing.TestClient(create_app(), headers=own | given)


def sent_id(text: str, peer: str) -> str:
    answer = client(X_Request_Id=text).simulate_get("/healthz", remote_addr=peer)
    return answer.headers["x-request-id"]


# Ids


@on_sqlite
@pytest.mark.parametrize(
    "path", ["/healthz", "/users", "/nothing", "/login/x", "/docs", "/users/x"]
)
def test_every_answer_has_an_id_of_its_own(rest, path):
    ids = [rest.client.simulate_get(path).headers["x-request-id"] for _ in range(2)]
    assert all(map(MADE.fullmatch, ids))
    assert ids[0] != ids[1]


@on_sqlite
def test_a_trusted_proxys_id_is_kept_and_nobody_elses(rest, monkeypatch):
    monkeypatch.setenv("CAELUS_TRUSTED_PROXIES", "10.1.2.3")
    assert sent_id("Root=1-abc_d.e", "10.1.2.3") != "Root=1-abc_d.e"
    assert sent_id("1-abc_d.E", "10.1.2.3") == "1-abc_d.E"
    assert MADE.fullmatch(sent_id("1-abc_d.E", "10.1.2.4"))


@on_sqlite
@pytest.mark.parametrize("odd", ["", "x" * 129, "a b", "a\x1b[1m", "-x", "a,b", "ä"])
def test_an_odd_id_is_no_id(rest, monkeypatch, odd):
    monkeypatch.setenv("CAELUS_TRUSTED_PROXIES", "10.1.2.3")
    assert MADE.fullmatch(sent_id(odd, "10.1.2.3"))


def test_what_http_itself_refuses_has_an_id(settings, tmp_path):
    import http.client
    import urllib.parse

    with Program(CAELUS_DATA_DIR=str(tmp_path / "data")).serve("--workers=0") as server:
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc)
        connection.putrequest("GET", "/")
        connection.putheader("X-Long", "x" * 40_000)
        connection.endheaders()
        answer = connection.getresponse()
        assert (answer.status, bool(MADE.fullmatch(answer.headers["X-Request-Id"]))) == (431, True)


@on_sqlite
def test_a_fault_names_the_request_in_its_answer_and_in_the_log(rest, monkeypatch, log):
    monkeypatch.setattr("caelus.users.find", lambda **_: 1 / 0)
    monkeypatch.setattr("caelus.documents.SHOWN", {})
    answer = client().simulate_get("/users")
    assert answer.status_code == 500
    request_id = answer.headers["x-request-id"]
    assert answer.json["request_id"] == request_id
    (line,) = [line for line in log if line["level"] == "ERROR"]
    assert line["request_id"] == request_id
    assert "Traceback" in line["exception"]


@on_sqlite
def test_a_refusal_does_not_repeat_the_id(rest):
    assert "request_id" not in rest.client.simulate_get("/users/99").json


# From the request to the job, the worker and what it runs


@on_sqlite
def test_a_request_and_its_job_and_no_others_lines_have_its_id(shop, empty_cluster, log):
    answer = client().simulate_post("/users/1/deployments", json=BODY)
    assert answer.status_code == 201, answer.text
    request_id = answer.headers["x-request-id"]
    (job,) = shop("list-jobs").document
    assert job["request_id"] == request_id
    queued, done = log
    assert {queued["request_id"], done["request_id"]} == {request_id}
    assert done["deployment"] == answer.json["deployment_uid"]
    log.clear()
    assert worker.run_one("worker", Tools(config.load()))
    assert any(line["logger"] == "caelus.process" for line in log)
    assert {(line["request_id"], line["job_id"]) for line in log} == {(request_id, 1)}
    assert log[-1]["deployment"] == answer.json["deployment_uid"]
    assert not worker.run_one("worker", Tools(config.load()))
    assert tracing.present() == tracing.Work()


@on_sqlite
def test_an_unforeseen_error_of_a_worker_tells_the_request(shop, monkeypatch, log):
    request_id = client().simulate_post("/users/1/deployments", json=BODY).headers["x-request-id"]
    monkeypatch.setattr(reconcile, "_record", lambda *_: 1 / 0)
    monkeypatch.setattr(attempts.Attempt, "run", lambda _: None)
    log.clear()
    assert not worker.run_one("worker", Tools(config.load()))
    (line,) = [line for line in log if line["level"] == "ERROR"]
    assert (line["request_id"], line["job_id"]) == (request_id, 1)


@on_sqlite
def test_a_retry_takes_the_job_over(shop):
    assert shop("create-deployment", user_id=1, **BODY).ok
    jobs.postpone(jobs.claim("worker"), "no image")
    Deployment.update(status="error").execute()
    answer = client().simulate_post("/users/1/deployments/1/retry")
    assert Job.get().request_id == answer.headers["x-request-id"]


@on_sqlite
def test_a_command_has_an_id_too_which_its_lines_end_with(shop, capsys):
    assert main(["create-deployment", *NEW]) == 0
    request_id = Job.get().request_id
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.endswith(f" [{request_id}]") for line in lines)
    assert tracing.present() == tracing.Work()


@on_sqlite
def test_reconcile_gives_each_job_the_id_of_its_request(shop, empty_cluster, capsys):
    ids = []
    for name in "ab":
        new = BODY | {"domainname": f"{name}.example.org"}
        ids.append(client().simulate_post("/users/1/deployments", json=new).headers["x-request-id"])
    Job.update(request_id=None).where(Job.id == 2).execute()
    assert main(["reconcile"]) == 0
    told = capsys.readouterr().err.splitlines()
    first, second = (next(x for x in told if f"job {n}, attempt 1" in x)[-17:-1] for n in (1, 2))
    assert first == ids[0]
    assert second not in ids  # it is the command's own


# JSON


def record(message="a %s", *arguments, **fields):
    return logging.makeLogRecord(
        {"msg": message, "args": arguments, "name": "caelus.x", "levelname": "INFO"} | fields
    )


def test_a_line_of_json_has_what_is_known():
    told = tracing.carried(format_within)(record("a %s\n\x1b[1m\ud800", "b", created=1.5))
    assert told.isascii()
    assert "\n" not in told
    assert json.loads(told) == {
        "time": "1970-01-01T00:00:01.500000Z",
        "level": "INFO",
        "logger": "caelus.x",
        "message": "a b\n\x1b[1m\ud800",
        "request_id": "r1",
        "job_id": 7,
        "deployment": "d-1",
    }
    assert "request_id" not in json.loads(logs.JsonFormatter().format(record("x")))


def format_within(line) -> str:
    tracing.start("r1")
    tracing.note(job_id=7, deployment="d-1", request_id=None)
    return logs.JsonFormatter().format(line)


def test_an_exception_is_text_in_its_line():
    try:
        raise ValueError("odd")
    except ValueError as e:
        told = json.loads(logs.JsonFormatter().format(record("x", exc_info=(type(e), e, None))))
    assert told["exception"].endswith("ValueError: odd")


@on_sqlite
def test_json_is_never_coloured(settings, monkeypatch, capsys):
    monkeypatch.setenv("CAELUS_LOG_FORMAT", "json")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert main(["create-user", "ada@example.org"]) == 0
    assert main(["create-user", "ada@example.org"]) == 1
    line, sentence = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "create-user: User 1, by operator"
    assert sentence == "a user with the e-mail ada@example.org exists already"


def test_another_format_is_refused():
    with pytest.raises(ConfigError, match="CAELUS_LOG_FORMAT must be one of text, json, not 'xml'"):
        config.load({"CAELUS_LOG_FORMAT": "xml"})
