"""One try at making the cluster agree with one deployment: look, decide, act."""

import contextlib
import dataclasses
import datetime
import logging
import re

from caelus import (
    causes,
    deployments,
    events,
    fence,
    helm,
    kubectl,
    outcomes,
    redact,
    releases,
    restored,
)
from caelus.causes import Cause
from caelus.database import session, transaction
from caelus.errors import CaelusError, Cancelled
from caelus.models import Deployment, Job, Template, now
from caelus.policies import policy
from caelus.process import ToolError, Tools
from caelus.recovery import (
    PENDING,
    Action,
    Revision,
    Wanted,
    decide,
    is_held,
    last_good,
    made,
    newest,
    status_of,
)
from caelus.releases import ReleaseBusy

log = logging.getLogger("caelus.reconcile")
HEALTH_TIMEOUT_SECONDS = 300
# Causes of which helm ends before it touches the release, or after it has marked it itself.
UNTOUCHED = {"chart_not_found", "chart_digest_mismatch", "chart_unusable", "registry_auth"} | {
    "tool_missing",
    "values_rejected",
}
_CONFLICT = re.compile(r"apply failed with \d+ conflict", re.IGNORECASE)
_LOCKED = re.compile("another operation .{1,80} in progress", re.IGNORECASE)
# What helm says before it has changed anything of a release that is not as was thought.
_REFUSED = re.compile(f"{_LOCKED.pattern}|has no deployed releases", re.IGNORECASE)


