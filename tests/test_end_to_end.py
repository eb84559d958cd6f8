"""The main job, from outside: a real chart by real helm and kubectl, by REST and by CLI.

On the suite's own Kubernetes API, or on a real cluster where CAELUS_TEST_KUBECONFIG names one. The
same with the simulation, in which the chart is no more than its name.
"""

import json
import os
import pathlib
import subprocess

import pytest
import yaml

from caelus import config, releases
from caelus.process import ToolError, Tools
from tests.kube import REAL, ApiError, KubeServer, RealCluster, kubernetes
from tests.program import Program
from tests.tools import HELM_MAJORS, tool_directory

CHART = pathlib.Path(__file__).parent / "charts" / "app"
TIMEOUT = 60 if REAL else 4
BINDINGS = {
    "/ingress/hosts/0/host": "${domainname}",
    "/message": "hello ${user.email}",
    "/replicas": "${values.user.replicas}",
}
SCHEMA = {
    "type": "object",
    "properties": {
        "user": {
            "type": "object",
            "properties": {"replicas": {"type": "integer"}, "password": {"type": "string"}},
        }
    },
}
IMAGE = "docker.io/library/busybox:1.36"
DEFAULTS = {"image": IMAGE, "ingress": {"enabled": True, "hosts": [{"host": "", "paths": ["/"]}]}}
PASSWORD = "correct-horse-battery"


class Cluster:
    """A Kubernetes with one major of helm, asked by kubectl and helm themselves."""

    def __init__(self, major: str, api: KubeServer | RealCluster, home: pathlib.Path):
        directory = tool_directory(major)
        self.settings = {
            "CAELUS_HELM": str(directory / "helm"),
            "CAELUS_KUBECTL": str(directory / "kubectl"),
            "HOME": str(home),
            "KUBECONFIG": api.kubeconfig(home / "kubeconfig"),
        }
        self.api = api

    def kubectl(self, *argv: str):
        return self._json("CAELUS_KUBECTL", *argv)

    def helm(self, *argv: str):
        return self._json("CAELUS_HELM", *argv)

    def delete(self, *argv: str) -> None:
        command = [self.settings["CAELUS_KUBECTL"], "delete", *argv]
        subprocess.run(command, env=os.environ | self.settings, check=True, timeout=120)

    def _json(self, program: str, *argv: str):
        command = [self.settings[program], *argv, "--output", "json"]
        env = os.environ | self.settings
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def image(self, uid: str) -> str:
        (deployment,) = self.kubectl("get", "deployments", "--namespace", uid)["items"]
        return deployment["spec"]["template"]["spec"]["containers"][0]["image"]

    def release_status(self, uid: str) -> str:
        return self.helm("status", uid, "--namespace", uid)["info"]["status"]


class Simulation(Cluster):
    """A simulated cluster, asked by the stand-ins for kubectl and helm."""

    def __init__(self, directory: pathlib.Path):
        self.settings = {"CAELUS_SIMULATE": "1"}
        self._tools = Tools(config.load(self.settings | {"CAELUS_DATA_DIR": str(directory)}))

    def kubectl(self, *argv: str):
        try:
            return json.loads(self._tools.kubectl(*argv, "--output", "json", timeout=60))
        except ToolError:
            return None

    def delete(self, *argv: str) -> None:
        self._tools.kubectl("delete", *argv, timeout=60)

    def release_status(self, uid: str) -> str:
        return releases.every(self._tools)[f"{uid}/{uid}"].status


REAL_TOOLS = [pytest.param(major, id=f"helm{major}") for major in HELM_MAJORS]


@pytest.fixture(params=[*REAL_TOOLS, "simulated"])
def cluster(request, tmp_path):
    if request.param == "simulated":
        yield Simulation(tmp_path / "data")
        return
    with kubernetes() as api:
        yield Cluster(request.param, api, tmp_path)


