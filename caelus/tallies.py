"""What all processes of a Caelus have done and have before them, counted in the database.

Rows of jobs and events are pruned after a while; what must only ever grow is in `tallies`.
"""

import datetime
from typing import NamedTuple

import peewee

from caelus.database import before_commit, clock
from caelus.models import Deployment, Job, Tally

RECONCILED, DRIFTED = "reconcile", "drift"
DONE = "none"  # the cause of what did not fail
BOUNDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)  # seconds of a reconcile
BEYOND = 0  # in the place of a bound, where there is none


def reconciled(job: Job, code: str | None) -> None:
    """Count an attempt that ends with the caller's transaction, and why it failed."""
    seconds = max(0, (clock() - job.locked_at).total_seconds())
    upto = next((bound for bound in BOUNDS if seconds <= bound), BEYOND)
    before_commit(lambda: _add(RECONCILED, job.reason, code or DONE, upto, seconds))


def drifted(action: str) -> None:
    """Count drift that was found, with what is done about it."""
    before_commit(lambda: _add(DRIFTED, action, DONE, BEYOND, 0))


def _add(what: str, reason: str, cause: str, upto: int, seconds: float) -> None:
    row = {"what": what, "reason": reason, "cause": cause, "upto": upto}
    again = {Tally.count: Tally.count + 1, Tally.seconds: Tally.seconds + seconds}
    key = [Tally.what, Tally.reason, Tally.cause, Tally.upto]
    added = Tally.insert(count=1, seconds=seconds, **row)
    added.on_conflict(conflict_target=key, update=again).execute()


class Durations(NamedTuple):
    """Of the attempts for one reason that ended for one cause."""

    reason: str
    cause: str
    counts: dict[int, int]  # by bound, each without those of the bounds below
    seconds: float


def durations() -> list[Durations]:
    found = {}
    for row in Tally.select().where(Tally.what == RECONCILED).order_by(Tally.id):
        counts, seconds = found.get((row.reason, row.cause), ({}, 0))
        seconds += row.seconds
        found[row.reason, row.cause] = counts | {row.upto: row.count}, seconds
    return [Durations(*key, *value) for key, value in found.items()]


def drift() -> dict[str, int]:
    """How often drift was found, by what was done about it."""
    return {row.reason: row.count for row in Tally.select().where(Tally.what == DRIFTED)}


class Queue(NamedTuple):
    jobs: dict[tuple[str, str], int]  # by status and reason
    age: float  # seconds since the oldest queued job became due, 0 where none is

    def count(self, status: str) -> int:
        """How many jobs have this status, for whatever reason."""
        return sum(count for (found, _), count in self.jobs.items() if found == status)


def queue() -> Queue:
    count, first = peewee.fn.COUNT(Job.id), peewee.fn.MIN(Job.run_after)
    query = Job.select(Job.status, Job.reason, count, first).group_by(Job.status, Job.reason)
    rows = [(status, *rest) for status, *rest in query.tuples()]
    due = [_utc(first) for status, _, _, first in rows if status == "queued"]
    age = (clock() - min(due)).total_seconds() if due else 0
    return Queue({(status, reason): count for status, reason, count, _ in rows}, max(0.0, age))


def _utc(value) -> datetime.datetime:
    """SQLite gives an aggregate of times as text."""
    return Job.run_after.python_value(value)


def deployments() -> dict[str, int]:
    """How many deployments have each status."""
    query = Deployment.select(Deployment.status, peewee.fn.COUNT(Deployment.id))
    return dict(query.group_by(Deployment.status).tuples())
