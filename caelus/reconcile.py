"""Making the cluster agree with one deployment: the only module that acts on the cluster.

A job is claimed, its deployment read, helm and kubectl run with no transaction open, and the
outcome recorded, but only if this worker still holds the job.
"""

import dataclasses
import datetime
import logging
import re
import time

from caelus import (
    causes,
    deployments,
    events,
    fence,
    helm,
    jobs,
    kubectl,
    leases,
    redact,
    releases,
)
from caelus.causes import Cause
from caelus.database import session, transaction
from caelus.errors import Busy, CaelusError, Cancelled, Unavailable
from caelus.models import DELETED, DELETING, ERROR, READY, Deployment, Job, Template, now
from caelus.process import ToolError, Tools
from caelus.recovery import (
    Action,
    Wanted,
    after_failure,
    decide,
    is_held,
    last_good,
    status_of,
)
from caelus.releases import ReleaseBusy
from caelus.values import policy

log = logging.getLogger("caelus.reconcile")
HEALTH_TIMEOUT_SECONDS = 300
PATIENCE_SECONDS = 2  # of a worker, who has other jobs to do
RECORD_AGAIN_SECONDS = 1
ATTEMPTS = 3  # where only a change can help
_CONFLICT = re.compile(r"apply failed with \d+ conflict", re.IGNORECASE)
# What helm says to an upgrade of a release that a kill left locked.
_LOCKED = re.compile("another operation .* in progress|has no deployed releases", re.IGNORECASE)


def run_due(
    worker: str,
    tools: Tools,
    at: datetime.datetime | None = None,
    patience: int = PATIENCE_SECONDS,
) -> Deployment | None:
    """Work off the oldest job due by `at` (now); gives its deployment as it is then, or None.

    A namespace that takes longer than `patience` to go is left to a later attempt.
    """
    with session():
        job = jobs.claim(worker, at)
    return job and _run(job, tools, patience)


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
    with session():
        deployment = deployments.get_any(job.deployment_id)
    what = f"deployment {deployment.id} ({deployment.deployment_uid})"
    log.info("%s: %s starts, job %d, attempt %d", what, job.reason, job.id, job.attempt)
    try:
        with events.by(job.locked_by), leases.kept(job, tools) as held:
            _begin(deployment)
            attempt = Attempt(deployment, held, patience, correcting=job.reason == "drift")
            cause = attempt.run()
            after = _insist(lambda: _record(job, attempt, cause), held)
    except Cancelled:
        with session(), transaction():
            jobs.hand_back(job)
        log.info("%s: stopped, job %d goes back to the queue", what, job.id)
        return deployment
    if cause:
        log.warning("%s: %s failed: %s (%s)", what, job.reason, cause.message, cause.code)
    else:
        log.info("%s: %s done, status %s", what, job.reason, after.status)
    return after


def _begin(deployment: Deployment) -> None:
    """Note, before anything is done, that a lock on the release may be ours from now on."""
    mine = (Deployment.id == deployment.id) & Deployment.acting_since.is_null()
    with session():
        Deployment.update(acting_since=now()).where(mine).execute()


