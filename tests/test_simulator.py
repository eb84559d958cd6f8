"""The simulated cluster: all that Caelus asks is answered, and as real tools would."""

import datetime
import json
import logging
import os
import re
import signal
import stat
import subprocess
import sys
import threading

import pytest

from caelus import (
    causes,
    charts,
    cluster_checks,
    config,
    demo,
    fence,
    helm,
    kubectl,
    manifests,
    releases,
    sightings,
    simulated_cluster,
    simulated_pods,
    simulator,
    tool_checks,
)
from caelus.charts import Chart
from caelus.errors import Cancelled
from caelus.process import ToolError, Tools, ToolTimeout
from caelus.simulated_cluster import changing, reading
from tests.program import Program, wait_until

UID = "notes-ada-x1y2z3"
CHART = Chart("oci://registry.example.org/notes", "1.0.0")
CANARY = "canary-of-the-simulation"


@pytest.fixture
def tools(monkeypatch):
    monkeypatch.setenv("CAELUS_SIMULATE", "1")
    return Tools(config.load())


def install(tools: Tools, uid: str = UID, timeout: int = 10, **values) -> int | None:
    """The revision of a release in a namespace with its fence."""
    kubectl.apply_fence(tools, uid, fence.objects(uid, None, tools.config), [])
    return helm.upgrade(tools, uid, CHART, values, timeout)


def items(tools: Tools, *arguments: str) -> list[dict]:
    text = tools.kubectl("get", *arguments, "--output", "json", timeout=10)
    return json.loads(text)["items"]


def cause(tools: Tools, **values) -> causes.Cause:
    with pytest.raises(ToolError) as caught:
        install(tools, timeout=2, **values)
    return causes.find(tools, UID, caught.value)


# Everything that is asked


def everything(tools: Tools) -> None:
    """Each call that Caelus can make, by what makes it."""
    install(tools)
    install(tools, image="notes:2", ingress={"hosts": [{"host": "a.example.org"}]})
    assert causes.gather(tools, UID)[1] == ""
    assert releases.is_server_side(tools, UID)
    assert sightings.of(UID).values == {}
    assert manifests.difference(tools, UID) is None
    with changing(tools.config.simulated_cluster) as cluster:
        demo.scale_down(cluster, UID)
    assert manifests.difference(tools, UID) == f"Deployment {UID} differs at spec.replicas"
    releases.rollback(tools, UID, 1, 10)
    assert cause(tools, image="notes:crash").code == "crash_loop"
    releases.unlock(tools, UID, releases.stored(tools, UID, 3))
    assert [(r.number, r.status) for r in releases.history(tools, UID)] == [
        *((1, "superseded"), (2, "superseded"), (3, "failed"), (4, "failed"))
    ]
    assert releases.every(tools)[f"{UID}/{UID}"].revision == 4
    kubectl.apply_fence(tools, UID, fence.objects(UID, None, tools.config), ["limitranges/x"])
    assert len(kubectl.fences(tools)[UID]) == 2
    assert {check.status for check in tool_checks.look(tools)} == {"ok"}
    found = {check.name: check.status for check in cluster_checks.look(tools)}
    assert {name for name, status in found.items() if status != "ok"} == {"storage"}
    assert charts.resolve(tools, CHART).name == "notes"
    assert charts.resolve(tools, Chart("https://charts.example.org/app", "2")).version == "2"
    helm.uninstall(tools, UID, 10)
    with pytest.raises(ToolError, match="still terminating") as caught:
        kubectl.delete_namespace(tools, UID, 0)
    assert causes.find(tools, UID, caught.value).code == "namespace_terminating"
    kubectl.delete_namespace(tools, UID, 10)
    assert kubectl.fences(tools) == {}


