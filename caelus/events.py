"""Events: what happened to each deployment, when, by whom and why; append-only."""

import contextlib
import contextvars
import datetime

from caelus.models import Event

KEPT = datetime.timedelta(days=90)
_actor = contextvars.ContextVar("actor", default="caelus")


@contextlib.contextmanager
def by(actor: str):
    """Events that are recorded in this block are this actor's: a person, or a worker."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def record(deployment_id: int, type: str, message: str, cause: dict | None = None) -> None:
    """Add an event in the caller's transaction."""
    Event.create(
        deployment=deployment_id, type=type, actor=_actor.get(), message=message, cause=cause
    )


def find(
    deployment_id: int | None = None, *, limit: int | None = None, before: int | None = None
) -> list[Event]:
    """Those of one deployment, or all; newest first, with ids smaller than `before`."""
    query = Event.select()
    if deployment_id is not None:
        query = query.where(Event.deployment == deployment_id)
    if before is not None:
        query = query.where(Event.id < before)
    return list(query.order_by(Event.id.desc()).limit(limit))


def prune(at: datetime.datetime) -> int:
    """Delete what is older than 90 days; gives how many."""
    return Event.delete().where(Event.created_at < at - KEPT).execute()
