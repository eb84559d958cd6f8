"""Events: what happened, when, by whom and why; rows are only added, as links of a chain."""

import contextlib
import contextvars
import functools
from typing import NamedTuple

from caelus import audit
from caelus.database import before_commit
from caelus.models import Event, now


class Author(NamedTuple):
    """Whose an event is: a person, with the API token and the address, or a worker."""

    actor: str
    token: str | None = None
    address: str | None = None


_author = contextvars.ContextVar("author", default=Author("caelus"))


@contextlib.contextmanager
def by(actor: str, token: str | None = None, address: str | None = None):
    """Events that are recorded in this block are this actor's."""
    reset = _author.set(Author(actor, token, address))
    try:
        yield
    finally:
        _author.reset(reset)


def author() -> Author:
    """Whose events are recorded here."""
    return _author.get()


def record(deployment_id: int | None, type: str, message: str, cause: dict | None = None) -> None:
    """Add an event to the caller's transaction, of a deployment or (None) of something else.

    It is written when the transaction ends: a query in it does not see it.
    """
    event = Event(
        created_at=now(),
        deployment=deployment_id,
        type=type,
        message=message,
        cause=cause,
        **author()._asdict(),
    )
    before_commit(functools.partial(audit.append, event))


def find(
    deployment_id: int | None = None,
    *,
    type: str | None = None,
    search: str | None = None,
    limit: int | None = None,
    before: int | None = None,
) -> list[Event]:
    """Those of one deployment, or all; newest first, with ids smaller than `before`.

    Of one type; with `search` in the message, whatever the case of its letters (with SQLite, of
    those of ASCII).
    """
    query = Event.select()
    if deployment_id is not None:
        query = query.where(Event.deployment == deployment_id)
    if type is not None:
        query = query.where(Event.type == type)
    if search is not None:
        query = query.where(Event.message.contains(search))
    if before is not None:
        query = query.where(Event.id < before)
    return list(query.order_by(Event.id.desc()).limit(limit))
