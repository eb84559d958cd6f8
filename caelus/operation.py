"""What one row of the table of operations says."""

import enum
import functools
import re
from collections.abc import Callable
from typing import NamedTuple

from caelus import naming, schemas
from caelus.errors import NotFound

_ID = re.compile(r"[1-9][0-9]{0,18}")


class Access(enum.Enum):
    """Who may call an operation over HTTP."""

    USER = "every user"
    OWNER = "the user whose {user_id} is in the path, and admins"
    ADMIN = "admins"


class Operation(NamedTuple):
    """One row; `words` says which argument a word of the usage text is, where the name differs.

    `before` makes the service's arguments of those given, with no transaction open. What `waits`
    begins goes on in the background: on the command line, `--wait` stays until it has ended.
    What `follows` can be asked for what came since: on the command line, `--follow` does.
    """

    command: str
    route: str
    access: Access
    service: Callable
    shows: str
    usage: str
    input: dict = schemas.fields()
    status: int = 200
    many: bool = False
    words: dict[str, str] = {}  # never changed
    before: Callable[..., dict] = dict
    waits: bool = False
    follows: bool = False

    @property
    def method(self) -> str:
        return _read(self.route)[0]

    @property
    def path(self) -> str:
        return _read(self.route)[1]

    @property
    def ids(self) -> tuple[str, ...]:
        """The names of the ids in the path, in order."""
        return _read(self.route)[2]

    @property
    def changes(self) -> bool:
        return self.method != "GET"

    @property
    def summary(self) -> str:
        return self.usage.strip().partition("\n")[0]


@functools.cache
def _read(route: str) -> tuple[str, str, tuple[str, ...]]:
    """The method, the path and the names of its ids."""
    method, _, path = route.partition(" ")
    return method, path, tuple(re.findall(r"{(\w+)}", path))


def whole_id(what: str, text: str) -> int:
    """The id in `text`. Raises NotFound for what can't be the id of any `what`."""
    if _ID.fullmatch(text) and int(text) < 2**63:
        return int(text)
    raise NotFound(f"{what} {naming.printable(text)} not found: an id is a whole number")
