"""What the lines of a log belong to: the request, the job and the deployment that is worked on."""

import contextvars
import functools
import os
import re
from typing import NamedTuple

WELL_FORMED = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}")


class Work(NamedTuple):
    """`deployment` is its uid."""

    request_id: str | None = None
    job_id: int | None = None
    deployment: str | None = None


_work = contextvars.ContextVar("work", default=Work())


def present() -> Work:
    return _work.get()


def start(request_id: str | None) -> None:
    """From here on it is this request that is worked on, or none."""
    _work.set(Work(request_id))


def note(**fields) -> None:
    """Add what has become known of the present work; None says nothing."""
    known = {name: value for name, value in fields.items() if value is not None}
    _work.set(present()._replace(**known))


def carried(function):
    """`function` as a part of the present work, in whatever thread it is called; what it notes
    ends with it."""
    return functools.partial(contextvars.copy_context().run, function)


def new_id() -> str:
    return os.urandom(8).hex()


def is_well_formed(text: str | None) -> bool:
    """Whether a proxy's id may go into answers, logs and the database."""
    return WELL_FORMED.fullmatch(text or "") is not None
