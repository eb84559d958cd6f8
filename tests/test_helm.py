"""What helm and kubectl are told, and what is made of what they say."""

import contextlib
import functools
import hashlib
import http.server
import pathlib
import shutil
import subprocess
import threading

import pytest

from caelus import causes, config, fence, helm, kubectl
from caelus.errors import ReconcileError
from caelus.helm import Chart
from caelus.process import ToolError, Tools

CHARTS = pathlib.Path(__file__).with_name("charts")
LOCAL = Chart("/charts/notes", "1.0.0")
DIGEST = "sha256:" + "0" * 64
SECONDS = 20
STUB = """#!/bin/sh
printf '%s\\n' "$@" >argv
cat >stdin
cat said >&2
exit $CODE
"""


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """stub(stderr, code) gives tools that note their argv and stdin, say that, and end so."""
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "program"
    program.write_text(STUB)
    program.chmod(0o755)
    for name in ("CAELUS_HELM", "CAELUS_KUBECTL"):
        monkeypatch.setenv(name, str(program))

    def tools(stderr: str = "", code: int = 0) -> Tools:
        (tmp_path / "said").write_text(stderr)
        monkeypatch.setenv("CODE", str(code))
        return Tools(config.load())

    return tools


def fenced(tools: Tools, name: str) -> None:
    """Make the namespace as a reconcile does, for a template that says nothing of isolation."""
    objects = fence.objects(name, None, tools.config)
    kubectl.apply_fence(tools, name, objects, fence.surplus(objects))


def argv() -> list[str]:
    return pathlib.Path("argv").read_text().splitlines()


def sentence(action, *arguments) -> str:
    """What the error says that `action` ends with."""
    with pytest.raises(ReconcileError) as caught:
        action(*arguments)
    assert "\n" not in caught.value.detail
    return caught.value.detail


@pytest.fixture
def real(programs, tmp_path, monkeypatch):
    """real(kubeconfig) gives the real programs, with a home of their own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("helm", "kubectl"):
        monkeypatch.setenv(f"CAELUS_{name.upper()}", str(programs / name))

    def tools(kubeconfig: str) -> Tools:
        monkeypatch.setenv("KUBECONFIG", kubeconfig)
        return Tools(config.load())

    return tools


@pytest.fixture
def cluster(real, kube, tmp_path):
    """The real programs, on the tests' own Kubernetes, where there is a namespace `notes`."""
    tools = real(kube.kubeconfig(tmp_path / "kubeconfig"))
    fenced(tools, "notes")
    return tools


@pytest.fixture
def repository(programs, tmp_path):
    """The URL of a chart repository on loopback that has `app` 1.0.0, and its directory."""
    directory = tmp_path / "charts"
    directory.mkdir()
    with serving(directory) as url:
        run = functools.partial(subprocess.run, check=True, capture_output=True)
        run([programs / "helm", "package", CHARTS / "app", "--destination", directory])
        run([programs / "helm", "repo", "index", directory, "--url", url])
        yield url, directory


@contextlib.contextmanager
def serving(directory: pathlib.Path):
    handler = functools.partial(Files, directory=directory)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def digest(archive: pathlib.Path) -> str:
    return f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"


# What helm is told


@pytest.mark.parametrize(
    ("chart", "expected"),
    [
        (
            Chart("oci://registry.example.org/a/notes", "1.0.0"),
            ["oci://registry.example.org/a/notes", "--version", "1.0.0"],
        ),
        (
            Chart("oci://127.0.0.1:5000/notes", "1.0.0", plain_http=True),
            ["oci://127.0.0.1:5000/notes", "--version", "1.0.0", "--plain-http"],
        ),
        (
            Chart("https://charts.example.org/stable/notes", "1.0.0"),
            ["notes", "--repo", "https://charts.example.org/stable", "--version", "1.0.0"],
        ),
        (
            Chart("http://charts.example.org:8080/notes/", "1.0.0", plain_http=True),
            ["notes", "--repo", "http://charts.example.org:8080", "--version", "1.0.0"],
        ),
        (
            Chart("https://example.org/releases/notes-1.0.0.tgz", "1.0.0"),
            ["https://example.org/releases/notes-1.0.0.tgz", "--version", "1.0.0"],
        ),
        (LOCAL, ["/charts/notes", "--version", "1.0.0"]),
    ],
    ids=["oci", "plain oci", "https repository", "http repository", "archive's URL", "path"],
)
def test_an_upgrade_tells_helm_all_but_the_values(stub, chart, expected):
    helm.upgrade(stub(), "notes-x1", chart, {"a": "b"}, 7)
    assert argv() == [
        *("upgrade", "--install", "notes-x1", *expected, "--namespace", "notes-x1"),
        *("--values", "-", "--reset-values", "--history-max", "10", "--wait", "--timeout", "7s"),
        *("--output", "json"),
    ]


