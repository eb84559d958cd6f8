"""`caelus doctor`: each fault by its name and with the way out, and nothing changed by looking."""

import hashlib
import json
import os
import pathlib
import pty
import re
import socket
import subprocess
import sys
import time

import pytest

from caelus import config, doctor, tool_checks
from caelus.process import Tools
from tests.drifting import one_database
from tests.kube import KubeServer
from tests.program import Program
from tests.test_end_to_end import Cluster
from tests.test_rbac import cluster as cluster_of_an_account

SECTIONS = ["tools", "cluster", "database", "machine", "queue"]


class Checkup:
    """What `caelus doctor --json` said."""

    def __init__(self, done: subprocess.CompletedProcess):
        document = json.loads(done.stdout)
        assert done.stderr == ""
        self.checks = document["checks"]
        self.failed = [c["name"] for c in self.checks if c["status"] == "failed"]
        assert document["ok"] == (not self.failed)
        assert done.returncode == (1 if self.failed else 0)
        steps = {c["status"] == "ok": bool(c["next_step"]) for c in self.checks}
        assert steps | {True: False, False: True} == {True: False, False: True}

    def __getitem__(self, name: str) -> dict:
        return next(check for check in self.checks if check["name"] == name)

    def sections(self) -> list[str]:
        return list(dict.fromkeys(check["section"] for check in self.checks))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A cluster, and a database with the schema; the settings of a Caelus there."""
    home = tmp_path_factory.mktemp("site")
    with KubeServer() as api:
        settings = Cluster("4", api, home).settings | {"CAELUS_DATA_DIR": str(home / "data")}
        pathlib.Path(settings["KUBECONFIG"]).chmod(0o600)
        assert Program(**settings).run("migrate").returncode == 0
        yield settings


def examine(site, **settings: str) -> Checkup:
    return Checkup(Program(**site | settings).run("doctor", "--json"))


# The page


def test_where_all_is_well_the_page_says_so(site):
    done = Program(**site).run("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in done.stdout.splitlines() if line in SECTIONS] == SECTIONS
    assert re.search(r"^  ok       helm +v4\.", done.stdout, re.MULTILINE)
    assert re.search(r"^  warning  storage .*\n {10,}back up what is in", done.stdout, re.MULTILINE)
    assert re.search(r"^nothing failed: \d warnings, \d+ ok\n\Z", done.stdout, re.MULTILINE)
    assert "\x1b" not in done.stdout


def test_on_a_terminal_the_words_are_coloured(site):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "caelus", "doctor"]
    env = Program(**site).env | {"CAELUS_KUBECTL": "/nowhere/kubectl"}
    assert subprocess.run(command, env=env, stdout=theirs, stderr=theirs).returncode == 1
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    assert "\x1b[31mfailed   \x1b[0mkubectl" in shown
    assert "\x1b[32mok       \x1b[0mhelm" in shown


def test_for_machines_it_is_one_document(site):
    found = examine(site)
    assert found.sections() == SECTIONS
    assert found.failed == []
    assert found["permissions"]["detail"] == "all 122 that Caelus needs"
    assert found["versions"]["next_step"].startswith("install kubectl 1.33")


def everything_in(directory) -> dict[str, str]:
    return {
        str(path): path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(pathlib.Path(directory).rglob("*"))
    }


def test_looking_changes_and_makes_nothing(site, tmp_path):
    before = everything_in(site["HOME"])
    assert examine(site).failed == []
    assert everything_in(site["HOME"]) == before
    found = examine(site, CAELUS_DATA_DIR=str(tmp_path / "data"))
    assert found["database"]["status"] == found["data directory"]["status"] == "warning"
    assert everything_in(tmp_path) == {}


def test_it_works_beside_a_running_caelus(site):
    program = Program(**site)
    with program.serve() as server:
        server.ask("POST", "/users", {"email": "ada@example.org"})
        found = examine(site)
        assert (found.failed, found["integrity"]["detail"]) == ([], "whole")
        assert "in its log" in found["size"]["detail"]
        assert server.ask("POST", "/users", {"email": "eve@example.org"})[0] == 201


def test_a_setting_that_can_not_be_used_is_a_finding_too(site):
    found = examine(site, CAELUS_PORT="many")
    assert found.failed == ["settings"]
    assert "port must be" in found["settings"]["detail"]


# Tools


def test_no_helm(site, tmp_path):
    found = examine(site, CAELUS_HELM="", PATH=str(tmp_path))
    assert found.failed == ["helm"]
    assert found["helm"]["detail"] == "cannot run helm: not found"
    assert "install helm on the PATH or set CAELUS_HELM" in found["helm"]["next_step"]
    assert found.sections() == SECTIONS


def test_no_kubectl(site):
    found = examine(site, CAELUS_KUBECTL="/nowhere/kubectl")
    assert found.failed == ["kubectl"]
    assert "set CAELUS_KUBECTL" in found["kubectl"]["next_step"]
    assert "cluster" not in found.sections()


@pytest.mark.parametrize(
    ("said", "status", "told"),
    [
        ("v3.16.4", "failed", "v3.16.4 is too old"),
        ("v3.17.0", "ok", "v3.17.0"),
        ("v5.0.0", "warning", "v5.0.0 is newer than what this Caelus was tried with"),
        ("hello", "failed", "gives no version"),
    ],
)
def test_a_helm_of_each_age(settings_of, said, status, told):
    found = next(iter(tool_checks.look(settings_of(f"echo {said}"))))
    assert (found.name, found.status) == ("helm", status)
    assert told in found.detail


@pytest.fixture
def settings_of(tmp_path):
    """Tools with this script in the place of helm and kubectl."""

    def tools(script: str) -> Tools:
        program = tmp_path / "program"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        loaded = config.load(os.environ)
        return Tools(loaded._replace(helm=str(program), kubectl=str(program)))

    return tools


# The kubeconfig and the cluster


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def kubeconfig(directory, **changes) -> str:
    """A kubeconfig for a cluster that is not there."""
    server = f"http://127.0.0.1:{closed_port()}"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": ""}}],
    }
    path = directory / "kubeconfig"
    path.write_text(json.dumps(document | changes))
    path.chmod(0o600)
    return str(path)


@pytest.mark.parametrize(
    ("changes", "detail", "step"),
    [
        ({"current-context": ""}, "names no current context", "use-context NAME, of: test"),
        ({"current-context": "x"}, "current context x is not in the kubeconfig", "of: test"),
        ({"contexts": [], "current-context": ""}, "no current context", "set KUBECONFIG"),
        ({"clusters": []}, "context test has no cluster", "set KUBECONFIG"),
        ({"clusters": "x"}, "kubeconfig", "set KUBECONFIG"),
    ],
)
def test_a_wrong_kubeconfig(site, tmp_path, changes, detail, step):
    found = examine(site, KUBECONFIG=kubeconfig(tmp_path, **changes))
    assert found.failed == ["context"]
    assert detail in found["context"]["detail"]
    assert step in found["context"]["next_step"]
    assert "cluster" not in found.sections()


def test_no_kubeconfig(site, tmp_path):
    found = examine(site, KUBECONFIG=str(tmp_path / "none"))
    assert found.failed == ["kubeconfig"]
    assert found["kubeconfig"]["detail"] == f"there is no {tmp_path / 'none'}"
    assert "caelus kube-rbac" in found["kubeconfig"]["next_step"]
    found = examine(site, KUBECONFIG=str(tmp_path))
    assert f"cannot read {tmp_path}: Is a directory" in found["kubeconfig"]["detail"]


def test_a_kubeconfig_that_others_can_read(site):
    path = pathlib.Path(site["KUBECONFIG"])
    path.chmod(0o640)
    try:
        found = examine(site)
    finally:
        path.chmod(0o600)
    assert (found.failed, found["kubeconfig"]["status"]) == ([], "warning")
    assert "can be read by its group" in found["kubeconfig"]["detail"]
    assert found["kubeconfig"]["next_step"] == f"chmod 600 {path}"


def test_a_cluster_that_is_down(site, tmp_path):
    found = examine(site, KUBECONFIG=kubeconfig(tmp_path))
    assert found.failed == ["reachable"]
    assert "the cluster does not answer" in found["reachable"]["detail"]
    assert "refused" in found["reachable"]["detail"]
    assert found["reachable"]["next_step"].startswith("start it (k3s: systemctl start k3s)")
    assert [c["name"] for c in found.checks if c["section"] == "cluster"] == ["reachable"]


def test_a_cluster_that_takes_connections_and_never_answers(site, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"http://127.0.0.1:{silent.getsockname()[1]}"
        clusters = [{"name": "test", "cluster": {"server": server}}]
        begun = time.monotonic()
        found = examine(site, KUBECONFIG=kubeconfig(tmp_path, clusters=clusters))
    assert time.monotonic() - begun < 15
    assert found.failed == ["reachable"]


@one_database
def test_a_missing_permission(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with cluster_of_an_account(tmp_path / "account", "4", settings) as scene:
        assert permissions(scene).status == "ok"
        scene.run("kubectl", "patch", "clusterrole", "caelus", "--type=json", "-p", WITHOUT_TWO)
        missing = permissions(scene)
        assert missing.status == "failed"
        assert (
            missing.detail
            == "Caelus may not create or delete namespaces, list ingressclasses.networking.k8s.io"
        )
        assert missing.next_step.endswith("caelus kube-rbac | kubectl apply --filename -")
        scene.run("kubectl", "delete", "clusterrolebinding", "caelus")
        assert "list storageclasses.storage.k8s.io" in permissions(scene).detail


WITHOUT_TWO = json.dumps(
    [
        {"op": "replace", "path": "/rules/0/verbs", "value": ["get", "list", "patch", "watch"]},
        {"op": "replace", "path": "/rules/13/verbs", "value": ["watch"]},
    ]
)


def permissions(scene):
    found = doctor.checks(scene.tools.config, scene.tools)
    return next(check for check in found if check.name == "permissions")


def test_what_the_cluster_lacks_for_charts(site, tmp_path):
    with KubeServer() as api:
        settings = site | Cluster("4", api, tmp_path).settings
        kubectl = [settings["CAELUS_KUBECTL"], "--kubeconfig", settings["KUBECONFIG"], "delete"]
        for what in ("storageclass/standard", "ingressclass/nginx"):
            subprocess.run([*kubectl, what], check=True, env=Program(**settings).env)
        found = examine(settings, CAELUS_INGRESS_NAMESPACES="edge,default")
    assert found.failed == []
    assert "no default storage class" in found["storage"]["detail"]
    assert "no ingress class" in found["ingress"]["detail"]
    assert "there is no edge:" in found["ingress namespaces"]["detail"]


# Bounds


@one_database
def test_a_program_that_hangs_holds_up_nothing_else(settings, settings_of, monkeypatch):
    monkeypatch.setattr(doctor, "SECONDS", 2)
    begun = time.monotonic()
    found = doctor.checks(settings, settings_of("exec sleep 60"))
    assert time.monotonic() - begun < 6
    late = [(c.section, c.name, c.detail) for c in found if c.status == "failed"]
    assert late == [("cluster", "time", "no answer within 2 s")]
    assert {check.section for check in found} >= {"database", "machine", "queue"}


@one_database
def test_what_nobody_foresaw_is_a_finding_and_hides_no_other(shop, settings, caplog):
    deployment = {"desired_template_id": 1, "domainname": "a.example.org"}
    assert shop("create-deployment", user_id=1, **deployment).ok
    tools = Tools(settings._replace(kubectl="/nowhere/kubectl"))
    found = doctor.checks(settings._replace(warnings=5), tools)
    broken = [(check.section, check.detail) for check in found if check.name == "checkup"]
    assert broken == [("machine", "it broke off: TypeError")]
    assert {"kubectl", "integrity", "leases"} <= {check.name for check in found}
    assert "the checkup of the machine failed" in caplog.text
