"""Backups of Caelus's own SQLite database, while it is in use: one on demand, dated ones by age.

Of Postgres its own tools make them. docs/backup.md says what is in one.
"""

import contextlib
import datetime
import logging
import pathlib
import re
import sqlite3
from typing import NamedTuple

import peewee

from caelus import audit, copies, database, keyring, migrate, readonly
from caelus.config import Config
from caelus.copies import CopyBusy, CopyError
from caelus.errors import CaelusError, ConfigError

log = logging.getLogger("caelus.backups")
STAMP = "%Y%m%dT%H%M%SZ"
DATED = re.compile(r"caelus-(\d{8}T\d{6}Z)\.db")
POSTGRES = (
    "the database is Postgres, of which its own tools make backups; run: pg_dump --format=custom "
    "--no-owner --host=HOST --username=USER --file=FILE DATABASE (its password: ~/.pgpass)"
)


class Contents(NamedTuple):
    """What a database file holds; `fault` is what is wrong with its audit, `newest` its events'
    newest, as (id, time, hash), or None."""

    schema: str
    users: int
    deployments: int
    newest: tuple | None
    fault: str | None

    def document(self) -> dict:
        id, time, digest = self.newest or (None, "", None)
        return {
            "schema": self.schema,
            "users": self.users,
            "deployments": self.deployments,
            "newest_event": self.newest and {"id": id, "created_at": iso(time), "hash": digest},
            "audit": self.fault or "whole",
        }


def iso(time: str) -> str:
    """A time of a SQLite column, as documents have it."""
    return f"{time.replace(' ', 'T')}Z"


def write(config: Config, file: pathlib.Path, with_key: bool, force: bool) -> dict:
    """Back the database up to `file`, with the secret keys to `file`.key where they are asked for.

    Raises ConfigError; then what was there before is there still.
    """
    refuse_postgres(config)
    _refuse_own(config, file)
    _refuse_existing(file, force)
    with copies.partial(file) as new:
        keys = 0
        if with_key:
            keys = _fill_with_key(config, new, key_beside(file))
        else:
            _fill(config, new)
        found = inspect(new, database.sqlite_path(config.database_url))
        _refuse_existing(file, force)
        copies.publish(new, file)
        if keys:
            keyring.export(key_beside(file))
    if found.fault:
        log.warning("%s: %s; run: caelus verify-audit", file, found.fault)
    size = file.stat().st_size
    return {"file": str(file), "bytes": size, "keys": keys, **found.document()}


def _fill_with_key(config: Config, new: pathlib.Path, key: pathlib.Path) -> int:
    """Copy the database, then its keys, of which none is dropped meanwhile; gives how many.

    What `key` holds stays in it until the new backup is in its place.
    """
    database.make_directory(config.data_dir)
    with keyring.locked():
        _fill(config, new)
        count = len(keyring.fingerprints())
        if count:
            keyring.export(key, key if key.exists() else None)
        else:
            log.warning("there is no key of secrets yet")
    return count


def key_beside(file: pathlib.Path) -> pathlib.Path:
    return file.with_name(f"{file.name}.key")


def refuse_postgres(config: Config) -> None:
    if not config.is_sqlite:
        raise ConfigError(POSTGRES)


def _refuse_own(config: Config, file: pathlib.Path) -> None:
    """A Caelus that is running would go on with the file that was replaced, seen by nobody."""
    source = database.sqlite_path(config.database_url).resolve()
    beside = [source.with_name(source.name + end) for end in (*copies.SIDES, ".lock", ".partial")]
    own = [source, *beside, config.data_dir / keyring.FILE]
    if file.resolve() in [path.resolve() for path in own] or copies.is_same(file, source):
        raise CopyError(f"{file} is Caelus's own; name another file")


def _refuse_existing(file: pathlib.Path, force: bool) -> None:
    if file.is_dir():
        raise CopyError(f"{file} is a directory; name a file in it")
    if file.exists() and not file.is_file():  # a device, a pipe
        raise CopyError(f"{file} is no plain file; name another")
    if file.exists() and not force:
        raise CopyError(f"{file} exists; name another file, or say --force")


def _fill(config: Config, new: pathlib.Path) -> None:
    source = database.sqlite_path(config.database_url)
    fault = readonly.unreadable(source)
    if isinstance(fault, PermissionError):  # else it would be told of the place of the copy
        raise ConfigError(f"cannot read {source}: {fault.strerror}; be its owner, or root")
    if fault:
        raise ConfigError(f"there is no {source}; see CAELUS_DATA_DIR and CAELUS_DATABASE_URL")
    copies.fill(new, copies.live(source))