class Attempt:
    """One try at making the cluster agree with one deployment."""

    def __init__(self, deployment: Deployment, tools: Tools, patience: int, correcting: bool):
        self.deployment = deployment
        self.tools = tools
        self.patience = patience
        self.uid = deployment.deployment_uid
        self.template = deployment.desired_template
        self.correcting = correcting  # to undo what others changed
        self.owing = False  # a rollback that did not work, and so is to be tried again
        self.upgrading = False  # helm may have changed the release
        self.revision: int | None = None  # of the release as this attempt leaves it, if healthy
        self.timeout = self.template.health_timeout_sec or HEALTH_TIMEOUT_SECONDS

    def run(self) -> Cause | None:
        """Act; gives why it failed, free of secrets, or None. Raises Cancelled."""
        try:
            self._remove() if self.deployment.deleted_at is not None else self._apply()
        except Cancelled:
            raise
        except Exception as e:
            self.tools.cancel.confirm()
            if not isinstance(e, CaelusError):
                log.exception("deployment %d: unforeseen error", self.deployment.id)
            return self._explained(e)
        return None

    def _apply(self) -> None:
        values = deployments.check_values(self.deployment)
        self._fence(self.template)
        try:
            self._upgrade(values)
        except ToolError as e:
            if _LOCKED.search(e.output):
                self._unlock()
            elif self._may_take_back(e):
                self.correcting = True
            else:
                raise
            self._upgrade(values)

    def _fence(self, template: Template) -> None:
        objects = self._fence_of(template)
        kubectl.apply_fence(self.tools, self.uid, objects, fence.surplus(objects))

    def _fence_of(self, template: Template) -> list[dict]:
        return fence.objects(self.uid, template.capabilities_json, self.tools.config)

    def _may_take_back(self, error: ToolError) -> bool:
        """Whether fields that somebody else has set are in the way, and are to be corrected."""
        wanted = policy(self.template.capabilities_json, "drift") == "correct"
        return wanted and not self.correcting and _CONFLICT.search(error.output) is not None

    def _upgrade(self, values: dict) -> None:
        t = self.template
        plain_http = (t.capabilities_json or {}).get("plain_http") is True
        chart = helm.Chart(t.chart_ref, t.chart_version, t.chart_digest, plain_http)
        # Fields that others set are theirs in a server-side apply: it would be a conflict.
        force = self.correcting and releases.is_server_side(self.tools, self.uid)
        self.upgrading = True
        self.revision = helm.upgrade(self.tools, self.uid, chart, values, self.timeout, force)

    def _unlock(self) -> None:
        """Let helm go on from a release that a killed helm left locked.

        Raises ReleaseBusy where it may be the lock of a helm that somebody else runs.
        """
        history = releases.history(self.tools, self.uid)
        status = status_of(history)
        if decide(status, Wanted.APPLY) != Action.UNLOCK:
            return
        newest = max(revision.number for revision in history)
        lock = releases.stored(self.tools, self.uid, newest)
        if is_held(releases.written_at(lock), self.deployment.acting_since, now()):
            raise ReleaseBusy(f"another helm is at work on the release {self.uid}: it is {status}")
        releases.unlock(self.tools, self.uid, lock)
        self._tell("unlocked", f"revision {newest} was {status} with no helm at it: marked failed")

    def _remove(self) -> None:
        helm.uninstall(self.tools, self.uid, self.timeout)
        kubectl.delete_namespace(self.tools, self.uid, self.patience)

    def _explained(self, error: Exception) -> Cause:
        try:
            cause = causes.find(self.tools, self.uid, error)
        except Cancelled:
            raise
        except Exception:  # a fault in the search for the cause must not strand the job
            log.exception("deployment %d: no cause found", self.deployment.id)
            cause = causes.INTERNAL
        message = redact.scrub(cause.message, self.deployment)
        if self.upgrading and cause.code not in ("cluster_unreachable", "release_busy"):
            self._roll_back()
        return dataclasses.replace(cause, message=message)

    def _roll_back(self) -> None:
        """Bring back what was healthy, now that the evidence is taken."""
        if self.deployment.applied_template_id is None:
            return
        keep = policy(self.template.capabilities_json, "on_upgrade_failure") == "keep"
        former = self.deployment.applied_template
        try:
            # Pods of the last good revision may need what the new fence does not let them.
            if not keep and self._fence_of(former) != self._fence_of(self.template):
                self._fence(former)
            history = releases.history(self.tools, self.uid)
            if after_failure(history, was_healthy=True, keep=keep) == Action.ROLLBACK:
                good = last_good(history)
                releases.rollback(self.tools, self.uid, good, self.timeout)
                self.revision = 1 + max(revision.number for revision in history)
                self._tell("rolled_back", f"went back to revision {good}, the last good one")
        except ToolError as e:
            detail = redact.scrub(e.detail, self.deployment)
            log.warning("deployment %d: %s", self.deployment.id, detail)
            self._tell("rollback_failed", detail)
            self.owing = True

    def _tell(self, type: str, message: str) -> None:
        with session(), transaction():
            events.record(self.deployment.id, type, message)


def _insist(write, held: Tools) -> Deployment:
    """Do `write` until the database takes it: minutes of helm's work hang on it."""
    while True:
        try:
            with session():
                return write()
        except Unavailable as e:
            log.warning("the outcome can't be recorded yet: %s", e.detail)
            if held.cancel.is_set():
                raise Cancelled("stopped before the outcome was recorded") from None
            time.sleep(RECORD_AGAIN_SECONDS)


def _record(job: Job, attempt: Attempt, cause: Cause | None) -> Deployment:
    deployment = attempt.deployment
    with transaction():
        # The deployment before its job, as every change of a deployment does: no deadlock.
        deployments.lock(deployment.id)
        if not _close(job, cause, futile=not (cause is None or cause.heals or attempt.owing)):
            log.warning("job %d is no longer this worker's: its outcome is dropped", job.id)
            return deployments.get_any(deployment.id)
        outcome = _outcome(deployment, cause)
        if attempt.revision is not None or cause is None:
            outcome["applied_revision"] = attempt.revision
        Deployment.update(
            last_reconcile_at=now(),
            last_error=cause and cause.message,
            cause=cause and cause.document(),
            **outcome,
        ).where(Deployment.id == deployment.id).execute()
        if not _is_waiting(cause) or deployment.cause != cause.document():
            type = outcome["status"] if cause is None else "failed"
            message = cause.message if cause else f"{job.reason} done"
            events.record(deployment.id, type, message, cause and cause.document())
        return deployments.get_any(deployment.id)


def _is_waiting(cause: Cause | None) -> bool:
    """Whether it is only a namespace that takes its time to go."""
    return cause is not None and cause.code == "namespace_terminating"


def _close(job: Job, cause: Cause | None, futile: bool) -> bool:
    if cause is None:
        return jobs.finish(job)
    if futile and job.futile + 1 >= ATTEMPTS:
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
    # Nothing of ours is at it now: a lock that comes later is somebody else's.
    return {
        "status": READY,
        "applied_template": deployment.desired_template,
        "acting_since": None,
    }
