"""Child processes: helm and kubectl with a deadline, a way to stop them and a clean environment.

The only user of plumbum.
"""

import contextlib
import errno
import functools
import logging
import os
import pathlib
import re
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from caelus import supervision
from caelus.config import Config
from caelus.errors import Cancelled, ReconcileError

log = logging.getLogger("caelus.process")
OWNER = "STARTED_BY_CAELUS"  # in a child's environment: for which job's attempt it was started
# Beginnings of what is Caelus's own business in its environment, or its loader's.
HIDDEN = ("CAELUS_", "DATABASE_URL", "PGPASSWORD", "NOTIFY_SOCKET", "WATCHDOG_", "_PYI_", "_MEI")
_first_use = threading.Lock()
LINES, LONG = 100, 2000  # of what a program says: it may repeat megabytes of values
GRACE_SECONDS = 10  # between SIGTERM, on which helm marks its release failed, and SIGKILL
_LOGGED = re.compile(r"WARNING|level=WARN|[IWE]\d{4} ")
_NOISE = re.compile(
    r"^(Error: |(UPGRADE|INSTALLATION) FAILED: |release \S+ failed: )+", re.IGNORECASE
)


class ToolError(ReconcileError):
    """A program could not be run, failed or took too long; `output` is its stderr."""

    def __init__(self, detail: str, output: str = ""):
        super().__init__(detail)
        self.output = output


class ToolTimeout(ToolError):
    """The program was ended because it went past its deadline."""


def reason(error: ToolError) -> str:
    """What a program said when it failed, as one line; `redact` cuts a long one."""
    lines = [line.strip() for line in error.output.splitlines()]
    said = [line for line in lines if line and not _LOGGED.match(line)]
    errors = [i for i, line in enumerate(said) if line.lower().startswith("error: ")]
    kept = said[errors[0] :] if errors else said[-3:]
    return _NOISE.sub("", " ".join(kept)) or error.detail


class Ended(NamedTuple):
    """How a program ended: `why` is the error if it was brought about."""

    why: type | None
    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Tools:
    """The programs that Caelus runs for one `owner`; set `cancel` to end them all."""

    config: Config
    cancel: threading.Event = field(default_factory=threading.Event)
    owner: str = ""

    def helm(
        self, *arguments: str, stdin: str = "", timeout: float, with_stderr: bool = False
    ) -> str:
        """Run helm for at most `timeout` seconds; gives its stdout, its stderr after it if asked.

        Raises ToolError, or Cancelled once `cancel` is set.
        """
        return self._run("helm", arguments, stdin, timeout, with_stderr)

    def kubectl(self, *arguments: str, stdin: str = "", timeout: float) -> str:
        """Run kubectl, as `helm` does."""
        return self._run("kubectl", arguments, stdin, timeout)

    def _run(
        self, name: str, arguments: tuple, stdin: str, timeout: float, with_stderr: bool = False
    ) -> str:
        if self.cancel.is_set():
            raise Cancelled("Caelus is stopping")
        shown = ("simulated " if self.config.simulate else "") + shlex.join((name, *arguments))
        started = time.monotonic()
        run = self._simulated if self.config.simulate else self._child
        why, code, stdout, stderr = run(name, arguments, stdin, started + timeout)
        log.info("%s: exit %d after %.1f s", shown, code, time.monotonic() - started)
        if why is Cancelled:
            raise Cancelled(f"{name} was stopped because Caelus is stopping")
        if why is ToolTimeout:
            raise ToolTimeout(f"{name} took longer than {timeout:.0f} s", stderr)
        if code and self.cancel.is_set():
            raise Cancelled(f"{name} was ended because Caelus is stopping")
        if code:
            raise ToolError(f"{name} failed with exit code {code}", stderr)
        return f"{stdout}\n{stderr}" if with_stderr else stdout

    def _child(self, name: str, arguments: tuple, stdin: str, deadline: float) -> Ended:
        with _scratch(stdin) as given, _scratch() as output, _scratch() as errors:
            child = self._start(name, arguments, stdin=given, stdout=output, stderr=errors)
            why = self._wait(child, deadline)
            return Ended(why, child.returncode, _text(output), bounded(_text(errors)))

    def _simulated(self, name: str, arguments: tuple, stdin: str, deadline: float) -> Ended:
        from caelus import simulator

        def stop() -> bool:
            return self.cancel.is_set() or time.monotonic() > deadline

        done = simulator.run(name, arguments, stdin, self.config.simulated_cluster, stop)
        why = Cancelled if self.cancel.is_set() else ToolTimeout
        return Ended(why if done.is_stopped else None, done.code, done.stdout, done.stderr)

    def _start(self, name: str, arguments: tuple, **streams) -> subprocess.Popen:
        from plumbum import CommandNotFound

        program, local = getattr(self.config, name), _local_machine()
        try:
            command = [*_dying_with_us(), _executable(local, program), *arguments]
            # Files, not pipes: a full pipe would block the child, and a broken one kill it.
            where = {"cwd": _working_directory(), "env": self._environment()}
            return local[command[0]].popen(command[1:], start_new_session=True, **where, **streams)
        except (CommandNotFound, OSError) as e:
            why = getattr(e, "strerror", None) or "not found"
            raise ToolError(
                f"cannot run {program}: {why}; install {name} on the PATH "
                f"or set CAELUS_{name.upper()}"
            ) from None

    def _wait(self, child: subprocess.Popen, deadline: float) -> type | None:
        """Wait for the end of `child`, or bring it about; gives the error that it means."""
        ended = threading.Event()
        threading.Thread(target=lambda: (child.wait(), ended.set()), daemon=True).start()
        while not ended.wait(0.1):
            if self.cancel.is_set() or time.monotonic() > deadline:
                why = Cancelled if self.cancel.is_set() else ToolTimeout
                _end(child, ended)
                return why
        return None

    def _environment(self, environ=os.environ) -> dict[str, str]:
        # `environ`, because plumbum puts another in the place of os.environ for moments.
        kept = {name: v for name, v in environ.items() if not name.startswith(HIDDEN)}
        if supervision.IS_ONE_FILE:
            # The one-file program's loader put its own libraries before the system's.
            kept.pop("LD_LIBRARY_PATH", None)
            if before := kept.pop("LD_LIBRARY_PATH_ORIG", None):
                kept["LD_LIBRARY_PATH"] = before
        caches = _caches(self.config.data_dir.absolute())
        home = caches / "helm"
        own = {
            "HELM_CACHE_HOME": str(home / "cache"),
            "HELM_CONFIG_HOME": str(home / "config"),
            "HELM_DATA_HOME": str(home / "data"),
            "HELM_NO_PLUGINS": "1",
            "HELM_DRIVER": "secret",  # where `releases` looks for what helm has stored
            "HELM_DEBUG": "false",
            "KUBECACHEDIR": str(caches / "kubectl"),
            OWNER: self.owner,
            "NO_COLOR": "1",
        }
        if self.config.kubeconfig:
            own["KUBECONFIG"] = self.config.kubeconfig
        return kept | own


