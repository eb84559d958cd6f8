"""Making the cluster agree with the database, one deployment at a time.

A job is claimed, its deployment read, helm and kubectl run with no transaction open, and the
outcome recorded, but only if this worker still holds the job.
"""

import contextlib
import datetime
import logging

from caelus import causes, deployments, events, jobs, leases, outcomes, tallies, tracing
from caelus.attempts import Attempt
from caelus.causes import Cause
from caelus.database import session, transaction
from caelus.errors import Busy, Cancelled
from caelus.models import DELETED, ERROR, READY, Deployment, Job
from caelus.process import Tools

log = logging.getLogger("caelus.reconcile")
PATIENCE_SECONDS = 2  # of a worker, who has other jobs to do; after its first attempt none


def run_due(
    worker: str,
    tools: Tools,
    at: datetime.datetime | None = None,
    patience: int | None = None,
) -> Deployment | None:
    """Work off the oldest job due by `at` (now); gives its deployment as it is then, or None.

    A namespace that takes longer than `patience` seconds to go (a worker's own, if it is None)
    is left to a later attempt.
    """
    with session():
        job = jobs.claim(worker, at)
    if job is None:
        return None
    if patience is None:
        patience = PATIENCE_SECONDS if job.attempt == 1 else 0
    return _run(job, tools, patience)


def run_now(worker: str, tools: Tools, deployment_id: int, patience: int) -> Deployment:
    """Reconcile this deployment, whether it has a job or not; `patience` as in `run_due`.

    Raises Busy while another worker is at it.
    """
    with session(), transaction():
        deployments.lock(deployment_id)
        deployment = deployments.get_any(deployment_id)
        if deployment.status == DELETED:
            return deployment
        if jobs.open_job(deployment_id) is None:
            jobs.enqueue(deployment_id, _reason(deployment))
        job = jobs.claim(worker, deployment_id=deployment_id)
        if job is None:
            raise Busy()
    return _run(job, tools, patience)


def _reason(deployment: Deployment) -> str:
    return "drift" if deployment.status == READY else deployments.reason_to_run(deployment)


def _run(job: Job, tools: Tools, patience: int) -> Deployment:
    tracing.note(request_id=job.request_id, job_id=job.id)
    try:
        with session():
            deployment = deployments.get_any(job.deployment_id)
        tracing.note(deployment=deployment.deployment_uid)
        with events.by(job.locked_by), leases.kept(job, tools) as held:
            return _attempted(job, Attempt(job, deployment, held, patience))
    except Cancelled:
        with events.by(job.locked_by), session(), transaction():
            _hand_back(job)
        return deployment
    except Exception:
        # Not to wait for the end of the lease: this worker goes on, and renews it no more.
        with contextlib.suppress(Exception), events.by(job.locked_by), session(), transaction():
            _shelve(job, causes.INTERNAL)
        raise


def _attempted(job: Job, attempt: Attempt) -> Deployment:
    d = attempt.deployment
    what = f"deployment {d.id} ({d.deployment_uid})"
    log.info("%s: %s starts, job %d, attempt %d", what, job.reason, job.id, job.attempt)
    cause = attempt.run()
    after = outcomes.insist(lambda: _record(job, attempt, cause), attempt.tools)
    if cause:
        log.warning("%s: %s failed: %s (%s)", what, job.reason, cause.message, cause.code)
    else:
        log.info("%s: %s done, status %s", what, job.reason, after.status)
    return after


def _record(job: Job, attempt: Attempt, cause: Cause | None) -> Deployment:
    return outcomes.record(job, attempt.deployment, cause, attempt.revision, attempt.owing)


def _hand_back(job: Job) -> None:
    deployments.lock(job.deployment_id)
    if jobs.hand_back(job):
        message = f"{job.reason} was stopped along with Caelus; it goes back to the queue"
        events.record(job.deployment_id, "interrupted", message)
    log.info("job %d was stopped and goes back to the queue", job.id)


def _shelve(job: Job, cause: Cause) -> None:
    """Put off a job whose attempt nobody foresaw to end so."""
    deployments.lock(job.deployment_id)
    document = cause.document()
    if jobs.postpone(job, cause.message, document):
        failed = {"status": ERROR, "last_error": cause.message, "cause": document}
        Deployment.update(failed).where(Deployment.id == job.deployment_id).execute()
        events.record(job.deployment_id, "failed", cause.message, document)
        tallies.reconciled(job, cause.code)
