"""The schema's versions: is the database up to date, and bringing it there."""

import logging
import pathlib

import peewee

from caelus import copies
from caelus import database as db
from caelus.config import Config
from caelus.errors import ConfigError
from caelus.models import MODELS, UNIQUE

log = logging.getLogger("caelus.migrate")
ADVISORY_LOCK = 0xCAE1
KEPT_COPIES = 3  # of SQLite databases as they were before upgrades of their schema
_package = pathlib.Path(__file__).parent
# Beside the package in a checkout, inside it once installed.
_places = (_package / "migrations", _package.parent / "migrations")
MIGRATIONS = next(place for place in _places if place.is_dir())


def id_column(database) -> dict[str, str]:
    """The column types that the two databases spell differently, for migrations to fill in."""
    if isinstance(database, peewee.SqliteDatabase):
        return {"id": "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT", "time": "DATETIME"}
    return {"id": "SERIAL NOT NULL PRIMARY KEY", "time": "TIMESTAMP"}


def newest() -> list[str]:
    """The names of all migrations that this program knows, in order."""
    return sorted(path.stem for path in MIGRATIONS.glob("[0-9]*.py"))


def applied(opened: peewee.Database | None = None) -> list[str]:
    """The names of the migrations that the database has had; none for a new one."""
    asked = opened or db.database
    if not asked.table_exists("migratehistory"):
        return []
    rows = asked.execute_sql("SELECT name FROM migratehistory ORDER BY id")
    return [name for (name,) in rows.fetchall()]


def lost(opened: peewee.Database | None = None) -> list[str]:
    """What somebody took from the tables of a database that is up to date: columns, and indexes
    without which its rules do not hold."""
    asked = opened or db.database
    columns: list[str] = []
    indexes: set[str] = set()
    for model in MODELS:
        table = model._meta.table_name
        there = {column.name for column in asked.get_columns(table)}
        columns += [f"{table}.{name}" for name in model._meta.columns if name not in there]
        indexes |= {index.name for index in asked.get_indexes(table) if index.unique}
    return columns + sorted(UNIQUE - indexes)


def require_whole() -> None:
    """Raises ConfigError where somebody took something from a database that is up to date: each
    request and job would else fail for a reason that only a traceback names."""
    if parts := lost():
        more = f" and {len(parts) - 5} more" if len(parts) > 5 else ""
        raise ConfigError(
            f"the database has lost {', '.join(parts[:5])}{more}, which somebody changed behind "
            "Caelus' back; run: caelus doctor"
        )


def require_current(config: Config) -> None:
    """Let a command go on: a new database gets its schema, any other must have this program's.

    Raises ConfigError, with the command to run, for an older or a newer schema.
    """
    done = _history()
    if not done:
        run(config)
    elif set(newest()) - set(done):
        raise ConfigError(
            f"the database has schema {done[-1]}, this Caelus needs {newest()[-1]}; "
            "run: caelus migrate"
        )


def run(config: Config, keep: bool = True) -> list[str]:
    """Bring the schema up to date; gives the names of what was applied.

    A SQLite database is first copied to `NAME.before-NUMBER`, unless `keep` is false. Under a lock
    against other processes, all or nothing. Call it before any thread starts: peewee_migrate
    patches the whole process while it replays what was done.
    """
    done = _history()
    if not set(newest()) - set(done):
        return []
    steps = _run_sqlite(config, keep) if config.is_sqlite else _run_postgres(db.database)
    for name in steps:
        log.info("applied migration %s", name)
    return steps


def _history() -> list[str]:
    """The migrations that the database has had. Raises ConfigError where it is not ours."""
    # The tables before the history: another process may be making both right now.
    tables = set(db.database.get_tables()) & {model._meta.table_name for model in MODELS}
    done = applied()
    if tables and not done:
        raise ConfigError(
            f"the database has tables that are not Caelus's ({', '.join(sorted(tables))}); "
            "give Caelus a database of its own"
        )
    _refuse_newer(done)
    return done


def _refuse_newer(done: list[str]) -> None:
    unknown = sorted(set(done) - set(newest()))
    if unknown:
        raise ConfigError(
            f"the database was made by a newer Caelus (schema {unknown[-1]}); "
            "install that version or a newer one"
        )


def _run_sqlite(config: Config, keep: bool) -> list[str]:
    # A connection of its own without foreign keys: SQLite changes a table by making it anew,
    # and dropping the old one would cascade into its children.
    path = db.sqlite_path(config.database_url)
    own = db.sqlite(path, foreign_keys=0)
    try:
        with own.atomic():
            if keep:
                _copy_before(own, path)
            steps = _router(own).run()
            broken = own.execute_sql("PRAGMA foreign_key_check").fetchall()
            if broken:
                raise ConfigError(f"the migration would leave {len(broken)} rows without parent")
        return steps
    finally:
        own.close()


def _copy_before(own: peewee.Database, path: pathlib.Path) -> None:
    """Keep the database as it is before it gets its first new migration, such as `.before-006`.

    Nobody else can write meanwhile. Raises ConfigError where it can't be kept.
    """
    done = applied(own)
    new = sorted(set(newest()) - set(done))
    if not done or not new:  # a new database, or another process was quicker
        return
    target = path.with_name(f"{path.name}.before-{new[0].partition('_')[0]}")
    try:
        with copies.partial(target) as place:
            copies.fill(place, copies.live(path))
            copies.publish(place, target)
    except ConfigError as e:
        raise ConfigError(
            f"before an upgrade of its schema the database is copied, but: {e.detail}; "
            "make room there, and try again (nothing was changed)"
        ) from None
    log.info("kept the database as it was in %s", target)
    for old in sorted(path.parent.glob(f"{path.name}.before-[0-9][0-9][0-9]"))[:-KEPT_COPIES]:
        old.unlink(missing_ok=True)


def _run_postgres(database) -> list[str]:
    with database.atomic():
        database.execute_sql("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
        return _router(database.obj).run()


def _router(database):
    from peewee_migrate import Router

    logging.getLogger("peewee_migrate").setLevel(logging.WARNING)
    return Router(database, migrate_dir=str(MIGRATIONS))
