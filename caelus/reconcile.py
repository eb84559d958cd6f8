"""Making the cluster agree with one deployment: the only module that acts on the cluster.

A job is claimed, its deployment read, helm and kubectl run with no transaction open, and the
outcome recorded, but only if this worker still holds the job.
"""

import datetime
import logging

from caelus import deployments, helm, jobs, kubectl, redact
from caelus.database import locked, session, transaction
from caelus.errors import CaelusError, Cancelled, ReconcileError
from caelus.models import DELETED, ERROR, READY, RUNNING, Deployment, Job, now
from caelus.process import Tools

log = logging.getLogger("caelus.reconcile")
HEALTH_TIMEOUT_SECONDS = 300


def run_due(worker: str, tools: Tools, at: datetime.datetime) -> Deployment | None:
    """Work off the oldest job due by `at`; gives its deployment as it is then, or None."""
    with session():
        job = jobs.claim(worker, at)
    return job and _run(job, tools)


def run_now(worker: str, tools: Tools, deployment_id: int) -> Deployment:
    """Reconcile this deployment, whether it has a job or not.

    Raises Busy while another worker is at it.
    """
    with session(), transaction():
        deployment = deployments.get_any(deployment_id)
        job = jobs.open_job(deployment_id)
        if deployment.status == DELETED:
            return deployment
        if job is None or job.status == RUNNING:
            jobs.enqueue(deployment_id, _reason(deployment))
    with session():
        job = jobs.claim(worker, now(), deployment_id)
    return _run(job, tools) if job else run_now(worker, tools, deployment_id)


def _reason(deployment: Deployment) -> str:
    return "drift" if deployment.status == READY else deployments.reason_to_run(deployment)


def _run(job: Job, tools: Tools) -> Deployment:
    with session():
        deployment = deployments.get_any(job.deployment_id)
    what = f"deployment {deployment.id} ({deployment.deployment_uid})"
    log.info("%s: %s starts, job %d, attempt %d", what, job.reason, job.id, job.attempt)
    try:
        error = _attempt(deployment, tools)
    except Cancelled:
        with session(), transaction():
            jobs.hand_back(job)
        log.info("%s: stopped, job %d goes back to the queue", what, job.id)
        return deployment
    with session():
        _record(job, deployment, error)
        after = deployments.get_any(deployment.id)
    if error:
        log.warning("%s: %s failed: %s", what, job.reason, error.detail)
    else:
        log.info("%s: %s done, status %s", what, job.reason, after.status)
    return after


def _attempt(deployment: Deployment, tools: Tools) -> ReconcileError | None:
    """Act on the cluster once; gives what went wrong, free of secrets."""
    try:
        if deployment.deleted_at is not None:
            _remove(deployment, tools)
        else:
            _apply(deployment, tools)
    except Cancelled:
        raise
    except ReconcileError as e:
        return ReconcileError(redact.scrub(e.detail, deployment), e.retryable)
    except CaelusError as e:
        return ReconcileError(redact.scrub(e.detail, deployment), retryable=False)
    except Exception:
        log.exception("deployment %d: unforeseen error", deployment.id)
        return ReconcileError("an internal error of Caelus; its log says more")
    return None


def _apply(deployment: Deployment, tools: Tools) -> None:
    template = deployment.desired_template
    values = deployments.check_values(deployment)
    chart = helm.Chart(template.chart_ref, template.chart_version, template.chart_digest)
    kubectl.apply_namespace(tools, deployment.deployment_uid)
    helm.upgrade(tools, deployment.deployment_uid, chart, values, _health_timeout(deployment))


def _remove(deployment: Deployment, tools: Tools) -> None:
    helm.uninstall(tools, deployment.deployment_uid, _health_timeout(deployment))
    kubectl.delete_namespace(tools, deployment.deployment_uid)


def _health_timeout(deployment: Deployment) -> int:
    return deployment.desired_template.health_timeout_sec or HEALTH_TIMEOUT_SECONDS


def _record(job: Job, deployment: Deployment, error: ReconcileError | None) -> None:
    with transaction():
        # The deployment before its job, as every change of a deployment does: no deadlock.
        locked(Deployment.select(Deployment.id).where(Deployment.id == deployment.id)).first()
        if not _close(job, error):
            log.warning("job %d is no longer this worker's: its outcome is dropped", job.id)
            return
        Deployment.update(
            last_reconcile_at=now(),
            last_error=error and error.detail,
            **_outcome(deployment, error),
        ).where(Deployment.id == deployment.id).execute()


def _close(job: Job, error: ReconcileError | None) -> bool:
    if error is None:
        return jobs.finish(job)
    if error.retryable:
        return jobs.postpone(job, error.detail, now())
    return jobs.fail(job, error.detail)


def _outcome(deployment: Deployment, error: ReconcileError | None) -> dict:
    if error is not None:
        return {"status": ERROR}
    if deployment.deleted_at is not None:
        return {"status": DELETED}
    return {"status": READY, "applied_template": deployment.desired_template}
