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
    RESTORE = "restore"  # what was healthy, after an apply has failed and the evidence was taken


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
    """`updated` is when its helm began to write it, None where that is not known."""

    number: int
    status: str
    updated: datetime.datetime | None = None


def newest(history: list[Revision]) -> Revision:
    """The newest revision; without any, number 0 with the status `none`."""
    return max(history, key=lambda revision: revision.number, default=Revision(0, "none"))


def status_of(history: list[Revision]) -> str:
    """The status of a release: that of its newest revision, `none` without any."""
    status = newest(history).status
    return status if status in STATUSES else "unknown"


def made(history: list[Revision], expected: int | None, begun: datetime.datetime) -> int | None:
    """Which revision a helm made that began at `begun` and was `expected` to make that one.

    Where somebody else has made that one before, or the release is another one than was thought,
    it is the first of those made since. (One of unknown age may have been.)
    """
    since = [r.number for r in history if r.updated is None or r.updated >= begun]
    return expected if expected in since else min(since, default=None)


def decide(status: str, wanted: Wanted, healthy: bool) -> Action:
    """What to do about a release with `status`, that once was `healthy` or never."""
    match wanted:
        case Wanted.APPLY:
            return _apply(status)
        case Wanted.DELETE:
            # helm resumes an interrupted uninstall, and goes over every lock when it uninstalls.
            return Action.DELETE_NAMESPACE if status == "none" else Action.UNINSTALL
        case Wanted.RESTORE:
            # A failed first install is retried in place: undoing it would take its volumes along.
            changed = status in ("failed", "superseded", *PENDING)
            return Action.ROLLBACK if healthy and changed else Action.KEEP


def _apply(status: str) -> Action:
    if status == "none":
        return Action.INSTALL
    if status in ("deployed", "failed", "superseded"):
        return Action.UPGRADE
    # Interrupted by a kill. Somebody's uninstall too: nobody asked Caelus for it.
    return Action.UNLOCK


def last_good(history: list[Revision], applied: int | None) -> int | None:
    """The revision to go back to; `applied` is the one that Caelus saw healthy last.

    Helm leaves it `deployed` when one after it fails. A kill at the end of a rollback can leave
    none so: then it is what was applied. Not any that is superseded: helm 4 leaves a failed one so,
    where a rollback from it fails.
    """
    deployed = [r.number for r in history if r.status == "deployed"]
    if deployed:
        return max(deployed)
    return applied if applied in {r.number for r in history if r.status == "superseded"} else None


def is_held(
    since: datetime.datetime | None,
    begun: datetime.datetime | None,
    ended: datetime.datetime | None,
    at: datetime.datetime,
) -> bool:
    """Whether a helm that Caelus did not start may still be at work behind a lock.

    `since` is when the lock was made. From `begun` to `ended` a helm of Caelus's own made it: none
    if `begun` is None, one that was killed if `ended` is. A lock of unknown age is nobody's.
    """
    if since is None or since <= at - PATIENCE:
        return False
    return begun is None or since < begun or (ended is not None and since > ended)
