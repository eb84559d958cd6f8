"""Random texts that let in who shows them: made here, kept only as a hash."""

import contextlib
import datetime
import hashlib
import hmac
import secrets
import string

import peewee

from caelus.database import transaction, waiting
from caelus.errors import Unavailable
from caelus.prepared import Prepared

ALPHABET = string.digits + string.ascii_letters
MINUTE = datetime.timedelta(minutes=1)
NOTE_SECONDS = 0.2  # what a request waits to be noted; the next one will be
LENGTH = 43  # of base 62: 256 bits, so that no slow hash is needed and nobody can guess


def new(prefix: str = "") -> str:
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def digest(text: str) -> str:
    """What is stored in place of `text`."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def matching(query: Prepared, text: str, **values):
    """The row that `query` finds by the hash of `text`, or None."""
    wanted = digest(text)
    row = query.first(hash=wanted, **values)
    return row if row is not None and hmac.compare_digest(row.hash, wanted) else None


def note_use(row, column: peewee.DateTimeField, at: datetime.datetime) -> None:
    """Write down that the row was used, to the minute. That it can't be keeps nobody out."""
    before = getattr(row, column.name)
    if before is None or before < at - MINUTE:
        hindered = contextlib.suppress(peewee.DatabaseError, Unavailable)
        with hindered, waiting(NOTE_SECONDS), transaction():
            type(row).update({column: at}).where(type(row).id == row.id).execute()
