"""What is put on record while a deployment is reconciled, and of how that ended."""

import logging
import time

from caelus import deployments, events, jobs, restored, tallies
from caelus.causes import Cause
from caelus.database import session, transaction
from caelus.errors import Cancelled, Unavailable
from caelus.models import DELETED, DELETING, ERROR, READY, Deployment, Job, now
from caelus.prepared import prepared
from caelus.process import Tools

log = logging.getLogger("caelus.reconcile")
RECORD_AGAIN_SECONDS = 1
ATTEMPTS = 3  # where only a change can help


def insist(write, held: Tools):
    """Do `write` until the database takes it: minutes of helm's work hang on it."""
    while True:
        try:
            with session():
                return write()
        except Unavailable as e:
            log.warning("what was done can't be recorded yet: %s", e.detail)
            if held.cancel.is_set():
                raise Cancelled("stopped before it was recorded") from None
            time.sleep(RECORD_AGAIN_SECONDS)


def record(
    job: Job, deployment: Deployment, cause: Cause | None, revision: int | None, owing: bool
) -> Deployment:
    """Close `job`, if it is still this worker's; gives the deployment as it is then.

    `revision` is the one that helm left in good health; a debt (`owing`) is to be tried again.
    """
    with transaction():
        # The deployment before its job, as every change of a deployment does: no deadlock.
        deployments.lock(deployment.id)
        if not _close(job, cause, futile=not (cause is None or cause.heals or owing)):
            log.warning("job %d is no longer this worker's: its outcome is dropped", job.id)
            return deployments.get_any(deployment.id)
        outcome = _outcome(deployment, cause)
        if revision is not None or cause is None:
            outcome["applied_revision"] = revision
        note.run(
            id=deployment.id,
            last_reconcile_at=now(),
            last_error=cause and cause.message,
            cause=cause and cause.document(),
            acting_until=deployment.acting_until,
            fence=deployment.fence,
            **outcome,
        )
        if _is_news(job, deployment, cause):
            type = outcome["status"] if cause is None else "failed"
            message = cause.message if cause else f"{job.reason} done"
            events.record(deployment.id, type, message, cause and cause.document())
        tallies.reconciled(job, cause and cause.code)
        return deployments.get_any(deployment.id)


def _is_news(job: Job, deployment: Deployment, cause: Cause | None) -> bool:
    """Not that it failed once more as before: that may go on for months."""
    if cause is None or deployment.cause != cause.document():
        return True
    return job.attempt <= ATTEMPTS and not _is_waiting(cause)


def _is_waiting(cause: Cause | None) -> bool:
    """Whether it is only a namespace that takes its time to go."""
    return cause is not None and cause.code == "namespace_terminating"


def _close(job: Job, cause: Cause | None, futile: bool) -> bool:
    if cause is None:
        return jobs.finish(job)
    if futile and (job.futile + 1 >= ATTEMPTS or cause.code in restored.HELD):
        return jobs.fail(job, cause.message, cause.document())
    soon = _is_waiting(cause)
    return jobs.postpone(job, cause.message, cause.document(), soon, futile)


def _outcome(deployment: Deployment, cause: Cause | None) -> dict:
    if cause is not None and deployment.deleted_at is not None:
        return {"status": DELETING if _is_waiting(cause) else ERROR}
    if cause is not None:
        return {"status": ERROR}
    if deployment.deleted_at is not None:
        return {"status": DELETED}
    return {"status": READY, "applied_template": deployment.desired_template}


@prepared
def note(id, since=None, **fields):
    query = Deployment.update(fields).where(Deployment.id == id)
    return query if since is None else query.where(Deployment.acting_since == since)