def test_each_kind_of_call_that_caelus_makes_is_answered(tools, caplog):
    caplog.set_level(logging.INFO, "caelus.process")
    everything(tools)
    said = [r.message for r in caplog.records]
    asked = {re.match(r"simulated (helm (?:get )?[a-z]+|kubectl [a-z]+)", text)[1] for text in said}
    assert asked == {f"{p} {name}" for p, known in simulator.PROGRAMS.items() for name in known}
    assert [text for text in said if "unknown" in text] == []


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        ("helm template x", 'unknown command "template x" for the simulated helm'),
        ("helm upgrade x y --atomic", "unknown flag --atomic"),
        ("helm list --install", "unknown flag --install for the simulated helm list"),
        ("helm get hooks x", '"get hooks"'),
        ("helm upgrade x", "takes no such arguments: x"),
        ("helm -f", '"-f"'),
        ("kubectl exec x", '"exec x" for the simulated kubectl'),
        ("kubectl get widgets --output json", 'resource type "widgets"'),
        ("kubectl get pods --output yaml", "--output json or name"),
        ("kubectl get pods --watch", "unknown flag --watch"),
        ("kubectl get pods --output", "unknown flag --output"),
        ("kubectl get pods --field-selector=a=b --output=json", "no field a"),
        ("kubectl logs a b", "takes no such arguments: a b"),
    ],
)
def test_what_caelus_never_asks_is_an_error_that_names_it(tools, argv, named):
    install(tools)
    program, *rest = argv.split()
    with pytest.raises(ToolError) as caught:
        getattr(tools, program)(*rest, timeout=10)
    assert caught.value.output.lower().startswith("error: ")
    assert named in caught.value.output


# As a real cluster would


@pytest.mark.parametrize(
    ("values", "code", "told"),
    [
        ({"image": {"repository": "notes", "tag": "missing"}}, "image_pull", "notes:missing can't"),
        ({"host": "crash.example.org"}, "crash_loop", "exited with code 1: fatal: the key"),
        ({"host": "unschedulable.example.org"}, "unschedulable", "Insufficient memory"),
        ({"host": "slow.example.org"}, "probe_failing", "readiness probe fails"),
    ],
)
def test_a_word_in_the_values_makes_an_app_fail_with_its_cause(tools, values, code, told):
    found = cause(tools, **values)
    assert (found.code, found.object.partition(" ")[0]) == (code, "Pod")
    assert told in found.message


def test_text_of_several_words_asks_for_nothing(tools):
    assert install(tools, title="a slow crash") == 1


def test_a_failed_upgrade_leaves_the_pods_that_there_were(tools):
    install(tools)
    (before,) = items(tools, "pods", "--namespace", UID)
    assert cause(tools, image="notes:missing").code == "image_pull"
    pods = items(tools, "pods", "--namespace", UID)
    assert before["metadata"]["name"] in [pod["metadata"]["name"] for pod in pods]
    assert sorted(map(simulated_pods.is_ready, pods)) == [False, True]
    releases.rollback(tools, UID, 1, 10)
    assert [p["metadata"]["name"] for p in items(tools, "pods", "--namespace", UID)] == [
        before["metadata"]["name"]
    ]


def test_what_is_slow_becomes_ready_all_the_same(tools):
    with pytest.raises(ToolError):
        install(tools, timeout=1, host="slow.example.org")
    with reading(tools.config.simulated_cluster) as cluster:
        assert simulated_pods.unready(cluster, UID)
        cluster.at += datetime.timedelta(seconds=simulated_pods.SLOW_SECONDS + 1)
        assert simulated_pods.unready(cluster, UID) is None


def test_a_stuck_namespace_says_what_holds_it(tools):
    install(tools, host="stuck.example.org")
    helm.uninstall(tools, UID, 10)
    with pytest.raises(ToolError, match="still terminating") as caught:
        kubectl.delete_namespace(tools, UID, 3)
    found = causes.find(tools, UID, caught.value)
    assert found.code == "namespace_terminating"
    assert "finalizers remaining: simulator/stuck" in found.message
    with pytest.raises(ToolError) as caught:
        install(tools)
    assert causes.find(tools, UID, caught.value).code == "namespace_terminating"


def test_a_lock_is_respected(tools):
    """And not taken away by who has not seen what the release is by now."""
    install(tools)
    secret = releases.stored(tools, UID, 1)
    first = threading.Thread(target=lambda: cause(tools, host="slow.example.org"))
    first.start()
    wait_until(lambda: releases.every(tools)[f"{UID}/{UID}"].status == "pending-upgrade")
    with pytest.raises(ToolError) as caught:
        install(tools)
    first.join()
    assert "another operation (install/upgrade/rollback) is in progress" in caught.value.output
    install(tools)
    with pytest.raises(ToolError, match="the object has been modified"):
        releases.unlock(tools, UID, secret)