def _caches(directory: pathlib.Path) -> pathlib.Path:
    """Where helm and kubectl keep theirs. What root's leave there, the service's own could not
    write to: they have a place apart."""
    try:
        is_anothers = os.geteuid() == 0 and directory.stat().st_uid != 0
    except FileNotFoundError:
        return directory
    return directory / "root" if is_anothers else directory


def _local_machine():
    """plumbum's, with an environment of PATH alone: it adds its own to every child's."""
    with _first_use:
        return _emptied_machine()


@functools.lru_cache(maxsize=1)
def _emptied_machine():
    from plumbum import local

    local.env.clear()
    local.env["PATH"] = os.environ.get("PATH", os.defpath)
    return local


def _working_directory() -> str:
    """Where a child works: here, or at the root where that is gone or not for this user, as root's
    own home is not for the user that `runuser` changes to."""
    try:
        here = os.getcwd()
    except FileNotFoundError:
        return "/"
    return here if os.access(here, os.X_OK) else "/"


def _executable(local, program: str) -> str:
    """The path of `program`. Raises OSError or CommandNotFound, which `setpriv` would swallow."""
    if os.sep not in program:
        return str(local.which(program))
    os.stat(program)
    if not os.access(program, os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return os.path.abspath(program)


def _scratch(text: str = ""):
    """An open file without a name, in memory where the system has such: it may hold secrets."""
    in_memory = hasattr(os, "memfd_create")
    file = os.fdopen(os.memfd_create("caelus"), "w+b") if in_memory else tempfile.TemporaryFile()
    file.write(text.encode())
    file.seek(0)
    return file


def _text(file) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def bounded(text: str) -> str:
    """The first and the last lines of a long text, each as far as anybody reads it."""
    lines = text.splitlines(keepends=True)
    if len(lines) > 2 * LINES:
        lines = [*lines[:LINES], "...\n", *lines[-LINES:]]
    return "".join(line if len(line) <= LONG else f"{line[:LONG]}...\n" for line in lines)


def _end(child: subprocess.Popen, ended: threading.Event) -> None:
    _signal(child, signal.SIGTERM)
    ended.wait(GRACE_SECONDS)
    _signal(child, signal.SIGKILL)  # a grandchild may be there still
    ended.wait()


def _signal(child: subprocess.Popen, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)  # its own session: grandchildren go with it


@functools.lru_cache(maxsize=1)
def _dying_with_us() -> tuple[str, ...]:
    """What to start a child by, so that it gets SIGTERM when this process is killed.

    The signal follows the thread that started the child; a worker's lives as long as the process.
    """
    wrapper = ("setpriv", "--pdeathsig", "TERM", "--")
    try:
        path = {"PATH": os.environ.get("PATH", os.defpath)}
        subprocess.run([*wrapper, "true"], check=True, capture_output=True, env=path)
    except (OSError, subprocess.CalledProcessError):
        return ()  # not every system's setpriv can; `end_children_of` is there, too
    return wrapper


def end_children_of(owner: str) -> None:
    """End what a process that died has left running on this machine, and wait until it is gone."""
    for number, seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS)):
        deadline = time.monotonic() + seconds
        signalled = False
        while children := _children_of(owner):
            if not signalled:
                log.warning("ending %d processes that %s left behind", len(children), owner)
                for pid in children:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, number)
                signalled = True
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)


def _children_of(owner: str) -> list[int]:
    mark = f"{OWNER}={owner}".encode()
    found = []
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (directory / "environ").read_bytes().split(b"\0"):
                found.append(int(directory.name))
    return found
