"""`resources` and `logs`, by real kubectl; what is redacted, what is bounded, and `--follow`."""

import contextlib
import datetime
import os
import signal
import subprocess
import threading
import time

import pytest
import yaml

from caelus import config, database, following, glances, kubectl, podlogs
from caelus.cli import main
from caelus.errors import CaelusError, ClusterUnavailable, NotFound
from caelus.models import Deployment
from caelus.operations import BY_COMMAND
from caelus.process import ToolError, Tools
from tests import admin
from tests.kube import ApiError, KubeServer
from tests.program import Program, wait_until
from tests.tools import HELM_MAJORS, tool_directory

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SECRET, NAMED = "marked-as-secret", 'named "pass\nword'
TEMPLATE = {
    "chart_ref": "oci://registry.example.org/notes",
    "chart_version": "2.0.0",
    "default_values_json": {"db": {"password": NAMED}, "size": 12345},
    "values_schema_json": {
        "properties": {
            "user": {"properties": {"key": {"type": "string", "writeOnly": True}}},
            "made": {"type": "string", "writeOnly": True, "generate": {"length": 20}},
        }
    },
}
POD = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "app", "image": "x"}]}}


class Scene:
    """Deployment 1 of user 1, and what kubectl makes in its namespace."""

    def __init__(self, shop, kube, env):
        self.kube = kube
        self._env = env
        assert shop("create-template", product_id=1, **TEMPLATE).ok
        new = {"desired_template_id": 3, "domainname": "a.b", "user_values_json": {"key": SECRET}}
        self.uid = shop("create-deployment", user_id=1, **new).document["deployment_uid"]
        self.ask = lambda command, **more: shop(command, user_id=1, deployment_id=1, **more)
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.uid}}, "")

    def apply(self, obj: dict, namespace: str | None = None) -> None:
        where = f"--namespace={self.uid if namespace is None else namespace}"
        self.kubectl("apply", where, "--filename=-", stdin=yaml.safe_dump(obj))

    def kubectl(self, *argv: str, stdin: str = "") -> None:
        command = [os.environ["CAELUS_KUBECTL"], *argv]
        subprocess.run(command, input=stdin, text=True, env=self._env, check=True, timeout=60)

    def pod(self, name: str, *images: str, init: str | None = None) -> dict:
        """A pod with containers app, c1, c2 and so on."""
        names = ["app", *(f"c{n}" for n in range(1, len(images)))]
        spec = {"containers": [{"name": n, "image": i} for n, i in zip(names, images, strict=True)]}
        if init:
            spec["initContainers"] = [{"name": "init", "image": init}]
        self.apply(POD | {"metadata": {"name": name}, "spec": spec})
        return self.find("pods")[name]

    def find(self, plural: str) -> dict[str, dict]:
        found = self.kube.objects("v1", plural, self.uid)
        return {obj["metadata"]["name"]: obj for obj in found}

    def lines(self, **more) -> list[str]:
        document = self.ask("logs", **more).document
        return [f"{x['pod']} {x['container']} {x['line']}" for x in document["lines"]]


