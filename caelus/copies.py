"""Copies of a SQLite database that others write to meanwhile: whole, checked, in place at once.

A kill at any moment leaves what was there before, or the new copy, and at most `NAME.partial`,
which the next copy of that name does away with.
"""

import contextlib
import fcntl
import os
import pathlib
import sqlite3
import time
import urllib.parse

import peewee

from caelus.errors import ConfigError
from caelus.presence import give_away

WAIT_SECONDS = 60  # for a database that somebody has locked
SIDES = ("-wal", "-shm", "-journal")  # what SQLite may have beside a file
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class CopyError(ConfigError):
    """A copy could not be made; what was there before is untouched."""


class CopyBusy(CopyError):
    """Another process is making the same copy."""


@contextlib.contextmanager
def partial(target: pathlib.Path):
    """The path of a new, empty file beside `target`, for this process alone to fill.

    What is not `publish`ed from there is gone afterwards. Raises CopyBusy, CopyError.
    """
    place = target.with_name(f"{target.name}.partial")
    with _explained(target):
        descriptor = _locked(place)
        try:
            give_away(descriptor, place.parent)
            drop_sides(place)  # SQLite would take what a kill has left there for the new file's
            os.ftruncate(descriptor, 0)
            yield place
        finally:
            if _is_at(descriptor, place):
                place.unlink()
                drop_sides(place)
            os.close(descriptor)


def fill(place: pathlib.Path, source: str) -> None:
    """Copy the database at the URI `source` as it is at one moment; writers need not wait.

    Raises CopyError.
    """
    try:
        with _opened(source) as read, _opened(f"{_uri(place)}?mode=rw") as written:
            # It is no database yet to anybody, and `publish` sees that it reaches the disk.
            written.execute("PRAGMA journal_mode=OFF")
            written.execute("PRAGMA synchronous=OFF")
            read.backup(written, progress=_patience())
            written.execute("PRAGMA journal_mode=DELETE")  # one file, with no log beside it
    except sqlite3.Error as e:
        # Either disk may be full: SQLite needs room for a log beside what it reads, too.
        read_from = urllib.parse.unquote(source.partition("?")[0].removeprefix("file:"))
        raise CopyError(f"cannot copy {read_from} to {place.parent}: {e}") from None


def publish(place: pathlib.Path, target: pathlib.Path) -> None:
    """Make the finished file appear as `target`, on the disk, in the place of what was there."""
    with _explained(target):
        with open(place, "rb") as file:
            os.fsync(file.fileno())
        os.replace(place, target)
        sync(target.parent)


def sync(directory: pathlib.Path) -> None:
    """Have the names in `directory` on the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def drop_sides(path: pathlib.Path) -> None:
    for side in SIDES:
        path.with_name(path.name + side).unlink(missing_ok=True)


def live(path: pathlib.Path) -> str:
    """The URI of a database that is in use."""
    return f"{_uri(path)}?mode=rw"


def fault(opened: peewee.Database) -> str | None:
    """What is wrong with the pages or the references of the database, as one sentence."""
    cursor = opened.execute_sql("PRAGMA integrity_check(5)")
    with peewee.__exception_wrapper__:  # some damage is found only when rows are fetched
        rows = cursor.fetchall()
    if rows != [("ok",)]:
        return f"the file is damaged: {' '.join(str(rows[0][0]).split())}"
    orphans = opened.execute_sql("PRAGMA foreign_key_check").fetchmany(1000)
    if orphans:
        tables = ", ".join(sorted({table for table, *_ in orphans}))
        return f"{len(orphans)} rows have lost what they belong to, in: {tables}"
    return None


def _uri(path: pathlib.Path) -> str:
    return f"file:{urllib.parse.quote(str(path))}"


def _opened(uri: str):
    return contextlib.closing(sqlite3.connect(uri, uri=True, timeout=WAIT_SECONDS))


def _patience():
    """Python tries for ever to copy what is locked."""
    deadline = time.monotonic() + WAIT_SECONDS

    def look(status: int, remaining: int, total: int) -> None:
        if status in BUSY and time.monotonic() > deadline:
            raise sqlite3.OperationalError("the database is locked")

    return look


def _locked(place: pathlib.Path) -> int:
    while True:
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise CopyBusy(f"another process is writing {place}; try again when it ends") from None
        if _is_at(descriptor, place):
            return descriptor
        os.close(descriptor)  # since it was opened, another one has published it


def is_same(one: pathlib.Path, other: pathlib.Path) -> bool:
    """Whether both are names of one file that is there."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samefile(one, other)
    return False


def _is_at(descriptor: int, place: pathlib.Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), os.stat(place))
    return False


@contextlib.contextmanager
def _explained(target: pathlib.Path):
    try:
        yield
    except OSError as e:
        raise CopyError(f"cannot write {target}: {e.strerror or e}") from None