def inspect(file: pathlib.Path, called: pathlib.Path | None = None) -> Contents:
    """What the file holds. Raises CopyError where it is no whole database of Caelus.

    In sentences it is `called` as what it is a copy of.
    """
    opened, name = readonly.file(file), called or file
    try:
        with contextlib.closing(opened):
            if fault := copies.fault(opened):
                raise CopyError(f"{name} is no use: {fault}")
            return _contents(file, opened)
    except (peewee.DatabaseError, sqlite3.Error) as e:  # the latter of text that is no UTF-8
        reason = str(e).partition("\n")[0]
        raise CopyError(f"{name} can't be read as a SQLite database: {reason}") from None
    except (ValueError, TypeError, AttributeError, LookupError) as e:
        raise CopyError(f"{name} is no use: a row in it is damaged ({e})") from None


def _contents(file: pathlib.Path, opened: peewee.Database) -> Contents:
    history = migrate.applied(opened)
    if not history or "deployments" not in opened.get_tables():
        raise CopyError(f"{file} is no database of Caelus")
    columns = {column.name for column in opened.get_columns("events")}
    digest = "hash" if "hash" in columns else "NULL"
    newest = f"SELECT id, created_at, {digest} FROM events ORDER BY id DESC LIMIT 1"
    is_current = history == migrate.newest()
    return Contents(
        schema=history[-1],
        users=_count(opened, "users WHERE deleted_at IS NULL"),
        deployments=_count(opened, "deployments WHERE status <> 'deleted'"),
        newest=opened.execute_sql(newest).fetchone(),
        fault=audit.end(opened)[1] if is_current else None,
    )


def _count(opened: peewee.Database, what: str) -> int:
    (count,) = opened.execute_sql(f"SELECT COUNT(*) FROM {what}").fetchone()
    return count


# Dated ones, in a directory


def age(directory: pathlib.Path, at: datetime.datetime) -> datetime.timedelta | None:
    """How old the newest backup there is; None where there is none.

    By its name: a copy of a file may have another time. One from the future does not count.
    """
    ages = [at - made for made, _ in dated(directory) if made <= at]
    return min(ages, default=None)


def dated(directory: pathlib.Path) -> list[tuple[datetime.datetime, pathlib.Path]]:
    """The backups there with their times, the oldest first."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for path in directory.iterdir():
            if (name := DATED.fullmatch(path.name)) and (made := _time(name[1])):
                found.append((made, path))
    return sorted(found)


def _time(text: str) -> datetime.datetime | None:
    with contextlib.suppress(ValueError):
        return datetime.datetime.strptime(text, STAMP).replace(tzinfo=datetime.UTC)


def tend(config: Config, at: datetime.datetime) -> bool:
    """Make the dated backup that is due, if any; False if that failed, which is logged."""
    try:
        if _is_due(config, at):
            _write_dated(config, at)
    except CopyBusy:  # another serve of this machine
        return True
    except CaelusError as e:
        log.warning("no backup was made: %s", e.detail)
        return False
    except OSError as e:
        place = e.filename or config.backup_dir
        log.warning("no backup was made: cannot write %s: %s", place, e.strerror)
        return False
    return True


def _is_due(config: Config, at: datetime.datetime) -> bool:
    newest = age(config.backup_dir, at)
    return newest is None or newest >= datetime.timedelta(seconds=config.backup_every)


def _write_dated(config: Config, at: datetime.datetime) -> None:
    directory = config.backup_dir
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:  # to make that, too, might be to write where a disk should be
        parent = directory.parent
        raise CopyError(f"there is no {parent}; make it, or mount what it is on") from None
    with copies.partial(directory / "caelus.db") as new:
        if not _is_due(config, at):  # another serve was quicker
            return
        _fill(config, new)
        found = inspect(new, database.sqlite_path(config.database_url))
        file = directory / f"caelus-{at:{STAMP}}.db"
        copies.publish(new, file)
    if found.fault:
        log.warning("%s: %s; run: caelus verify-audit", file, found.fault)
    log.info("backed up to %s", file)
    _prune(directory, config.backup_keep, file, at)


def _prune(directory: pathlib.Path, keep: int, newest: pathlib.Path, at: datetime.datetime) -> None:
    """Those with a time to come, by a clock that was ahead, are the first to go."""
    found = sorted(dated(directory), key=lambda one: (one[0] <= at, one))
    others = [path for _, path in found if path != newest]
    for path in others[: max(0, len(others) - keep + 1)]:
        path.unlink(missing_ok=True)
        log.info("deleted the old backup %s", path)