def test_a_stopped_helm_marks_its_release_failed(tools):
    threading.Timer(0.5, tools.cancel.set).start()
    with pytest.raises(Cancelled):
        install(tools, timeout=30, host="slow.example.org")
    again = Tools(tools.config)
    assert [r.status for r in releases.history(again, UID)] == ["failed"]
    with pytest.raises(ToolTimeout, match="helm took longer than 1 s"):
        again.helm(
            *("upgrade", "--install", UID, "x", "--namespace", UID, "--timeout", "60s"),
            stdin='{"host": "slow.example.org"}',
            timeout=1,
        )


# What else reads the cluster: logs and resources


def test_logs_have_times_that_grow(tools):
    install(tools, replicas=2)
    (pod, _) = items(tools, "pods", "--namespace", UID)
    flags = ("--all-containers", "--prefix", "--timestamps", "--ignore-errors", "--namespace", UID)
    bounds = ("--tail=100", "--limit-bytes=100000", "--max-log-requests=50")
    selector = f"--selector=app.kubernetes.io/instance={UID}"
    both = tools.kubectl("logs", selector, *flags, *bounds, timeout=10).splitlines()
    heads = {re.match(r"\[pod/(\S+)/app\] \S+Z ", line)[1] for line in both}
    assert len(heads) == 2
    name = pod["metadata"]["name"]
    with reading(tools.config.simulated_cluster) as cluster:
        cluster.at += datetime.timedelta(seconds=100)
        lines = simulated_pods.log_lines(cluster, pod)
    assert len(lines) > 15
    assert [at for at, _ in lines] == sorted(at for at, _ in lines)
    one = tools.kubectl("logs", name, "--namespace", UID, "--tail=1", timeout=10)
    assert one.count("\n") == 1 and "listening" in one or "starting" in one
    assert len(tools.kubectl("logs", name, *flags, "--limit-bytes=20", timeout=10)) == 20
    since = "--since-time=2099-01-01T00:00:00Z"
    assert tools.kubectl("logs", name, *flags, since, timeout=10) == ""
    assert tools.kubectl("logs", name, *flags, "--previous", timeout=10) == ""
    with pytest.raises(ToolError, match="exit code 1"):
        tools.kubectl("logs", "nobody", "--namespace", UID, timeout=10)


def test_what_caelus_asks_of_logs_is_answered(tools):
    install(tools)
    text = kubectl.logs(tools, UID, None, 100, None, False, 1024 * 1024)
    assert "starting registry.example.org/notes" in text or "starting notes" in text


def test_resources_have_a_state(tools):
    install(tools, host="a.example.org")
    kinds = "pods,persistentvolumeclaims,services,ingresses.networking.k8s.io"
    found = {obj["kind"]: obj for obj in items(tools, kinds, "--namespace", UID)}
    assert found["Pod"]["status"]["containerStatuses"][0]["ready"]
    assert found["PersistentVolumeClaim"]["status"]["phase"] == "Bound"
    assert found["Ingress"]["spec"]["rules"][0]["host"] == "a.example.org"
    assert found["Service"]["spec"]["ports"] == [{"port": 80}]
    chosen = items(tools, "namespaces", "--selector", "app.kubernetes.io/managed-by=caelus")
    assert [obj["metadata"]["name"] for obj in chosen] == [UID]


# Charts


def test_every_chart_is_there_and_none_is_taken_for_a_real_one(tools):
    pinned = Chart("oci://registry.example.org/notes", "1.0.0", f"sha256:{'a' * 64}")
    assert charts.located(tools, pinned) == charts.located(tools, CHART)
    assert charts.resolve(tools, pinned).digest == pinned.digest
    other = Chart("https://charts.example.org/app", "2", pinned.digest)
    assert charts.resolve(tools, other).default_values["image"]["tag"] == "2"
    assert not (tools.config.data_dir / "charts").exists()


def test_a_chart_is_of_the_version_that_was_asked_for(tools):
    found = charts.resolve(tools, CHART)
    assert found.version == "1.0.0"
    pinned = Chart(CHART.ref, "1.0.0", found.digest)
    assert charts.resolve(tools, pinned) == found


