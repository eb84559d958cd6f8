"""What one row of the table of operations says."""

import re
from collections.abc import Callable
from typing import NamedTuple

from caelus import schemas


class Operation(NamedTuple):
    """One row; `words` says which argument a word of the usage text is, where the name differs.

    `before` makes the service's arguments of those given, with no transaction open.
    """

    command: str
    route: str
    service: Callable
    shows: str
    usage: str
    input: dict = schemas.fields()
    status: int = 200
    many: bool = False
    words: dict[str, str] = {}  # never changed
    before: Callable[..., dict] = dict

    @property
    def method(self) -> str:
        return self.route.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.route.partition(" ")[2]

    @property
    def ids(self) -> list[str]:
        """The names of the ids in the path, in order."""
        return re.findall(r"{(\w+)}", self.path)

    @property
    def changes(self) -> bool:
        return self.method != "GET"

    @property
    def summary(self) -> str:
        return self.usage.strip().partition("\n")[0]
