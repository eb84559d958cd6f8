"""The cause of what really goes wrong with helm 3, helm 4 and kubectl on the tests' cluster."""

import contextlib
import json
import os
import pathlib
import socket

import pytest

from caelus import causes, config, helm
from caelus.errors import Cancelled, ReconcileError
from caelus.helm import Chart
from caelus.process import ToolError, Tools
from tests.kube import ApiError, kubernetes
from tests.program import wait_until
from tests.test_helm import fenced

APP = str(pathlib.Path(__file__).with_name("charts") / "app")
NAME = f"hello-{os.urandom(3).hex()}"  # tests at the same time may share a cluster
WRITES = ("POST", "PUT", "PATCH")
NO_HOOK = {"hook": {"enabled": False}}


@pytest.fixture
def kube():
    with kubernetes() as server:
        yield server


@pytest.fixture
def tools(programs, kube, tmp_path, monkeypatch):
    """Real programs, in front of the tests' cluster."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", kube.kubeconfig(tmp_path / "kubeconfig"))
    for name in ("helm", "kubectl"):
        monkeypatch.setenv(f"CAELUS_{name.upper()}", str(programs / name))
    return Tools(config.load())


@pytest.fixture
def closed_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]  # bound, but nobody listens


def apply(tools, values=None, ref=APP, seconds=20):
    """What a reconcile does; every part of it can fail."""
    fenced(tools, NAME)
    helm.upgrade(tools, NAME, Chart(ref, "1.0.0"), values or {}, seconds)


def cause(tools, *arguments, **options):
    """The cause of the failure that `apply` ends with."""
    with pytest.raises(ReconcileError) as caught:
        apply(tools, *arguments, **options)
    return causes.find(tools, NAME, caught.value)


def refuse(kube, plural, code, reason, message):
    """Let the API refuse every write of this kind."""

    def intercept(method, path, query):
        refused = method in WRITES and f"/{plural}" in path
        return ApiError(code, reason, message) if refused else None

    kube.intercept = intercept


def test_an_image_that_cannot_be_pulled(tools):
    found = cause(tools, {"image": "docker.io/never:1", **NO_HOOK}, seconds=2)
    assert found.code == "image_pull"
    assert found.object.startswith(f"Pod {NAME}-")
    assert "image docker.io/never:1 can't be pulled (not found)" in found.message


def test_a_container_that_crashes_with_what_it_said_last(tools, kube):
    found = cause(tools, {"image": "fail:1", **NO_HOOK}, seconds=2)
    assert found.code == "crash_loop"
    assert found.message.startswith(f"{found.object}: container app exited with code 1: hello from")
    asked = [path for method, path in kube.requests if method == "GET"]
    assert len([path for path in asked if path.endswith("/log")]) == 1


def test_the_evidence_is_got_without_a_look_at_secrets(tools, kube):
    fenced(tools, NAME)
    kube.requests.clear()
    assert causes.gather(tools, NAME) == ([], "")
    paths = [path for _, path in kube.requests]
    assert any(path.endswith("/events") for path in paths)
    assert not any(path.endswith(("/secrets", "/configmaps")) for path in paths)


def test_a_hook_that_fails(tools):
    found = cause(tools, {"hook": {"image": "fail:1"}})
    assert (found.code, found.object) == ("hook_failed", f"Job {NAME}-hook")
    assert "container hook exited with code 1: hello from" in found.message


def test_values_that_the_charts_schema_refuses(tools, kube):
    fenced(tools, NAME)
    kube.requests.clear()
    found = cause(tools, {"replicas": "HUNTER2"})
    assert (found.code, found.object) == ("values_rejected", "/replicas")
    assert "string" in found.message and "integer" in found.message
    assert "HUNTER2" not in str(found)
    assert not any(path.endswith("/pods") for _, path in kube.requests), "there is no need to ask"


def test_a_chart_that_is_not_there(tools):
    found = cause(tools, ref="/nonexistent/chart")
    assert (found.code, found.object) == ("chart_not_found", "chart /nonexistent/chart")


def test_a_repository_that_does_not_answer(tools, closed_port):
    found = cause(tools, ref=f"https://127.0.0.1:{closed_port}/charts/hello")
    assert (found.code, found.heals) == ("chart_not_found", True)
    assert f"127.0.0.1:{closed_port}" in found.message


def test_a_cluster_that_does_not_answer(tools, kube, closed_port, tmp_path):
    pathlib.Path(tools.config.kubeconfig).write_text(
        (tmp_path / "kubeconfig").read_text().replace(kube.url, f"http://127.0.0.1:{closed_port}")
    )
    with pytest.raises(ReconcileError) as caught:
        helm.upgrade(tools, NAME, Chart(APP, "1.0.0"), {}, 20)
    for found in (causes.find(tools, NAME, caught.value), cause(tools)):
        assert (found.code, found.object) == (
            "cluster_unreachable",
            f"cluster 127.0.0.1:{closed_port}",
        )
        assert "connection refused" in found.message


@pytest.mark.parametrize("kubectl_fails", [True, False])
def test_a_cluster_that_goes_away_while_helm_waits(tools, kube, closed_port, kubectl_fails):
    """Helm says then that it has waited long enough, if anything; kubectl finds nobody."""
    waited = ToolError("chart x did not become healthy within 4 s (timed out waiting)")
    if kubectl_fails:
        path = pathlib.Path(tools.config.kubeconfig)
        path.write_text(path.read_text().replace(kube.url, f"http://127.0.0.1:{closed_port}"))
    wanted = "cluster_unreachable" if kubectl_fails else "timeout"
    assert causes.find(tools, NAME, waited).code == wanted


def test_a_webhook_that_denies(tools, kube):
    denial = 'admission webhook "v.example.org" denied the request: no web servers'
    refuse(kube, "deployments", 403, "Forbidden", denial)
    found = cause(tools)
    assert found.code == "admission_denied"
    assert found.message.endswith("is denied by admission webhook v.example.org: no web servers")


def test_a_quota_that_is_used_up(tools, kube):
    quota = f'deployments.apps "{NAME}" is forbidden: exceeded quota: small, limited: count=0'
    refuse(kube, "deployments", 403, "Forbidden", quota)
    found = cause(tools)
    assert (found.code, found.object) == ("quota_exceeded", f"Deployment {NAME}")
    assert "the quota small, limited: count=0" in found.message


@pytest.mark.parametrize(
    ("code", "reason", "message", "expected"),
    [
        (
            422,
            "Invalid",
            f'Deployment.apps "{NAME}" is invalid: spec.selector: Invalid value: "x": '
            "field is immutable",
            "immutable_field",
        ),
        (
            409,
            "Conflict",
            'Apply failed with 1 conflict: conflict with "kubectl-edit" using apps/v1: .spec.x',
            "apply_conflict",
        ),
    ],
    ids=["immutable", "conflict"],
)
def test_an_upgrade_that_the_cluster_refuses(tools, kube, code, reason, message, expected):
    apply(tools, NO_HOOK)
    refuse(kube, "deployments", code, reason, message)
    found = cause(tools, {"message": "new", **NO_HOOK})
    assert (found.code, found.object) == (expected, f"Deployment {NAME}")
    assert ".spec.x" in found.message or "spec.selector" in found.message


def test_an_object_of_somebody_else(tools):
    fenced(tools, NAME)
    tools.kubectl("create", "configmap", NAME, "--namespace", NAME, timeout=20)
    found = cause(tools)
    assert (found.code, found.object) == ("apply_conflict", f"ConfigMap {NAME}")


def test_a_namespace_that_does_not_go_away(tools):
    fenced(tools, NAME)
    tools.kubectl("create", "configmap", "held", "--namespace", NAME, timeout=20)
    with held(tools, "example.org/slow-disk"):
        tools.kubectl("delete", "namespace", NAME, "--wait=false", timeout=20)

        def told():
            found = cause(tools)
            assert (found.code, found.object) == ("namespace_terminating", f"Namespace {NAME}")
            return "example.org/slow-disk in 1 resource" in found.message

        wait_until(told)


@contextlib.contextmanager
def held(tools, finalizer: str):
    """Meanwhile the config map `held`, and so its namespace, does not go."""

    def keep(*finalizers: str) -> None:
        patch = json.dumps({"metadata": {"finalizers": finalizers}})
        where = ("configmap", "held", "--namespace", NAME)
        tools.kubectl("patch", *where, "--type=merge", "--patch", patch, timeout=20)

    keep(finalizer)
    try:
        yield
    finally:
        keep()


@pytest.mark.parametrize("program", ["helm", "kubectl"])
def test_a_program_that_is_not_there(tools, program):
    lacking = tools.config._replace(**{program: f"/nonexistent/{program}"})
    found = cause(Tools(lacking))
    assert (found.code, found.object) == ("tool_missing", f"program /nonexistent/{program}")


def test_the_evidence_is_given_up_when_caelus_stops(tools):
    tools.cancel.set()
    with pytest.raises(Cancelled):
        causes.gather(tools, NAME)
