"""Who may do what: the one place that compares an actor with a row's `access`.

What a plain user may not see does not exist for them (404, in the words for what really does not
exist); what they see but may not do is forbidden (403).
"""

from caelus.actors import Actor
from caelus.errors import Forbidden, Unseen
from caelus.naming import printable
from caelus.operation import Access, Operation, whole_id
from caelus.operations import OPERATIONS

GETS = {operation.path: operation for operation in OPERATIONS if operation.method == "GET"}


def admit(operation: Operation, actor: Actor, ids: dict[str, str]) -> None:
    """Let the actor go on, or raise Forbidden or Unseen; nothing is looked up for it.

    `ids` has those of the path, as text.
    """
    if actor.is_admin:
        return
    if "user_id" in operation.ids and (asked := whole_id("user", ids["user_id"])) != actor.user_id:
        raise Unseen(f"user {asked} not found")
    if operation.access is not Access.ADMIN:
        return
    what = f"{operation.method} {printable(operation.path.format(**ids))}"
    if _is_seen(operation.path):
        raise Forbidden(f"{what} is for admins only")
    raise Unseen(f"{what} does not exist")


def _is_seen(path: str) -> bool:
    """Whether a plain user may read what is at `path`, or else nearest above it."""
    while path and path not in GETS:
        path = path.rpartition("/")[0]
    return bool(path) and GETS[path].access is not Access.ADMIN
