"""`caelus serve` and `caelus reconcile --watch` as processes: start, wake-up, stop."""

import datetime
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from caelus import causes, database, worker
from caelus.models import Deployment, Event, Job, LoginLink, Session, now
from caelus.process import Tools
from tests import admin
from tests.program import Program, wait_until

NEW = {"desired_template_id": 1, "domainname": "a.example.org"}
TEMPLATE = {"chart_ref": "oci://registry.example.org/notes", "chart_version": "1.0.0"}


def stub(path: pathlib.Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def program(database_url, tmp_path):
    """Caelus with tools that do nothing, successfully."""
    return Program(
        CAELUS_DATA_DIR=str(tmp_path / "data"),
        CAELUS_HELM=stub(tmp_path / "helm", "cat >/dev/null; echo '[]'"),
        CAELUS_KUBECTL=stub(tmp_path / "kubectl", "cat >/dev/null"),
    )


def publish(server) -> None:
    server.ask("POST", "/users", {"email": "ada@example.org"})
    server.ask("POST", "/products", {"name": "Notes"})
    server.ask("POST", "/products/1/templates", TEMPLATE)


def test_it_is_alive_ready_and_documented(program):
    with program.serve("--workers=0") as server:
        assert server.ask("GET", "/healthz") == (200, {"status": "ok"})
        assert server.ask("GET", "/readyz") == (200, {"status": "ready"})
        assert server.ask("GET", "/openapi.json")[1]["openapi"].startswith("3.1")


def test_with_no_workers_it_only_serves(program):
    with program.serve("--workers=0") as server:
        publish(server)
        assert server.ask("POST", "/users/1/deployments", NEW)[0] == 201
    (job,) = program.yaml("list-jobs")
    assert job["status"] == "queued"


def test_with_no_workers_what_is_old_is_forgotten_all_the_same(shop, program):
    long_ago = now() - 91 * datetime.timedelta(days=1)
    Session.create(user=1, hash="x", expires_at=long_ago, last_seen_at=long_ago)
    LoginLink.create(user=1, hash="x", expires_at=long_ago)
    Event.update(created_at=long_ago).where(Event.id == 1).execute()
    with program.serve("--workers=0"):
        wait_until(lambda: Session.select().count() + LoginLink.select().count() == 0)
        wait_until(lambda: Event.get_or_none(id=1) is None)


def test_a_job_of_another_process_is_found(program):
    with program.serve() as server:
        publish(server)
        program.yaml(
            "create-deployment",
            "--user-id=1",
            "--desired-template-id=1",
            "--domainname=a.example.org",
        )
        assert server.wait_for("/users/1/deployments/1", "ready", "error")["status"] == "ready"


def test_a_new_job_wakes_a_sleeping_worker(shop, settings, program, monkeypatch):
    """Not at the next poll: there is none within an hour."""
    monkeypatch.setattr(worker, "POLL_SECONDS", 3600)
    tools = Tools(settings)
    monkeypatch.setattr(Tools, "_run", lambda *_: "[]")
    workers = worker.Workers(2, tools)
    workers.start()
    try:
        for number in range(3):
            shop("create-deployment", user_id=1, **NEW | {"domainname": f"{number}.example.org"})
            wait_until(lambda: not Deployment.select().where(Deployment.status != "ready").exists())
    finally:
        workers.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_on_a_signal_running_helm_is_ended_and_its_job_handed_back(program, tmp_path, number):
    program.env["CAELUS_HELM"] = stub(
        tmp_path / "slow-helm",
        f"trap 'echo ended > {tmp_path}/ended; exit 1' TERM; echo > {tmp_path}/started; "
        "while :; do sleep 0.05; done",
    )
    with program.serve() as server:
        publish(server)
        server.ask("POST", "/users/1/deployments", NEW)
        wait_until((tmp_path / "started").exists)
        assert server.stop(number) == 0
    assert (tmp_path / "ended").exists()
    (job,) = program.yaml("list-jobs")
    assert (job["status"], job["attempt"], job["locked_by"]) == ("queued", 0, None)
    assert program.yaml("get-deployment", "1", "1")["status"] == "provisioning"


def test_a_request_that_has_begun_is_answered_on_stop(program):
    body = b'{"email": "ada@example.org"}'
    with program.serve("--workers=0") as server:
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(
                b"POST /users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Authorization: %s\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
                % (admin.BEARER.encode(), len(body))
            )
            assert b"100 Continue" in connection.recv(65536)
            server.process.terminate()
            wait_until(lambda: "stopping" in server.log[-1])
            connection.sendall(body)
            assert b" 201 " in connection.recv(65536)
        assert server.process.wait(30) == 0
    (user,) = program.yaml("list-users", "--after=0")
    assert user["email"] == "ada@example.org"


@pytest.mark.parametrize("command", [["serve", "--workers=0"], ["reconcile", "--watch"]])
def test_what_is_stopped_leaves_all_in_the_one_file_that_people_copy(tmp_path, command):
    program = Program(
        CAELUS_DATA_DIR=str(tmp_path / "data"),
        CAELUS_DATABASE_URL=f"sqlite:///{tmp_path}/data/caelus.db",
        CAELUS_SIMULATE="1",
    )
    program.yaml("create-user", "ada@example.org")
    process = subprocess.Popen(
        [sys.executable, "-m", "caelus", *command, *["--port=0"] * (command[0] == "serve")],
        env=program.env,
        stderr=subprocess.PIPE,
        text=True,
    )
    next(line for line in process.stderr if "serving" in line or "reconciling" in line)
    program.yaml("create-user", "eve@example.org")
    process.terminate()
    process.communicate(timeout=30)
    (tmp_path / "copy").mkdir()
    shutil.copy(tmp_path / "data" / "caelus.db", tmp_path / "copy" / "caelus.db")
    program.env["CAELUS_DATABASE_URL"] = f"sqlite:///{tmp_path}/copy/caelus.db"
    emails = [user["email"] for user in program.yaml("list-users")]
    assert emails == ["ada@example.org", "eve@example.org"]


def test_watch_works_until_it_is_told_to_stop(program):
    with program.serve("--workers=0") as server:
        publish(server)
        watcher = subprocess.Popen(
            [sys.executable, "-m", "caelus", "reconcile", "--watch"],
            env=program.env,
            stderr=subprocess.DEVNULL,
        )
        server.ask("POST", "/users/1/deployments", NEW)
        assert server.wait_for("/users/1/deployments/1", "ready", "error")["status"] == "ready"
        watcher.terminate()
        assert watcher.wait(30) == 0


@pytest.mark.parametrize(("host", "reached"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]")])
def test_beyond_loopback_it_serves_and_warns(program, host, reached):
    with program.serve("--workers=0", f"--host={host}") as server:
        wait_until(lambda: any("without https" in line for line in server.log))
        server.url = f"http://{reached}:{server.url.rpartition(':')[2]}"
        assert server.ask("GET", "/healthz")[0] == 200
        assert server.ask("GET", "/users")[0] == 200


@pytest.mark.parametrize(
    "settings", [{"CAELUS_TRUSTED_PROXIES": "10.0.0.1"}, {"CAELUS_PUBLIC_URL": "https://c.example"}]
)
def test_behind_a_proxy_it_does_not_warn(program, settings):
    program.env |= settings
    with program.serve("--workers=0", "--host=0.0.0.0") as server:
        assert server.stop() == 0
    assert not any("WARNING" in line for line in server.log)


@pytest.mark.parametrize("options", [["--port=x"], ["--port=70000"], ["--workers=-1"]])
def test_a_bad_option_is_refused_in_one_line(program, options):
    done = program.run("serve", *options)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "must be a whole number" in done.stderr


@pytest.mark.parametrize(
    ("argv", "statement", "lost"),
    [
        ("serve --port=0", "ALTER TABLE users RENAME COLUMN email TO mail", "users.email,"),
        ("serve --port=0", "DROP TABLE icons", "icons."),
        ("reconcile --watch", "DROP INDEX jobs_one_open", "jobs_one_open,"),
    ],
)
def test_a_database_that_somebody_took_something_from_is_refused(
    settings, program, argv, statement, lost
):
    with database.session():
        database.database.execute_sql(statement)
    done = program.run(*argv.split(), timeout=60)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"the database has lost {lost}" in line
    assert line.endswith("run: caelus doctor")


def test_a_taken_port_is_named(program):
    with program.serve("--workers=0") as server:
        port = server.url.rpartition(":")[2]
        done = program.run("serve", f"--port={port}")
        assert done.returncode == 1
        assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in done.stderr


def test_a_browser_page_of_another_site_can_not_steer_it(rest, settings):
    headers = {"Origin": "https://evil.example.org", "Content-Type": "application/json"}
    result = rest.client.simulate_post("/users", headers=headers, body='{"email": "eve@b"}')
    assert result.status_code == 403
    text = rest.client.simulate_post("/users", body='{"email": "eve@b"}')
    assert text.status_code == 415
    assert rest("list-users", after=0).document == []


def test_a_worker_survives_what_nobody_foresaw(shop, settings, monkeypatch, caplog):
    """One poisoned job must not stop the rest."""
    shop("create-deployment", user_id=1, **NEW)
    shop("create-deployment", user_id=1, **NEW | {"domainname": "b.example.org"})
    calls = []

    def run(self, program, arguments, *rest):
        calls.append(arguments)
        if len(calls) == 1:
            raise RuntimeError("nobody foresaw this")
        return "[]"

    monkeypatch.setattr(Tools, "_run", run)
    tools = Tools(settings)
    assert worker.run_one("w", tools)
    assert worker.run_one("w", tools)
    assert not worker.run_one("w", tools)
    first, second = Deployment.select().order_by(Deployment.id)
    assert (first.status, second.status) == ("error", "ready")
    assert first.last_error == "an internal error of Caelus"
    assert [job.status for job in Job.select().order_by(Job.id)] == ["queued", "done"]
    assert "nobody foresaw this" in caplog.text


def test_a_fault_in_the_search_for_a_cause_strands_no_job(shop, settings, monkeypatch):
    shop("create-deployment", user_id=1, **NEW)
    monkeypatch.setattr(causes, "find", lambda *_: 1 / 0)
    assert worker.run_one("w", Tools(settings._replace(kubectl="/nowhere/kubectl")))
    deployment, job = Deployment.get(), Job.get()
    assert (deployment.status, deployment.cause["code"], job.status) == (
        "error",
        "internal",
        "queued",
    )
