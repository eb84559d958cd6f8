"""API tokens: what a program shows in place of its user. The text of one is shown only once."""

import datetime

from caelus import events, users
from caelus.database import page
from caelus.errors import NotFound
from caelus.models import Token, User, alive, now
from caelus.prepared import prepared

PREFIX = "caelus_"  # secret scanners know a token by it


def create(*, user_id: int, name: str | None = None, expires_in_days: int | None = None) -> Token:
    """A new token, its text as `.text`: nobody can read it from the database."""
    from caelus import credentials  # most commands have no need of it

    user = users.get_locked(user_id)
    text = credentials.new(PREFIX)
    ends = expires_in_days and now() + datetime.timedelta(days=expires_in_days)
    token = Token.create(user=user, name=name or "", hash=credentials.digest(text), expires_at=ends)
    if not name:
        token.name = f"token-{token.id}"
        token.save()
    events.record(None, "token_created", f"token {token.id} ({token.name}) of {user.email}")
    token.text = text
    return token


def find(*, user_id: int, limit: int | None = None, after: int | None = None) -> list[Token]:
    users.get(user_id=user_id)
    return list(page(alive(Token).where(Token.user == user_id), limit, after))


def delete(*, user_id: int, token_id: int) -> Token:
    user = users.get(user_id=user_id)
    token = alive(Token).where(Token.id == token_id, Token.user == user_id).first()
    if token is None:
        raise NotFound(f"token {token_id} not found")
    token.deleted_at = now()
    token.save()
    events.record(None, "token_deleted", f"token {token.id} ({token.name}) of {user.email}")
    return token


def shown(text: str) -> Token | None:
    """The token with this text, its live user loaded; None if it lets nobody in (any more)."""
    from caelus import credentials

    at = now()
    token = credentials.matching(_valid, text, at=at)
    if token is not None:
        credentials.note_use(token, Token.last_used_at, at)
    return token


@prepared
def _valid(hash, at):
    return (
        Token.select(Token, User)
        .join(User)
        .where(
            Token.hash == hash,
            Token.deleted_at.is_null(),
            User.deleted_at.is_null(),
            Token.expires_at.is_null() | (Token.expires_at > at),
        )
    )
