"""Users: people, known by e-mail, who own deployments."""

from caelus import events
from caelus.database import alone, locked, page, unique
from caelus.errors import Conflict, NotFound
from caelus.models import DELETED, Deployment, User, alive, now
from caelus.prepared import insert, prepared


def create(*, email: str, is_admin: bool = False) -> User:
    user = User(email=email, email_key=email.casefold(), is_admin=is_admin)
    with unique(f"a user with the e-mail {email} exists already"):
        insert(user)
    kind = "admin" if is_admin else "user"
    events.record(None, "user_created", f"{kind} {user.id} ({email}) created")
    return user


def find(
    *, search: str | None = None, limit: int | None = None, after: int | None = None
) -> list[User]:
    """All, or those with `search` in their e-mail, whatever its case."""
    if search is None:
        return _page.all(limit=limit, after=after)
    found = _page.query(limit=limit, after=after)
    return list(found.where(User.email_key.contains(search.casefold())))


def get(*, user_id: int) -> User:
    return _found(_live.first(id=user_id), user_id)


def get_locked(user_id: int) -> User:
    """The live user, kept from being deleted until the transaction ends."""
    return _found(_live_shared.first(id=user_id), user_id)


def find_by_email(email: str) -> User | None:
    return alive(User).where(User.email_key == email.casefold()).first()


def has_admin() -> bool:
    return alive(User).where(User.is_admin).exists()


def update(*, user_id: int, is_admin: bool) -> User:
    alone("admins")
    user = _found(_live_alone.first(id=user_id), user_id)
    if not is_admin:
        _refuse_last_admin(user)
    user.is_admin = is_admin
    user.save()
    now_is = "is an admin now" if is_admin else "is no admin now"
    events.record(None, "user_updated", f"user {user_id} ({user.email}) {now_is}")
    return user


def delete(*, user_id: int) -> User:
    alone("admins")
    user = _found(_live_alone.first(id=user_id), user_id)
    refuse_in_use(f"user {user_id}", Deployment.user == user)
    _refuse_last_admin(user)
    user.deleted_at = now()
    user.save()
    events.record(None, "user_deleted", f"user {user_id} ({user.email}) deleted")
    return user


def _refuse_last_admin(user: User) -> None:
    """Of two who are taken away at once the second waits for the first: see `alone`."""
    others = alive(User).where(User.is_admin, User.id != user.id)
    if user.is_admin and not others.exists():
        raise Conflict(f"user {user.id} is the last admin; make another user an admin first")


@prepared
def _page(limit, after):
    return page(alive(User), limit, after)


@prepared
def _live(id):
    return alive(User).where(User.id == id)


@prepared
def _live_shared(id):
    return locked(alive(User).where(User.id == id), share=True)


@prepared
def _live_alone(id):
    return locked(alive(User).where(User.id == id))


def _found(user: User | None, user_id: int) -> User:
    if user is None:
        raise NotFound(f"user {user_id} not found")
    return user


def refuse_in_use(what: str, condition) -> None:
    """Raise Conflict where deployments that are not `deleted` meet `condition`."""
    count = Deployment.select().where(condition, Deployment.status != DELETED).count()
    if count:
        uses = "1 deployment uses" if count == 1 else f"{count} deployments use"
        raise Conflict(f"cannot delete {what}: {uses} it; delete those first")
