"""The chain of events: each hash covers its event and the hash before it, so that an event that
was changed or removed afterwards is found. One row of the table `audit` remembers both ends.
"""

import datetime
import hashlib
import itertools
import json

import peewee

from caelus.database import is_postgres, locked
from caelus.errors import Unavailable
from caelus.models import Audit, Event
from caelus.prepared import insert, prepared

KEPT = datetime.timedelta(days=90)
LOOKED_AT = 1000  # events at the end of the chain, where there is no time for all
GO_ON = (  # without quotes, which YAML would double
    "INSERT INTO audit (id, created_at, pruned_id, pruned_hash, newest_id, newest_hash) "
    "SELECT 1, CURRENT_TIMESTAMP, 0, SUBSTR(hash, 1, 0), id, hash "
    "FROM events ORDER BY id DESC LIMIT 1"
)


def digest(previous: str, event: Event) -> str:
    """The hash of `event` where `previous` is that of the event before."""
    row = [
        previous,
        event.id,
        event.created_at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z",
        event.deployment_id,
        event.type,
        event.actor,
        event.token,
        event.address,
        event.message,
        event.cause,
    ]
    return hashlib.sha256(_canonical(row).encode()).hexdigest()


_canonical = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode


def append(event: Event) -> None:
    """Save `event` as the newest. Until the transaction ends, no other can: so do it last."""
    ends = _ends()
    # Not the sequence's: it has gaps, in which events could hide. What was slipped in by hand is
    # found by `verify`, and must not stop all work meanwhile.
    event.id = max(ends.newest_id, ends.greatest or 0) + 1
    event.hash = digest(ends.newest_hash, event)
    if is_postgres():  # where each statement is a way there and back
        _append.run(ends=ends.id, **event.__data__)
    else:
        insert(event)
        _go_on.run(ends=ends.id, id=event.id, hash=event.hash)


def prune(at: datetime.datetime) -> int:
    """Delete what is older than 90 days, from the oldest on; gives how many."""
    ends = _ends()
    young = Event.select().where(Event.created_at >= at - KEPT).order_by(Event.id).first()
    old = Event.select().where(Event.id < young.id) if young else Event.select()
    last = old.order_by(Event.id.desc()).first()
    if last is None:
        return 0
    ends.pruned_id, ends.pruned_hash = last.id, last.hash
    ends.save()
    return Event.delete().where(Event.id <= last.id).execute()


def verify() -> dict:
    """Follow the whole chain: `ok`, how many and which events, and the first `fault`, if any.

    No event can be added meanwhile.
    """
    found = {"ok": True, "events": 0, "first_id": None, "last_id": None}
    try:
        ends = _ends()
    except Unavailable:
        fault = (
            "the row of the table audit is gone; restore the database from a backup, or go on from "
            "the newest event with this SQL (what was pruned then counts as missing, until what "
            f"came next is pruned as well): {GO_ON}"
        )
        return found | {"ok": False, "fault": fault}
    before, previous = ends.pruned_id, ends.pruned_hash
    for event in Event.select().order_by(Event.id).iterator():
        if event.hash != digest(previous, event):
            return found | {"ok": False, "fault": _fault(before, event.id)}
        before, previous = event.id, event.hash
        found |= {"events": found["events"] + 1, "last_id": event.id}
        found["first_id"] = found["first_id"] or event.id
    if before != ends.newest_id:
        return found | {"ok": False, "fault": _gone(before + 1, ends.newest_id)}
    if previous != ends.newest_hash:
        return found | {"ok": False, "fault": f"event {before}, the newest, was changed"}
    return found


def end(opened: peewee.Database) -> tuple[int, str | None]:
    """How many of the newest events were looked at, and what is wrong with their chain.

    Only reads, by `opened`. The end of the chain first, for events are added at any time.
    """
    ends = next(iter(Audit.select().execute(opened)), None)
    if ends is None:
        return 0, "the row of the table audit is gone"
    newest = Event.select().where(Event.id <= ends.newest_id).order_by(Event.id.desc())
    events = list(newest.limit(LOOKED_AT + 1).execute(opened))
    if _is_broken(ends, events):
        return 0, f"the chain of the newest {LOOKED_AT} events is broken"
    return min(len(events), LOOKED_AT), None


def _is_broken(ends: Audit, events: list[Event]) -> bool:
    """Whether `events`, the newest first, are not what has led to the end of the chain."""
    if not events:
        return ends.newest_id > ends.pruned_id
    links = itertools.pairwise(events)
    wrong = any(event.hash != digest(before.hash, event) for event, before in links)
    return wrong or events[0].hash != ends.newest_hash


def _fault(before: int, id: int) -> str:
    if id - before > 1:
        return f"{_gone(before + 1, id - 1)}, or event {id} was changed"
    return f"event {id} does not follow from event {before}: one of the two was changed"


def _gone(first: int, last: int) -> str:
    return f"event {first} is gone" if first == last else f"events {first} to {last} are gone"


def _ends() -> Audit:
    """The two ends of the chain, locked until the transaction ends."""
    ends = _locked_ends.first()
    if ends is None:
        raise Unavailable(
            "the row of the table audit is gone, so that nothing can be put on record, and "
            "nothing is done; caelus verify-audit says how to go on"
        )
    return ends


@prepared
def _locked_ends():
    """With the greatest id of all events, `newest_id` or one that was slipped in, as `greatest`."""
    greatest = Event.select(peewee.fn.MAX(Event.id)).alias("greatest")
    return locked(Audit.select(Audit, greatest).order_by(Audit.id).limit(1))


@prepared
def _append(ends, **event):
    """Both the event and the new end of the chain."""
    added = peewee.CTE("added", Event.insert(event))
    return _go_on.query(ends, event["id"], event["hash"]).with_cte(added)


@prepared
def _go_on(ends, id, hash):
    return Audit.update(newest_id=id, newest_hash=hash).where(Audit.id == ends)
