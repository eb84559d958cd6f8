"""A throw-away PostgreSQL server for the tests, started from the programs installed here."""

import contextlib
import glob
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

_START_SECONDS = 30
_STOP_SECONDS = 15
_PORT_ATTEMPTS = 3
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket's path may be too long in a deep TMPDIR
    "shared_buffers": "32MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


class StartFailed(Exception):
    """The server did not come up; the message is what it logged."""


def find_postgres() -> str | None:
    """The path of the newest `postgres` program that has its `initdb` beside it, PATH first."""
    # Debian keeps them out of PATH, in one directory for each major version.
    packaged = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), key=_version, reverse=True)
    for program in [shutil.which("postgres"), *packaged]:
        if program and os.access(pathlib.Path(program).with_name("initdb"), os.X_OK):
            return program
    return None


def _version(path):
    return [int(number) for number in re.findall(r"\d+", path)]


@contextlib.contextmanager
def private_postgres():
    """Yield the URL of an empty database that accepts queries; it is gone afterwards.

    Raises FileNotFoundError without the programs, StartFailed when they do not start.
    """
    program = find_postgres()
    if program is None:
        raise FileNotFoundError("no postgres program in PATH or /usr/lib/postgresql")
    account = _unprivileged_account()
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as name:
        home = pathlib.Path(name)
        if account:
            os.chown(home, account["user"], account["group"])
        options = {
            "cwd": home,
            "env": {"PATH": os.environ["PATH"], "HOME": name, "LC_ALL": "C"},
            "stdin": subprocess.DEVNULL,
            "stderr": subprocess.STDOUT,
            **account,
        }
        _make_cluster(program, home / "data", options)
        with _running(program, home / "data", options) as port:
            yield f"postgresql://test@127.0.0.1:{port}/postgres"


def _unprivileged_account():
    """Popen's arguments that drop root's rights, because PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _make_cluster(program, data, options):
    initdb = [pathlib.Path(program).with_name("initdb"), "--pgdata", data, "--no-sync"]
    done = subprocess.run(
        [*initdb, "--auth=trust", "--username=test", "--encoding=UTF8"],
        stdout=subprocess.PIPE,
        check=False,
        **options,
    )
    if done.returncode:
        raise StartFailed(done.stdout.decode(errors="replace"))


@contextlib.contextmanager
def _running(program, data, options):
    for _ in range(_PORT_ATTEMPTS):
        port = _free_port()
        server = _launch(program, data, port, options)
        try:
            if _wait_until_ready(server, data):
                yield port
                return
        finally:
            _stop(server)
    raise StartFailed(_log(data).read_text(errors="replace"))


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _log(data):
    return data.with_name("log")


def _launch(program, data, port, options):
    settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
    command = [program, "-D", data, "-p", str(port), *settings]
    with open(_log(data), "wb") as log:
        # A group of its own: Ctrl-C in the terminal must not end it before the tests' teardown.
        return subprocess.Popen(command, stdout=log, start_new_session=True, **options)


def _wait_until_ready(server, data):
    """False when the server ended by itself, as it does when its port was taken meanwhile."""
    deadline = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            # Line 8 is what `pg_ctl --wait` goes by; an open port would not do, as the server
            # refuses queries on it while it starts.
            if (data / "postmaster.pid").read_text().split("\n")[7:8] == ["ready   "]:
                return True
        time.sleep(0.02)
    return False


def _stop(server):
    server.send_signal(signal.SIGQUIT)  # "immediate shutdown": the data are not needed any more
    try:
        server.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
