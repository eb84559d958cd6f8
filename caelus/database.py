"""The connection: SQLite or Postgres behind one proxy, with the same transactions on both.

SQLite keeps one connection per thread. Postgres lends connections from a pool; `session` gives
them back.
"""

import contextlib
import datetime
import logging
import os
import pathlib
import threading
import time

import peewee

from caelus import patience, presence
from caelus.config import Config
from caelus.errors import ConfigError, Conflict, Unavailable

log = logging.getLogger("caelus.database")
database = peewee.DatabaseProxy()
HTTP_THREADS = 4
CONNECT_SECONDS = 10
UNREADABLE = (
    "the database URL can't be read; check its host, port and options, "
    "and write special characters as %XX"
)
# secure_delete: what is overwritten or deleted becomes zeros, for it may have been a secret.
SQLITE_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "foreign_keys": 1,
    "secure_delete": 1,
}
END_SECONDS = 2  # of patience with other processes when this one ends
_thread = threading.local()  # .endings: what `before_commit` was given in the transaction


def connect(config: Config) -> None:
    """Bind the models to the database; a SQLite file is made (0600) where there is none.

    Raises ConfigError for a URL that can't be used, and while the database is being restored.
    """
    if config.is_sqlite:
        path = sqlite_path(config.database_url)
        make_directory(path.parent)
        presence.share(path)  # before the file, which a restore may be about to replace
    bind(config)


def bind(config: Config) -> None:
    """As `connect`, to a database that no other process knows of yet."""
    if database.obj is not None and not database.is_closed():
        database.close()  # this thread's connection to another one
    if config.is_sqlite:
        path = sqlite_path(config.database_url)
        _make_file(path)
        database.initialize(sqlite(path))
    else:
        database.initialize(postgres(config.database_url, HTTP_THREADS + config.workers + 5))
    _open()


def sqlite_path(url: str) -> pathlib.Path:
    """The file of `sqlite:////absolute` or `sqlite:///relative`."""
    path = url.removeprefix("sqlite:///")
    if path == url or path in ("", ":memory:"):
        raise ConfigError("a SQLite URL names a file, such as sqlite:////var/lib/caelus/caelus.db")
    return pathlib.Path(path)


class Sqlite(peewee.SqliteDatabase):
    def _add_conn_hooks(self, conn):
        patience.settle(conn)
        super()._add_conn_hooks(conn)

    def execute_kept(self, sql: str, values: list):
        """As `execute_sql`, for SQL that comes again and again."""
        started = time.perf_counter()
        with peewee.__exception_wrapper__:
            cursor = self.connection().execute(sql, values)
        self._notify_hooks(sql, values, started, None)
        return cursor


def sqlite(path: pathlib.Path, **pragmas) -> Sqlite:
    # IMMEDIATE: a transaction that reads first and writes later can't be refused half-way.
    return Sqlite(str(path), lock_type="IMMEDIATE", pragmas=SQLITE_PRAGMAS | pragmas)


def postgres(url: str, connections: int):
    """A pool, not connected yet. Raises ConfigError for a URL that can't be used."""
    if not url.startswith(("postgresql://", "postgres://")):
        raise ConfigError(
            "the database URL must begin with sqlite:/// or postgresql://; "
            "see CAELUS_DATABASE_URL in the README"
        )
    if peewee.psycopg is None:
        raise ConfigError(
            "Postgres needs its driver; install Caelus as a Python package, "
            "with: pip install 'caelus[postgres]'"
        )
    if url.partition("?")[0].count("@") > 1:
        raise ConfigError(UNREADABLE)
    from caelus.pool import Pool  # SQLite has no need of it

    # The driver would try for more than two minutes to reach a host that does not answer.
    bound = {} if "connect_timeout=" in url else {"connect_timeout": CONNECT_SECONDS}
    return Pool(
        "postgresql://" + url.partition("://")[2],
        max_connections=connections,
        timeout=10,
        prefer_psycopg3=True,
        **bound,
    )


@contextlib.contextmanager
def own_connection():
    """A connection to Postgres that goes with its use, as the driver gives it, for one long use."""
    connection = database.obj._connect()
    try:
        yield connection
    finally:
        database.obj.end(connection)


