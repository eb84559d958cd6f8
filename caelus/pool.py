"""Connections to Postgres that threads lend and give back, and their prepared statements."""

import re
import time
import weakref
from typing import NamedTuple

import peewee
from playhouse.pool import PooledPostgresqlDatabase
from psycopg import errors, generators, pq
from psycopg.adapt import PyFormat, Transformer

RESTED_SECONDS = 1
GOOD = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)


class Pool(PooledPostgresqlDatabase):
    """peewee asks each connection whether it is still there before it lends it, which would double
    the round trips of a request: here only those that have rested are asked."""

    def __init__(self, *arguments, **options):
        self._rests_since = weakref.WeakKeyDictionary()
        super().__init__(*arguments, **options)

    def execute_kept(self, sql: str, values: list) -> "Answer":
        """As `execute_sql`, for SQL that comes again and again: half the work."""
        started = time.perf_counter()
        with peewee.__exception_wrapper__:
            answer = self._kept().execute(sql, values)
        self._notify_hooks(sql, values, started, None)
        return answer

    def begin(self):
        with peewee.__exception_wrapper__:
            self._kept().command(b"BEGIN")

    def commit(self):
        with peewee.__exception_wrapper__:
            self._kept().command(b"COMMIT")

    def _kept(self) -> "Statements":
        connection = self.connection()
        if not hasattr(connection, "kept_statements"):
            connection.kept_statements = Statements(connection)
        return connection.kept_statements

    def _can_reuse(self, connection) -> bool:
        self._rests_since[connection] = time.monotonic()
        return super()._can_reuse(connection)

    def _is_closed(self, connection) -> bool:
        since = self._rests_since.get(connection, float("-inf"))
        if time.monotonic() - since < RESTED_SECONDS:
            return bool(connection.closed)
        return super()._is_closed(connection)


class Answer(NamedTuple):
    """What a statement gave; as much of a cursor as `prepared` reads."""

    rows: list[tuple]
    result: pq.abc.PGresult

    @property
    def rowcount(self) -> int:
        return self.result.command_tuples or 0

    @property
    def description(self) -> list[tuple]:
        return [(self.result.fname(n).decode(),) for n in range(self.result.nfields)]

    def fetchall(self) -> list[tuple]:
        return self.rows

    def fetchone(self) -> tuple | None:
        return self.rows[0] if self.rows else None


class Statements:
    """Those that one connection has prepared.

    The driver's cursor takes longer to find out about types and whether to prepare than all the
    rest takes; these are prepared at once, and all that goes over the line is text.
    """

    def __init__(self, connection):
        self._connection = connection
        self._line = connection.pgconn
        self._adapted = Transformer(connection)
        self._names: dict[str, bytes] = {}

    def execute(self, sql: str, values: list) -> Answer:
        name = self._names.get(sql) or self._prepare(sql)
        texts = self._adapted.dump_sequence(values, [PyFormat.TEXT] * len(values))
        self._line.send_query_prepared(name, texts)
        result = self._result()
        self._adapted.set_pgresult(result)
        try:
            return Answer(self._adapted.load_rows(0, result.ntuples, tuple), result)
        finally:
            self._adapted.set_pgresult(None)  # it may be large

    def command(self, sql: bytes) -> None:
        self._line.send_query(sql)
        self._result()

    def _prepare(self, sql: str) -> bytes:
        name = b"caelus_%d" % len(self._names)
        self._line.send_prepare(name, _numbered(sql).encode())
        self._result()
        self._names[sql] = name
        return name

    def _result(self) -> pq.abc.PGresult:
        """What the server answers; Ctrl-C ends the wait for it. Raises psycopg.Error."""
        (result,) = self._connection.wait(generators.execute(self._line))
        if result.status not in GOOD:
            raise errors.error_from_result(result, self._connection.info.encoding)
        return result


def _numbered(sql: str) -> str:
    """Postgres' own way to write parameters: $1 for the first %s."""
    parts = re.split("%s", sql)
    numbered = (f"{part}${n}" for n, part in enumerate(parts[:-1], 1))
    return "".join((*numbered, parts[-1])).replace("%%", "%")
