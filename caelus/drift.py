"""Drift: a release, namespace or object that somebody changed behind Caelus's back.

It is only found here and a job enqueued; `reconcile` corrects it, which is never more than
`helm upgrade --install`, so that even a cluster that answers wrongly comes to no harm.
"""

import contextlib
import datetime
import logging
import re

import peewee

from caelus import (
    deployments,
    events,
    fence,
    jobs,
    kubectl,
    manifests,
    recovery,
    releases,
    restored,
    tallies,
)
from caelus.database import session, transaction
from caelus.errors import Cancelled
from caelus.models import ERROR, READY, Deployment, Event, Job, Sweep, Template, now
from caelus.policies import policy
from caelus.process import ToolError, Tools, reason
from caelus.releases import Release

log = logging.getLogger("caelus.drift")
FOUND, RECURRING = "drift_found", "drift_recurring"  # types of events
BY_A_PERSON = ("created", "updated", "retry_requested")
Applied = Template.alias("applied")
TIMES = 3  # corrections, within RECENT, after which it is only reported
RECENT = datetime.timedelta(hours=24)


def run_due(tools: Tools, at: datetime.datetime) -> None:
    """Do what it is time for and no other process does: a sweep, one comparison of objects."""
    config = tools.config
    if not config.drift_interval:
        return
    with contextlib.suppress(Cancelled):
        found = sweep(tools) if _is_time("drift", config.drift_interval, at) else 0
        if config.drift_deep_interval:
            found += compare_next(tools, at)
        if found:
            jobs.wakeup.call()


def _is_time(name: str, seconds: float, at: datetime.datetime) -> bool:
    """Whether this process is to do it now: one does, once in so many seconds."""
    with session():
        row = Sweep.get_or_none(name=name)
        if row is None:  # the first one comes when a database is that old
            Sweep.insert(name=name, started_at=at).on_conflict_ignore().execute()
            return False
        if row.started_at > at - datetime.timedelta(seconds=seconds):
            return False
        again = (Sweep.id == row.id) & (Sweep.started_at == row.started_at)
        return Sweep.update(started_at=at).where(again).execute() == 1


# Shallow: all releases, namespaces and their fences, by two processes


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
        fences = kubectl.fences(tools)
        namespaces = {uid: objects[0]["status"]["phase"] for uid, objects in fences.items()}
    except (ToolError, ValueError, KeyError, TypeError) as e:
        log.warning("cannot look for drift: %s", _why(e))
        return 0
    at, count = now(), 0
    for d in seen:
        if restored.hold_if_ahead(d, next(iter(fences.get(d.deployment_uid, ())), None)):
            continue
        difference = compare(d.deployment_uid, d.applied_revision, found, namespaces, at)
        if d.status == ERROR and not (difference and _is_missing(difference)):
            difference = None  # as the failure has left it
        difference = difference or _unfenced(d, found, fences, tools)
        count += difference is not None and _report(d, difference)
    return count


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


def _unfenced(deployment: Deployment, found: dict, fences: dict, tools: Tools) -> str | None:
    """What is wrong with the fence of what is there; a failed one has its last fence, or the one
    before."""
    uid, live = deployment.deployment_uid, fences[deployment.deployment_uid]
    is_going = live[0]["status"]["phase"] == "Terminating"
    if is_going or found[f"{uid}/{uid}"].status in recovery.PENDING:
        return None
    former = [deployment.applied_template] if deployment.status == ERROR else []
    differences = [
        fence.difference(fence.objects(uid, template.capabilities_json, tools.config), live)
        for template in (deployment.desired_template, *former)
    ]
    return None if None in differences else differences[-1]


def _is_missing(difference: str) -> bool:
    return difference.endswith("is missing")


def _is_under_way(release: Release, at: datetime.datetime) -> bool:
    """Whether somebody's helm may still be at it: then it is not for Caelus to unlock it."""
    return release.status in recovery.PENDING and recovery.is_held(release.updated, None, None, at)


