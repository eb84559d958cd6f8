"""Putting a backup in the place of Caelus's own SQLite database, which is kept beside it.

All is done to a copy beside the database, which then takes its place in one rename: killed at any
moment, there is the old one or the new one, and it can be run again.
"""

import datetime
import logging
import os
import pathlib
import shutil
import sqlite3

import peewee

from caelus import backups, copies, database, keyring, migrate, presence, readonly, restored
from caelus.backups import STAMP, Contents
from caelus.config import Config
from caelus.copies import CopyError
from caelus.database import session, transaction
from caelus.errors import ConfigError, SecretKeyError
from caelus.events import by
from caelus.models import MODELS
from caelus.secretvalues import check_keys

log = logging.getLogger("caelus.restores")
POSTGRES = (
    "the database is Postgres; stop every Caelus, run: pg_restore --clean --if-exists --no-owner "
    "--host=HOST --username=USER --dbname=DATABASE FILE (its password: ~/.pgpass), then: caelus "
    "migrate, caelus restored"
)
OPEN = "{path} is open in another program ({reason}); end that first, see: fuser -v {path}"


def looked_at(config: Config, file: pathlib.Path) -> Contents:
    """What would be restored. Raises ConfigError where it can't be."""
    if not config.is_sqlite:
        raise ConfigError(POSTGRES)
    fault = readonly.unreadable(file)
    if isinstance(fault, PermissionError):  # such as of root's, for the service's user
        raise CopyError(f"cannot read {file}: {fault.strerror}; be root, or move it")
    if fault or not file.is_file():  # a pipe would be waited for
        raise CopyError(f"there is no file {file}")
    found = backups.inspect(file)
    if found.schema not in migrate.newest():
        raise CopyError(
            f"{file} was made by a newer Caelus (schema {found.schema}); "
            "install that version or a newer one"
        )
    return found


def restore(config: Config, file: pathlib.Path, with_key: bool, at: datetime.datetime) -> dict:
    """Put the backup `file` in the place of the database; gives what was done.

    Raises ConfigError, SecretKeyError; then the database is what it was.
    """
    found, path = looked_at(config, file), database.sqlite_path(config.database_url)
    real = path.resolve()  # a link to another disk stays one
    if copies.is_same(file, real):
        raise CopyError(f"{file} is the database itself; name a backup")
    if file.resolve() == real.with_name(f"{real.name}.partial"):  # left by a kill
        raise CopyError(f"{file} would be emptied to be filled; give it another name")
    database.make_directory(path.parent)
    with presence.alone(path), copies.partial(real) as new:
        copies.fill(new, readonly.place(file))
        keys = _keys(config, file) if with_key else []
        steps = _finish(config, new, found)
        kept = _keep(real, at)
        copies.publish(new, real)
    log.info("%s was restored from %s", path, file)
    told = {"database": str(path), "kept": kept and str(kept), "applied": steps, "new_keys": keys}
    return told | found.document()


def _keys(config: Config, file: pathlib.Path) -> list[str]:
    beside = backups.key_beside(file)
    if not beside.exists():
        raise SecretKeyError(f"there is no {beside}; leave --with-key out, or bring it there")
    database.make_directory(config.data_dir)
    return keyring.take_in(beside)


def _finish(config: Config, new: pathlib.Path, found: Contents) -> list[str]:
    """Bring the copy to this program's schema, and have it know that it was restored."""
    own = config._replace(database_url=f"sqlite:///{new}")
    database.bind(own)
    try:
        with session():
            steps = migrate.run(own, keep=False)
            _check_tables()
            with transaction(), by("operator"):
                restored.mark(told(found))
            try:
                check_keys()
            except SecretKeyError as e:
                log.warning("%s; the backup's own may be in FILE.key: --with-key", e.detail)
            # What a rename does not take along must be in the file.
            database.database.execute_sql("PRAGMA journal_mode=DELETE")
    except peewee.DatabaseError as e:  # such as what a trigger or a lost index of it refuses
        raise CopyError(f"the backup is no use: {e}") from None
    finally:
        database.database.close()
    return steps


def _check_tables() -> None:
    lost = {model._meta.table_name for model in MODELS} - set(database.database.get_tables())
    if lost:
        raise CopyError(f"the backup is no use: it has lost its tables {', '.join(sorted(lost))}")
    if parts := migrate.lost():
        raise CopyError(f"the backup is no use: it has lost {', '.join(parts)}")


def told(found: Contents) -> str:
    if found.newest is None:
        return "the database was restored from a backup without events"
    id, time, _ = found.newest
    return (
        f"the database was restored from a backup; its newest event was {id}, {backups.iso(time)}"
    )


# The old one


def _keep(path: pathlib.Path, at: datetime.datetime) -> pathlib.Path | None:
    """Give the database, if there is one, a second name, which it has when it is replaced."""
    kept = _free_name(path, at)
    if there := path.exists():
        for other in path.parent.glob(f"{path.name}.before-restore-*"):
            if os.path.samefile(other, path):  # a restore was killed before it came to the end
                other.unlink()
        _close_log(path)
        _second_name(path, kept)
    for side in copies.SIDES:  # of a damaged or lost one: SQLite must not take it for the new one's
        beside = path.with_name(path.name + side)
        if beside.exists():
            beside.rename(kept.with_name(kept.name + side))
    copies.sync(path.parent)
    return kept if there else None


def _free_name(path: pathlib.Path, at: datetime.datetime) -> pathlib.Path:
    """Of that second or the first one after it: the clock may have been set back, too."""
    while True:
        kept = path.with_name(f"{path.name}.before-restore-{at:{STAMP}}")
        if not kept.exists() or copies.is_same(kept, path):
            return kept
        at += datetime.timedelta(seconds=1)


def _close_log(path: pathlib.Path) -> None:
    """Have all that was committed in the file itself, where that is not damaged.

    Raises CopyError while any program has it open.
    """
    connection = sqlite3.connect(copies.live(path), uri=True, timeout=presence.PATIENCE_SECONDS)
    try:
        connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.DatabaseError as e:
        if e.sqlite_errorcode & 0xFF in copies.BUSY:  # the rest of the code says how
            raise CopyError(OPEN.format(path=path, reason=e)) from None
        log.warning("%s is damaged (%s): it is kept as it is, with its log", path, e)
    finally:
        connection.close()


def _second_name(path: pathlib.Path, kept: pathlib.Path) -> None:
    try:
        os.link(path, kept)
    except OSError:  # a file system without hard links
        with copies.partial(kept) as new:
            shutil.copyfile(path, new)
            copies.publish(new, kept)
