"""Browsers that are logged in: each shows the text of a session in a cookie."""

import datetime

from caelus import credentials
from caelus.models import Session, User, now
from caelus.prepared import prepared

LASTS = datetime.timedelta(days=30)
IDLE = datetime.timedelta(days=7)


def create(user: User) -> str:
    """Begin a session in the caller's transaction; gives its text, which is nowhere else."""
    text, at = credentials.new(), now()
    Session.create(user=user, hash=credentials.digest(text), expires_at=at + LASTS, last_seen_at=at)
    return text


def shown(text: str) -> Session | None:
    """The session with this text, its live user loaded; None if it is over."""
    at = now()
    session = credentials.matching(_valid, text, at=at, seen=at - IDLE)
    if session is not None:
        credentials.note_use(session, Session.last_seen_at, at)
    return session


def end(session: Session) -> None:
    Session.delete().where(Session.id == session.id).execute()


def prune(at: datetime.datetime) -> None:
    over = (Session.expires_at <= at) | (Session.last_seen_at <= at - IDLE)
    Session.delete().where(over).execute()


@prepared
def _valid(hash, at, seen):
    return (
        Session.select(Session, User)
        .join(User)
        .where(
            Session.hash == hash,
            User.deleted_at.is_null(),
            Session.expires_at > at,
            Session.last_seen_at > seen,
        )
    )
