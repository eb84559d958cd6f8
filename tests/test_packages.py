"""What is handed out: one binary, a zipapp, and the wheel in it; each does the main job."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import urllib.request

import pytest
from PyInstaller.archive.readers import CArchiveReader

from caelus.web.routes import ASSETS
from tests import admin
from tests.kube import KubeServer
from tests.program import ROOT, Program, Serving, wait_until
from tests.tools import tool_directory

CHART = ROOT / "tests" / "charts" / "app"
NOTING = """#!/bin/sh
env > {directory}/environment.$1
exec {program} "$@"
"""
AS_ADMIN = {"Authorization": admin.BEARER}
SHOWN = (
    *("/docs", "/docs/assets/swagger_bundle.js", "/docs/assets/swagger_style.css"),
    "/ui/admin/users",
    *(f"/ui/assets/{name}" for name in ASSETS),
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The tree without what lies about in a checkout: setuptools would take an old build/ along."""
    tree = tmp_path_factory.mktemp("sources") / "caelus"
    ignored = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "tests")
    shutil.copytree(ROOT, tree, ignore=ignored)
    return tree


def build(tree: pathlib.Path, *argv: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *argv], cwd=tree, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def binary(sources):
    build(sources, "PyInstaller", "--log-level=WARN", "build.spec")
    return [str(sources / "dist" / "caelus")]


@pytest.fixture(scope="module")
def zipapp(sources):
    made = sources / "dist" / "caelus.pyz"
    made.parent.mkdir(exist_ok=True)
    build(sources, "shiv", "--console-script=caelus", f"--output-file={made}", "--quiet", ".")
    return [sys.executable, str(made)]


@pytest.fixture(params=["binary", "zipapp"])
def command(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def program(command, tmp_path, monkeypatch):
    """The program away from the tree, with tools that note their environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere/of-ours")
    tools = tool_directory("4")
    for name in ("helm", "kubectl"):
        noting = tmp_path / name
        noting.write_text(NOTING.format(directory=tmp_path, program=tools / name))
        noting.chmod(0o755)
    with KubeServer() as api:
        found = Program(
            *command,
            CAELUS_HELM=str(tmp_path / "helm"),
            CAELUS_KUBECTL=str(tmp_path / "kubectl"),
            KUBECONFIG=api.kubeconfig(tmp_path / "kubeconfig"),
            SHIV_ROOT=str(tmp_path / "shiv"),
        )
        del found.env["PYTHONPATH"]
        yield found


def test_it_does_the_main_job(program, tmp_path):
    assert program.run("--version").stdout.startswith("caelus ")
    with program.serve() as server:
        for path in SHOWN:
            asked = urllib.request.Request(server.url + path, headers=AS_ADMIN)
            with urllib.request.urlopen(asked) as answer:
                assert answer.status == 200 and answer.read()
        program.yaml("create-user", "ada@example.org")
        program.yaml("create-product", "Hello")
        given = (f"--chart-ref={CHART}", "--chart-version=1.0.0", "--health-timeout-sec=60")
        template = program.yaml("create-template", "--product-id=1", *given)
        assert template["id"] == 1
        wanted = ("--user-id=1", "--desired-template-id=1", "--domainname=ada.example.org")
        assert program.yaml("create-deployment", *wanted)["status"] == "provisioning"
        server.wait_for("/users/1/deployments/1", "ready")
        assert server.stop() == 0
    assert "templates" in program.run("help", "templates").stdout.lower()
    environment = (tmp_path / "environment.upgrade").read_text()
    assert "LD_LIBRARY_PATH=/nowhere/of-ours\n" in environment
    assert "_PYI" not in environment and "_MEI" not in environment


def test_the_binary_is_small_and_unpacks_few_files(binary):
    """Each start unpacks it, and what has to be made and removed costs more than what is read."""
    assert os.path.getsize(binary[0]) < 15_000_000
    unpacked = [entry for entry in CArchiveReader(binary[0]).toc.values() if entry[4] in "bx"]
    assert len(unpacked) < 120 and sum(size for _, _, size, *_ in unpacked) < 25_000_000


def unpacked_in(directory: pathlib.Path, *command: str) -> Program:
    """A loader that is killed leaves behind what it has unpacked."""
    return Program(*command, TMPDIR=str(directory))


def test_the_binary_serves_as_the_first_process_of_a_container(binary, tmp_path):
    alone = ["unshare", "--pid", "--fork", "--kill-child"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"]).returncode:
        pytest.skip("this user may not make a namespace of processes")
    server = Serving(unpacked_in(tmp_path, *alone, *binary), ["serve", "--port=0", "--workers=0"])
    try:
        assert server.ask("GET", "/healthz") == (200, {"status": "ok"})
    finally:
        server.process.kill()  # and with it what it has begun
        server.process.wait()


def test_the_binary_ends_when_its_loader_is_killed(binary, tmp_path):
    program = unpacked_in(tmp_path, *binary)
    server = Serving(program, ["serve", "--port=0", "--workers=0"])
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()

    def is_gone():
        try:
            urllib.request.urlopen(server.url + "/healthz", timeout=5).close()
        except OSError:
            return True

    wait_until(is_gone, 30)
    with program.serve("--workers=0"):
        pass
