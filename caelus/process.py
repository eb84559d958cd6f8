"""Child processes: helm and kubectl with a deadline, a way to stop them and a clean environment.

The only user of plumbum.
"""

import contextlib
import logging
import os
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field

from caelus.config import Config
from caelus.errors import Cancelled, ReconcileError

log = logging.getLogger("caelus.process")
GRACE_SECONDS = 10  # between SIGTERM, on which helm marks its release failed, and SIGKILL


class ToolError(ReconcileError):
    """A program could not be run, failed or took too long; `output` is its stderr."""

    def __init__(self, detail: str, output: str = ""):
        super().__init__(detail)
        self.output = output


class ToolTimeout(ToolError):
    """The program was ended because it went past its deadline."""


@dataclass(frozen=True)
class Tools:
    """The programs of one Caelus process; set `cancel` to end them all."""

    config: Config
    cancel: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self):
        from plumbum import local

        # What plumbum has in here it adds to the environment of every child.
        local.env.clear()
        local.env["PATH"] = os.environ.get("PATH", os.defpath)

    def helm(self, *arguments: str, stdin: str = "", timeout: float) -> str:
        """Run helm for at most `timeout` seconds; gives its stdout.

        Raises ToolError, or Cancelled once `cancel` is set.
        """
        return self._run("helm", arguments, stdin, timeout)

    def kubectl(self, *arguments: str, stdin: str = "", timeout: float) -> str:
        """Run kubectl, as `helm` does."""
        return self._run("kubectl", arguments, stdin, timeout)

    def _run(self, name: str, arguments: tuple, stdin: str, timeout: float) -> str:
        if self.cancel.is_set():
            raise Cancelled("Caelus is stopping")
        shown = shlex.join((name, *arguments))
        started = time.monotonic()
        with _scratch(stdin) as given, _scratch() as output, _scratch() as errors:
            child = self._start(name, arguments, stdin=given, stdout=output, stderr=errors)
            why = self._wait(child, started + timeout)
            seconds = time.monotonic() - started
            log.info("%s: exit %d after %.1f s", shown, child.returncode, seconds)
            stdout, stderr = _text(output), _text(errors)
        if why is Cancelled:
            raise Cancelled(f"{name} was stopped because Caelus is stopping")
        if why is ToolTimeout:
            raise ToolTimeout(f"{name} took longer than {timeout:.0f} s", stderr)
        if child.returncode:
            raise ToolError(f"{name} failed with exit code {child.returncode}", stderr)
        return stdout

    def _start(self, name: str, arguments: tuple, **streams) -> subprocess.Popen:
        from plumbum import CommandNotFound, local

        program = getattr(self.config, name)
        try:
            # Files, not pipes: a full pipe would block the child, and a broken one kill it.
            return local[program].popen(
                arguments, env=self._environment(), start_new_session=True, **streams
            )
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
        hidden = ("CAELUS_", "DATABASE_URL", "PGPASSWORD")
        kept = {name: v for name, v in environ.items() if not name.startswith(hidden)}
        home = self.config.data_dir.absolute() / "helm"
        own = {
            "HELM_CACHE_HOME": str(home / "cache"),
            "HELM_CONFIG_HOME": str(home / "config"),
            "HELM_DATA_HOME": str(home / "data"),
            "HELM_NO_PLUGINS": "1",
            "NO_COLOR": "1",
        }
        if self.config.kubeconfig:
            own["KUBECONFIG"] = self.config.kubeconfig
        return kept | own


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


def _end(child: subprocess.Popen, ended: threading.Event) -> None:
    _signal(child, signal.SIGTERM)
    ended.wait(GRACE_SECONDS)
    _signal(child, signal.SIGKILL)  # a grandchild may be there still
    ended.wait()


def _signal(child: subprocess.Popen, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)  # its own session: grandchildren go with it
