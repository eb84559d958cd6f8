"""Who asks: the operator of the machine, an admin, or a plain user."""

from typing import NamedTuple

from caelus.models import User


class Actor(NamedTuple):
    """`token` is the name of the API token that was shown, `address` where the request is from."""

    kind: str  # "operator", "admin" or "user"
    user_id: int | None = None
    email: str | None = None
    token: str | None = None
    address: str | None = None

    @property
    def is_admin(self) -> bool:
        return self.kind != "user"

    def __str__(self):
        return self.email or self.kind


OPERATOR = Actor("operator")  # the local command line: who can read the database may do all


def of(user: User, address: str, token: str | None = None) -> Actor:
    """The actor that a user is in one request."""
    return Actor("admin" if user.is_admin else "user", user.id, user.email, token, address)
