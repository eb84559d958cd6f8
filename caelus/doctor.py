"""All checkups together: in bounded time, whatever is broken, and without changing anything."""

import dataclasses
import logging
import pathlib
import threading
import time
from collections.abc import Callable, Iterator

from caelus import cluster_checks, database_checks, machine_checks, queue_checks, tool_checks
from caelus.config import Config
from caelus.errors import Cancelled
from caelus.findings import FAILED, Check
from caelus.process import Tools

log = logging.getLogger("caelus.doctor")
SECTIONS = ("tools", "cluster", "database", "machine", "queue")
SECONDS = 12  # for all together
# Where nothing can be made, not even by root: what helm and kubectl would keep is not kept.
NOWHERE = pathlib.Path("/proc/caelus")


class Deadline:
    """Set once the time is over, or whoever asked for the checkup is to stop."""

    def __init__(self, outer, seconds: float):
        self._outer = outer
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def is_set(self) -> bool:
        return self._outer.is_set() or not self.left()


class Look(threading.Thread):
    """One series of checkups; what it found stays, though it hangs or breaks off."""

    def __init__(self, section: str, series: Callable[[], Iterator[Check]]):
        super().__init__(name=f"doctor-{section}", daemon=True)
        self.section = section
        self.found: list[Check] = []
        self._series = series

    def run(self) -> None:
        try:
            for check in self._series():
                self.found.append(check)
        except Cancelled:
            self.found.append(overdue(self.section))
        except Exception as e:  # a fault of a checkup must not hide what the others found
            log.error("the checkup of the %s failed", self.section, exc_info=e)
            self.found.append(unforeseen(self.section, e))


def checks(config: Config, tools: Tools) -> list[Check]:
    """What is well and what is not, section by section. Never fails; ends within 15 s."""
    deadline = Deadline(tools.cancel, SECONDS)
    bounded = dataclasses.replace(tools, cancel=deadline)
    looks = [
        Look("cluster", lambda: _tools_and_cluster(config, bounded)),
        Look("database", lambda: database_checks.look(config)),
        Look("machine", lambda: machine_checks.look(config)),
    ]
    for look in looks:
        look.start()
    found = [check for look in looks for check in _outcome(look, deadline)]
    return sorted(found, key=lambda check: SECTIONS.index(check.section))


def _tools_and_cluster(config: Config, tools: Tools) -> Iterator[Check]:
    failed: set[str] = set()
    yield from _noted(tool_checks.look(tools), failed)
    if failed & {"kubectl", "kubeconfig", "context"}:
        return
    yield from _noted(cluster_checks.look(tools), failed)
    if not failed & {"helm", "reachable"}:
        yield from queue_checks.locks(config, tools)


def _noted(series: Iterator[Check], failed: set[str]) -> Iterator[Check]:
    """`series`, with the names of what failed put into `failed`."""
    for check in series:
        if check.status == FAILED:
            failed.add(check.name)
        yield check


def _outcome(look: Look, deadline: Deadline) -> list[Check]:
    look.join(deadline.left() + 0.5)  # until it has told of the deadline itself
    found = list(look.found)
    return [*found, overdue(look.section)] if look.is_alive() else found


def overdue(section: str) -> Check:
    step = "run caelus doctor again; if it stays so, what the last lines name hangs"
    return Check(section, "time", FAILED, f"no answer within {SECONDS} s", step)


def unforeseen(section: str, error: Exception) -> Check:
    step = "see the log, and report it"
    return Check(section, "checkup", FAILED, f"it broke off: {type(error).__name__}", step)
