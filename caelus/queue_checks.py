"""Checkups of the queue: jobs that wait and nobody takes, leases that are over, what is in error,
releases that a helm left locked."""

import collections
import datetime
from collections.abc import Iterator

import peewee

from caelus import database, leases, readonly, recovery, releases
from caelus.config import Config
from caelus.errors import ConfigError
from caelus.findings import Check, Section, span
from caelus.models import ERROR, QUEUED, RUNNING, Deployment, Job
from caelus.process import ToolError, Tools, reason

LATE = datetime.timedelta(minutes=1)  # workers look every second
LONG_LATE = datetime.timedelta(minutes=30)
LOST = datetime.timedelta(seconds=10)
SHOWN = 3
_section = Section("queue")
ok, warning, failed = _section.ok, _section.warning, _section.failed


def look(opened: peewee.Database) -> Iterator[Check]:
    at = database.clock(opened)
    running = list(Job.select().where(Job.status == RUNNING).order_by(Job.id).execute(opened))
    lost = [job for job in running if _is_lost(job, at)]
    yield _waiting(opened, at, len(running) - len(lost))
    yield _leases(lost, len(running))
    yield _errors(opened)


def _waiting(opened: peewee.Database, at: datetime.datetime, working: int) -> Check:
    queued = Job.select().where(Job.status == QUEUED).order_by(Job.run_after)
    jobs = list(queued.execute(opened))
    late = [job for job in jobs if job.run_after < at - LATE]
    if not late:
        return ok("jobs", f"{len(jobs)} wait, {working} run")
    oldest = at - late[0].run_after
    detail = f"{len(late)} jobs are due and wait, the longest for {span(oldest.total_seconds())}"
    if not working:
        step = "start caelus serve, with at least one worker (CAELUS_WORKERS)"
        return failed("jobs", f"{detail}, and no worker takes any", step)
    if oldest < LONG_LATE:
        return ok("jobs", f"{detail}, while {working} run")
    return warning("jobs", f"{detail}, while {working} run", "raise CAELUS_WORKERS")


def _is_lost(job: Job, at: datetime.datetime) -> bool:
    over = job.lease_until is None or job.lease_until < at - LOST
    return over or leases.is_dead(job.locked_by)


def _leases(lost: list[Job], running: int) -> Check:
    if not lost:
        return ok("leases", "each running job has its worker" if running else "no job runs")
    named = _some([f"job {job.id} of {job.locked_by}" for job in lost])
    step = "start caelus serve: it takes them back by itself"
    return warning("leases", f"the workers of running jobs are gone: {named}", step)


def _errors(opened: peewee.Database) -> Check:
    query = Deployment.select(Deployment.cause).where(Deployment.status == ERROR)
    codes = [(row.cause or {}).get("code", "unknown") for row in query.execute(opened)]
    if not codes:
        return ok("deployments", "none is in error")
    counted = collections.Counter(codes).most_common()
    by_cause = ", ".join(f"{count} {code}" for code, count in counted)
    step = "caelus list-all-deployments --status=error tells what each needs"
    return warning("deployments", f"{len(codes)} in error: {by_cause}", step)


def _some(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


# Locks in the cluster


def locks(config: Config, tools: Tools) -> Iterator[Check]:
    """Releases of Caelus that are locked while no job is at them.

    Nothing is said where either side can't be read: that is told elsewhere.
    """
    try:
        found = releases.every(tools)
        pending = {key: each for key, each in found.items() if each.status in recovery.PENDING}
        with readonly.connection(config) as opened:
            idle = [d for d in _idle(opened) if _key(d) in pending]
    except (ConfigError, peewee.DatabaseError):
        return
    except ToolError as e:
        step = "see: helm list --all-namespaces"
        yield warning("locks", f"cannot list the releases: {reason(e)}", step)
        return
    except (ValueError, KeyError, TypeError):
        yield warning("locks", "helm's list is odd", "see: helm list --all-namespaces")
        return
    yield _locked(idle, pending)


def _key(deployment: Deployment) -> str:
    return f"{deployment.deployment_uid}/{deployment.deployment_uid}"


def _idle(opened: peewee.Database) -> list[Deployment]:
    """The deployments that no job is at."""
    at_work = Job.select().where(Job.deployment == Deployment.id, Job.status == RUNNING)
    columns = (Deployment.id, Deployment.user, Deployment.deployment_uid)
    query = Deployment.select(*columns).where(~peewee.fn.EXISTS(at_work)).order_by(Deployment.id)
    return list(query.execute(opened))


def _locked(idle: list[Deployment], pending: dict) -> Check:
    if not idle:
        return ok("locks", "no release is locked without a job at it")
    named = _some([f"{d.deployment_uid} ({pending[_key(d)].status})" for d in idle])
    first = f"caelus retry-deployment {idle[0].user_id} {idle[0].id}"
    step = f"{first}, unless somebody's helm is at work on it"
    return warning("locks", f"releases that no job is at are locked: {named}", step)
