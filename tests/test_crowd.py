"""Several Caelus processes on one Postgres, killed one after the other under load.

Real helm behind a lock of its own for each release: a second helm on one would be seen.
"""

import contextlib
import random
import subprocess
import sys
import time

import pytest

from tests.kube import kubernetes
from tests.program import Program, Serving, wait_until
from tests.test_end_to_end import CHART
from tests.tools import HELM_MAJORS, tool_directory

LOCKING = """#!/bin/sh
# helm keeps the lock as an open file, and so for as long as it lives, whatever is killed.
case "$1" in
    upgrade) release=$3 ;;
    rollback | uninstall) release=$2 ;;
    *) exec {program} "$@" ;;
esac
exec 9> {directory}/$release.lock
flock --nonblock 9 || echo "$*" >> {directory}/overlapping
echo "$1" >> {directory}/calls
exec {program} "$@"
"""
COUNT, KILLS, PAUSE_SECONDS = 8, 12, 1.5
pytestmark = pytest.mark.slow


class Crowd:
    """One `serve` and three `reconcile --watch`, any of which may be killed and started anew."""

    def __init__(self, program: Program, directory):
        self.program, self.directory = program, directory
        self.server = Serving(program, ["serve", "--port=0"])
        self.watchers = [self._watcher() for _ in range(3)]

    def _watcher(self) -> subprocess.Popen:
        with open(self.directory / "watchers.log", "a") as log:
            command = [sys.executable, "-m", "caelus", "reconcile", "--watch"]
            return subprocess.Popen(command, env=self.program.env, stderr=log)

    def kill_one(self, chance: random.Random) -> None:
        number = chance.randrange(4)
        if number == 3:
            self.server.process.kill()
            self.server.process.wait()
            self.server = Serving(self.program, ["serve", "--port=0"])
        else:
            self.watchers[number].kill()
            self.watchers[number].wait()
            self.watchers[number] = self._watcher()

    def ask(self, *request):
        return self.server.ask(*request)

    def stop(self) -> None:
        for watcher in self.watchers:
            watcher.terminate()
        assert [watcher.wait(40) for watcher in self.watchers] == [0, 0, 0]
        self.server.stop()


@pytest.fixture(params=HELM_MAJORS, ids=lambda major: f"helm{major}")
def crowd(request, tmp_path, postgres_url):
    tools = tool_directory(request.param)
    helm = tmp_path / "helm"
    helm.write_text(LOCKING.format(directory=tmp_path, program=tools / "helm"))
    helm.chmod(0o755)
    with kubernetes() as api:
        program = Program(
            CAELUS_DATABASE_URL=postgres_url,
            CAELUS_HELM=str(helm),
            CAELUS_KUBECTL=str(tools / "kubectl"),
            KUBECONFIG=api.kubeconfig(tmp_path / "kubeconfig"),
            HOME=str(tmp_path),
        )
        crowd = Crowd(program, tmp_path)
        yield crowd
        crowd.stop()


def publish(crowd) -> None:
    crowd.ask("POST", "/users", {"email": "ada@example.org"})
    crowd.ask("POST", "/products", {"name": "App"})
    for version in ("1", "2"):
        template = {"chart_ref": str(CHART), "chart_version": version}
        assert crowd.ask("POST", "/products/1/templates", template)[0] == 201
    for number in range(1, COUNT + 1):
        body = {"desired_template_id": 1, "domainname": f"d{number}.example.org"}
        assert crowd.ask("POST", "/users/1/deployments", body)[0] == 201


def change_all(crowd, turn: int) -> None:
    """An update for each that is not at work; the server may die meanwhile."""
    for number in range(1, COUNT + 1):
        body = {"domainname": f"d{number}-{turn}.example.org"}
        with contextlib.suppress(OSError):
            crowd.ask("PUT", f"/users/1/deployments/{number}", body)


def settled(crowd) -> bool:
    return not [
        job for job in crowd.ask("GET", "/jobs")[1] if job["status"] in ("queued", "running")
    ]


def test_every_deployment_ends_right_and_no_release_ever_has_two_helms(crowd, tmp_path):
    chance = random.Random(3)
    publish(crowd)
    for turn in range(KILLS):
        change_all(crowd, turn)
        time.sleep(PAUSE_SECONDS * chance.random())
        crowd.kill_one(chance)
    wait_until(lambda: settled(crowd), 120)
    for number in range(1, COUNT + 1):
        body = {"desired_template_id": 2}
        assert crowd.ask("PUT", f"/users/1/deployments/{number}", body)[0] == 200
    crowd.kill_one(chance)
    wait_until(lambda: settled(crowd), 120)
    deployments = crowd.ask("GET", "/deployments")[1]
    ended = {(d["status"], d["applied_template_id"], d["last_error"]) for d in deployments}
    assert ended == {("ready", 2, None)}
    assert not (tmp_path / "overlapping").exists(), (tmp_path / "overlapping").read_text()
    assert len((tmp_path / "calls").read_text().split()) > 3 * COUNT
    lost = [e for e in crowd.ask("GET", "/events?limit=1000")[1] if e["type"] == "interrupted"]
    assert lost, "no kill came in the middle of a job"
