"""Leases: a running job is its worker's only as long as the worker keeps renewing.

A worker that died loses its job: at once where this machine can see that it is dead, else when
the lease runs out. Before that its own side has ended what it ran: no release has two helms.
"""

import contextlib
import dataclasses
import datetime
import functools
import hashlib
import logging
import os
import pathlib
import socket
import threading
import time

from caelus import jobs, process
from caelus.database import database, is_postgres, session, transaction
from caelus.errors import Unavailable
from caelus.models import RUNNING, Job, now
from caelus.process import Tools

log = logging.getLogger("caelus.leases")
RENEW_SECONDS = 5
# Without a renewal for so long, what runs is ended; GRACE_SECONDS later nothing runs any more,
# well before another worker may take the job.
GIVE_UP_SECONDS = jobs.LEASE.total_seconds() - process.GRACE_SECONDS - 10


class Stop:
    """Set when either the whole process is to stop or this one lease is lost."""

    def __init__(self, everything: threading.Event):
        self._everything = everything
        self.lost = threading.Event()

    def is_set(self) -> bool:
        return self._everything.is_set() or self.lost.is_set()


@contextlib.contextmanager
def kept(job: Job, tools: Tools):
    """Renew the lease of `job` while the block runs; gives tools that end with the lease."""
    stop, done = Stop(tools.cancel), threading.Event()
    keeper = threading.Thread(target=_keep, args=(job, stop.lost, done), daemon=True)
    keeper.start()
    try:
        yield dataclasses.replace(tools, cancel=stop, owner=process_of(job.locked_by))
    finally:
        done.set()


def _keep(job: Job, lost: threading.Event, done: threading.Event) -> None:
    renewed = time.monotonic()
    while not done.wait(RENEW_SECONDS):
        try:
            with session():
                held = jobs.renew(job, now())
        except Unavailable as e:
            log.warning("job %d: lease not renewed: %s", job.id, e.detail)
            held = time.monotonic() - renewed < GIVE_UP_SECONDS
        else:
            renewed = time.monotonic()
        if not held and not done.is_set():
            log.warning("job %d: lease lost, what it runs is ended", job.id)
            lost.set()
            break
    if not is_postgres():
        database.close()  # SQLite's connection of this thread


def recover(at: datetime.datetime) -> int:
    """Queue the jobs of workers that are dead or silent again; gives how many."""
    with session():
        running = list(Job.select().where(Job.status == RUNNING))
    lost = [job for job in running if _is_lost(job, at)]
    for job in lost:
        process.end_children_of(process_of(job.locked_by))
        with session(), transaction():
            taken = jobs.requeue_lost(job)
        if taken:
            log.warning("job %d: its worker %s is gone, it is queued again", job.id, job.locked_by)
    return len(lost)


def _is_lost(job: Job, at: datetime.datetime) -> bool:
    return job.lease_until is None or job.lease_until < at or is_dead(job.locked_by)


# Names of workers: HOST:MACHINE:PID-START:NUMBER


def worker_name(number: int = 0) -> str:
    """Who holds a job; unique among all processes of all machines, also those that ended."""
    return f"{socket.gethostname()}:{_machine()}:{os.getpid()}-{_start(os.getpid())}:{number}"


def process_of(worker: str) -> str:
    """The process that a worker is a thread of."""
    return worker.rpartition(":")[0]


def is_dead(worker: str) -> bool:
    """True only where this machine can see that the worker's process is no more."""
    try:
        _, machine, identity, _ = worker.rsplit(":", 3)
        pid, start = map(int, identity.split("-"))
    except ValueError:
        return False
    return machine == _machine() and _start(pid) != start


@functools.lru_cache(maxsize=1)
def _machine() -> str:
    """Equal only for processes that see each other's ids: same boot, same pid namespace."""
    try:
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        return "unknown"
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:8]


def _start(pid: int) -> int | None:
    """When the process started, in ticks since boot; None where there is none, or a zombie."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
