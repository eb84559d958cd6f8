"""All at a glance: how many of what there are, what waits, what fails, the last day by hours."""

import collections
import datetime
from typing import NamedTuple

from peewee import SQL, fn

from caelus import jobs, tallies
from caelus.database import clock
from caelus.models import (
    DELETED,
    DEPLOYMENT_STATUSES,
    ERROR,
    READY,
    Deployment,
    Event,
    Product,
    Template,
    User,
    alive,
)

HOURS = 24
HOUR = datetime.timedelta(hours=1)
# What the reconciler puts on record at the end of an attempt. That something failed once more as
# before, which may go on for months, is no event, and is not counted.
ENDS = {READY: "done", DELETED: "done", "failed": "failed"}


class Overview(NamedTuple):
    """`queue_age` is for how many seconds the job that has been due longest has waited.

    `hours` has (its begin, how many attempts were done, how many failed), the present one last.
    """

    users: int
    products: int
    templates: int
    deployments: dict[str, int]
    jobs: dict[str, int]
    queue_age: float
    causes: dict[str, int]
    hours: list[tuple[datetime.datetime, int, int]]


def look() -> Overview:
    """In a fixed number of queries, however much there is."""
    queue, deployments = tallies.queue(), tallies.deployments()
    return Overview(
        users=alive(User).count(),
        products=alive(Product).count(),
        templates=alive(Template).count(),
        deployments={status: deployments.get(status, 0) for status in DEPLOYMENT_STATUSES[:-1]},
        jobs={status: queue.count(status) for status in jobs.OPEN},
        queue_age=queue.age,
        causes=_causes(),
        hours=_hours(clock()),
    )


def _causes() -> dict[str, int]:
    """How many deployments are in error by which cause, the most frequent one first."""
    failed = Deployment.select(Deployment.cause).where(Deployment.status == ERROR)
    codes = ((row.cause or {}).get("code", "unknown") for row in failed)
    return dict(collections.Counter(codes).most_common())


def _hours(at: datetime.datetime) -> list[tuple[datetime.datetime, int, int]]:
    last = at.replace(minute=0, second=0, microsecond=0)
    begins = [last - HOUR * back for back in reversed(range(HOURS))]
    # The hour as text: SQLite keeps times as text, and Postgres writes them in the same way.
    hour = fn.SUBSTR(Event.created_at.cast("TEXT"), 1, 13).converter(str)
    query = (
        Event.select(hour, Event.type, fn.COUNT(Event.id))
        .where(Event.created_at >= begins[0], Event.type.in_(list(ENDS)))
        .group_by(SQL("1"), Event.type)
    )
    ends = collections.Counter()
    for text, type, count in query.tuples():
        ends[text, ENDS[type]] += count
    return [
        (b, ends[f"{b:%Y-%m-%d %H}", "done"], ends[f"{b:%Y-%m-%d %H}", "failed"]) for b in begins
    ]
