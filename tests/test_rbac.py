"""What Caelus needs in the cluster: with the printed account, and nothing more, all of it works."""

import contextlib
import datetime
import os
import re
import signal
import subprocess
import sys

import pytest
import yaml

from caelus import doctor, drift, rbac
from caelus.cli import main
from caelus.models import Deployment, Job, now
from caelus.process import Tools
from tests.drifting import RECORDING, REPLICAS, Scene, one_database, told
from tests.kube import REAL, ApiError, KubeServer
from tests.kube.access import Asked, granted_by
from tests.made_charts import LABELS, POD, make_chart, named, of_pods
from tests.program import ROOT, Program, wait_until
from tests.test_end_to_end import CHART, TIMEOUT, Cluster
from tests.tools import HELM_MAJORS, tool_directory

ONCE = POD | {"restartPolicy": "Never"}
ALL_PODS = {"selector": {"matchLabels": LABELS}}
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "{{ .Release.Name }}"}
ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "{{ .Release.Name }}"}
RULE = {"apiGroups": [""], "resources": ["pods", "configmaps"], "verbs": ["get", "list", "watch"]}
SHOWN = {
    "the default class standard deletes a volume's data with its claim, and so with its deployment",
    "nginx; none is the default, so charts' values must name it",
}
HTTP = [{"name": "http", "port": 80}]


def every_kind() -> list[dict]:
    """One object of each kind that a chart may hold."""
    job = of_pods("Job", ONCE, "batch/v1")
    del job["spec"]["selector"]
    hook = {"helm.sh/hook": "pre-install,pre-upgrade"}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    web = {"selector": LABELS, "ports": HTTP}
    found = [
        named("ServiceAccount"),
        named("ConfigMap", data={"a": "1"}),
        named("Secret", stringData={"a": "1"}),
        named("PersistentVolumeClaim", spec=claim),
        named("Pod", spec=POD),
        named("Service", spec=web),
        of_pods("Deployment", POD | {"containers": [IMAGE]}, replicas=1),
        of_pods("StatefulSet", replicas=1, serviceName="x"),
        of_pods("DaemonSet"),
        job | {"metadata": job["metadata"] | {"annotations": hook}},
        named("CronJob", "batch/v1", spec={"schedule": "@daily", "jobTemplate": {"spec": {}}}),
        named("HorizontalPodAutoscaler", "autoscaling/v2", spec={"scaleTargetRef": TARGET}),
        named("Ingress", "networking.k8s.io/v1", spec={"rules": []}),
        named("NetworkPolicy", "networking.k8s.io/v1", spec={"podSelector": {}}),
        named("PodDisruptionBudget", "policy/v1", spec=ALL_PODS),
        named("Role", "rbac.authorization.k8s.io/v1", rules=[RULE]),
        named("RoleBinding", "rbac.authorization.k8s.io/v1", roleRef=ROLE, subjects=[]),
    ]
    changing = {"version": "{{ .Values.version }}"}
    return [obj | {"metadata": obj["metadata"] | {"labels": changing}} for obj in found]


def ordinary_role() -> dict:
    """Rules that widely used charts have: for leader election, clustering, jobs on demand."""
    lead = ["get", "list", "watch", "create", "update", "patch", "delete"]
    rules = [
        ("", ["configmaps"], lead),
        ("", ["events"], ["create", "patch"]),
        ("", ["endpoints", "services"], ["get", "list", "watch"]),
        ("", ["pods", "persistentvolumeclaims"], [*lead, "deletecollection"]),
        ("", ["pods/log", "pods/status"], ["get", "list", "watch"]),
        ("", ["secrets"], ["get", "create", "update"]),
        ("batch", ["jobs"], lead),
        ("coordination.k8s.io", ["leases"], lead),
        ("discovery.k8s.io", ["endpointslices"], ["list", "watch"]),
        ("events.k8s.io", ["events"], ["create", "patch"]),
    ]
    spelled = [{"apiGroups": [g], "resources": r, "verbs": v} for g, r, v in rules]
    return named("Role", "rbac.authorization.k8s.io/v1", rules=spelled)


IMAGE = {"name": "app", "image": "{{ .Values.image }}"}


