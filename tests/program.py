"""Caelus as its users have it: a program of its own, driven by argv, HTTP and signals."""

import contextlib
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import psycopg
import yaml

from caelus import config
from tests import admin

ROOT = pathlib.Path(__file__).parent.parent


class Program:
    """`caelus` with its own settings; they are added to the environment of the tests."""

    def __init__(self, *command: str, **settings: str):
        self.env = os.environ | settings | {"PYTHONPATH": str(ROOT)}
        self.command = command or (sys.executable, "-m", "caelus")

    def run(self, *argv: str, timeout: float = 300) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*self.command, *argv],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def yaml(self, *argv: str):
        """The document that a command prints; it must succeed."""
        done = self.run(*argv)
        assert done.returncode == 0, done.stderr
        return yaml.safe_load(done.stdout)

    @contextlib.contextmanager
    def serve(self, *options: str):
        """`caelus serve` on a free port; asks it to stop at the end and checks that it did."""
        server = Serving(self, ["serve", "--port=0", *options])
        try:
            yield server
        finally:
            server.stop()


class Serving:
    """With the tests' own admin, or else with the link in `welcome` that makes the first one."""

    def __init__(self, program: Program, argv: list[str], with_admin: bool = True):
        self.process = subprocess.Popen(
            [*program.command, *argv],
            env=program.env,
            stdout=None if with_admin else subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log = []
        self._url = threading.Event()
        threading.Thread(target=self._read_log, daemon=True).start()
        assert self._url.wait(30), "\n".join(self.log)
        if with_admin:
            _make_admin(program.env)
        else:
            lines = iter(self.process.stdout.readline, "")
            self.welcome = next(line.strip() for line in lines if "/login/" in line)

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line.rstrip())
            if found := re.search(r"serving (http://\S+)", line):
                self.url = found[1]
                self._url.set()

    def ask(self, method: str, path: str, body=None):
        """Status and document of a request by an admin."""
        headers = {"Authorization": admin.BEARER}
        request = urllib.request.Request(self.url + path, headers=headers, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.loads(response.read() or b"null")
        except urllib.error.HTTPError as e:
            return e.code, json.loads(e.read())

    def wait_for(self, path: str, *statuses: str, seconds: float = 300) -> dict:
        """The deployment at `path` once it has one of `statuses`."""

        def settled():
            _, document = self.ask("GET", path)
            return document if document["status"] in statuses else None

        return wait_until(settled, seconds)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end, unless it has; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            code = self.process.wait(40)
            assert code == 0, "\n".join(self.log)
        return self.process.returncode


def _make_admin(environ) -> None:
    """Put the tests' admin into the program's database."""
    url = config.database_url(environ)
    connect, place = psycopg.connect, url
    if url.startswith("sqlite:"):
        connect, place = sqlite3.connect, url.removeprefix("sqlite:///")
    with contextlib.closing(connect(place)) as connection, connection:
        for row in admin.ROWS:
            connection.execute(row)


def wait_until(condition, seconds: float = 30):
    """What `condition` gives once it is true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.05)
    raise AssertionError(f"{condition.__name__} did not come true within {seconds} s")
