"""A connection that can't change the database: to look at one that may be damaged, older or in use.

It leaves the connection of the program alone, makes no file and upgrades nothing. Queries of models
go by it where they are told to: `query.execute(opened)`.
"""

import contextlib
import errno
import os
import pathlib
import stat
import urllib.parse
from collections.abc import Iterator

import peewee

from caelus import database
from caelus.config import Config

LOCK_SECONDS = 5
STATEMENT_SECONDS = 8


@contextlib.contextmanager
def connection(config: Config) -> Iterator[peewee.Database]:
    """Open the database, for this thread.

    Raises ConfigError for a URL that can't be used, peewee.DatabaseError for what does not open.
    """
    opened = _sqlite(config) if config.is_sqlite else database.postgres(config.database_url, 1)
    try:
        opened.connect()
        yield opened
    finally:
        opened.close()
        if not config.is_sqlite:
            opened.close_all()


def is_quiet(path: pathlib.Path) -> bool:
    """Whether no process has the SQLite file open, nor left its log behind."""
    # Where one may not look, opening the file tells of it.
    return not any(os.path.exists(f"{path}{end}") for end in ("-wal", "-journal"))


def unreadable(path: pathlib.Path) -> OSError | None:
    """Why the SQLite file can't be read, asked without opening it.

    To close any descriptor of it, but SQLite's, ends the locks that SQLite has on it in this
    process; another process then takes the log away under us, and with it what is in there.
    """
    try:
        is_directory = stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as e:
        return e
    if is_directory:
        return IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not os.access(path, os.R_OK):
        return PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return None


def place(path: pathlib.Path) -> str:
    """The URI by which SQLite only reads the file."""
    # Without `immutable` it would make a log, and leave it behind.
    options = "mode=ro&immutable=1" if is_quiet(path) else "mode=ro"
    return f"file:{urllib.parse.quote(str(path))}?{options}"


def file(path: pathlib.Path) -> peewee.SqliteDatabase:
    """The SQLite file at `path`, not opened yet."""
    return peewee.SqliteDatabase(place(path), uri=True, timeout=LOCK_SECONDS)


def _sqlite(config: Config) -> peewee.SqliteDatabase:
    return file(database.sqlite_path(config.database_url))


def settle(opened: peewee.Database) -> None:
    """Bound what Postgres may take for a statement, and let it refuse all that changes."""
    opened.execute_sql(f"SET statement_timeout = {STATEMENT_SECONDS * 1000}")
    opened.execute_sql("SET default_transaction_read_only = on")