def test_values_go_in_as_json_in_plain_utf8(stub):
    helm.upgrade(stub(), "notes", LOCAL, {"motto": "é 😀", "list": [1, None, True]}, 7)
    written = pathlib.Path("stdin").read_text("utf-8")
    assert written == '{"motto":"é 😀","list":[1,null,true]}'


def test_an_uninstall_tells_helm_that_nothing_may_be_there(stub):
    helm.uninstall(stub(), "notes-x1", 7)
    assert argv() == [
        *("uninstall", "notes-x1", "--namespace", "notes-x1", "--ignore-not-found"),
        *("--timeout", "7s"),
    ]


def test_a_fence_is_applied_as_one_stream_of_objects(stub):
    kubectl.apply_fence(stub(), "notes-x1", [{"kind": "A"}, {"kind": "B"}], [])
    assert argv() == [
        *("apply", "--server-side", "--force-conflicts", "--field-manager=caelus"),
        *("--filename", "-", "--request-timeout=30s"),
    ]
    assert pathlib.Path("stdin").read_text() == '{"kind":"A"}\n{"kind":"B"}'


def test_what_is_no_longer_part_of_a_fence_is_deleted_by_name(stub):
    kubectl.apply_fence(stub(), "notes-x1", [{"kind": "A"}], ["limitranges/x", "resourcequotas/x"])
    assert argv() == [
        *("delete", "limitranges/x", "resourcequotas/x", "--namespace", "notes-x1"),
        *("--ignore-not-found", "--wait=false", "--request-timeout=30s"),
    ]


def test_a_namespace_that_is_gone_is_fine(stub):
    kubectl.delete_namespace(stub(), "notes-x1", 2)
    assert argv() == [
        *("delete", "namespace", "notes-x1", "--ignore-not-found", "--wait=true"),
        "--timeout=2s",
    ]


# Digests


def test_a_local_archive_of_the_right_digest_is_installed(stub, tmp_path):
    archive = tmp_path / "notes-1.0.0.tgz"
    archive.write_bytes(b"a chart")
    tools, pinned = stub(), digest(archive)
    helm.upgrade(tools, "notes", Chart(str(archive), "1.0.0", pinned), {}, 7)
    kept = tools.config.data_dir / "charts" / f"{pinned.replace(':', '-')}.tgz"
    assert argv()[3:5] == [str(kept), "--namespace"]


def test_a_local_archive_of_another_digest_is_refused(stub, tmp_path):
    archive = tmp_path / "notes-1.0.0.tgz"
    archive.write_bytes(b"a chart")
    chart = Chart(str(archive), "1.0.0", DIGEST)
    assert sentence(helm.upgrade, stub(), "notes", chart, {}, 7) == (
        f"chart {archive} 1.0.0 has the digest {digest(archive)}, but the template pins {DIGEST}"
    )
    assert not pathlib.Path("argv").exists()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "chart {} 1 is a directory, which has no digest: make an archive by helm package"),
        ("absent.tgz", "cannot copy chart {} 1: there is no such file"),
    ],
)
def test_a_chart_whose_digest_can_not_be_taken_is_refused(stub, tmp_path, name, why):
    place = tmp_path / name
    chart = Chart(str(place), "1", DIGEST)
    assert sentence(helm.upgrade, stub(), "notes", chart, {}, 7) == why.format(place)
    assert not pathlib.Path("argv").exists()


def test_a_chart_of_a_repository_is_pulled_checked_and_installed(cluster, kube, repository):
    url, directory = repository
    pinned = digest(directory / "app-1.0.0.tgz")
    chart = Chart(f"{url}/app", "1.0.0", pinned, plain_http=True)
    helm.upgrade(cluster, "notes", chart, {"message": "hi"}, SECONDS)
    (settings,) = kube.objects("v1", "configmaps", "notes")
    assert "hi" in settings["data"].values()


@pytest.mark.parametrize("path", ["app", "app-1.0.0.tgz"])
def test_a_chart_that_was_exchanged_is_not_installed(cluster, kube, repository, path):
    url, directory = repository
    chart = Chart(f"{url}/{path}", "1.0.0", DIGEST, plain_http=True)
    assert sentence(helm.upgrade, cluster, "notes", chart, {}, SECONDS) == (
        f"chart {chart} has the digest {digest(directory / 'app-1.0.0.tgz')}, "
        f"but the template pins {DIGEST}"
    )
    assert kube.objects("v1", "secrets", "notes") == []