@pytest.fixture(params=HELM_MAJORS, ids="kubectl{}".format)
def scene(request, shop, tmp_path, monkeypatch):
    monkeypatch.setenv("CAELUS_KUBECTL", str(tool_directory(request.param) / "kubectl"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with KubeServer() as kube:
        monkeypatch.setenv("KUBECONFIG", kube.kubeconfig(tmp_path / "kubeconfig"))
        yield Scene(shop, kube, dict(os.environ))


one_kubectl = pytest.mark.parametrize("scene", HELM_MAJORS[-1:], indirect=True)


# Resources


def test_pods_are_told_with_why_they_are_not_ready(scene):
    scene.pod("runs", "x", "x")
    scene.pod("crashes", "x", "fail:1")
    scene.pod("lacks", "never:1")
    scene.pod("waits", "x", init="never:1")
    document = scene.ask("resources").document
    assert document["message"] is None
    assert (document["namespace"], document["status"]) == (scene.uid, "provisioning")
    told = {
        pod["name"]: (pod["phase"], pod["ready"], pod["restarts"], pod["reason"])
        for pod in document["pods"]
    }
    assert told == {
        "runs": ("Running", True, 0, None),
        "crashes": ("Running", False, 3, "CrashLoopBackOff"),
        "lacks": ("Pending", False, 0, "ImagePullBackOff"),
        "waits": ("Pending", False, 0, "ImagePullBackOff"),
    }
    (crashes,) = (pod for pod in document["pods"] if pod["name"] == "crashes")
    assert crashes["containers"][1] == {
        **{"name": "c1", "state": "waiting", "ready": False, "restarts": 3},
        **{"reason": "CrashLoopBackOff", "exit_code": 1},
    }
    created = datetime.datetime.fromisoformat(crashes["created_at"])
    assert abs(datetime.datetime.now(datetime.UTC) - created) < datetime.timedelta(minutes=2)


def test_claims_services_and_ingresses_are_told(scene):
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
    port = {"port": 80, "protocol": "TCP"}
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    rules = [{"host": "a.b", "http": {"paths": [path]}}]
    tls = [{"hosts": ["a.b"], "secretName": "a-tls"}]
    group, name = "networking.k8s.io/v1", {"name": "web"}
    for kind, version, spec in (
        ("PersistentVolumeClaim", "v1", claim),
        ("Service", "v1", {"ports": [port], "selector": {"a": "b"}}),
        ("Ingress", group, {"ingressClassName": "nginx", "rules": rules, "tls": tls}),
    ):
        scene.apply({"apiVersion": version, "kind": kind, "metadata": name, "spec": spec})
    document = scene.ask("resources").document
    for part in ("claims", "services", "ingresses"):
        (row,) = document[part]
        assert row.pop("created_at")
        assert row.pop("name") == "web"
    assert document["claims"] == [{"phase": "Bound", "size": "2Gi", "storage_class": "standard"}]
    assert document["services"][0]["ports"] == ["80/TCP"]
    ingress = document["ingresses"][0]
    assert (ingress["hosts"], ingress["tls"], ingress["ingress_class"]) == (
        ["a.b"],
        ["a.b"],
        "nginx",
    )
    assert document["message"] == "nothing of deployment 1 runs"


@one_kubectl
def test_a_deployment_whose_namespace_is_not_there_has_nothing(scene):
    scene.kubectl("delete", "namespace", scene.uid)
    resources, logs = scene.ask("resources").document, scene.ask("logs").document
    assert (resources["pods"], resources["message"]) == ([], "nothing of deployment 1 runs")
    assert logs["lines"] == []
    assert logs["message"] == "deployment 1 has printed nothing that was asked for"


@one_kubectl
def test_a_deleted_deployments_cluster_is_not_asked(scene, monkeypatch):
    Deployment.update(status="deleted").execute()
    monkeypatch.setenv("CAELUS_KUBECTL", "/absent")
    assert scene.ask("resources").document["pods"] == []
    assert scene.ask("logs").document["status"] == "deleted"


# Logs


def test_lines_of_all_containers_are_in_the_order_of_time(scene):
    a, b = scene.pod("a", "x", "x", init="x"), scene.pod("b", "x")
    scene.kube.print(a, "one", container="c1")
    scene.kube.print(b, "two  [pod/a/app] 2026-01-01T00:00:00Z \x85\u2028not a line\r")
    scene.kube.print(a, "three", "")
    assert scene.lines(tail=4) == [
        "a c1 one",
        "b app two  [pod/a/app] 2026-01-01T00:00:00Z \x85\u2028not a line\r",
        "a app three",
        "a app ",
    ]
    assert scene.lines(pod="b", tail=1)[0].startswith("b app two")
    assert "a init hello from a" in scene.lines()


@one_kubectl
def test_lines_of_one_moment_stay_in_their_order(scene):
    pod = scene.pod("a", "x")  # which prints a line of its own
    at = datetime.datetime.now(datetime.UTC)
    scene.kube.print(pod, "starting", "a fatal error", at=at)
    assert scene.lines()[-2:] == ["a app starting", "a app a fatal error"]


def test_since_leaves_out_what_was_told(scene):
    pod = scene.pod("a", "x")
    scene.kube.print(pod, "one")
    first = scene.ask("logs").document["lines"][-1]
    scene.kube.print(pod, "two")
    assert scene.lines(since=first["time"]) == ["a app two"]
    assert scene.lines(since="2999-01-01T00:00:00+01:00") == []


def test_the_log_before_the_last_restart(scene):
    scene.pod("a", "fail:1", "x")
    scene.kube.print(scene.find("pods")["a"], "not before")
    assert scene.lines(previous=True) == ["a app hello from a"]


def test_why_there_is_no_line_is_told(scene):
    scene.pod("a", "never:1")
    told = scene.ask("logs").document
    assert told["lines"] == []
    assert told["message"] == 'container "app" in pod "a" is waiting to start: ImagePullBackOff'
    assert scene.ask("logs", pod="b").document["message"] == "there is no pod b"


@one_kubectl
def test_a_time_without_a_zone_and_odd_names_are_refused(scene):
    for odd in (
        *({"since": "yesterday"}, {"since": "2026-01-01"}, {"since": "2026-13-01T00:00:00Z"}),
        *({"since": "9999-12-31T23:59:59-01:00"}, {"since": "0001-01-01T00:00:00+01:00"}),
        *({"pod": "--all-pods"}, {"pod": "a/b"}, {"pod": "a\n"}, {"tail": 0}, {"tail": 5001}),
    ):
        assert scene.ask("logs", **odd).code == 422


def test_secrets_are_masked_however_they_are_spelled(scene):
    made = scene.ask("reveal-secrets").document["secrets"]["/made"]
    pod = scene.pod("a", "x")
    for said in (
        *(f"key={SECRET};", f"made {made}", 'named \\"pass\\nword', "size 12345"),
        *("bWFya2VkLWFzLXNlY3JldA==", f"{SECRET}{made}", "marked-as-sec"),
    ):
        scene.kube.print(pod, said)
    assert scene.lines(tail=7) == [
        *("a app key=***;", "a app made ***", "a app ***", "a app size 12345"),
        *("a app ***", "a app ******", "a app marked-as-sec"),
    ]


@one_kubectl
def test_without_the_key_of_its_secrets_no_log_is_shown(scene):
    scene.kube.print(scene.pod("a", "x"), SECRET)
    (config.data_dir() / "secret.key").unlink()
    answer = scene.ask("logs")
    assert answer.code == 503
    assert "key" in answer.sentence
    assert scene.ask("resources").ok


@one_kubectl
def test_a_log_is_bounded_in_lines_and_bytes(scene, monkeypatch):
    a, b = scene.pod("a", "x"), scene.pod("b", "x")
    scene.kube.print(a, *(f"a{n}" for n in range(6000)))
    assert len(scene.lines()) == 100
    everything = scene.ask("logs", tail=5000).document
    assert (len(everything["lines"]), everything["truncated"]) == (5000, False)
    since = scene.ask("logs", tail=5000, since="2026-01-01T00:00:00Z").document
    assert since["truncated"]
    monkeypatch.setattr(podlogs, "MOST_BYTES", 1000)
    scene.kube.print(b, "x" * 600)
    cut = scene.ask("logs", tail=300).document
    assert cut["truncated"]
    assert cut["lines"][-1]["line"] == "x" * 600
    assert 0 < sum(len(line["line"]) for line in cut["lines"]) <= 1000


def test_of_a_log_that_was_cut_half_a_line_is_not_shown(settings, monkeypatch):
    monkeypatch.setattr(podlogs, "MOST_BYTES", 60)
    at = "2026-01-01T00:00:00.123456789+01:00"
    whole, half = f"[pod/a/app] {at} whole\n", f"[pod/a/app] {at} marked-as"
    following = f"[pod/b/app] {at} next\n"
    assert len(f"{at} whole\n{at} ma") >= 60
    lines, notes, is_cut = podlogs.parsed(f"{whole}{half}{following}{following}error: odd\n")
    assert [(line.pod, line.line) for line in lines] == [("a", "whole"), ("b", "next")]
    assert lines[0].time == datetime.datetime(2025, 12, 31, 23, 0, 0, 123456, datetime.UTC)
    assert (notes, is_cut) == (["odd"], True)
    notes = podlogs.parsed("[pod/a/app] unable to retrieve container logs\n")[1]
    assert notes == ["unable to retrieve container logs"]


# A cluster that can't be asked


@one_kubectl
def test_a_slow_cluster_is_not_waited_for_long_and_no_transaction_is_open(scene, monkeypatch):
    monkeypatch.setattr(kubectl, "LOOK_SECONDS", 2)
    released, seen = threading.Event(), []

    def intercept(method, path, query):
        seen.append(database.database.in_transaction())
        released.wait(20)

    scene.kube.intercept = intercept
    begun = time.monotonic()
    answer = scene.ask("logs")
    released.set()
    assert time.monotonic() - begun < 10
    assert (answer.code, seen[0]) == (503, False)
    assert answer.sentence == "the cluster has not answered within 2 s; try again"


@one_kubectl
def test_a_cluster_that_is_not_there_or_refuses_is_told(scene, tmp_path, monkeypatch):
    scene.kube.intercept = lambda method, path, query: (
        ApiError(403, "Forbidden", f"pods is forbidden, and {SECRET}") if "/pods" in path else None
    )
    for command in ("logs", "resources"):
        answer = scene.ask(command)
        assert answer.code == 503
        assert answer.sentence.startswith(f"cannot look into namespace {scene.uid}: ")
        assert answer.sentence.endswith("pods is forbidden, and ***")
    with KubeServer() as other:
        monkeypatch.setenv("KUBECONFIG", other.kubeconfig(tmp_path / "other"))
    answer = scene.ask("resources")
    assert (answer.code, "cannot reach the cluster" in answer.sentence) == (503, True)


@one_kubectl
def test_only_some_look_at_a_time(scene, monkeypatch):
    monkeypatch.setattr(glances, "PATIENCE_SECONDS", 0)
    row = Deployment.get()
    with contextlib.ExitStack() as stack:
        for _ in range(glances.MOST):
            stack.enter_context(glances.into(row))
        answer = scene.ask("resources")
        assert (answer.code, "others are looking" in answer.sentence) == (503, True)
    assert scene.ask("resources").ok


def test_kubectl_that_answers_oddly_is_told(settings, tmp_path, monkeypatch):
    for text in ("", "{}", "[]", "x"):
        program = tmp_path / "odd"
        program.write_text(f"#!/bin/sh\necho '{text}'\n")
        program.chmod(0o755)
        monkeypatch.setenv("CAELUS_KUBECTL", str(program))
        with pytest.raises(
            ToolError, match="cannot look into namespace x: kubectl's answer is odd"
        ):
            kubectl.resources(Tools(config.load()), "x")


# --follow


class Answers:
    """Answers as the operation does, one after the other; the last one says that it is deleted."""

    def __init__(self, *answers):
        self.answers, self.asked = [*answers, answer(status="deleted")], []

    def __call__(self, operation, arguments):
        assert operation.command == "logs"
        self.asked.append(arguments)
        given = self.answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given


def answer(*lines, **more):
    known = {"status": "ready", "message": None, "truncated": False}
    shown = [
        {"time": f"2026-01-01T00:00:{at:09.6f}Z", "pod": pod, "container": "app", "line": text}
        for at, pod, text in lines
    ]
    return known | {"lines": shown} | more


@pytest.fixture
def follow(monkeypatch, capsys):
    """follow(*answers) gives what was printed, and what was asked for."""
    monkeypatch.setattr(following, "POLL_SECONDS", 0)

    def run(*answers, **arguments):
        ask = Answers(*answers)
        ids = {"user_id": "1", "deployment_id": "1"}
        assert following.follow(ask, BY_COMMAND["logs"], ids | arguments) == 0
        return capsys.readouterr().out.splitlines(), [
            {name: value for name, value in asked.items() if name not in ids} for asked in ask.asked
        ]

    return run


def test_following_prints_each_line_once(settings, follow):
    one, two, late = (30, "a", "one"), (31, "a", "two"), (30.5, "b", "late")
    printed, asked = follow(
        *(answer(), answer(one), answer(one, two), answer(one, late, two), answer(two)), tail=3
    )
    assert printed == ["a app | one", "a app | two", "b app | late"]
    assert asked[0] == {"tail": 3}
    assert asked[1] == {"tail": 5000}
    assert asked[3] == {"tail": 5000, "since": "2026-01-01T00:00:21.000000Z"}


def test_following_shows_nothing_from_before_what_was_asked_for(settings, follow):
    printed, _ = follow(
        answer((30, "a", "one")), answer((29, "a", "zero"), (30, "a", "one")), tail=1
    )
    assert printed == ["a app | one"]


def test_what_is_followed_does_not_drive_the_terminal(settings, follow):
    printed, _ = follow(answer((1, "a", "\x1b[31mred\x1b[0m\tx\x1b]0;title\x07\r")))
    assert printed == ["a app | red     x\\x1b]0;title\\x07\\x0d"]


def test_following_outlasts_a_cluster_that_is_away_for_a_while(settings, follow, monkeypatch):
    away = ClusterUnavailable("away")
    printed, _ = follow(answer(), away, away, answer((1, "a", "one")))
    assert printed == ["a app | one"]
    with pytest.raises(CaelusError, match="away"):
        follow(away)
    monkeypatch.setattr(following, "DEAF_SECONDS", -1)
    with pytest.raises(CaelusError, match="away"):
        follow(answer(), away)
    with pytest.raises(NotFound):
        follow(answer(), NotFound("deployment 1 not found"))


@one_kubectl
@pytest.mark.parametrize("is_remote", [False, True], ids=["local", "remote"])
def test_following_ends_by_ctrl_c(scene, is_remote, tmp_path):
    """And first it waits for a pod that there is not yet."""
    program = Program(CAELUS_TOKEN=admin.TOKEN, CAELUS_LOG_LEVEL="INFO")
    with contextlib.ExitStack() as stack:
        options = []
        if is_remote:
            options.append(f"--server={stack.enter_context(program.serve('--workers=0')).url}")
        child = stack.enter_context(
            subprocess.Popen(
                [*program.command, *options, "logs", "1", "1", "--pod=late", "--follow"],
                env=program.env,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        while "there is no pod late" not in child.stderr.readline():
            assert child.poll() is None
        pod = scene.pod("late", "x")
        assert child.stdout.readline() == "late app | hello from late\n"
        scene.kube.print(pod, f"it is {SECRET}")
        assert child.stdout.readline() == "late app | it is ***\n"
        child.send_signal(signal.SIGINT)
        wait_until(lambda: child.poll() is not None)
        assert child.returncode == 130
        assert "Traceback" not in child.stderr.read()


def test_following_what_was_before_makes_no_sense(settings, capsys):
    assert main(["logs", "1", "1", "--previous", "--follow"]) == 2
    assert main(["logs", "1", "1", "--follow"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "deployment 1 not found"
