"""Hearing at once of jobs that another process queued, on both databases."""

import logging
import threading

from caelus import database
from caelus.jobs import CHANNEL, wakeup

log = logging.getLogger("caelus.notices")
LOOK_SECONDS = 0.05  # how often SQLite's change counter is read: some microseconds each
PAUSE_SECONDS = 2  # after the connection to Postgres was lost


def listen(stop: threading.Event) -> None:
    """Wake this process's workers whenever another one may have queued a job, until `stop`."""
    hear = _hear_postgres if database.is_postgres() else _hear_sqlite
    while not stop.is_set():
        try:
            hear(stop)
        except Exception as e:
            log.warning("not told of new jobs for now: %s", str(e).partition("\n")[0])
            wakeup.call()
            stop.wait(PAUSE_SECONDS)


def _hear_sqlite(stop: threading.Event) -> None:
    seen = None
    try:
        while not stop.wait(LOOK_SECONDS):
            # It changes whenever another connection has committed anything.
            (version,) = database.database.execute_sql("PRAGMA data_version").fetchone()
            if version != seen:
                seen = version
                wakeup.call()
    finally:
        database.database.close()


def _hear_postgres(stop: threading.Event) -> None:
    with database.own_connection() as connection:
        connection.execute(f"LISTEN {CHANNEL}")
        wakeup.call()  # for what came before
        while not stop.is_set():
            for _ in connection.notifies(timeout=1, stop_after=1):
                wakeup.call()