def test_what_was_exchanged_does_not_stay(cluster, repository):
    url, _ = repository
    chart = Chart(f"{url}/app", "1.0.0", DIGEST, plain_http=True)
    sentence(helm.upgrade, cluster, "notes", chart, {}, SECONDS)
    assert list((cluster.config.data_dir / "charts").iterdir()) == []


# Real helm and kubectl


def test_a_chart_comes_from_a_directory_a_repository_or_a_url(cluster, kube, repository):
    url, directory = repository
    shutil.copytree(CHARTS / "app", directory / "copy")
    for ref in (f"{url}/app", f"{url}/app-1.0.0.tgz", str(directory / "copy")):
        chart = Chart(ref, "1.0.0", plain_http=True)
        helm.upgrade(cluster, "notes", chart, {"message": f"from {ref} 😀"}, SECONDS)
        (settings,) = kube.objects("v1", "configmaps", "notes")
        assert f"from {ref} 😀" in settings["data"].values()
    helm.uninstall(cluster, "notes", SECONDS)
    helm.uninstall(cluster, "notes", SECONDS)
    assert kube.objects("v1", "configmaps", "notes") == []


def test_a_chart_that_a_repository_has_not_is_told(cluster, repository):
    url, _ = repository
    for name, version in (("absent", "1.0.0"), ("app", "9.0.0")):
        chart = Chart(f"{url}/{name}", version, plain_http=True)
        told = f'chart "{name}" version "{version}" not found in {url} repository'
        assert sentence(helm.upgrade, cluster, "notes", chart, {}, 7) == (
            f"helm could not apply chart {chart}: {told}"
        )
        pinned = Chart(chart.ref, version, DIGEST, plain_http=True)
        assert sentence(helm.upgrade, cluster, "notes", pinned, {}, 7) == (
            f"cannot pull chart {chart}: its source does not have it ({told})"
        )


def test_values_that_a_charts_schema_refuses_are_told_on_one_line(cluster):
    chart = Chart(str(CHARTS / "app"), "1.0.0")
    values = {"replicas": "many", "message": 1}
    told = sentence(helm.upgrade, cluster, "notes", chart, values, 7)
    assert told.startswith(f"helm could not apply chart {chart}: values don't meet the spec")
    assert "replicas" in told
    assert "message" in told


def test_a_release_that_does_not_become_healthy_is_told_with_where_to_look(cluster):
    chart = Chart(str(CHARTS / "app"), "1.0.0")
    told = sentence(helm.upgrade, cluster, "notes", chart, {"image": "never:1"}, 1)
    assert told.startswith(f"chart {chart} did not become healthy within 1 s (")
    assert told.endswith("); see: kubectl --namespace notes get pods,events")


def test_a_cluster_that_is_not_there_is_told_by_all(real, kube, tmp_path):
    kubeconfig = kube.kubeconfig(tmp_path / "kubeconfig")
    kube.__exit__()
    tools = real(kubeconfig)
    for action, *arguments in (
        (helm.upgrade, "notes", Chart(str(CHARTS / "app"), "1.0.0"), {}, 1),
        (helm.uninstall, "notes", 1),
        (fenced, "notes"),
        (kubectl.delete_namespace, "notes", 2),
    ):
        told = sentence(action, tools, *arguments)
        assert told.startswith("cannot reach the cluster (")
        assert told.endswith("; check KUBECONFIG")
        assert "refused" in told
        assert "memcache.go" not in told


def test_a_namespace_that_something_holds_is_told(cluster, kube):
    with kube.hold_namespaces():
        assert sentence(kubectl.delete_namespace, cluster, "notes", 1) == (
            "namespace notes is still terminating; what blocks it is in its conditions: "
            "kubectl get namespace notes --output yaml"
        )


# What is made of stderr: each as a real program wrote it, helm 3.17 or 4.3, kubectl 1.31 or 1.37

HEALTH = "chart /charts/notes 1.0.0 did not become healthy within 7 s ({}); see: kubectl "
WARNED = 'level=WARN msg="upgrade failed" name=r error="resource Deployment/r/r not ready"\n'
REFUSED = 'Get "http://127.0.0.1:1/version": dial tcp 127.0.0.1:1: connect: connection refused'
SLOW = 'Get "https://c.example.org/index.yaml": context deadline exceeded'


