"""Checkups of the database: is it there and whole, is its schema this program's, can its secrets
be read. Only reads; where the schema is this program's, the queue is looked at, too."""

import contextlib
import logging
import os
import pathlib
import sqlite3
import time
from collections.abc import Iterator

import peewee

from caelus import (
    audit,
    cluster_mark,
    copies,
    database,
    keyring,
    migrate,
    queue_checks,
    readonly,
    secretvalues,
)
from caelus.config import Config
from caelus.errors import ConfigError, SecretKeyError
from caelus.findings import Check, Section, size, span
from caelus.models import MODELS, ClusterMark, Deployment, Template, now

log = logging.getLogger("caelus.doctor")
INTEGRITY_SECONDS = 8  # a large file may take longer: then it is told how to go on
LARGE_LOG = 64 * 1024**2  # SQLite empties its log when it has 4 MB, unless it can't
SKEW_SECONDS = 10
RESTORE = "stop Caelus, and restore the database from a backup"
URL = "correct CAELUS_DATABASE_URL"
_section = Section("database")
ok, warning, failed = _section.ok, _section.warning, _section.failed


def look(config: Config) -> Iterator[Check]:
    try:
        yield from _file(config) if config.is_sqlite else _server(config)
    except ConfigError as e:
        detail, _, step = e.detail.partition("; ")
        yield failed("database", detail, step or URL)
    except peewee.DatabaseError as e:
        yield _unusable(config, e)
    except (sqlite3.Error, ValueError, AttributeError) as e:  # text, JSON or a time that is none
        log.warning("what is in the database can't be read", exc_info=e)
        yield failed("database", f"a row in it is damaged: {_said(e)}", RESTORE)


def _unusable(config: Config, error: peewee.DatabaseError) -> Check:
    said = _said(error)
    if not config.is_sqlite:
        if "is bad: invalid" in said:  # what follows may be a password
            return failed("database", database.UNREADABLE.partition("; ")[0], URL)
        step = f"start Postgres, or {URL}"
        return failed("database", f"Postgres does not work: {said}", step)
    place = database.sqlite_path(config.database_url)
    kind = (getattr(error.orig, "sqlite_errorname", None) or "SQLITE_").split("_")[1]
    fault, step = _FAULTS.get(kind, ("is damaged", RESTORE))
    return failed("database", f"{place} {fault}: {said}", step.format(place=place))


# By the kinds of SQLite's errors.
_FAULTS = dict.fromkeys(
    ("BUSY", "LOCKED"),
    (f"has been locked for {readonly.LOCK_SECONDS} s", "see who holds it: fuser -v {place}"),
)
_FAULTS |= dict.fromkeys(
    ("CANTOPEN", "READONLY", "PERM"),
    ("or its log can't be opened", "be its owner, and see that its directory can be written"),
)
_FAULTS |= dict.fromkeys(
    ("IOERR", "FULL"),
    ("can't be read", "make room on its disk if that is full, else see what ails it: dmesg"),
)


def _said(error: Exception) -> str:
    return " ".join(str(error).partition("\n")[0].split())


# SQLite


def _file(config: Config) -> Iterator[Check]:
    path = database.sqlite_path(config.database_url)
    fault = readonly.unreadable(path)
    if isinstance(fault, FileNotFoundError):
        step = f"caelus serve makes it; if it should be there, {URL}"
        yield warning("database", f"there is no {path} yet", step)
        return
    if fault:
        step = f"be the owner of {path}, or root"
        yield failed("database", f"cannot read {path}: {fault.strerror}", step)
        return
    yield ok("database", f"SQLite, {path}")
    whole = _integrity(config, path)
    yield whole
    if whole.status != "failed":
        yield _size(path)
        with readonly.connection(config) as opened:
            yield from _content(config, opened)


def _integrity(config: Config, path: pathlib.Path) -> Check:
    """Twice where it is bad, and a Caelus was started meanwhile: the file may have been written."""
    was_quiet, found = readonly.is_quiet(path), _integrity_once(config)
    if found.status == "failed" and was_quiet and not readonly.is_quiet(path):
        found = _integrity_once(config)
    return found


def _integrity_once(config: Config) -> Check:
    begun = time.monotonic()
    try:
        with readonly.connection(config) as opened:
            opened.connection().set_progress_handler(
                lambda: time.monotonic() > begun + INTEGRITY_SECONDS, 10_000
            )
            fault = copies.fault(opened)
    except peewee.OperationalError as e:
        if "interrupted" not in str(e):
            raise
        step = f"sqlite3 {database.sqlite_path(config.database_url)} 'PRAGMA integrity_check'"
        detail = f"not seen to the end within {INTEGRITY_SECONDS} s: the file is large"
        return warning("integrity", detail, step)
    return failed("integrity", fault, RESTORE) if fault else ok("integrity", "whole")


