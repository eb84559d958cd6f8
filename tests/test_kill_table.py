"""SIGKILL at every step of create, upgrade, rollback and delete; then a restart heals by itself.

A wrapper round the real helm and kubectl kills Caelus at the named point: before or after the
n-th call of an operation, or in the middle of it; `power` kills the tool along with Caelus.
"""

import contextlib
import json
import pathlib
import time

import pytest

from tests.kube import REAL, KubeServer, RealCluster, kubernetes
from tests.program import Program
from tests.test_end_to_end import CHART
from tests.tools import HELM_MAJORS, tool_directory

pytestmark = pytest.mark.slow
HEALTH_TIMEOUT_SECONDS = 20 if REAL else 3
HEALING_SECONDS = 60 + 2 * HEALTH_TIMEOUT_SECONDS
WRAPPER = """#!/bin/sh
# The tool, its calls written down; at the call named in $POINT it kills its parent, Caelus.
exec 3<&0
cd {directory}
count=$(($(cat count 2>/dev/null || echo 0) + 1)); echo $count > count
point=$(cat point 2>/dev/null)
[ "$point" = "before $count" ] && rm point && kill -9 $PPID && exit 1
echo "start {tool} $1 $$" >> calls
{program} "$@" <&3 &
child=$!
trap 'kill -TERM $child; wait $child; echo "end {tool} $1 $$" >> calls; exit 1' TERM
case "$point" in
"middle $count" | "power $count")
    rm point reached 2>/dev/null; touch armed
    while [ ! -e reached ] && kill -0 $child 2>/dev/null; do sleep 0.02; done
    [ "$point" = "power $count" ] && kill -9 $child
    kill -9 $PPID
    ;;
esac
wait $child; code=$?
echo "end {tool} $1 $$" >> calls
[ "$point" = "after $count" ] && rm point && kill -9 $PPID
exit $code
"""
# The calls of each operation, in order. Those that only look are not killed in their middle.
LOOKS = {"look", "look again", "evidence"}
CALLS = {
    "create": ("fence", "helm upgrade"),
    "upgrade": ("fence", "helm upgrade"),
    "loosen": ("look", "fence", "old fence", "helm upgrade"),  # an upgrade with another fence
    "rollback": ("fence", "helm upgrade", "evidence", "look again", "helm rollback"),
    "delete": ("look", "helm uninstall", "namespace"),
}
# Where helm is killed in the middle of its work, and so leaves the release locked.
LOCKING = ("helm upgrade", "helm rollback")
# Calls of kubectl, after which all goes on alike whichever helm there is.
OF_KUBECTL = {"fence", "old fence", "evidence", "namespace"}
POINTS = [
    pytest.param(
        major,
        operation,
        phase,
        number,
        id=f"helm{major}-{operation}-{phase}-{call}".replace(" ", "-"),
    )
    for operation, calls in CALLS.items()
    for number, call in enumerate(calls, 1)
    for phase in ("before", "middle", "power", "after")
    if phase in ("before", "after") or call not in LOOKS
    for major in (HELM_MAJORS[-1:] if call in OF_KUBECTL else HELM_MAJORS)
]


class Scene:
    """Caelus with wrapped tools, on a Kubernetes API that can be slowed down."""

    def __init__(self, directory: pathlib.Path, major: str, api: KubeServer | RealCluster):
        self.directory, self.api = directory, api
        tools = tool_directory(major)
        for tool in ("helm", "kubectl"):
            wrapper = directory / tool
            wrapper.write_text(WRAPPER.format(directory=directory, tool=tool, program=tools / tool))
            wrapper.chmod(0o755)
        self.program = Program(
            CAELUS_DATA_DIR=str(directory / "data"),
            CAELUS_HELM=str(directory / "helm"),
            CAELUS_KUBECTL=str(directory / "kubectl"),
            CAELUS_WORKERS="1",
            KUBECONFIG=api.kubeconfig(directory / "kubeconfig"),
            HOME=str(directory),
        )

    def kill_at(self, point: str) -> None:
        """From now on: count calls anew, kill at `point`, with a server that takes its time."""
        for name in ("count", "reached", "armed"):
            (self.directory / name).unlink(missing_ok=True)
        (self.directory / "point").write_text(point)
        self.writes = 0  # of the tool that is to be killed
        self.api.intercept = self._slow

    def _slow(self, method, path, query):
        """Once the tool that is to be killed has written something, as helm its lock, say so, and
        wait: the kill comes while a later request is under way."""
        if not (self.directory / "armed").exists():
            return
        if self.writes:
            (self.directory / "reached").touch()
        self.writes += method != "GET"
        if self.writes:
            time.sleep(0.15)

    def heal(self) -> None:
        self.api.intercept = None
        for name in ("point", "reached", "armed"):
            (self.directory / name).unlink(missing_ok=True)

    def calls(self) -> list[str]:
        return (self.directory / "calls").read_text().splitlines()


