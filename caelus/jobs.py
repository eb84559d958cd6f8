"""The reconcile queue: rows in the database, at most one open per deployment.

A job goes `queued -> running -> done | failed`; one that failed but may succeed later goes back
to `queued`, due after a pause.
"""

import datetime
import functools
import logging
import random
import threading

from caelus import tracing
from caelus.database import before_commit, clock, database, is_postgres, locked, page, transaction
from caelus.errors import Busy
from caelus.models import DONE, FAILED, QUEUED, RUNNING, Deployment, Job, now

log = logging.getLogger("caelus.jobs")
OPEN = (QUEUED, RUNNING)
CHANNEL = "caelus_jobs"  # on which Postgres tells all processes of a job
LEASE = datetime.timedelta(seconds=45)
FIRST_PAUSE = datetime.timedelta(seconds=10)
SOON, LONGEST_SOON = datetime.timedelta(seconds=1), datetime.timedelta(minutes=2)
LONGEST_PAUSE = datetime.timedelta(minutes=10)
KEPT = datetime.timedelta(days=90)  # as events are


class Wakeup:
    """Tells sleeping workers of this process that a job may be due."""

    def __init__(self):
        self._changed = threading.Condition()
        self._count = 0

    def count(self) -> int:
        return self._count

    def call(self) -> None:
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait(self, seen: int, seconds: float) -> None:
        """Sleep until called, unless it was since `count()` gave `seen`; at most `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: self._count != seen, seconds)


wakeup = Wakeup()


def find(
    *,
    status: str | None = None,
    deployment_id: int | None = None,
    limit: int | None = None,
    after: int | None = None,
    before: int | None = None,
) -> list[Job]:
    """In order of their ids; those with ids smaller than `before`, if given, newest first."""
    query = Job.select(Job, Deployment).join(Deployment)
    if status is not None:
        query = query.where(Job.status == status)
    if deployment_id is not None:
        query = query.where(Job.deployment == deployment_id)
    if before is not None:
        page_before = query.where(Job.id < before, Job.id > (after or 0))
        return list(page_before.order_by(Job.id.desc()).limit(limit))
    return list(page(query, limit, after))


def open_job(deployment_id: int) -> Job | None:
    """The deployment's open job, locked until the transaction ends."""
    query = Job.select().where(Job.deployment == deployment_id, Job.status.in_(OPEN))
    return locked(query).first()


def waits_for_retry(job: Job) -> bool:
    return job.status == QUEUED and job.attempt > 0


def enqueue(deployment_id: int, reason: str) -> Job:
    """Add a job; one that only waits for a retry gives way to it.

    The caller's transaction holds the lock on the deployment. Raises Busy where a job is running
    or still has its first attempt before it.
    """
    job = open_job(deployment_id)
    if job is not None and not waits_for_retry(job):
        raise Busy()
    if job is not None:
        close(job)
        _log("job %d of deployment %d gives way to a new one", job.id, deployment_id)
    request_id = tracing.present().request_id
    job = Job.create(
        deployment=deployment_id, reason=reason, run_after=clock(), request_id=request_id
    )
    _tell()
    _log("job %d (%s) of deployment %d queued", job.id, reason, deployment_id)
    return job


def hurry(job: Job) -> None:
    """Make a job that waits for its retry due at once, for the request that asks for it."""
    _change(job, run_after=clock(), request_id=tracing.present().request_id)
    _tell()
    _log("job %d of deployment %d is due at once", job.id, job.deployment_id)


def close(job: Job) -> None:
    """Close a job that nobody is to run any more."""
    _change(job, status=FAILED)


def _log(message: str, *of) -> None:
    """Only when all is done: what a dry run undoes never was."""
    before_commit(functools.partial(log.info, message, *of))


def _tell() -> None:
    """Wake the workers of other processes once this transaction is committed."""
    if is_postgres():
        database.execute_sql(f"NOTIFY {CHANNEL}")


