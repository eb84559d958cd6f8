"""Users: people, known by e-mail, who own deployments."""

from caelus.database import locked, page, unique
from caelus.errors import Conflict, NotFound
from caelus.models import DELETED, Deployment, User, alive, now


def create(*, email: str, is_admin: bool = False) -> User:
    with unique(f"a user with the e-mail {email} exists already"):
        return User.create(email=email, email_key=email.casefold(), is_admin=is_admin)


def find(*, limit: int | None = None, after: int | None = None) -> list[User]:
    return list(page(alive(User), limit, after))


def get(*, user_id: int) -> User:
    return _found(alive(User).where(User.id == user_id), user_id)


def get_locked(user_id: int) -> User:
    """The live user, kept from being deleted until the transaction ends."""
    return _found(locked(alive(User).where(User.id == user_id), share=True), user_id)


def delete(*, user_id: int) -> User:
    user = _found(locked(alive(User).where(User.id == user_id)), user_id)
    refuse_in_use(f"user {user_id}", Deployment.user == user)
    user.deleted_at = now()
    user.save()
    return user


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