@pytest.mark.parametrize(
    ("stderr", "told"),
    [
        (
            "Error: UPGRADE FAILED: context deadline exceeded\n",
            HEALTH.format("context deadline exceeded"),
        ),
        (
            "Error: INSTALLATION FAILED: failed post-install: 1 error occurred:\n"
            "\t* timed out waiting for the condition\n\n\n",
            HEALTH.format(
                "failed post-install: 1 error occurred: * timed out waiting for the condition"
            ),
        ),
        (
            WARNED + "Error: UPGRADE FAILED: resource Deployment/r/r not ready. status: InProgress,"
            " message: Available: 0/1\ncontext deadline exceeded\n",
            HEALTH.format(
                "resource Deployment/r/r not ready. status: InProgress, message: Available: 0/1 "
                "context deadline exceeded"
            ),
        ),
        (
            f'Error: looks like "https://c.example.org" is not a valid chart repository: {SLOW}\n',
            "helm could not apply chart /charts/notes 1.0.0: "
            f'looks like "https://c.example.org" is not a valid chart repository: {SLOW}',
        ),
        (
            f"Error: Kubernetes cluster unreachable: {REFUSED}\n",
            f"cannot reach the cluster (Kubernetes cluster unreachable: {REFUSED})",
        ),
        (
            f"Error: kubernetes cluster unreachable: {REFUSED}\n",
            f"cannot reach the cluster (kubernetes cluster unreachable: {REFUSED})",
        ),
        (
            "WARNING: Kubernetes configuration file is group-readable. This is insecure.\n"
            'Error: path "/charts/notes" not found\n',
            'helm could not apply chart /charts/notes 1.0.0: path "/charts/notes" not found',
        ),
        (
            "panic: runtime error\n\ngoroutine 1 [running]:\nmain.main()\n",
            "helm could not apply chart /charts/notes 1.0.0: "
            "panic: runtime error goroutine 1 [running]: main.main()",
        ),
        ("", "helm failed with exit code 1"),
    ],
    ids=[
        *("timeout 3", "hook 3", "timeout 4", "slow repository", "no cluster 3", "no cluster 4"),
        *("warning", "panic", "nothing said"),
    ],
)
def test_what_helm_said_becomes_one_sentence(stub, stderr, told):
    assert sentence(helm.upgrade, stub(stderr, 1), "notes", LOCAL, {}, 7).startswith(told)


def test_a_helm_that_does_not_end_is_a_release_that_is_not_healthy(tmp_path, monkeypatch):
    monkeypatch.setattr(helm, "MARGIN_SECONDS", 0)
    program = tmp_path / "helm"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("CAELUS_HELM", str(program))
    told = sentence(helm.upgrade, Tools(config.load()), "notes", LOCAL, {}, 1)
    assert told.startswith(HEALTH.replace("7", "1").format("helm took longer than 1 s"))


@pytest.mark.parametrize(
    ("stderr", "told"),
    [
        (
            'E1123 15:50:11.7 2 memcache.go:265] "Unhandled Error" err="couldn\'t get current"\n'
            "The connection to the server 127.0.0.1:1 was refused - did you specify the right host "
            "or port?\n",
            "cannot reach the cluster (The connection to the server 127.0.0.1:1 was refused - "
            "did you specify the right host or port?); check KUBECONFIG",
        ),
        (
            "error: error validating data: dial tcp: lookup k.example.org: no such host\n",
            "cannot reach the cluster (error validating data: dial tcp: lookup k.example.org: "
            "no such host); check KUBECONFIG",
        ),
        (
            'Error from server (Forbidden): namespaces is forbidden: User "ada" cannot patch\n',
            "cannot fence namespace notes: Error from server (Forbidden): namespaces is forbidden: "
            'User "ada" cannot patch',
        ),
    ],
    ids=["refused", "no such host", "forbidden"],
)
def test_what_kubectl_said_becomes_one_sentence(stub, stderr, told):
    assert sentence(fenced, stub(stderr, 1), "notes") == told


def test_a_missing_helm_is_told_as_such(monkeypatch):
    monkeypatch.setenv("CAELUS_HELM", "/nowhere/helm")
    tools = Tools(config.load())
    missing = "cannot run /nowhere/helm: No such file or directory; install helm on the PATH"
    assert sentence(helm.upgrade, tools, "notes", LOCAL, {}, 7).startswith(missing)
    told = sentence(helm.uninstall, tools, "notes", 7)
    assert told.startswith(f"cannot uninstall notes: {missing}")


def test_a_failure_of_helm_may_be_tried_again(stub):
    with pytest.raises(ToolError) as caught:
        helm.uninstall(stub("Error: boom\n", 1), "notes", 7)
    assert caught.value.detail == "cannot uninstall notes: boom"
    assert causes.diagnose(caught.value, []).heals