class Attempt:
    """One try at making the cluster agree with one deployment."""

    def __init__(self, job: Job, deployment: Deployment, tools: Tools, patience: int):
        self.deployment = deployment
        self.tools = tools
        self.patience = patience
        self.uid = deployment.deployment_uid
        self.template = deployment.desired_template
        self.is_first = job.reason == "create" and job.attempt == 1
        self.correcting = job.reason == "drift"  # to undo what others changed
        self.looks = self.correcting or job.attempt > 1  # at the release before it acts
        self.owing = False  # a rollback that did not work, and so is to be tried again
        self.revision: int | None = None  # of the release as this attempt leaves it, if healthy
        self.timeout = self.template.health_timeout_sec or HEALTH_TIMEOUT_SECONDS

    def run(self) -> Cause | None:
        """Act; gives why it failed, free of secrets, or None. Raises Cancelled."""
        try:
            if held := self._held():
                return held
            self._remove() if self.deployment.deleted_at is not None else self._apply()
        except Cancelled:
            raise
        except Exception as e:
            self.tools.cancel.confirm()
            if not isinstance(e, CaelusError):
                log.exception("deployment %d: unforeseen error", self.deployment.id)
            return self._explained(e)
        return None

    def _expected(self) -> Revision | None:
        """The release as Caelus has left it, None where it must be looked at before.

        That is so after whatever failed, and where the fence is to change: then it must not be
        changed under a helm that somebody else runs.
        """
        d = self.deployment
        if self.looks:
            return None
        if self.is_first and d.acting_since is None:
            return Revision(0, "none")
        at_rest = d.acting_until is not None and d.acting_revision == d.applied_revision
        if not at_rest or d.applied_revision is None:
            return None
        is_fenced = d.fence == fence.digest(self._fence_of(self.template))
        return Revision(d.applied_revision, "deployed") if is_fenced else None

    def _held(self) -> Cause | None:
        """Why only a person may let this go on: after a restore the cluster may know better."""
        if self.deployment.restored_generation is not None:
            restored.settle(self.tools)
            with session():
                self.deployment = deployments.get_any(self.deployment.id)
        return Cause(**self.deployment.cause) if restored.is_held(self.deployment) else None

    def _decide(self, wanted: Wanted) -> tuple[Action, list[Revision]]:
        history = releases.history(self.tools, self.uid)
        healthy = self.deployment.applied_template_id is not None
        action = decide(status_of(history), wanted, healthy)
        log.info("%s is %s, %s is wanted: %s", self.uid, status_of(history), wanted, action)
        return action, history

    def _apply(self) -> None:
        values = deployments.check_values(self.deployment)
        expected = self._expected()
        if expected is None:
            self._apply_as_found(values)
            return
        self._fence(self.template)
        try:
            self._upgrade(values, expected)
        except ToolError as e:
            if not _REFUSED.search(e.output):
                raise
            log.info("%s is not as Caelus has left it", self.uid)
            self._disown()
            self._apply_as_found(values, is_fenced=True)

    def _apply_as_found(self, values: dict, is_fenced: bool = False) -> None:
        action, history = self._decide(Wanted.APPLY)
        if action == Action.UNLOCK:
            self._unlock(history)
        if not is_fenced:  # only now: what runs there may be another helm's business
            self._fence(self.template)
        try:
            self._upgrade(values, newest(history))
        except ToolError as e:
            if _LOCKED.search(e.output):
                self._disown()
                raise _busy(self.uid) from None  # since it was looked at
            raise

    def _remove(self) -> None:
        action, _ = self._decide(Wanted.DELETE)
        if action == Action.UNINSTALL:
            helm.uninstall(self.tools, self.uid, self.timeout)
        kubectl.delete_namespace(self.tools, self.uid, self.patience)

    def _fence(self, template: Template) -> None:
        """Put up the fence, and take away what an older one had more."""
        objects, d = self._fence_of(template), self.deployment
        wanted = fence.digest(objects)
        is_there = d.fence == wanted and not self.correcting
        is_new = d.fence is None and self.is_first
        surplus = [] if is_there or is_new else fence.surplus(objects)
        if d.fence not in (None, wanted):
            d.fence = None  # whatever comes, it may be the one or the other
            self._note(fence=None)
        objects = fence.signed(objects, d)
        kubectl.apply_fence(self.tools, self.uid, objects, surplus)
        d.fence = wanted  # put on record along with what helm is to do, or the outcome

    def _fence_of(self, template: Template) -> list[dict]:
        return fence.objects(self.uid, template.capabilities_json, self.tools.config)

    def _may_take_back(self, error: ToolError) -> bool:
        """Whether fields that somebody else has set are in the way, and are to be corrected."""
        wanted = policy(self.template.capabilities_json, "drift") == "correct"
        return wanted and not self.correcting and _CONFLICT.search(error.output) is not None

    def _upgrade(self, values: dict, present: Revision) -> None:
        try:
            self._run_helm(values, present)
        except ToolError as e:
            if not self._may_take_back(e):
                raise
            self._tell("taken_back", "fields that others had set are taken back")
            self.correcting = True
            self._run_helm(values, newest(releases.history(self.tools, self.uid)))

    def _run_helm(self, values: dict, present: Revision) -> None:
        t = self.template
        plain_http = (t.capabilities_json or {}).get("plain_http") is True
        chart = helm.Chart(t.chart_ref, t.chart_version, t.chart_digest, plain_http)
        # Fields that others set are theirs in a server-side apply: it would be a conflict.
        force = self.correcting and releases.is_server_side(self.tools, self.uid)
        with self._acting(present):
            self.revision = helm.upgrade(self.tools, self.uid, chart, values, self.timeout, force)

    @contextlib.contextmanager
    def _acting(self, present: Revision):
        """Note which revision our own helm makes, and from when to when: a lock on it is ours."""
        d = self.deployment
        d.acting_revision, d.acting_since, d.acting_until = present.number + 1, now(), None
        begun = {"acting_revision": d.acting_revision, "acting_since": d.acting_since}
        self._note(**begun, acting_until=None, fence=d.fence)
        try:
            yield
        except BaseException:
            d.acting_until = now()
            self._note(acting_until=d.acting_until, since=d.acting_since)
            raise
        d.acting_until = now()  # put on record with the outcome

    def _disown(self) -> None:
        """Our helm made no revision: while it looked for its chart, somebody else may have."""
        self.deployment.acting_revision = None
        self._note(acting_revision=None)

    def _note(self, **fields) -> None:
        outcomes.insist(lambda: outcomes.note.run(id=self.deployment.id, **fields), self.tools)

    def _unlock(self, history: list[Revision]) -> None:
        """Let helm go on from a release that a killed helm left locked.

        Raises ReleaseBusy where it may be the lock of a helm that somebody else runs.
        """
        locked = newest(history)
        secret = releases.stored(self.tools, self.uid, locked.number)
        self._refuse_held(history, releases.deleted_at(secret))
        releases.unlock(self.tools, self.uid, secret)
        said = f"revision {locked.number} was {locked.status} with no helm at it: marked failed"
        self._tell("unlocked", said)

    def _refuse_held(
        self, history: list[Revision], deleted: datetime.datetime | None = None
    ) -> None:
        d, locked, mine = self.deployment, newest(history), False
        if deleted is None and None not in (d.acting_revision, d.acting_since):
            mine = locked.number == made(history, d.acting_revision, d.acting_since)
        begun = d.acting_since if mine else None
        if is_held(deleted or locked.updated, begun, d.acting_until, now()):
            raise _busy(self.uid)

    def _explained(self, error: Exception) -> Cause:
        try:
            cause = causes.find(self.tools, self.uid, error)
            message = redact.scrub(cause.message, self.deployment, cause.object)
            cause = dataclasses.replace(cause, message=message)
        except Cancelled:
            raise
        except Exception:  # a fault in the search for the cause must not strand the job
            log.exception("deployment %d: no cause found", self.deployment.id)
            cause = causes.INTERNAL
        if cause.code in UNTOUCHED:
            self._disown()
        d = self.deployment
        applying = d.deleted_at is None and d.restored_generation is None
        if applying and self.deployment.applied_template_id and cause.code != "release_busy":
            self._restore()
        return cause

    def _restore(self) -> None:
        """Bring back what was healthy, now that the evidence is taken."""
        if policy(self.template.capabilities_json, "on_upgrade_failure") == "keep":
            return
        try:
            action, history = self._decide(Wanted.RESTORE)
            good = last_good(history, self.deployment.applied_revision)
            if action == Action.ROLLBACK and good is not None:
                self._roll_back(history, good)
            elif status_of(history) == "deployed":  # our helm has changed nothing
                self._fence_as_before()
        except ReleaseBusy:
            log.info("%s is left to the helm that is at work on it", self.uid)
            self.owing = True
        except ToolError as e:  # such as a cluster that is not there
            detail = redact.scrub(e.detail, self.deployment)
            log.warning("%s can't be rolled back: %s", self.uid, detail)
            self.owing = True

    def _roll_back(self, history: list[Revision], good: int) -> None:
        failed = newest(history)
        if failed.status in PENDING:
            self._refuse_held(history)
        try:
            self._fence_as_before()
            with self._acting(failed):
                releases.rollback(self.tools, self.uid, good, self.timeout)
        except ToolError as e:
            self._tell("rollback_failed", redact.scrub(e.detail, self.deployment))
            raise
        self.revision = failed.number + 1
        self._tell("rolled_back", f"went back to revision {good}, the last good one")

    def _fence_as_before(self) -> None:
        """Pods of the last good revision may need what the new fence does not let them."""
        former = self.deployment.applied_template
        if self._fence_of(former) != self._fence_of(self.template):
            self._fence(former)

    def _tell(self, type: str, message: str) -> None:
        def write() -> None:
            with transaction():
                events.record(self.deployment.id, type, message)

        outcomes.insist(write, self.tools)


def _busy(uid: str) -> ReleaseBusy:
    return ReleaseBusy(f"another helm is at work on the release {uid}")
