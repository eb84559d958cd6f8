"""What the pages' commands are typed into: a bash with `caelus`, helm, kubectl and a cluster."""

import contextlib
import os
import pathlib
import re
import socket
import subprocess
import sys

from tests.kube import KubeServer
from tests.program import ROOT, Program
from tests.tools import tool_directory


@contextlib.contextmanager
def shell(directory: pathlib.Path, major: str = "4"):
    """A Program whose `env` is such a bash's, with helm of this major version."""
    binaries = directory / "bin"
    binaries.mkdir()
    caelus = binaries / "caelus"
    caelus.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m caelus "$@"\n')
    caelus.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with KubeServer() as api:
        yield Program(
            PATH=f"{binaries}:{tool_directory(major)}:{os.environ['PATH']}",
            CAELUS_DATA_DIR=str(directory / "data"),
            CAELUS_PORT=str(port),
            KUBECONFIG=api.kubeconfig(directory / "kubeconfig"),
        )


def steps(console: str) -> list[tuple[str, str]]:
    """The commands of a console's text, each with the output that is shown below it."""
    parts = re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]
    found = (re.fullmatch(r"((?:[^\n]*\\\n)*[^\n]*)\n(.*)", part, re.DOTALL) for part in parts)
    return [(step[1], step[2]) for step in found]


def typed(program: Program, commands: list[str], directory: pathlib.Path) -> list[str]:
    """What each command prints, errors too; one bash runs them all."""
    done = subprocess.run(
        ["bash", "-c", "\necho ==\n".join(["exec 2>&1", *commands])],
        env=program.env,
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return re.split(r"^==\n", done.stdout, flags=re.MULTILINE)[1:]