def account(directory, admin: str, major: str) -> str:
    """Do what `kube-rbac` says, as the admin whose kubeconfig is given; the one for Caelus."""
    shell = directory / "caelus"
    shell.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m caelus "$@"\n')
    shell.chmod(0o755)
    guide = [line for line in rbac.GUIDE.splitlines() if line.startswith("  ")]
    script = "\n".join(["set -e", *guide]).replace(" caelus serve", " kubectl get namespaces")
    path = f"{directory}:{tool_directory(major)}:{os.environ['PATH']}"
    env = os.environ | {"KUBECONFIG": admin, "HOME": str(directory), "PATH": path}
    done = subprocess.run(
        ["bash", "-c", script], env=env, cwd=directory, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return str(directory / "caelus.kubeconfig")


@contextlib.contextmanager
def cluster(directory, major: str, settings):
    """A cluster where Caelus has what `kube-rbac` prints, and tools for it."""
    directory.mkdir()
    with KubeServer(tls=True) as api:
        admin = api.kubeconfig(directory / "admin")
        kubeconfig = account(directory, admin, major)
        assert api.asked == {Asked("list", "", "namespaces")}
        api.asked.clear()
        # What is done by hand is done by the admin.
        scene = Scene(directory, RECORDING, major=major, KUBECONFIG=admin)
        programs = {"helm": scene.tools.config.helm, "kubectl": scene.tools.config.kubectl}
        scene.tools = Tools(settings._replace(**programs, kubeconfig=kubeconfig))
        scene.api = api
        yield scene


def printed() -> set[Asked]:
    """What Caelus may do by itself."""
    (role,) = (
        obj for obj in rbac.objects() if "rules" in obj and obj["metadata"]["name"] == "caelus"
    )
    return granted_by(role)


IMAGES = ("busybox", "busybox", "never:1", "fail:1", "busybox")  # of templates 1 to 5
ISOLATION = {"quota": {"pods": 9}, "limits": {"default": {"cpu": 1}}}  # of the first


def publish(rest, chart: str) -> None:
    """A product for each major of helm, with the same templates."""
    rest("create-user", email="ada@example.org")
    for product_id, major in enumerate(HELM_MAJORS, 1):
        rest("create-product", name=f"App {major}")
        for number, image in enumerate(IMAGES, 1):
            answer = rest(
                "create-template",
                product_id=product_id,
                chart_ref=chart,
                chart_version=str(number),
                default_values_json={"image": image, "version": f"v{number}"},
                capabilities_json={"isolation": ISOLATION if number == 1 else {}},
                health_timeout_sec=20 if image == "busybox" else 2,
            )
            assert answer.ok, answer.sentence


def live_through(rest, scene, product_id: int, chart: str) -> None:
    """All that can happen to a deployment."""
    first = len(IMAGES) * (product_id - 1)
    mine = {"user_id": 1, "deployment_id": product_id}
    domain = f"d{product_id}.example.org"
    answer = rest("create-deployment", user_id=1, desired_template_id=first + 1, domainname=domain)
    uid = answer.document["deployment_uid"]
    assert outcome(scene) == "ready"
    scene.api.intercept = older_server
    for number, expected in ((2, "ready"), (3, "image_pull"), (4, "crash_loop"), (5, "ready")):
        assert rest("update-deployment", **mine, desired_template_id=first + number).ok
        assert outcome(scene) == expected
        scene.api.intercept = None
    assert len(told("rolled_back")) == 2 * product_id
    look_for_drift(scene, product_id)
    lock(scene, product_id, chart)
    look_whether_all_is_well(scene)
    rest("update-deployment", **mine, domainname=f"x{domain}")
    assert outcome(scene) == "ready"
    assert len(told("unlocked")) == product_id
    assert rest("delete-deployment", **mine).ok
    with scene.api.hold_namespaces():
        assert outcome(scene) == "namespace_terminating"
    Job.update(run_after=now()).execute()
    assert outcome(scene) == "deleted"
    assert scene.api.objects("v1", "secrets", uid) == []


def older_server(method: str, path: str, query: dict) -> ApiError | None:
    """As before Kubernetes 1.32: clients list first, then watch."""
    if "sendInitialEvents" in query:
        message = "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless"
        return ApiError(422, "Invalid", f"{message} the WatchList feature gate is enabled")
    return None


def outcome(scene) -> str:
    """The status that a reconcile ends with, or the code of what went wrong."""
    deployment = scene.reconcile()
    if deployment.cause and deployment.cause["code"] in ("admission_denied", "internal"):
        return deployment.last_error
    return deployment.cause["code"] if deployment.cause else deployment.status


def look_for_drift(scene, deployment_id: int) -> None:
    deployment = Deployment.get_by_id(deployment_id)
    uid = deployment.deployment_uid
    assert drift.sweep(scene.tools) == 0
    assert drift.deep(scene.tools, deployment) is None
    scene.run("kubectl", "delete", "configmap", uid, "--namespace", uid)
    scene.run("kubectl", "patch", "deployment", uid, "--namespace", uid, "-p", REPLICAS)
    tomorrow = now() + datetime.timedelta(days=1)
    assert drift.compare_next(scene.tools, tomorrow) == 1
    assert outcome(scene) == "ready"


def look_whether_all_is_well(scene) -> None:
    found = {check.name: check for check in doctor.checks(scene.tools.config, scene.tools)}
    assert found["permissions"].status == "ok"
    assert found["locks"].status == "warning"
    assert {found[name].detail for name in ("storage", "ingress")} == SHOWN


def lock(scene, deployment_id: int, chart: str) -> None:
    """Leave the release as a helm of Caelus does that was killed."""
    deployment = Deployment.get_by_id(deployment_id)
    uid, began = deployment.deployment_uid, now()
    words = ("upgrade", uid, chart, "--namespace", uid, "--set", "image=never:1", "--wait")
    command = [scene.tools.config.helm, *words]
    child = subprocess.Popen(command, env=scene.env, start_new_session=True)
    wait_until(lambda: "pending-upgrade" in statuses(scene, uid))
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    left = {"acting_revision": deployment.applied_revision + 1, "acting_since": began}
    Deployment.update(acting_until=None, **left).where(Deployment.id == deployment_id).execute()


def statuses(scene, uid: str) -> set[str]:
    """Those of the release's revisions."""
    secrets = scene.api.objects("v1", "secrets", uid)
    return {secret["metadata"]["labels"].get("status") for secret in secrets}


@pytest.mark.slow
@one_database
def test_with_the_printed_account_all_works_and_nothing_in_it_is_too_much(
    rest, settings, tmp_path, monkeypatch
):
    chart = make_chart(tmp_path / "all", *every_kind())
    publish(rest, chart)
    asked = set()
    for product_id, major in enumerate(HELM_MAJORS, 1):
        with cluster(tmp_path / major, major, settings) as scene:
            monkeypatch.setenv("HOME", str(tmp_path / major))
            live_through(rest, scene, product_id, chart)
            asked |= scene.api.asked
    assert asked == printed()


@pytest.mark.parametrize("major", HELM_MAJORS)
def test_a_deployment_lives_in_its_fence_by_the_printed_account(major, tmp_path):
    """From outside; on a real cluster where CAELUS_TEST_KUBECONFIG names one."""
    with contextlib.ExitStack() as stack:
        admin = Cluster(major, stack.enter_context(KubeServer(tls=True)), tmp_path)
        if REAL:  # not by a relay: the account's token goes to the cluster itself
            admin.settings["KUBECONFIG"] = REAL
        kubeconfig = account(tmp_path, admin.settings["KUBECONFIG"], major)
        program = Program(
            **admin.settings | {"KUBECONFIG": kubeconfig},
            CAELUS_DATA_DIR=str(tmp_path / "data"),
            CAELUS_DRIFT_INTERVAL="2",
        )
        server = stack.enter_context(program.serve())
        privileged = make_chart(tmp_path / "node", of_pods("Deployment", PRIVILEGED))
        templates(server, privileged, make_chart(tmp_path / "role", ordinary_role()))
        uid, path = create(server, 1)
        assert server.wait_for(path, "ready", "error")["last_error"] is None
        server.ask("PUT", path, {"desired_template_id": 2})
        assert server.wait_for(path, "ready", "error")["applied_template_id"] == 2

        policy = ("networkpolicy", "caelus-fence", "--namespace", uid)
        was = admin.kubectl("get", *policy)["metadata"]["uid"]
        admin.delete(*policy)
        wait_until(lambda: "drift done" in messages(server, path), 120)
        assert admin.kubectl("get", *policy)["metadata"]["uid"] != was

        granting = create(server, 4)[1]
        assert server.wait_for(granting, "ready", "error")["last_error"] is None

        other, privileged = create(server, 3)
        refused = server.wait_for(privileged, "ready", "error")
        assert (refused["status"], refused["cause"]["code"]) == ("error", "admission_denied")
        assert refused["cause"]["object"].startswith(f"ReplicaSet {other}-")
        assert "privileged" in refused["last_error"]
        for one in (path, privileged, granting):
            server.ask("DELETE", one)
            assert server.wait_for(one, "deleted", "error")["status"] == "deleted"
        assert admin.kubectl("get", "namespace", uid) is None


PRIVILEGED = {
    "containers": [
        {
            "name": "app",
            "image": "docker.io/library/busybox:1.36",
            "securityContext": {"privileged": True},
        }
    ]
}


def templates(server, privileged: str, granting: str) -> None:
    """User 1, product 1, and templates: 1, 2 and 4 good, 3 with a pod that is not let in."""
    server.ask("POST", "/users", {"email": "ada@example.org"})
    server.ask("POST", "/products", {"name": "App"})
    for version, chart, values in (
        ("1", str(CHART), {}),
        ("2", str(CHART), {"replicas": 2}),
        ("3", privileged, {}),
        ("4", granting, {}),
    ):
        fields = {"chart_ref": chart, "chart_version": version, "default_values_json": values}
        fields["health_timeout_sec"] = TIMEOUT
        assert server.ask("POST", "/products/1/templates", fields)[0] == 201


def create(server, template_id: int) -> tuple[str, str]:
    """The uid and the path of a new deployment."""
    body = {"desired_template_id": template_id, "domainname": f"d{template_id}.example.org"}
    _, deployment = server.ask("POST", "/users/1/deployments", body)
    return deployment["deployment_uid"], f"/users/1/deployments/{deployment['id']}"


def messages(server, path: str) -> list[str]:
    return [event["message"] for event in server.ask("GET", f"{path}/events")[1]]


@pytest.fixture(params=HELM_MAJORS, ids=lambda major: f"helm{major}")
def scene(request, tmp_path, settings, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / request.param))
    with cluster(tmp_path / request.param, request.param, settings) as scene:
        yield scene


