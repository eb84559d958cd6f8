"""Users: people, known by e-mail, who own deployments."""

from caelus import events
from caelus.database import alone, locked, page, unique
from caelus.errors import Conflict, NotFound
from caelus.models import DELETED, Deployment, User, alive, now


def create(*, email: str, is_admin: bool = False) -> User:
    with unique(f"a user with the e-mail {email} exists already"):
        user = User.create(email=email, email_key=email.casefold(), is_admin=is_admin)
    kind = "admin" if is_admin else "user"
    events.record(None, "user_created", f"{kind} {user.id} ({email}) created")
    return user


def find(
    *, search: str | None = None, limit: int | None = None, after: int | None = None
) -> list[User]:
    """All, or those with `search` in their e-mail, whatever its case."""
    query = alive(User)
    if search is not None:
        query = query.where(User.email_key.contains(search.casefold()))
    return list(page(query, limit, after))


def get(*, user_id: int) -> User:
    return _found(alive(User).where(User.id == user_id), user_id)


def get_locked(user_id: int) -> User:
    """The live user, kept from being deleted until the transaction ends."""
    return _found(locked(alive(User).where(User.id == user_id), share=True), user_id)


def find_by_email(email: str) -> User | None:
    return alive(User).where(User.email_key == email.casefold()).first()


def has_admin() -> bool:
    return alive(User).where(User.is_admin).exists()


def update(*, user_id: int, is_admin: bool) -> User:
    alone("admins")
    user = _found(locked(alive(User).where(User.id == user_id)), user_id)
    if not is_admin:
        _refuse_last_admin(user)
    user.is_admin = is_admin
    user.save()
    now_is = "is an admin now" if is_admin else "is no admin now"
    events.record(None, "user_updated", f"user {user_id} ({user.email}) {now_is}")
    return user


def delete(*, user_id: int) -> User:
    alone("admins")
    user = _found(locked(alive(User).where(User.id == user_id)), user_id)
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


def _found(query, user_id: int) -> User:
    user = query.first()
    if user is None:
        raise NotFound(f"user {user_id} not found")
    return user


def refuse_in_use(what: str, condition) -> None:
    """Raise Conflict where deployments that are not `deleted` meet `condition`."""
    count = Deployment.select().where(condition, Deployment.status != DELETED).count()
    if count:
        uses = "1 deployment uses" if count == 1 else f"{count} deployments use"
        raise Conflict(f"cannot delete {what}: {uses} it; delete those first")
