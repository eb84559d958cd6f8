"""The threads beside the API: reconcilers, each takes one due job after the other until told to
stop, and those that see to it that things are found, and old ones forgotten.
"""

import logging
import threading
import time

from caelus import (
    audit,
    backups,
    drift,
    events,
    jobs,
    leases,
    logins,
    notices,
    reconcile,
    restored,
    sessions,
    tracing,
)
from caelus.database import session, transaction
from caelus.jobs import wakeup
from caelus.models import now
from caelus.process import GRACE_SECONDS, Tools

log = logging.getLogger("caelus.worker")
POLL_SECONDS = 1  # for retries that become due, and workers that died
PRUNE_SECONDS = 3600
SETTLE_AGAIN_SECONDS = 20  # after a cluster that could not be asked
BACKUP_SECONDS, BACKUP_AGAIN_SECONDS = 30, 300  # between looks whether one is due; after a failure


def run_one(worker: str, tools: Tools) -> bool:
    """Work off one due job. False if there is none, or the database does not answer."""
    work = tracing.carried(_safely)  # the lines about this job are no other's
    return bool(work(worker, lambda: reconcile.run_due(worker, tools)))


def _safely(worker: str, work):
    """What `work` gives; a failure is logged, and ends nothing else."""
    try:
        return work()
    except Exception as e:
        detail = getattr(e, "detail", None)
        log.error("%s: %s", worker, detail or "unforeseen error", exc_info=not detail)
        return None


class Workers:
    """`count` threads that reconcile; others hear of jobs, mind the leases and look for drift.

    With none, what is old is forgotten all the same.
    """

    def __init__(self, count: int, tools: Tools):
        self._tools = tools
        self._threads = [
            self._thread(f"worker-{n}", self._work, leases.worker_name(n))
            for n in range(1, count + 1)
        ]
        self._threads.append(self._thread("pruner", self._prune))
        if tools.config.backup_dir:
            self._threads.append(self._thread("backups", self._back_up))
        if count:
            self._threads.append(self._thread("notices", notices.listen, tools.cancel))
            self._threads.append(self._thread("minder", self._mind))
            self._threads.append(self._thread("sweeper", self._sweep))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send running programs SIGTERM; their jobs go back to the queue."""
        self._tools.cancel.set()
        wakeup.call()
        deadline = time.monotonic() + GRACE_SECONDS + 5
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
            if thread.is_alive():
                log.warning("%s does not end; its job is another's once its lease is", thread.name)

    @staticmethod
    def _thread(name: str, target, *arguments) -> threading.Thread:
        return threading.Thread(target=target, args=arguments, name=name, daemon=True)

    def _work(self, worker: str) -> None:
        while not self._tools.cancel.is_set():
            seen = wakeup.count()
            if not run_one(worker, self._tools):
                wakeup.wait(seen, POLL_SECONDS)

    def _mind(self) -> None:
        """Take jobs from dead workers."""
        while not self._tools.cancel.wait(POLL_SECONDS):
            if _safely("minder", leases.recover):
                wakeup.call()

    def _prune(self) -> None:
        while not self._tools.cancel.is_set():
            _safely("pruner", _prune)
            self._tools.cancel.wait(PRUNE_SECONDS)

    def _back_up(self) -> None:
        pause = POLL_SECONDS
        while not self._tools.cancel.wait(pause):
            done = _safely("backups", lambda: backups.tend(self._tools.config, now()))
            pause = BACKUP_SECONDS if done else BACKUP_AGAIN_SECONDS

    def _sweep(self) -> None:
        """Look for drift; apart from the minder, because a cluster may be slow to answer."""
        name = leases.worker_name()
        again = 0.0
        while not self._tools.cancel.wait(POLL_SECONDS):
            with events.by(name):
                if time.monotonic() >= again:
                    settled = _safely("sweeper", lambda: restored.tend(self._tools))
                    again = 0.0 if settled else time.monotonic() + SETTLE_AGAIN_SECONDS
                _safely("sweeper", lambda: drift.run_due(self._tools, now()))


def _prune() -> None:
    with session(), transaction():
        jobs.prune(now())
        sessions.prune(now())
        logins.prune(now())
        audit.prune(now())  # last: it takes the lock that every change takes last
