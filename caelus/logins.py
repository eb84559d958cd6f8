"""One-time links that log a browser in: of an existing user, or of the first admin to be."""

import datetime

from caelus import events, users
from caelus.database import alone
from caelus.errors import BadCredentials, Conflict
from caelus.models import LoginLink, User, alive, now
from caelus.prepared import prepared

LASTS = datetime.timedelta(minutes=30)


def create(*, user_id: int) -> LoginLink:
    """A link for the user, its secret as `.code`."""
    user = users.get_locked(user_id)
    link = _new(user)
    events.record(None, "login_link_created", f"login link {link.id} for {user.email}")
    return link


def create_first() -> LoginLink | None:
    """A link that makes the first admin, its secret as `.code`; None where there is an admin."""
    if users.has_admin():
        return None
    link = _new(None)
    events.record(None, "login_link_created", f"login link {link.id} for the first admin")
    return link


def find(code: str) -> LoginLink:
    """The link that this code is of, unused; looking changes nothing, as mail scanners do it.

    Raises BadCredentials.
    """
    from caelus import credentials

    link = credentials.matching(_live, code, at=now())
    if link is None or (link.user_id is None and users.has_admin()):
        raise BadCredentials()
    return link


def use(code: str, email: str | None) -> tuple[User, str]:
    """Log in by the link, once: gives the user and the text of the new session.

    `email` is the first admin's to be. Raises BadCredentials, also where somebody else was
    quicker.
    """
    from caelus import sessions

    alone("admins")  # of two links for the first admin one makes it
    link = find(code)
    unused = (LoginLink.id == link.id) & LoginLink.used_at.is_null()
    if LoginLink.update(used_at=now()).where(unused).execute() != 1:
        raise BadCredentials()
    user = _first_admin(email) if link.user_id is None else _owner(link)
    with events.by(user.email, address=events.author().address):
        events.record(None, "logged_in", f"{user.email} logged in by login link {link.id}")
    return user, sessions.create(user)


def prune(at: datetime.datetime) -> None:
    LoginLink.delete().where(LoginLink.expires_at <= at).execute()


@prepared
def _live(hash, at):
    unused = LoginLink.used_at.is_null()
    return LoginLink.select().where(LoginLink.hash == hash, unused, LoginLink.expires_at > at)


def _new(user: User | None) -> LoginLink:
    from caelus import credentials  # most commands have no need of it

    code = credentials.new()
    link = LoginLink.create(user=user, hash=credentials.digest(code), expires_at=now() + LASTS)
    link.code = code
    return link


def _first_admin(email: str | None) -> User:
    if not email:
        raise Conflict("the first admin needs an e-mail address")
    user = users.find_by_email(email)
    if user is None:
        return users.create(email=email, is_admin=True)
    return users.update(user_id=user.id, is_admin=True)


def _owner(link: LoginLink) -> User:
    user = alive(User).where(User.id == link.user_id).first()
    if user is None:
        raise BadCredentials()
    return user
