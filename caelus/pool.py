"""Connections to Postgres that threads lend and give back, and their prepared statements."""

import time
import weakref

import peewee
from playhouse.pool import MaxConnectionsExceeded, PooledPostgresqlDatabase

RESTED_SECONDS = 1


class Pool(PooledPostgresqlDatabase):
    """peewee asks each connection whether it is still there before it lends it, which would double
    the round trips of a request: here only those that have rested are asked."""

    def __init__(self, *arguments, **options):
        self._rests_since = weakref.WeakKeyDictionary()
        super().__init__(*arguments, **options)

    def connect(self, reuse_if_open=False):
        try:
            return super().connect(reuse_if_open)
        except MaxConnectionsExceeded as e:  # to peewee it is none of a database's errors
            raise peewee.OperationalError(e, "all connections are in use") from None

    def _connect(self):
        connection = super()._connect()
        if connection not in self._rests_since:  # then it is new
            # Where tables are large, the server would else plan most statements anew each time,
            # which takes longer than what they do.
            try:
                connection.execute("SET plan_cache_mode = force_generic_plan")
            except BaseException:
                self.end(connection)
                raise
        return connection

    def end(self, connection) -> None:
        """Close a connection that no thread gives back; the pool would count it for ever."""
        self._close(connection, close_conn=True)

    def execute_kept(self, sql: str, values: list):
        """As `execute_sql`, for SQL that comes again and again: the server plans it once."""
        started = time.perf_counter()
        with peewee.__exception_wrapper__:
            cursor = self.connection().execute(sql, values, prepare=True)
        self._notify_hooks(sql, values, started, None)
        return cursor

    def _can_reuse(self, connection) -> bool:
        self._rests_since[connection] = time.monotonic()
        return super()._can_reuse(connection)

    def _is_closed(self, connection) -> bool:
        since = self._rests_since.get(connection, float("-inf"))
        if time.monotonic() - since < RESTED_SECONDS:
            return bool(connection.closed)
        return super()._is_closed(connection)