@pytest.fixture
def program(cluster, database_url, tmp_path):
    return Program(CAELUS_DATA_DIR=str(tmp_path / "data"), **cluster.settings)


def template(version: str, **values) -> dict:
    return {
        "chart_ref": str(CHART),
        "chart_version": version,
        "default_values_json": DEFAULTS | values,
        "values_schema_json": SCHEMA,
        "capabilities_json": {"bindings": BINDINGS},
        "health_timeout_sec": TIMEOUT,
    }


def publish(server) -> None:
    """User 1, product 1, and templates: 1 good, 2 good, 3 with a bad image, 4 good."""
    server.ask("POST", "/users", {"email": "ada@example.org"})
    server.ask("POST", "/products", {"name": "App"})
    for version, values in (("1", {}), ("2", {"replicas": 2}), ("3", {"image": "never:missing"})):
        status, _ = server.ask("POST", "/products/1/templates", template(version, **values))
        assert status == 201
    server.ask("POST", "/products/1/templates", template("4"))


def test_a_deployment_lives_from_create_to_delete_by_rest(cluster, program):
    with program.serve() as server:
        publish(server)
        status, deployment = server.ask(
            "POST",
            "/users/1/deployments",
            {
                "desired_template_id": 1,
                "domainname": "a.example.org",
                "user_values_json": {"replicas": 1, "password": PASSWORD},
            },
        )
        assert (status, deployment["status"]) == (201, "provisioning")
        uid, path = deployment["deployment_uid"], "/users/1/deployments/1"

        ready = server.wait_for(path, "ready", "error")
        assert ready["last_error"] is None
        assert ready["applied_template"]["id"] == 1
        assert cluster.release_status(uid) == "deployed"
        (ingress,) = cluster.kubectl("get", "ingresses", "--namespace", uid)["items"]
        assert ingress["spec"]["rules"][0]["host"] == "a.example.org"
        if not isinstance(cluster, Simulation):
            maps = cluster.kubectl("get", "configmaps", "--namespace", uid)["items"]
            assert "hello ada@example.org" in json.dumps(maps)
        (workload,) = cluster.kubectl("get", "deployments", "--namespace", uid)["items"]
        assert workload["status"]["readyReplicas"] == 1
        labels = cluster.kubectl("get", "namespace", uid)["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "caelus"

        server.ask("PUT", path, {"desired_template_id": 2})
        assert server.wait_for(path, "ready", "error")["applied_template_id"] == 2

        server.ask("PUT", path, {"desired_template_id": 3})
        failed = server.wait_for(path, "ready", "error")
        assert failed["status"] == "error"
        assert "image never:missing can't be pulled" in failed["last_error"]
        assert failed["cause"]["code"] == "image_pull"
        assert failed["cause"]["hint"]
        assert failed["applied_template_id"] == 2
        assert "busybox" in cluster.image(uid), "it was not rolled back"
        _, events = server.ask("GET", f"{path}/events")
        assert [event["type"] for event in events[:2]] == ["failed", "rolled_back"]
        assert PASSWORD not in failed["last_error"]
        _, waiting = server.ask("GET", "/jobs?status=queued")
        assert [(job["deployment_id"], job["attempt"]) for job in waiting] == [(1, 1)]

        status, healing = server.ask("PUT", path, {"desired_template_id": 4})
        assert (status, healing["last_error"]) == (200, None)
        assert server.wait_for(path, "ready", "error")["applied_template_id"] == 4
        assert "busybox" in cluster.image(uid)

        assert server.ask("DELETE", path)[0] == 204
        assert server.wait_for(path, "deleted", "error")["status"] == "deleted"
        assert cluster.kubectl("get", "namespace", uid) is None
        again = {"desired_template_id": 1, "domainname": "a.example.org"}
        assert server.ask("POST", "/users/1/deployments", again)[0] == 201
        again = server.wait_for("/users/1/deployments/2", "ready", "error")
        assert again["status"] == "ready"
        server.ask("DELETE", "/users/1/deployments/2")
        server.wait_for("/users/1/deployments/2", "deleted")
    assert PASSWORD not in "\n".join(server.log)
    assert "Traceback" not in "\n".join(server.log)


def test_a_deployment_lives_from_create_to_delete_by_cli(cluster, program, tmp_path):
    caelus = program.yaml
    caelus("create-user", "ada@example.org")
    caelus("create-product", "App")
    for version, values in (("1", {}), ("2", {"image": "never:missing"}), ("3", {})):
        fields = template(version, **values)
        (tmp_path / "defaults.yaml").write_text(json.dumps(fields["default_values_json"]))
        caelus(
            "create-template",
            "--product-id=1",
            f"--chart-ref={CHART}",
            f"--chart-version={version}",
            f"--health-timeout-sec={TIMEOUT}",
            f"--default-values-file={tmp_path / 'defaults.yaml'}",
            f"--capabilities-json={json.dumps(fields['capabilities_json'])}",
            f"--values-schema-json={json.dumps(SCHEMA)}",
        )
    mine = ("--user-id=1", "--desired-template-id=1", "--domainname=a.example.org")
    uid = caelus("create-deployment", *mine)["deployment_uid"]
    (outcome,) = caelus("reconcile")
    assert outcome["status"] == "ready"
    assert caelus("reconcile") == []
    assert caelus("get-deployment", "1", "1")["applied_template_id"] == 1

    caelus("update-deployment", "--user-id=1", "--deployment-id=1", "--desired-template-id=2")
    failed = program.run("reconcile", "1")
    assert failed.returncode == 1
    assert "image never:missing can't be pulled" in yaml.safe_load(failed.stdout)["last_error"]
    assert caelus("get-deployment", "1", "1")["status"] == "error"

    caelus("update-deployment", "--user-id=1", "--deployment-id=1", "--desired-template-id=3")
    assert caelus("reconcile", "1")["applied_template_id"] == 3
    assert cluster.release_status(uid) == "deployed"

    caelus("delete-deployment", "1", "1")
    (outcome,) = caelus("reconcile")
    assert outcome["status"] == "deleted"
    assert cluster.kubectl("get", "namespace", uid) is None
    assert caelus("list-all-deployments") == []
    assert caelus("reconcile", "1")["status"] == "deleted"


def test_what_is_already_gone_can_be_deleted(cluster, program):
    with program.serve() as server:
        publish(server)
        body = {"desired_template_id": 1, "domainname": "a.example.org"}
        _, deployment = server.ask("POST", "/users/1/deployments", body)
        path = "/users/1/deployments/1"
        server.wait_for(path, "ready")
        cluster.delete("namespace", deployment["deployment_uid"])
        server.ask("DELETE", path)
        assert server.wait_for(path, "deleted", "error")["status"] == "deleted"


@pytest.mark.parametrize("cluster", REAL_TOOLS, indirect=True)
def test_a_refusing_cluster_is_named_and_a_retry_heals(cluster, program):
    cluster.api.intercept = lambda method, path, query: (
        ApiError(403, "Forbidden", "namespaces is forbidden: no right to patch")
        if "/namespaces/" in path and method == "PATCH"
        else None
    )
    with program.serve() as server:
        publish(server)
        body = {"desired_template_id": 1, "domainname": "a.example.org"}
        server.ask("POST", "/users/1/deployments", body)
        path = "/users/1/deployments/1"
        failed = server.wait_for(path, "ready", "error")
        assert failed["status"] == "error"
        assert "is forbidden: no right to patch" in failed["last_error"]
        assert failed["cause"]["code"] == "admission_denied"
        cluster.api.intercept = None
        status, retried = server.ask("POST", f"{path}/retry")
        assert (status, retried["status"]) == (202, "provisioning")
        assert server.wait_for(path, "ready", "error")["status"] == "ready"
