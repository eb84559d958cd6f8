"""Drift: a release, namespace or object that somebody changed behind Caelus's back.

It is only found here and a job enqueued; `reconcile` corrects it, which is never more than
`helm upgrade --install`, so that even a cluster that answers wrongly comes to no harm.
"""

import datetime
import logging
import re

import peewee

from caelus import deployments, events, jobs, kubectl, manifests, releases
from caelus.database import session, transaction
from caelus.errors import Cancelled
from caelus.models import READY, Deployment, Event, Job, Sweep, Template, now
from caelus.process import ToolError, Tools, reason
from caelus.releases import Release
from caelus.values import policy

log = logging.getLogger("caelus.drift")
FOUND, RECURRING = "drift_found", "drift_recurring"  # types of events
BY_A_PERSON = ("created", "updated", "retry_requested")
TIMES = 3  # corrections, within RECENT, after which it is only reported
PATIENCE = datetime.timedelta(hours=1)  # with a helm that somebody else runs
RECENT = datetime.timedelta(hours=24)


def run_due(tools: Tools, at: datetime.datetime) -> None:
    """Sweep if it is time and no other process does; then compare those whose turn it is."""
    interval, deep_interval = tools.config.drift_interval, tools.config.drift_deep_interval
    if not interval:
        return
    with session(), transaction():
        mine = _claim("drift", datetime.timedelta(seconds=interval), at)
    if not mine:
        return
    try:
        found = sweep(tools)
        if deep_interval:
            found += sweep_deep(tools, at, interval / deep_interval)
    except Cancelled:
        return
    if found:
        jobs.wakeup.call()


def _claim(name: str, interval: datetime.timedelta, at: datetime.datetime) -> bool:
    """Whether this process is to do it now: one does, once every `interval`."""
    row = Sweep.get_or_none(name=name)
    if row is None:  # the first one comes an interval after a database is new
        Sweep.insert(name=name, started_at=at).on_conflict_ignore().execute()
        return False
    if row.started_at > at - interval:
        return False
    again = (Sweep.id == row.id) & (Sweep.started_at == row.started_at)
    return Sweep.update(started_at=at).where(again).execute() == 1


# Shallow: all releases and namespaces, by two processes


def sweep(tools: Tools) -> int:
    """Look for what is missing or is not what Caelus applied; gives how many jobs that made.

    Runs one helm and one kubectl, however many deployments there are.
    """
    with session():
        seen = _settled()
    if not seen:
        return 0
    try:
        found = releases.every(tools)
        namespaces = kubectl.namespaces(tools)
    except (ToolError, ValueError, KeyError, TypeError) as e:
        log.warning("cannot look for drift: %s", _why(e))
        return 0
    at = now()
    compared = (
        (d, compare(d.deployment_uid, d.applied_revision, found, namespaces, at)) for d in seen
    )
    return sum(_report(d, difference) for d, difference in compared if difference)


def compare(
    uid: str,
    revision: int | None,
    found: dict[str, Release],
    namespaces: dict[str, str],
    at: datetime.datetime,
) -> str | None:
    """What is wrong with a deployment that is to be ready, as one sentence, or None.

    `revision` is what Caelus applied, None if it does not know; `namespaces` are phases by name.
    """
    release = found.get(f"{uid}/{uid}")
    if uid not in namespaces:
        return f"namespace {uid} is missing"
    if namespaces[uid] == "Terminating":
        return f"namespace {uid} is being deleted"
    if release is None:
        return f"release {uid} is missing"
    if _is_under_way(release, at):
        return None
    if release.status != "deployed":
        return f"release {uid} has the status {release.status}, not deployed"
    if None not in (revision, release.revision) and release.revision != revision:
        return f"release {uid} is at revision {release.revision}, Caelus applied {revision}"
    return None


def _is_under_way(release: Release, at: datetime.datetime) -> bool:
    """Whether somebody's helm may still be at it: then it is not for Caelus to unlock it."""
    recent = release.updated is not None and release.updated > at - PATIENCE
    return release.status.startswith("pending-") and recent


def _settled() -> list[Deployment]:
    """The deployments that nobody is at, and that are to be looked at."""
    at_work = Job.select().where(Job.deployment == Deployment.id, Job.status.in_(jobs.OPEN))
    query = (
        Deployment.select(Deployment, Template)
        .join(Template, on=Deployment.desired_template, attr="desired_template")
        .where(Deployment.status == READY, ~peewee.fn.EXISTS(at_work))
        .order_by(Deployment.id)
    )
    return [deployment for deployment in query if _policy(deployment) != "off"]