def make_directory(path: pathlib.Path) -> None:
    """Make the data directory, for this user alone, where there is none."""
    with _explained(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _make_file(path: pathlib.Path) -> None:
    with _explained(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


@contextlib.contextmanager
def _explained(path: pathlib.Path):
    try:
        yield
    except OSError as e:
        raise ConfigError(
            f"cannot use {path}: {e.strerror}; set CAELUS_DATA_DIR or "
            "CAELUS_DATABASE_URL to a place that this user may write"
        ) from None


def _open() -> None:
    """Open this thread's connection.

    Two processes that switch one new file to WAL refuse each other at once, in spite of the busy
    timeout: then this one tries again.
    """
    deadline = time.monotonic() + CONNECT_SECONDS
    with session():
        while database.is_closed():
            try:
                database.connect()
            except peewee.DatabaseError as e:
                if isinstance(e, peewee.ProgrammingError) or "is bad: invalid" in str(e):
                    raise ConfigError(UNREADABLE) from None  # `e` may repeat a password
                if "locked" not in str(e) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)


def is_postgres() -> bool:
    return not isinstance(database.obj, peewee.SqliteDatabase)


def size() -> int:
    """How many bytes the database takes up, SQLite's log included."""
    if is_postgres():
        return database.execute_sql("SELECT pg_database_size(current_database())").fetchone()[0]
    path = pathlib.Path(database.obj.database)
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def clock(opened: peewee.Database | None = None) -> datetime.datetime:
    """The time by the one clock that all processes on this database share, in UTC.

    For what one process writes and another judges: machines' own clocks may differ.
    """
    asked = opened or database.obj
    if isinstance(asked, peewee.SqliteDatabase):
        return datetime.datetime.now(datetime.UTC)
    (at,) = asked.execute_sql("SELECT clock_timestamp()").fetchone()
    return at.astimezone(datetime.UTC)


@contextlib.contextmanager
def session():
    """Work on the database in this thread, then hand a pooled connection back, unless it is held.

    Raises Unavailable where the database can't be reached, is locked for too long or is damaged.
    """
    try:
        yield
    except (peewee.DatabaseError, peewee.InterfaceError) as e:
        first = _first(e)
        theirs = (
            peewee.DatabaseError,
            peewee.OperationalError,
            peewee.InterfaceError,
            peewee.InternalError,  # such as a database that is read-only for now
        )
        ours = type(first) not in theirs
        if ours or _is_our_fault(first):
            raise
        reason = str(first).partition("\n")[0]
        raise Unavailable(f"the database does not work: {reason}; see: caelus doctor") from e
    finally:
        if not getattr(_thread, "holds", False):
            give_back()


def hold() -> None:
    """Keep this thread's connection from one session to the next, until `give_back`.

    Such a thread answers requests: from now on it does not wait long for locks.
    """
    _thread.holds = True
    _wait(patience.REQUEST_WAIT_SECONDS)


@contextlib.contextmanager
def waiting(seconds: float):
    """In the block, wait no longer than that for SQLite's one writer."""
    before = patience.seconds()
    _wait(seconds)
    try:
        yield
    finally:
        _wait(before)


def _wait(seconds: float) -> None:
    if seconds != patience.seconds():
        patience.become(seconds)
        if not (is_postgres() or database.is_closed()):
            patience.settle(database.connection())


def give_back() -> None:
    _thread.holds = False
    if is_postgres() and not database.is_closed():
        database.close()


def _first(error: BaseException) -> peewee.DatabaseError:
    """The error that the others followed: where a disk is full, SQLite ends the transaction
    by itself, and then it can't be rolled back."""
    first = error
    while error := error.__context__:
        first = error if isinstance(error, peewee.DatabaseError) else first
    return first


def _is_our_fault(error: peewee.DatabaseError) -> bool:
    """SQLite says OperationalError of broken SQL, too."""
    return getattr(error.orig, "sqlite_errorname", None) == "SQLITE_ERROR"


@contextlib.contextmanager
def transaction():
    """All or nothing. Never run helm, kubectl or anything else that waits inside."""
    outer, endings = getattr(_thread, "endings", None), []
    _thread.endings = endings
    try:
        with contextlib.nullcontext() if is_postgres() else patience.writing(), database.atomic():
            yield
            if outer is None:
                for ending in endings:
                    ending()
    finally:
        _thread.endings = outer
    if outer is not None:
        outer += endings
    if getattr(_thread, "forgets", False) and not database.in_transaction():
        _thread.forgets = False
        _empty_log()


def before_commit(ending) -> None:
    """Have `ending()` called in this thread's transaction when all else in it is done.

    For what takes a lock that everybody wants: taken last, it is held shortest, and can be no
    part of a deadlock.
    """
    _thread.endings.append(ending)


def alone(name: str) -> None:
    """Wait until no other transaction has asked for `name`; hold it until this one ends.

    For rules that no index and no lock of a row can keep. (SQLite has one writer anyway.)
    """
    if is_postgres():
        database.execute_sql("SELECT pg_advisory_xact_lock(hashtext(%s))", (name,))


def forget_what_was() -> None:
    """Let nothing of what this transaction overwrites stay in SQLite's log once it is done.

    On Postgres it stays until its VACUUM.
    """
    _thread.forgets = not is_postgres()


def _empty_log() -> None:
    try:
        busy, *_ = database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except peewee.OperationalError:  # what is to be done is done: this is but its cleaning
        busy = True
    if busy:
        log.warning("SQLite's log could not be emptied; what it holds goes when Caelus ends")


def end() -> None:
    """Have all in SQLite's file itself before this process ends: people copy that file alone.

    SQLite does so when the last connection is closed, but the threads of the API leave theirs open.
    Where another process is at it, that one does so at its end.
    """
    if is_postgres() or database.is_closed():
        return
    with contextlib.suppress(peewee.DatabaseError):  # nothing is lost: the log stays
        database.execute_sql(f"PRAGMA busy_timeout = {END_SECONDS * 1000}")
        database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def lock_tables(*models, alone: bool) -> None:
    """Until the transaction ends, keep out who locks the tables `alone`; with `alone`, all writers.

    SQLite has one writer anyway.
    """
    if is_postgres():
        mode = "EXCLUSIVE" if alone else "ROW EXCLUSIVE"
        for model in models:
            database.execute_sql(f"LOCK TABLE {model._meta.table_name} IN {mode} MODE")


def locked(query, share: bool = False):
    """`query`, its rows locked until the transaction ends (SQLite has one writer anyway)."""
    if not is_postgres():
        return query
    return query.for_update("FOR SHARE" if share else "FOR UPDATE")


@contextlib.contextmanager
def unique(sentence: str):
    """Turn a violated unique index into a Conflict: the index decides, so no race can.

    The transaction can then only be rolled back: a savepoint would be two more statements.
    """
    try:
        yield
    except peewee.IntegrityError as e:
        if "unique" not in str(e).lower():
            raise
        raise Conflict(sentence) from None


def page(query, limit: int | None = None, after: int | None = None):
    """`query` in id order; at most `limit` rows, those with an id greater than `after`."""
    key = query.model.id
    if after is not None:
        query = query.where(key > after)
    return query.order_by(key).limit(limit)
