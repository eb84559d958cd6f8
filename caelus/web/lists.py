"""Lists on pages: the filters in the query, and what is wrong with them.

A filter that can't be understood is never left out: the page would show what was not asked for.
"""

import urllib.parse
from collections.abc import Callable

from caelus import validation
from caelus.errors import Invalid
from caelus.operations import BY_COMMAND


def asked(req, command: str, *names: str) -> dict:
    """The parameters of these names as the operation takes them; it refuses what is odd.

    Raises Invalid for one that is given more than once.
    """
    properties = BY_COMMAND[command].input["properties"]
    return {
        name: validation.from_text(properties[name], value)
        for name in names
        if (value := text(req, name)) is not None
    }


def text(req, name: str) -> str | None:
    """The parameter, None where nothing is in it. Raises Invalid where it is more than once.

    Without the spaces around it, which a phone's keyboard adds and copying takes along.
    """
    value = req.params.get(name)
    if isinstance(value, list):
        raise Invalid((name, "is given more than once"))
    return value and (value.strip() or None)


def shown(req, names: tuple[str, ...], find: Callable) -> dict:
    """The context of a page with a list and these filters.

    `find` gives rows and where the next page begins; where it raises Invalid, there are no rows,
    but `errors`, the sentences by the filters that they are about.
    """
    chosen = {n: v for n in names if isinstance(v := req.params.get(n), str)}
    context = {"chosen": dict.fromkeys(names) | chosen, "kept": _kept(chosen), "errors": {}}
    try:
        rows, more = find()
    except Invalid as e:
        errors = {field: f"{field} {message}" for field, message in e.errors}
        return context | {"rows": [], "more": None, "errors": errors, "status": e.status}
    return context | {"rows": rows, "more": more}


def _kept(chosen: dict[str, str]) -> str:
    """What the link to the next page says of the filters."""
    return "&" + urllib.parse.urlencode(chosen) if chosen else ""
