"""`--wait`: it stays until what was asked for is done, and says why where it is not."""

import os
import pty
import re
import subprocess
import sys
import threading

import pytest
import yaml

from caelus import events, jobs, waiting
from caelus.actors import OPERATOR
from caelus.database import session, transaction
from caelus.dispatch import dispatch
from caelus.errors import CaelusError, LeftAlone, NotFound, Unreachable
from caelus.models import Deployment, Job, now
from caelus.operations import BY_COMMAND
from tests import admin
from tests.kube import KubeServer
from tests.program import Program
from tests.test_end_to_end import Cluster, publish
from tests.tools import HELM_MAJORS

MINE = {"user_id": "1", "deployment_id": "1"}
NEW = ("--user-id=1", "--desired-template-id=1", "--domainname=a.example.org")
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Asking:
    """Asks as the command line does, after the next of `steps`, each of which changes something."""

    def __init__(self, *steps):
        self.steps = list(steps)

    def __call__(self, operation, arguments):
        if operation.command == "list-events" and self.steps:
            self.steps.pop(0)()
        return dispatch(operation, OPERATOR, arguments)


def claim():
    assert jobs.claim("worker", now())


def succeed(status="ready"):
    jobs.finish(Job.get(status="running"))
    Deployment.update(status=status).execute()


def fail():
    cause = {"code": "image_pull", "object": "Pod a", "message": "no image", "hint": "check it"}
    jobs.postpone(Job.get(status="running"), "no image", cause)
    Deployment.update(status="error", last_error="no image", cause=cause).execute()


def refuse(error):
    def step():
        raise error

    return step


@pytest.fixture
def begun(shop, monkeypatch):
    """A deployment that is being made; nobody waits long between two looks."""
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.001)
    return shop("create-deployment", user_id=1, desired_template_id=1, domainname="a.b").document


def wait(document, *steps, patience=30):
    return waiting.until_settled(Asking(*steps), document, patience)


@on_sqlite
def test_it_stays_until_the_deployment_is_ready(begun):
    document, failure = wait(begun, claim, lambda: None, succeed)
    assert (document["status"], failure) == ("ready", None)


@on_sqlite
def test_a_failure_is_told_with_the_next_step_and_the_next_try(begun):
    document, failure = wait(begun, claim, fail)
    assert document["status"] == "error"
    assert re.fullmatch(
        r"deployment 1: no image; check it; Caelus tries again by itself at \d\d:\d\d:\d\d UTC",
        failure,
    )


@on_sqlite
def test_what_somebody_else_did_meanwhile_is_told(begun):
    document, failure = wait(begun, claim, lambda: succeed("deleted"))
    assert document["status"] == "deleted"
    assert failure == "deployment 1 is deleted, because somebody changed it meanwhile"


@on_sqlite
def test_what_is_done_needs_no_waiting(begun):
    for status in ("ready", "deleted"):
        claim()
        succeed(status)
        deleted = dispatch(BY_COMMAND["delete-deployment"], OPERATOR, dict(MINE))
    assert deleted["status"] == "deleted"
    assert wait(deleted, refuse(AssertionError())) == (deleted, None)


@on_sqlite
def test_patience_ends(begun):
    document, failure = wait(begun, claim, patience=0.05)
    assert document["status"] == "provisioning"
    assert failure == (
        "deployment 1 is still provisioning after 0.05 s: helm and kubectl are at work (create); "
        "look again by: caelus get-deployment 1 1"
    )


@on_sqlite
def test_ctrl_c_leaves_it_alone(begun):
    with pytest.raises(LeftAlone) as caught:
        wait(begun, refuse(KeyboardInterrupt()))
    assert caught.value.exit_code == 130
    assert caught.value.detail == ("deployment 1 goes on; look again by: caelus get-deployment 1 1")


@on_sqlite
def test_a_server_that_starts_anew_is_waited_for(begun):
    gone = refuse(Unreachable("nobody is there"))
    document, failure = wait(begun, gone, gone, claim, succeed)
    assert (document["status"], failure) == ("ready", None)


@on_sqlite
@pytest.mark.parametrize("error", [Unreachable("nobody is there"), NotFound("gone")])
def test_what_can_not_be_seen_any_more_is_told(begun, error, monkeypatch):
    monkeypatch.setattr(waiting, "DEAF_SECONDS", 0)
    with pytest.raises(CaelusError) as caught:
        wait(begun, refuse(error))
    assert caught.value.detail == (
        f"deployment 1 can't be seen: {error}; look again by: caelus get-deployment 1 1"
    )


@on_sqlite
def test_a_queue_without_workers_is_wondered_about_once(begun, monkeypatch, caplog):
    monkeypatch.setattr(waiting, "HINT_SECONDS", 0)
    wait(begun, patience=0.1)
    hints = [r for r in caplog.records if r.levelname == "WARNING"]
    assert [r.getMessage().partition(" up ")[0] for r in hints] == [
        "no worker has taken deployment 1"
    ]