def deploy(rest, chart: str) -> None:
    rest("create-user", email="ada@example.org")
    rest("create-product", name="App")
    rest("create-template", product_id=1, chart_ref=chart, chart_version="1")
    domain = "a.example.org"
    assert rest("create-deployment", user_id=1, desired_template_id=1, domainname=domain).ok


@one_database
def test_without_its_role_caelus_is_told_what_it_may_not_do(rest, scene, tmp_path):
    scene.run("kubectl", "delete", "clusterrolebinding", "caelus")
    deploy(rest, make_chart(tmp_path / "app", of_pods("Deployment", replicas=1)))
    refusal = outcome(scene)
    assert 'User "system:serviceaccount:caelus:caelus" cannot' in refusal
    assert 'resource "namespaces"' in refusal


@one_database
def test_a_chart_cannot_give_its_pods_more_than_caelus_has(rest, scene, tmp_path):
    more = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}
    role = named("Role", "rbac.authorization.k8s.io/v1", rules=[more])
    deploy(rest, make_chart(tmp_path / "app", role))
    refusal = outcome(scene)
    rule = '{APIGroups:[""], Resources:["nodes"], Verbs:["list"]}'
    assert refusal.endswith(f"grants what Caelus itself may not do: {rule}")
    deployment = Deployment.get()
    assert deployment.cause["code"] == "admission_denied"
    assert deployment.cause["object"] == f"Role {deployment.deployment_uid}"