# The file


def test_no_value_gets_into_the_file(tools):
    install(tools, user={"password": CANARY, "host": CANARY}, note=CANARY)
    helm.upgrade(tools, UID, CHART, {"image": {"pullSecret": CANARY}}, 10)
    file = tools.config.simulated_cluster
    with reading(file) as cluster:
        kinds = [*simulator.simulated_kubectl._PLURALS]
        everything = json.dumps([obj for kind in kinds for obj in cluster.every(kind)])
        secrets = [releases._opened(secret) for secret in cluster.every("Secret")]
    assert CANARY not in everything + json.dumps(secrets)
    assert not any(CANARY.encode() in path.read_bytes() for path in file.parent.iterdir())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_an_orphan_can_be_adopted_though_its_values_are_not_known(tools):
    install(tools, message=CANARY)
    found = sightings.of(UID)
    assert (found.chart, found.version, found.values) == ("notes", "1.0.0", {})
    assert (found.orphan.release_status, found.orphan.revision) == ("deployed", 1)


def test_looking_makes_no_file(tools):
    assert kubectl.fences(tools) == {}
    assert not tools.config.simulated_cluster.parent.exists()


def test_who_waits_for_a_change_does_not_end_its_lock(tmp_path, monkeypatch):
    file, at_the_door = tmp_path / "cluster.db", threading.Event()
    connected = simulated_cluster._connected

    def connect(place):
        if threading.current_thread() is waiting:
            at_the_door.set()
        return connected(place)

    def change():
        with simulated_cluster.changing(file):
            pass

    monkeypatch.setattr(simulated_cluster, "_connected", connect)
    waiting = threading.Thread(target=change)
    other = f"import sqlite3; sqlite3.connect({str(file)!r}, 0).execute('BEGIN IMMEDIATE')"
    with simulated_cluster.changing(file):
        waiting.start()
        assert at_the_door.wait(30)
        done = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True)
    waiting.join(30)
    assert "database is locked" in done.stderr


def test_a_file_that_cant_be_used_is_told_as_such(tools):
    file = tools.config.simulated_cluster
    file.parent.mkdir(parents=True)
    file.write_text("no database at all, but longer than the header of one would be" * 20)
    with pytest.raises(ToolError) as caught:
        kubectl.fences(tools)
    assert f"the simulated cluster, {file}, can't be used: file is not" in caught.value.output


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_kill_in_the_middle_of_an_install_heals(database_url, tmp_path):
    program = Program(CAELUS_SIMULATE="1", CAELUS_DRIFT_INTERVAL="1")
    tools = Tools(config.load(program.env))

    def history():
        return [(r.number, r.status) for r in releases.history(tools, uid)]

    with program.serve() as server:
        for path, body in PUBLISH:
            assert server.ask("POST", path, body)[0] == 201
        _, made = server.ask("POST", "/users/1/deployments", NEW)
        uid = made["deployment_uid"]
        wait_until(lambda: history() == [(1, "pending-install")])
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
    with program.serve() as server:
        assert server.wait_for("/users/1/deployments/1", "ready", "error")["status"] == "ready"
        assert history() == [(1, "failed"), (2, "deployed")]

        # Somebody meddles with what runs: the sweeps find it.
        for number, accident in enumerate((demo.lose_release, demo.lose_fence), 1):
            with changing(tools.config.simulated_cluster) as cluster:
                accident(cluster, uid)
            wait_until(lambda n=number: types(server, "drift_found", "ready") == [n, n + 1])
        assert history() == [(1, "superseded"), (2, "deployed")]


PUBLISH = (
    ("/users", {"email": "ada@example.org"}),
    ("/products", {"name": "Notes"}),
    ("/products/1/templates", {"chart_ref": CHART.ref, "chart_version": CHART.version}),
)
NEW = {"desired_template_id": 1, "domainname": "a.example.org"}


def types(server, *types: str) -> list[int]:
    """How many events of each of these types there are."""
    _, events = server.ask("GET", "/users/1/deployments/1/events")
    return [[event["type"] for event in events].count(type) for type in types]
