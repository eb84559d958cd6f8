"""Reconciler threads: each takes one due job after the other until told to stop."""

import logging
import os
import socket
import threading
import time

from caelus import reconcile
from caelus.jobs import wakeup
from caelus.models import now
from caelus.process import GRACE_SECONDS, Tools

log = logging.getLogger("caelus.worker")
POLL_SECONDS = 1  # for jobs of other processes, and for retries that become due


def name(number: int = 0) -> str:
    """Who holds a job: host, process and thread."""
    return f"{socket.gethostname()}:{os.getpid()}:{number}"


def run_one(worker: str, tools: Tools) -> bool:
    """Work off one due job. False if there is none, or the database does not answer."""
    try:
        return reconcile.run_due(worker, tools, now()) is not None
    except Exception as e:
        detail = getattr(e, "detail", None)
        log.error("worker %s: %s", worker, detail or "unforeseen error", exc_info=not detail)
        return False


class Workers:
    """`count` threads that reconcile; `stop` ends their programs and waits for them."""

    def __init__(self, count: int, tools: Tools):
        self._tools = tools
        self._threads = [
            threading.Thread(target=self._work, args=(name(number),), name=f"worker-{number}")
            for number in range(1, count + 1)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def stop(self) -> None:
        """Send running programs SIGTERM; their jobs go back to the queue."""
        self._tools.cancel.set()
        wakeup.call()
        deadline = time.monotonic() + GRACE_SECONDS + 10
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))

    def _work(self, worker: str) -> None:
        while not self._tools.cancel.is_set():
            seen = wakeup.count()
            if not run_one(worker, self._tools):
                wakeup.wait(seen, POLL_SECONDS)