def _size(path: pathlib.Path) -> Check:
    log = path.with_name(path.name + "-wal")
    try:
        length = os.stat(log).st_size
    except OSError:  # nobody has the file open
        return ok("size", size(path.stat().st_size))
    if length > LARGE_LOG:
        step = "restart Caelus, and end what else reads the file for long"
        return warning("size", f"{log} has {size(length)}, and is not emptied", step)
    return ok("size", f"{size(path.stat().st_size)}, and {size(length)} in its log")


# Postgres


def _server(config: Config) -> Iterator[Check]:
    with readonly.connection(config) as opened:
        select = (
            "SELECT current_setting('server_version'), pg_is_in_recovery(), "
            "current_setting('default_transaction_read_only'), "
            "pg_database_size(current_database())"
        )
        version, standby, read_only, length = opened.execute_sql(select).fetchone()
        readonly.settle(opened)
        yield ok("database", f"Postgres {version}")
        if standby or read_only == "on":
            step = f"{URL} to the primary" if standby else "let the role write again"
            yield failed("writable", "the server takes no changes", step)
        yield ok("size", size(length))
        yield _skew(opened)
        yield from _content(config, opened)


def _skew(opened: peewee.Database) -> Check:
    before, theirs, after = now(), database.clock(opened), now()
    ahead = max((theirs - after).total_seconds(), (before - theirs).total_seconds(), 0.0)
    if ahead > SKEW_SECONDS:
        detail = f"Postgres's clock and this machine's are {span(ahead)} apart"
        return warning("clock", detail, "have both machines set theirs by NTP (timedatectl)")
    return ok("clock", "Postgres's and this machine's agree")


# What is in it, of either kind


def _content(config: Config, opened: peewee.Database) -> Iterator[Check]:
    schema = _schema(opened)
    yield schema
    if schema.status == "ok":
        yield from _cluster(config, opened)
        yield _secrets(opened)
        yield _chain(opened)
        yield from queue_checks.look(opened)


def _cluster(config: Config, opened: peewee.Database) -> Iterator[Check]:
    """Whether its states are of the kind of cluster that is set; nothing where both are real."""
    mark = next(iter(ClusterMark.select().execute(opened)), None)
    if mark is not None and mark.is_simulated != config.simulate:
        told = cluster_mark.SIMULATED if mark.is_simulated else cluster_mark.REAL
        detail, _, step = told.partition("; ")
        yield failed("kind of cluster", detail, step)
    elif config.simulate:
        yield ok("kind of cluster", "simulated: what is deployed runs nowhere")


def _schema(opened: peewee.Database) -> Check:
    tables = set(opened.get_tables())
    done, known = migrate.applied(opened), migrate.newest()
    ours = {model._meta.table_name for model in MODELS}
    if not done and tables & ours:
        step = f"give Caelus a database of its own: {URL}"
        return failed("schema", "the database has tables that are not Caelus's", step)
    if not done:
        step = "caelus serve makes its tables; if it held anything, restore it from a backup"
        return warning("schema", "the database is empty", step)
    if unknown := sorted(set(done) - set(known)):
        step = "install that version of Caelus or a newer one"
        return failed("schema", f"{unknown[-1]}, made by a newer Caelus", step)
    if set(known) - set(done):
        step = "caelus migrate (caelus serve does so by itself)"
        return failed("schema", f"{done[-1]}; this Caelus needs {known[-1]}", step)
    if lost := sorted(ours - tables):
        return failed("schema", f"tables are gone: {', '.join(lost)}", RESTORE)
    if lost := migrate.lost(opened):
        return failed("schema", f"columns or indexes are gone: {', '.join(lost)}", RESTORE)
    return ok("schema", known[-1])


def _secrets(opened: peewee.Database) -> Check:
    try:
        # Once more where it fails: the key may have been rotated in the middle.
        with contextlib.suppress(SecretKeyError):
            return _readable(opened)
        return _readable(opened)
    except SecretKeyError as e:
        detail, _, step = e.detail.rpartition("; ")
        return failed("secrets", detail, step)


def _readable(opened: peewee.Database) -> Check:
    count, keys = 0, keyring.fingerprints()
    for model in (Template, Deployment):
        query = model.select().where(model.secrets.is_null(False)).order_by(model.id)
        for row in query.execute(opened):
            secretvalues.require_readable(row)
            count += 1
    if count:
        return ok("secrets", f"{count} rows, all readable by key {keys[0]} of {keyring.source()}")
    return ok("secrets", "none" if keys else "none; a key is made for the first one")


def _chain(opened: peewee.Database) -> Check:
    step = "caelus verify-audit tells where it begins; somebody wrote to the database by hand"
    count, fault = audit.end(opened)
    if fault:
        return failed("audit", fault, step)
    return ok("audit", f"the newest {count} events are a whole chain")