@pytest.fixture
def scene(request, tmp_path, monkeypatch):
    monkeypatch.setenv("CAELUS_DATABASE_URL", f"sqlite:///{tmp_path / 'caelus.db'}")
    with kubernetes() as api:
        yield Scene(tmp_path, request.param, api)


def publish(server) -> None:
    """Templates 1, 2 and 4 are good, 3 never becomes healthy; 4 has another fence."""
    server.ask("POST", "/users", {"email": "ada@example.org"})
    server.ask("POST", "/products", {"name": "App"})
    open_network = {"isolation": {"network": "open"}}
    for version, values, capabilities in (
        ("1", {}, {}),
        ("2", {"replicas": 2}, {}),
        ("3", {"image": "never:1"}, {}),
        ("4", {"replicas": 2}, open_network),
    ):
        template = {
            "chart_ref": str(CHART),
            "chart_version": version,
            "default_values_json": {"persistence": {"enabled": True}} | values,
            "capabilities_json": capabilities,
            "health_timeout_sec": HEALTH_TIMEOUT_SECONDS,
        }
        assert server.ask("POST", "/products/1/templates", template)[0] == 201


PATH = "/users/1/deployments/1"
NEW = {"desired_template_id": 1, "domainname": "a.example.org"}


def start(server, operation: str) -> None:
    """Ask for the operation; the server may be dead before it answers."""
    requests = {
        "create": ("POST", "/users/1/deployments", NEW),
        "upgrade": ("PUT", PATH, {"desired_template_id": 2}),
        "loosen": ("PUT", PATH, {"desired_template_id": 4}),
        "rollback": ("PUT", PATH, {"desired_template_id": 3}),
        "delete": ("DELETE", PATH, None),
    }
    with contextlib.suppress(OSError):
        server.ask(*requests[operation])


def overlapping(calls: list[str]) -> list[str]:
    """The helms that started while another was running."""
    running, found = set(), []
    for call in calls:
        what, tool, verb, pid = call.split()
        if tool != "helm":
            continue
        if what == "start":
            found += [call] if running else []
            running.add(pid)
        else:
            running.discard(pid)
    return found


def volume(scene) -> str:
    (claim,) = scene.api.objects("v1", "persistentvolumeclaims")
    return claim["metadata"]["uid"]


@pytest.mark.parametrize(("scene", "operation", "phase", "number"), POINTS, indirect=["scene"])
def test_a_kill_heals_by_itself(scene, operation, phase, number):
    kept = None
    with scene.program.serve() as server:
        publish(server)
        if operation != "create":
            server.ask("POST", "/users/1/deployments", NEW)
            assert server.wait_for(PATH, "ready", "error")["status"] == "ready"
            kept = volume(scene)
        scene.kill_at(f"{phase} {number}")
        start(server, operation)
        assert server.process.wait(60) == -9, "the point was not reached"
    scene.heal()
    wanted = {"rollback": "error", "delete": "deleted"}.get(operation, "ready")
    with scene.program.serve() as server:
        deployment = server.wait_for(PATH, "ready", "error", "deleted", seconds=HEALING_SECONDS)
        assert deployment["status"] == wanted, deployment["last_error"]
        applied = {"upgrade": 2, "loosen": 4}.get(operation, 1)
        assert deployment["applied_template_id"] == applied
        events = server.ask("GET", f"{PATH}/events")[1]
    if phase == "power" and CALLS[operation][number - 1] in LOCKING:
        assert "unlocked" in {event["type"] for event in events}
    if operation == "delete":
        assert {n["metadata"]["name"] for n in scene.api.objects("v1", "namespaces")} <= {"default"}
    else:
        assert kept in (None, volume(scene))
        assert not [call for call in scene.calls() if "uninstall" in call]
        uid = deployment["deployment_uid"]
        (workload,) = scene.api.objects("apps/v1", "deployments", uid)
        container = workload["spec"]["template"]["spec"]["containers"][0]
        assert "busybox" in container["image"], json.dumps(events, indent=1)
    assert not overlapping(scene.calls())
