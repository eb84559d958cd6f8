"""The relay to a real cluster, with the suite's own Kubernetes API in the cluster's place."""

import http.client
import json
import subprocess

import pytest

from tests.kube import ApiError, KubeServer, RealCluster
from tests.tools import tool_directory

THEIRS, OURS = "theirs", "ours"


def kubectl(home, server, *argv: str, stdin: str = "", code: int = 0) -> str:
    """What kubectl says of `server`; it must end with this exit code."""
    home.mkdir(exist_ok=True)
    env = {"HOME": str(home), "KUBECONFIG": server.kubeconfig(home / "kubeconfig")}
    done = subprocess.run(
        [tool_directory("4") / "kubectl", *argv],
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def make(home, server, namespace: str, code: int = 0) -> str:
    """A namespace with a config map, made as Caelus makes them."""
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    argv = ("apply", "--server-side", "--filename", "-")
    said = kubectl(home, server, *argv, stdin=json.dumps(manifest), code=code)
    if code == 0:
        kubectl(home, server, "create", "configmap", "a", "--namespace", namespace)
    return said


def names(server, plural: str) -> list[str]:
    return [found["metadata"]["name"] for found in server.objects("v1", plural)]


@pytest.fixture
def real(tmp_path):
    with KubeServer() as server:
        make(tmp_path / "real", server, THEIRS)
        yield server


def test_only_what_was_made_through_the_relay_is_seen_and_removed(real, tmp_path):
    with RealCluster(real.kubeconfig(tmp_path / "kubeconfig")) as api:
        make(tmp_path / "relay", api, OURS)
        kubectl(tmp_path / "relay", api, "label", "namespace", THEIRS, "seen=yes")
        assert names(api, "namespaces") == [OURS]
        assert [o["metadata"]["namespace"] for o in api.objects("v1", "configmaps")] == [OURS]
        assert api.objects("v1", "configmaps", THEIRS) == []
        with pytest.raises(KeyError):
            api.objects("example.org/v1", "widgets")
        assert ("PATCH", f"/api/v1/namespaces/{OURS}") in api.requests
        assert names(real, "namespaces") == ["default", OURS, THEIRS]
    assert names(real, "namespaces") == ["default", THEIRS]


def test_what_a_test_refuses_does_not_reach_the_cluster(real, tmp_path):
    with RealCluster(real.kubeconfig(tmp_path / "kubeconfig")) as api:
        api.intercept = lambda method, path, query: (
            ApiError(403, "Forbidden", "no right to patch") if method == "PATCH" else None
        )
        assert "no right to patch" in make(tmp_path / "relay", api, OURS, code=1)
        assert names(real, "namespaces") == ["default", THEIRS]


def test_a_watch_tells_what_happens_when_it_happens(real, tmp_path):
    with RealCluster(real.kubeconfig(tmp_path / "kubeconfig")) as api:
        client = http.client.HTTPConnection(api.url.removeprefix("http://"), timeout=20)
        client.request("GET", "/api/v1/namespaces?watch=true")
        with client.getresponse() as events:
            make(tmp_path / "real", real, OURS)
            seen = [json.loads(events.readline()) for _ in range(3)]
            assert seen[-1]["object"]["metadata"]["name"] == OURS