def claim(
    worker: str, at: datetime.datetime | None = None, deployment_id: int | None = None
) -> Job | None:
    """Take the oldest job due by `at` (now) for `worker`: no two workers ever get the same one.

    With a deployment's id only its own job, due or not.
    """
    if deployment_id is None:
        wanted = Job.run_after <= (at or clock())
    else:
        wanted = Job.deployment == deployment_id
    oldest = (
        Job.select(Job.id)
        .where(Job.status == QUEUED, wanted)
        .order_by(Job.run_after, Job.id)
        .limit(1)
    )
    if not oldest.exists():
        return None  # looking is free; on SQLite the update below waits for every writer
    if is_postgres():
        oldest = oldest.for_update("FOR UPDATE SKIP LOCKED")
    with transaction():
        taken = clock()  # not `at`: this may have waited for other writers
        claimed = Job.update(
            status=RUNNING,
            attempt=Job.attempt + 1,
            locked_by=worker,
            locked_at=taken,
            lease_until=taken + LEASE,
            updated_at=taken,
        ).where(Job.id == oldest, Job.status == QUEUED)
        rows = list(claimed.returning(Job).execute())
    return rows[0] if rows else None


def renew(job: Job, at: datetime.datetime) -> bool:
    """Hold a running job for another lease from `at`; False if its worker holds it no more.

    A lease that is over is not renewed: another worker may be about to take the job.
    """
    return _change(job, _held(job) & (Job.lease_until >= at), lease_until=at + LEASE)


def take_over(job: Job, worker: str) -> bool:
    """Take a job from the worker that lost it, as it is in `job`; False if it has moved on since.

    From then on neither that worker nor a third one can do anything with it.
    """
    as_seen = _held(job) & (Job.lease_until == job.lease_until)
    taken = _change(job, as_seen, locked_by=worker, lease_until=clock() + LEASE)
    job.locked_by = worker
    return taken


def requeue_lost(job: Job) -> bool:
    """Queue a job that was taken over; False if it has been taken over in turn."""
    queued = _release(job, status=QUEUED, run_after=clock())
    if queued:
        _tell()
    return queued


def finish(job: Job) -> bool:
    return _release(job, status=DONE, last_error=None, cause=None)


def fail(job: Job, error: str, cause: dict | None = None) -> bool:
    return _release(job, status=FAILED, last_error=error, cause=cause)


def postpone(
    job: Job, error: str, cause: dict | None = None, soon: bool = False, futile: bool = False
) -> bool:
    """Queue the job again, due after its pause, or `soon`: after seconds at first.

    `futile`: only a change can help, which is tried a few times all the same.
    """
    due = clock() + (_short_pause(job.attempt) if soon else pause(job.attempt))
    log.info("job %d of deployment %d tried again at %s", job.id, job.deployment_id, due)
    changes = {"last_error": error, "cause": cause, "run_after": due}
    return _release(job, status=QUEUED, futile=job.futile + futile, **changes)


def hand_back(job: Job) -> bool:
    """Queue the job again as if it had not been claimed."""
    handed = _release(job, status=QUEUED, attempt=job.attempt - 1)
    _tell()
    return handed


def prune(at: datetime.datetime) -> int:
    """Delete the closed jobs that were closed 90 days before `at`; gives how many."""
    old = Job.updated_at < at - KEPT
    return Job.delete().where(Job.status.in_((DONE, FAILED)), old).execute()


def pause(attempt: int) -> datetime.timedelta:
    """How long to wait after the failed `attempt` (from 1): doubling, with a cap.

    Up to a fifth longer, by chance, so that what failed together is not tried together.
    """
    return min(FIRST_PAUSE * 2 ** min(attempt - 1, 20), LONGEST_PAUSE) * random.uniform(1, 1.2)


def _short_pause(attempt: int) -> datetime.timedelta:
    return min(SOON * 1.5 ** min(attempt - 1, 20), LONGEST_SOON)


def _release(job: Job, **changes) -> bool:
    """Change a job that its worker holds; False if the worker holds it no more."""
    free = {"locked_by": None, "locked_at": None, "lease_until": None}
    return _change(job, _held(job), **free, **changes)


def _held(job: Job):
    return (Job.status == RUNNING) & (Job.locked_by == job.locked_by) & (Job.attempt == job.attempt)


def _change(job: Job, condition=True, **changes) -> bool:
    query = Job.update(updated_at=now(), **changes).where(Job.id == job.id)
    if condition is not True:
        query = query.where(condition)
    return query.execute() == 1