@one_database
@pytest.mark.parametrize("scene", ["4"], indirect=True)
def test_a_chart_can_give_its_pods_what_ordinary_charts_do(rest, scene, tmp_path):
    deploy(rest, make_chart(tmp_path / "app", ordinary_role()))
    assert outcome(scene) == "ready"


@one_database
@pytest.mark.parametrize("scene", ["4"], indirect=True)
def test_what_a_role_grants_beyond_that_is_given_to_caelus_as_the_guide_says(rest, scene, tmp_path):
    text = (ROOT / "docs" / "isolation.md").read_text()
    (example,) = [
        part for part in re.findall("```yaml\n(.*?)```", text, re.DOTALL) if "exec" in part
    ]
    (tmp_path / "more.yaml").write_text(example)
    more = {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]}
    role = named("Role", "rbac.authorization.k8s.io/v1", rules=[more])
    deploy(rest, make_chart(tmp_path / "app", role))
    assert "grants what Caelus itself may not do" in outcome(scene)
    scene.run("kubectl", "apply", "--filename", str(tmp_path / "more.yaml"))
    Job.update(run_after=now()).execute()
    assert outcome(scene) == "ready"


def test_what_charts_can_give_is_nothing_of_the_clusters():
    handed_on = {asked for obj in rbac.objects() if "rules" in obj for asked in granted_by(obj)}
    assert {one.verb for one in handed_on} & {"*", "bind", "escalate", "impersonate"} == set()
    own = {one for one in handed_on if one.group == "rbac.authorization.k8s.io"}
    assert own <= printed()
    assert {one.resource for one in handed_on - printed()} & {"namespaces", "nodes", "*"} == set()


def test_what_is_printed_is_comments_and_yaml(settings, capsys):
    assert main(["kube-rbac"]) == 0
    comments, *documents = capsys.readouterr().out.split("---\n")
    assert all(line.startswith("#") for line in comments.splitlines())
    assert [yaml.safe_load(text) for text in documents] == rbac.objects()