@on_sqlite
def test_events_are_told_as_they_come(begun, caplog):
    caplog.set_level("INFO", "caelus")

    def record():
        with session(), transaction():
            events.record(1, "unlocked", "a lock was taken away")

    wait(begun, claim, record, lambda: None, succeed)
    told = [r.getMessage() for r in caplog.records if r.name == "caelus.waiting"]
    assert told == [
        "deployment 1: queued for a worker",
        "deployment 1: helm and kubectl are at work (create)",
        "deployment 1: a lock was taken away",
    ]


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (None, "deleting"),
        (("queued", 0), "queued for a worker"),
        (("running", 1), "helm and kubectl are at work (delete)"),
        (("running", 2), "helm and kubectl are at work (delete, attempt 2): it hangs"),
        (("queued", 2), "tried again at 12:00:01 UTC: it hangs"),
    ],
)
def test_what_is_being_done_is_said(job, said):
    keys, time = ("status", "attempt"), "2026-01-31T12:00:01.000000Z"
    shown = job and dict(zip(keys, job, strict=True)) | {"reason": "delete", "run_after": time}
    document = {"status": "deleting", "last_error": "it hangs", "open_job": shown}
    assert waiting.doing(document) == said


@on_sqlite
@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--wait", "--timeout=x"], 1, "--timeout must be a whole number of seconds"),
        (["--timeout=1"], 2, "--timeout goes with --wait"),
    ],
)
def test_bad_options_change_nothing(shop, cli, options, code, said):
    answer = cli.run("create-deployment", *NEW, *options)
    assert (answer.code, answer.sentence) == (code, said)
    assert cli("list-deployments", user_id=1).document == []


@on_sqlite
@pytest.mark.parametrize("way", ["cli", "remote_cli"])
def test_it_is_waited_for_here_and_from_afar(shop, way, request):
    run = request.getfixturevalue(way).run
    answer = run("create-deployment", *NEW, "--wait", "--timeout=0")
    assert answer.code == 1
    assert "still provisioning after 0 s: queued for a worker" in answer.sentence
    assert run("get-deployment", "1", "1").document["status"] == "provisioning"


@on_sqlite
def test_a_terminal_shows_one_line_that_goes_away(shop, settings):
    """In colour unless NO_COLOR; what is printed in the end is the document alone."""
    for extra, colour in (({}, "\x1b[32m"), ({"NO_COLOR": "1"}, "")):
        domain = f"--domainname=c{len(extra)}.example.org"
        shown, done = on_terminal(
            Program(**extra), "create-deployment", *NEW[:2], domain, "--wait", "--timeout=1"
        )
        name = f"deployment {yaml.safe_load(done.stdout)['id']}"
        assert f"\r\x1b[2K{colour}{name}: queued for a worker" in shown
        assert ("\x1b[3" in shown) == bool(colour)
        assert shown.rpartition("\x1b[2K")[2].replace("\x1b[31m", "").startswith(name)


def on_terminal(program, *argv):
    """What the command writes to stderr, which is a terminal; and the ended command."""
    ours, theirs = pty.openpty()
    chunks = []

    def read():
        while True:
            try:
                chunks.append(os.read(ours, 10_000))
            except OSError:  # nobody has the other end open any more
                return

    reader = threading.Thread(target=read)
    reader.start()
    command = [sys.executable, "-m", "caelus", *argv]
    env = program.env | {"CAELUS_LOG_LEVEL": "WARNING"}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=theirs, timeout=60)
    os.close(theirs)
    reader.join()
    os.close(ours)
    return b"".join(chunks).decode(), done


@on_sqlite
def test_a_server_with_workers_is_waited_for_from_afar(database_url, tmp_path):
    with KubeServer() as api:
        cluster = Cluster(HELM_MAJORS[-1], api, tmp_path)
        program = Program(CAELUS_DATA_DIR=str(tmp_path / "data"), **cluster.settings)
        with program.serve() as server:
            publish(server)
            afar = Program(CAELUS_SERVER=server.url, CAELUS_TOKEN=admin.TOKEN)
            assert afar.yaml("create-deployment", *NEW, "--wait")["status"] == "ready"
            update = ("update-deployment", "--user-id=1", "--deployment-id=1")
            failed = afar.run(*update, "--desired-template-id=3", "--wait")
            assert failed.returncode == 1
            assert yaml.safe_load(failed.stdout)["status"] == "error"
            told = failed.stderr.splitlines()[-1]
            assert "image never:missing can't be pulled" in told
            assert "check the image's name and tag" in told
            assert "Caelus tries again by itself" in told
            assert afar.yaml("delete-deployment", "1", "1", "--wait")["status"] == "deleted"