def _settled() -> list[Deployment]:
    """The deployments that once ran, that nobody is at, and that are to be looked at."""
    failed = (Deployment.status == ERROR) & Deployment.deleted_at.is_null()
    ran = (Deployment.status == READY) | failed & Deployment.applied_template.is_null(False)
    query = _at_rest().where(ran).order_by(Deployment.id)
    return [d for d in query if _policy(d) != "off" and not restored.is_held(d)]


def _at_rest():
    """Deployments without an open job, and compared if restored, with their templates."""
    at_work = Job.select().where(Job.deployment == Deployment.id, Job.status.in_(jobs.OPEN))
    return (
        Deployment.select(Deployment, Template, Applied)
        .join(Template, on=Deployment.desired_template, attr="desired_template")
        .join_from(
            Deployment,
            Applied,
            peewee.JOIN.LEFT_OUTER,
            on=(Deployment.applied_template == Applied.id),
            attr="applied_template",
        )
        .where(~peewee.fn.EXISTS(at_work), Deployment.restored_generation.is_null())
    )


def _policy(deployment: Deployment) -> str:
    return policy(deployment.desired_template.capabilities_json, "drift")


def _why(error: Exception) -> str:
    if isinstance(error, ToolError):
        return f"{error.detail}: {reason(error)}" if error.output else error.detail
    return "an answer of helm or kubectl can't be read"


# Deep: the objects of one release after the other, spread over the interval


def compare_next(tools: Tools, at: datetime.datetime) -> int:
    """Compare the objects of the one deployment whose turn it is; gives how many jobs that made.

    A turn comes when neither a job nor a comparison has seen it for the interval; turns that came
    together, as after a night without Caelus, are taken apart evenly.
    """
    with session():
        deployment = _next_due(at, tools.config.drift_deep_interval)
        if deployment is None or not _take(deployment, at):
            return 0
    difference = deep(tools, deployment)
    return int(difference is not None and _report(deployment, difference))


def _next_due(at: datetime.datetime, seconds: int) -> Deployment | None:
    ready = Deployment.select(Deployment.compared_at).where(Deployment.status == READY)
    count = ready.count()
    newest = ready.order_by(Deployment.compared_at.desc(nulls="LAST")).first()
    if newest is None or _is_after(newest.compared_at, at, seconds / count):
        return None
    due = [
        time.is_null() | (time <= at - datetime.timedelta(seconds=seconds))
        for time in (Deployment.compared_at, Deployment.last_reconcile_at)
    ]
    query = _at_rest().where(Deployment.status == READY, *due)
    oldest_first = query.order_by(Deployment.compared_at.asc(nulls="FIRST"), Deployment.id)
    return next((found for found in oldest_first.iterator() if _policy(found) != "off"), None)


def _is_after(time: datetime.datetime | None, at: datetime.datetime, seconds: float) -> bool:
    return time is not None and time > at - datetime.timedelta(seconds=seconds)


def _take(seen: Deployment, at: datetime.datetime) -> bool:
    """Whether it is this process that compares it now."""
    was = Deployment.compared_at
    same = was.is_null() if seen.compared_at is None else was == seen.compared_at
    query = Deployment.update(compared_at=at).where(Deployment.id == seen.id, same)
    return query.execute() == 1


def deep(tools: Tools, deployment: Deployment) -> str | None:
    """What of the deployment's objects is not as its release says, or None, also if unknown."""
    try:
        return manifests.difference(tools, deployment.deployment_uid)
    except (ToolError, ValueError, KeyError, TypeError) as e:
        # What kubectl said of an object may hold its values.
        why = e.detail if isinstance(e, ToolError) else _why(e)
        log.warning("deployment %d: cannot compare its objects: %s", deployment.id, why)
        return None


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
        absent = _is_missing(difference) and deployment.status == READY
        # An app that is not there at all is brought back whatever comes.
        if not absent and _recurs(told, difference, now()):
            _tell_once(seen.id, told, RECURRING, _given_up(difference))
            return False
        events.record(seen.id, FOUND, difference)
        tallies.drifted("corrected")
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
        tallies.drifted("reported" if type == FOUND else "given_up")
        log.warning("deployment %d: %s: %s", deployment_id, type, message)
