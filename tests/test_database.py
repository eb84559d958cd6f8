"""How transactions wait for each other."""

import concurrent.futures
import contextlib
import sqlite3
import time

import pytest

from caelus import config, database, startup
from caelus.errors import Unavailable


def test_writers_wait_for_another_process_together_not_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "WAIT_SECONDS", 1)
    startup.upgrade_database(config.load())
    begun = time.monotonic()

    def write(_) -> float:
        with pytest.raises(Unavailable), database.session(), database.transaction():
            pass
        return time.monotonic() - begun

    path = str(database.sqlite_path(config.load().database_url))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            waited = sorted(pool.map(write, range(6)))
    assert waited[-1] < 3.5 * waited[0]  # alone it would be six times
    with database.session(), database.transaction():  # none of them is left in the way
        pass
