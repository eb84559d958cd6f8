"""The README says what is: its walk is walked, its table is the program's."""

import os
import pathlib
import re
import socket
import subprocess
import sys

import pytest

from caelus import config
from tests.kube import KubeServer
from tests.program import ROOT, Program
from tests.tools import tool_directory

README = (ROOT / "README.md").read_text()


def walk() -> list[tuple[str, str]]:
    """The commands of the walk, each with the output that the README shows."""
    block = re.search(r"<!-- walk -->\n```console\n(.*?)```", README, re.DOTALL)[1]
    steps = (step.partition("\n") for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:])
    return [(command, output) for command, _, output in steps]


def alike(output: str) -> str:
    """An output without what differs from run to run: times, random names, places."""
    output = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", output)
    output = re.sub(r"(org)-[0-9a-z]{6}\b", r"\1-RANDOM", output)
    return re.sub(r"/\S+/tests/charts", "TREE/tests/charts", output)


@pytest.fixture
def shell(tmp_path):
    """A bash that has `caelus`, helm and kubectl, and a cluster."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    caelus = binaries / "caelus"
    caelus.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m caelus "$@"\n')
    caelus.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = f"{binaries}:{tool_directory('4')}:{os.environ['PATH']}"
    with KubeServer() as api:
        yield Program(
            PATH=path,
            CAELUS_DATA_DIR=str(tmp_path / "data"),
            CAELUS_PORT=str(port),
            KUBECONFIG=api.kubeconfig(tmp_path / "kubeconfig"),
        )


def test_the_walk_gives_what_the_readme_shows(shell):
    commands, outputs = zip(*walk(), strict=True)
    # PATH is the shell's own here: there is no .venv in the tree that is tested.
    script = "\necho ==\n".join(c.replace("PATH=$PWD/.venv/bin:$PATH ", "") for c in commands)
    with shell.serve():
        done = subprocess.run(
            ["bash", "-c", script], env=shell.env, cwd=ROOT, capture_output=True, text=True
        )
    assert done.stderr == ""
    assert [alike(part) for part in re.split(r"^==\n", done.stdout, flags=re.MULTILINE)] == [
        alike(output) for output in outputs
    ]


def test_the_table_of_settings_is_the_programs():
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*) \| (.*) \|$", README, re.MULTILINE)
    assert {name: (default, meaning) for name, default, meaning in rows} == config.SETTINGS


def test_every_module_is_in_the_readme():
    for module in pathlib.Path(ROOT, "caelus").glob("[a-z]*.py"):
        assert f"`{module.stem}`" in README or f"`caelus/{module.stem}`" in README


def test_ci_runs_the_readmes_test_command():
    (command,) = re.findall(r"^python3 -m venv .*pytest.*$", README, re.MULTILINE)
    assert command in (ROOT / ".ci" / "run").read_text()
