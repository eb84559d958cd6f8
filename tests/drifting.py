"""Deployments on a cluster that somebody else changes."""

import json
import os
import subprocess

import pytest

from caelus import config, leases, reconcile
from caelus.models import Deployment, Event, Job, now
from caelus.process import Tools
from tests.kube import REAL, kubernetes
from tests.test_end_to_end import CHART
from tests.tools import HELM_MAJORS, tool_directory

# Until an upgrade is given up, and a rollback: helm 3 looks every 2 s whether it is healthy.
UNHEALTHY_SECONDS = 6 if REAL else 2
# For what is about the cluster, not about the database.
one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
RECORDING = '#!/bin/sh\necho "{tool} $*" >> {calls}\nexec {program} "$@"\n'
REPLICAS = '{"spec": {"replicas": 2}}'


class Scene:
    """Caelus in this process, with tools whose calls are written down."""

    def __init__(self, directory, script: str, **settings: str):
        self.calls_file = directory / "calls"
        self.calls_file.touch()
        self.answers = {}
        for tool in ("helm", "kubectl"):
            real = tool_directory(settings["major"]) / tool if "major" in settings else ""
            self.answers[tool] = directory / f"{tool}.json"
            path = directory / tool
            path.write_text(
                script.format(
                    tool=tool, calls=self.calls_file, program=real, answer=self.answers[tool]
                )
            )
            path.chmod(0o755)
            settings[f"CAELUS_{tool.upper()}"] = str(path)
        self.env = os.environ | settings | {"HOME": str(directory)}
        self.tools = Tools(config.load(self.env))

    def calls(self) -> list[str]:
        """Those since it was asked last, without the one time that helm's version is."""
        lines = self.calls_file.read_text().splitlines()
        self.calls_file.write_text("")
        return [line for line in lines if not line.startswith("helm version")]

    def all_calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines()

    def run(self, tool: str, *arguments: str) -> str:
        command = [str(self.calls_file.parent / tool), *arguments]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def reconcile(self) -> Deployment | None:
        return reconcile.run_due(leases.worker_name(), self.tools, now())

    def document(self, *arguments: str) -> dict:
        return json.loads(self.run("kubectl", "get", *arguments, "--output", "json"))


@pytest.fixture(params=HELM_MAJORS, ids=lambda major: f"helm{major}")
def scene(request, tmp_path, settings, monkeypatch):
    """A cluster, real helm and kubectl."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with kubernetes() as api:
        kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
        monkeypatch.setenv("KUBECONFIG", kubeconfig)
        scene = Scene(tmp_path, RECORDING, major=request.param, KUBECONFIG=kubeconfig)
        scene.api = api
        yield scene


def publish(rest, **capabilities) -> None:
    rest("create-user", email="ada@example.org")
    rest("create-product", name="App")
    answer = rest(
        "create-template",
        product_id=1,
        chart_ref=str(CHART),
        chart_version="1",
        capabilities_json=capabilities,
        health_timeout_sec=10,
    )
    assert answer.ok


def deploy(rest, scene, name: str = "a") -> str:
    """A deployment that is ready; gives its uid."""
    domain = f"{name}.example.org"
    rest("create-deployment", user_id=1, desired_template_id=1, domainname=domain)
    deployment = scene.reconcile()
    assert (deployment.status, deployment.last_error) == ("ready", None)
    scene.calls()
    return deployment.deployment_uid


def told(type: str = "drift_found") -> list[str]:
    return [e.message for e in Event.select().where(Event.type == type).order_by(Event.id)]


def open_jobs() -> list[tuple]:
    query = Job.select().where(Job.status == "queued").order_by(Job.id)
    return [(job.deployment_id, job.reason) for job in query]
