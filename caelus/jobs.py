"""The reconcile queue: rows in the database, at most one open per deployment.

A job goes `queued -> running -> done | failed`; one that failed but may succeed later goes back
to `queued`, due after a pause.
"""

import datetime
import functools
import logging
import random
import threading

import peewee

from caelus import tracing
from caelus.database import before_commit, clock, database, is_postgres, locked, page, transaction
from caelus.errors import Busy
from caelus.models import DONE, FAILED, QUEUED, RUNNING, Deployment, Job, now
from caelus.prepared import insert, prepared

log = logging.getLogger("caelus.jobs")
OPEN = (QUEUED, RUNNING)
CHANNEL = "caelus_jobs"  # on which Postgres tells all processes of a job
LEASE = datetime.timedelta(seconds=45)
# `clock` as a part of a statement, so that a claim is but one.
CLOCK = peewee.SQL("(clock_timestamp() AT TIME ZONE 'UTC')")
LEASE_END = peewee.SQL(f"(clock_timestamp() AT TIME ZONE 'UTC' + interval '{LEASE.seconds} s')")
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
    wanted = {"status": status, "deployment_id": deployment_id, "limit": limit, "after": after}
    return _page.all(**wanted, before=before)


def open_job(deployment_id: int) -> Job | None:
    """The deployment's open job, locked until the transaction ends."""
    return _open.first(deployment_id=deployment_id)


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
    return _add(deployment_id, reason)


def first(deployment_id: int) -> Job:
    """Add the job of a deployment that the caller's transaction has just made."""
    return _add(deployment_id, "create")


def _add(deployment_id: int, reason: str) -> Job:
    new = {"deployment": deployment_id, "reason": reason}
    new["request_id"] = tracing.present().request_id
    if is_postgres():
        job = _told.first(**new)
    else:
        at = clock()
        insert(job := Job(run_after=at, created_at=at, updated_at=at, **new))
    _log("job %d (%s) of deployment %d queued", job.id, reason, deployment_id)
    return job


def hurry(job: Job) -> None:
    """Make a job that waits for its retry due at once, for the request that asks for it."""
    _change(job, run_after=_tell(), request_id=tracing.present().request_id)
    _log("job %d of deployment %d is due at once", job.id, job.deployment_id)


def close(job: Job) -> None:
    """Close a job that nobody is to run any more."""
    _change(job, status=FAILED)


def _log(message: str, *of) -> None:
    """Only when all is done: what a dry run undoes never was."""
    before_commit(functools.partial(log.info, message, *of))


def _tell() -> datetime.datetime:
    """Wake the workers of other processes once this transaction is committed; gives the time."""
    if not is_postgres():
        return clock()
    told = database.execute_sql(f"SELECT clock_timestamp(), pg_notify('{CHANNEL}', '')")
    return told.fetchone()[0].astimezone(datetime.UTC)


def claim(
    worker: str, at: datetime.datetime | None = None, deployment_id: int | None = None
) -> Job | None:
    """Take the oldest job due by `at` (now) for `worker`: no two workers ever get the same one.

    With a deployment's id only its own job, due or not.
    """
    wanted = {"due": at, "deployment_id": deployment_id}
    if is_postgres():
        return _claim.first(worker=worker, taken=None, until=None, **wanted)
    if deployment_id is None:
        wanted["due"] = at or clock()
    if _oldest.first(**wanted) is None:
        return None  # looking is free; the update below waits for every writer
    with transaction():
        taken = clock()  # not `due`: this may have waited for other writers
        return _claim.first(worker=worker, taken=taken, until=taken + LEASE, **wanted)


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
    return _release(job, status=QUEUED, run_after=_tell())


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
    seen = {"id": job.id, "worker": job.locked_by, "tried": job.attempt}
    return _released.run(**seen, updated_at=now(), **changes) == 1


def _held(job: Job):
    return _held_by(job.locked_by, job.attempt)


def _held_by(worker, attempt):
    return (Job.status == RUNNING) & (Job.locked_by == worker) & (Job.attempt == attempt)


def _change(job: Job, condition=True, **changes) -> bool:
    query = Job.update(updated_at=now(), **changes).where(Job.id == job.id)
    if condition is not True:
        query = query.where(condition)
    return query.execute() == 1


# The queries


@prepared
def _page(status, deployment_id, limit, after, before):
    query = Job.select(Job, Deployment).join(Deployment)
    if status is not None:
        query = query.where(Job.status == status)
    if deployment_id is not None:
        query = query.where(Job.deployment == deployment_id)
    if before is None:
        return page(query, limit, after)
    if after is not None:
        query = query.where(Job.id > after)
    return query.where(Job.id < before).order_by(Job.id.desc()).limit(limit)


@prepared
def _open(deployment_id):
    return locked(Job.select().where(Job.deployment == deployment_id, Job.status.in_(OPEN)))


@prepared
def _told(**new):
    """The job's insertion on Postgres, which tells all processes of it, as `_tell`."""
    times = dict.fromkeys((Job.run_after, Job.created_at, Job.updated_at), CLOCK)
    told = peewee.fn.pg_notify(CHANNEL, "").alias("told")
    return Job.insert(times, **new).returning(Job, told)


@prepared
def _oldest(due, deployment_id):
    """The id of the job to take; without a time what is due now, by Postgres' clock."""
    wanted = Job.run_after <= (due or CLOCK)
    if deployment_id is not None:
        wanted = Job.deployment == deployment_id
    query = Job.select(Job.id).where(Job.status == QUEUED, wanted)
    return query.order_by(Job.run_after, Job.id).limit(1)


@prepared
def _claim(worker, taken, until, due, deployment_id):
    oldest = _oldest.query(due, deployment_id)
    if is_postgres():
        oldest = oldest.for_update("FOR UPDATE SKIP LOCKED")
    held = {"locked_by": worker, "locked_at": taken or CLOCK, "lease_until": until or LEASE_END}
    claimed = Job.update(status=RUNNING, attempt=Job.attempt + 1, updated_at=taken or CLOCK, **held)
    return claimed.where(Job.id == oldest, Job.status == QUEUED).returning(Job)


@prepared
def _released(id, worker, tried, **changes):
    free = {"locked_by": None, "locked_at": None, "lease_until": None}
    return Job.update(**free, **changes).where(Job.id == id, _held_by(worker, tried))
