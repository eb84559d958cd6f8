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

from caelus import deployments, events, jobs, process, tracing
from caelus.database import clock, database, is_postgres, session, transaction
from caelus.errors import Cancelled, Unavailable
from caelus.models import RUNNING, Deployment, Job
from caelus.process import Tools

log = logging.getLogger("caelus.leases")
RENEW_SECONDS = 5
# Without a renewal for so long, what runs is ended; GRACE_SECONDS later nothing runs any more,
# well before another worker may take the job.
GIVE_UP_SECONDS = jobs.LEASE.total_seconds() - process.GRACE_SECONDS - 10


class Stop:
    """Set when the whole process is to stop, this one lease is lost, or may soon be.

    The last by the clock alone: who renews may hang on the database, or have been halted.
    """

    def __init__(self, everything: threading.Event, job: Job):
        self._everything = everything
        self._job = job
        self.lost = threading.Event()
        self.renewed = time.monotonic()

    def is_set(self) -> bool:
        overdue = time.monotonic() - self.renewed > GIVE_UP_SECONDS
        return self._everything.is_set() or self.lost.is_set() or overdue

    def renew(self) -> bool:
        """Hold the job for longer; False once it is lost."""
        begun = time.monotonic()
        with session():
            held = jobs.renew(self._job, clock())
        if held:
            self.renewed = begun
        else:
            self.lost.set()
        return held

    def confirm(self) -> None:
        """Raise Cancelled unless the job is still this worker's: what failed may have been ended
        by the one who took it over. Without the database, the clock decides."""
        with contextlib.suppress(Unavailable):
            self.renew()
        if self.is_set():
            raise Cancelled("the job is no longer this worker's")


@contextlib.contextmanager
def kept(job: Job, tools: Tools):
    """Renew the lease of `job` while the block runs; gives tools that end with the lease."""
    stop, done = Stop(tools.cancel, job), threading.Event()
    keep = tracing.carried(_keep)
    threading.Thread(target=keep, args=(job, stop, done), daemon=True).start()
    try:
        yield dataclasses.replace(tools, cancel=stop, owner=_mark(job))
    finally:
        done.set()


def _mark(job: Job) -> str:
    """What tells the processes of this attempt from all others."""
    return f"{job.locked_by}/{job.id}/{job.attempt}"


def _keep(job: Job, stop: Stop, done: threading.Event) -> None:
    while not done.wait(RENEW_SECONDS):
        try:
            if not stop.renew() and not done.is_set():
                log.warning("job %d: lease lost, what it runs is ended", job.id)
                break
        except Exception as e:  # whatever it is: `stop` is set if it lasts
            log.warning("job %d: lease not renewed: %s", job.id, e)
    if not is_postgres():
        database.close()  # SQLite's connection of this thread


def recover(at: datetime.datetime | None = None) -> int:
    """Queue the jobs of workers that are dead, or silent by `at` (now), again; gives how many."""
    with session():
        running = list(Job.select().where(Job.status == RUNNING))
        at = at or clock()
    lost = [job for job in running if _is_lost(job, at)]
    return sum(tracing.carried(_recovered)(job) for job in lost)


def _end_acting(job: Job) -> None:
    """What the lost worker's helm locked, it locked before the lease was over."""
    open_still = (Deployment.id == job.deployment_id) & Deployment.acting_until.is_null()
    Deployment.update(acting_until=job.lease_until).where(open_still).execute()


def _recovered(job: Job) -> bool:
    """End what the lost job's worker runs on this machine, then queue the job again."""
    mark, worker = _mark(job), job.locked_by
    tracing.note(request_id=job.request_id, job_id=job.id)
    with session(), transaction():
        taken = jobs.take_over(job, worker_name())
    if not taken:
        return False
    process.end_children_of(mark)
    with session(), transaction():
        deployments.lock(job.deployment_id)
        queued = jobs.requeue_lost(job)
        if queued:
            _end_acting(job)
            events.record(
                job.deployment_id, "interrupted", f"{worker} was lost; what it did is gone on with"
            )
    log.warning("job %d: its worker %s is gone, it is queued again", job.id, worker)
    return queued


def _is_lost(job: Job, at: datetime.datetime) -> bool:
    return job.lease_until is None or job.lease_until < at or is_dead(job.locked_by)


# Names of workers: HOST:MACHINE:PID-START:NUMBER


def worker_name(number: int = 0) -> str:
    """Who holds a job; unique among all processes of all machines, also those that ended."""
    return f"{socket.gethostname()}:{_machine()}:{os.getpid()}-{_start(os.getpid())}:{number}"


def is_dead(worker: str) -> bool:
    """True only where this machine can see that the worker's process is no more."""
    try:
        _, machine, identity, _ = worker.rsplit(":", 3)
        pid, start = map(int, identity.split("-"))
    except (AttributeError, ValueError):
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