def _policy(deployment: Deployment) -> str:
    return policy(deployment.desired_template.capabilities_json, "drift")


def _why(error: Exception) -> str:
    if isinstance(error, ToolError):
        return f"{error.detail}: {reason(error)}" if error.output else error.detail
    return "an answer of helm or kubectl can't be read"


# Deep: the objects of each release, some in each sweep


def sweep_deep(tools: Tools, at: datetime.datetime, share: float) -> int:
    """Compare the objects of the next few: `share` of all of them; gives how many jobs that made.

    A deployment is due when neither a job nor a comparison has seen it for 1/`share` sweeps.
    """
    with session():
        seen = _settled()
    since = at - datetime.timedelta(seconds=tools.config.drift_deep_interval)
    due = sorted((d for d in seen if _last_seen(d) <= since), key=_last_seen)
    found = 0
    for deployment in due[: max(1, int(len(seen) * share + 1))]:
        with session(), transaction():
            Deployment.update(compared_at=at).where(Deployment.id == deployment.id).execute()
        difference = deep(tools, deployment)
        found += bool(difference and _report(deployment, difference))
    return found


def deep(tools: Tools, deployment: Deployment) -> str | None:
    """What of the deployment's objects is not as its release says, or None, also if unknown."""
    try:
        return manifests.difference(tools, deployment.deployment_uid)
    except (ToolError, ValueError, KeyError, TypeError) as e:
        # What kubectl said of an object may hold its values.
        why = e.detail if isinstance(e, ToolError) else _why(e)
        log.warning("deployment %d: cannot compare its objects: %s", deployment.id, why)
        return None


def _last_seen(deployment: Deployment) -> datetime.datetime:
    times = (deployment.compared_at, deployment.last_reconcile_at, deployment.created_at)
    return max(time for time in times if time is not None)


# What is done about it


def _report(seen: Deployment, difference: str) -> bool:
    """Tell the owner, and enqueue a job if it is to be corrected; False if none was.

    A deployment that has changed since it was `seen` is left alone.
    """
    with session(), transaction():
        deployments.lock(seen.id)
        deployment = deployments.get_any(seen.id)
        if _state(deployment) != _state(seen) or jobs.open_job(seen.id) is not None:
            return False
        told = _told(seen.id)
        if _policy(deployment) == "warn":
            _tell_once(seen.id, told, FOUND, difference)
            return False
        if _recurs(told, difference, now()):
            _tell_once(seen.id, told, RECURRING, _given_up(difference))
            return False
        events.record(seen.id, FOUND, difference)
        jobs.enqueue(seen.id, "drift")
    log.warning("deployment %d: %s", seen.id, difference)
    return True


def _state(deployment: Deployment) -> tuple:
    d = deployment
    return d.status, d.generation, d.applied_revision, d.last_reconcile_at


def _told(deployment_id: int) -> list[Event]:
    """What was told of drift since a person changed the deployment last, the newest first."""
    mine = Event.select().where(Event.deployment == deployment_id)
    change = mine.where(Event.type.in_(BY_A_PERSON)).order_by(Event.id.desc()).first()
    told = mine.where(Event.type.in_((FOUND, RECURRING)), Event.id > (change.id if change else 0))
    return list(told.order_by(Event.id.desc()).limit(100))


def _given_up(difference: str) -> str:
    return f"no longer corrected, because it comes back: {difference}"


def _recurs(told: list[Event], difference: str, at: datetime.datetime) -> bool:
    """Whether correcting does not help: it came back often, or was given up for this before."""
    if difference.endswith("is missing"):
        return False  # an app that is not there at all is brought back whatever comes
    given_up = any(event.message == _given_up(difference) for event in told)
    recent = (event for event in told if event.type == FOUND and event.created_at > at - RECENT)
    again = [event for event in recent if _alike(event.message) == _alike(difference)]
    return given_up or len(again) >= TIMES


def _alike(difference: str) -> str:
    """A difference without the numbers of revisions."""
    return re.sub(r"\b\d+\b", "#", difference)


def _tell_once(deployment_id: int, told: list[Event], type: str, message: str) -> None:
    if not told or (told[0].type, told[0].message) != (type, message):
        events.record(deployment_id, type, message)
        log.warning("deployment %d: %s: %s", deployment_id, type, message)
