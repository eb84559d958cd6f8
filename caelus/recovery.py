"""The recovery table: what to do about a release, by its status and by what is wanted.

Pure. No action uninstalls or deletes what was not asked to be deleted; docs/recovery.md explains.
"""

import datetime
import enum
from dataclasses import dataclass

PENDING = ("pending-install", "pending-upgrade", "pending-rollback")
STATUSES = ("none", "deployed", "failed", *PENDING, "uninstalling", "superseded", "unknown")


PATIENCE = datetime.timedelta(hours=1)  # with a helm that somebody else runs


class Wanted(enum.StrEnum):
    APPLY = "apply"
    DELETE = "delete"


class Action(enum.StrEnum):
    INSTALL = "install"  # helm upgrade --install, on nothing
    UPGRADE = "upgrade"  # helm upgrade --install, in place
    UNLOCK = "unlock"  # mark the stuck revision failed, then upgrade in place
    UNINSTALL = "uninstall"  # helm uninstall, then the namespace
    DELETE_NAMESPACE = "delete-namespace"
    ROLLBACK = "rollback"  # to the last good revision
    KEEP = "keep"  # leave what there is, for the next attempt to go on from


@dataclass(frozen=True)
class Revision:
    number: int
    status: str


def status_of(history: list[Revision]) -> str:
    """The status of a release: that of its newest revision, `none` without any."""
    if not history:
        return "none"
    status = max(history, key=lambda revision: revision.number).status
    return status if status in STATUSES else "unknown"


def decide(status: str, wanted: Wanted) -> Action:
    """What to do about a release with `status`."""
    if wanted == Wanted.DELETE:
        # helm resumes an interrupted uninstall, and goes over every lock when it uninstalls.
        return Action.DELETE_NAMESPACE if status == "none" else Action.UNINSTALL
    if status == "none":
        return Action.INSTALL
    if status in ("deployed", "failed", "superseded"):
        return Action.UPGRADE
    # Interrupted by a kill. Somebody's uninstall too: nobody asked Caelus for it.
    return Action.UNLOCK


def is_held(
    since: datetime.datetime | None, ours: datetime.datetime | None, at: datetime.datetime
) -> bool:
    """Whether a helm that Caelus did not start may still be at work behind a lock.

    `since` is when the lock was written; `ours` when the first attempt of Caelus began that may
    have left one, None if all ended by themselves. A lock of unknown age is nobody's.
    """
    if since is None or (ours is not None and since >= ours.replace(microsecond=0)):
        return False
    return since > at - PATIENCE


def after_failure(history: list[Revision], was_healthy: bool, keep: bool) -> Action:
    """What to do once an apply has failed and the evidence was taken.

    Only an upgrade of what was healthy is rolled back; a failed first install is retried in
    place, because undoing it would take its volumes along.
    """
    good = last_good(history)
    newest = max((revision.number for revision in history), default=0)
    if keep or not was_healthy or good is None or good == newest:
        return Action.KEEP
    return Action.ROLLBACK


def last_good(history: list[Revision]) -> int | None:
    """The newest revision that was once healthy: helm leaves it `deployed` when one after fails."""
    good = [revision.number for revision in history if revision.status == "deployed"]
    return max(good, default=None)
