"""Caelus under systemd: the unit, and what the manager hears of it."""

import os
import re
import shutil
import socket
import subprocess

import pytest

from caelus import supervision
from tests.program import Program, Serving


@pytest.fixture(params=["file", "abstract"])
def manager(request, tmp_path, monkeypatch):
    """The socket on which a service manager hears."""
    place = str(tmp_path / "notify") if request.param == "file" else f"\0caelus-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", place.replace("\0", "@"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(place)
        heard.settimeout(20)
        yield heard


def test_serve_tells_that_it_is_ready_alive_and_stopping(manager, tmp_path, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    server = Serving(Program(), ["serve", "--port=0", "--workers=0"])
    assert manager.recv(4096).decode() == f"READY=1\nSTATUS=serving {server.url}"
    assert [manager.recv(4096) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    server.stop()
    while (last := manager.recv(4096)) == b"WATCHDOG=1":
        pass
    assert last == b"STOPPING=1"


def test_a_manager_that_is_gone_stops_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    supervision.tell("READY=1")


def test_the_unit_is_one_that_systemd_takes(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    unit = tmp_path / "caelus.service"
    unit.write_text(Program().run("systemd-unit", "--user=daemon").stdout)
    done = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_unit_runs_this_program_as_the_user(tmp_path):
    text = Program().run("systemd-unit", "--user=ada").stdout
    assert "User=ada\nGroup=ada\n" in text
    assert re.search(r"^ExecStart=/\S+ /\S*caelus/__main__\.py serve$", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["a b", "x\nExecStart=/bin/sh", "-x", "A" * 40])
def test_a_name_that_is_no_account_is_refused(name):
    done = Program().run("systemd-unit", f"--user={name}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "can't be the name of an account" in done.stderr
