"""How transactions wait for each other."""

import concurrent.futures
import contextlib
import sqlite3
import time

import peewee
import psycopg
import pytest

from caelus import config, database, patience, pool, startup
from caelus.actors import OPERATOR
from caelus.dispatch import dispatch
from caelus.errors import Unavailable
from caelus.operations import BY_COMMAND


def test_writers_wait_for_another_process_together_not_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "WAIT_SECONDS", 1)
    startup.upgrade_database(config.load())
    begun = time.monotonic()

    def write(_) -> float:
        with pytest.raises(Unavailable), database.session(), database.transaction():
            pass
        return time.monotonic() - begun

    with foreign_lock(), concurrent.futures.ThreadPoolExecutor(6) as threads:
        waited = sorted(threads.map(write, range(6)))
    assert waited[-1] < 3.5 * waited[0]  # alone it would be six times
    with database.session(), database.transaction():  # none of them is left in the way
        pass


def raw_answers(rest, command: str, count: int, **arguments) -> list:
    """What as many requests at a time are answered, each in a thread as the server has them."""
    operation = BY_COMMAND[command]
    extra = {"json": arguments} if arguments else {}

    def ask(_):
        with contextlib.closing(database.database):
            return rest.client.simulate_request(
                operation.method, operation.path, remote_addr="127.0.0.1", **extra
            )

    with concurrent.futures.ThreadPoolExecutor(count) as threads:
        return list(threads.map(ask, range(count)))


@contextlib.contextmanager
def foreign_lock():
    path = str(database.sqlite_path(config.load().database_url))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_request_waits_for_another_process_less_long_than_a_worker(rest, monkeypatch):
    monkeypatch.setattr(patience, "REQUEST_WAIT_SECONDS", 0.5)
    with database.session():
        database.database.execute_sql("UPDATE tokens SET last_used_at = '2999-01-01 00:00:00'")
    begun = time.monotonic()
    with foreign_lock():
        answers = raw_answers(rest, "create-user", 4, email="ada@example.org")
    assert time.monotonic() - begun < patience.WAIT_SECONDS / 3
    assert {(a.status_code, a.headers.get("Retry-After")) for a in answers} == {(503, "5")}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_who_only_reads_does_not_wait_for_a_writer(rest, monkeypatch):
    """Though that their token was used is to be noted."""
    monkeypatch.setattr(patience, "REQUEST_WAIT_SECONDS", 20)
    begun = time.monotonic()
    with foreign_lock():
        answers = raw_answers(rest, "list-users", 4)
    assert time.monotonic() - begun < 10
    assert {a.status_code for a in answers} == {200}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_thread_waits_long_until_it_answers_requests(settings):
    def timeout() -> int:
        return database.database.execute_sql("PRAGMA busy_timeout").fetchone()[0]

    def timeouts():
        with contextlib.closing(database.database):
            yield timeout()
            with database.waiting(0.2):
                yield timeout()
            yield timeout()
            database.hold()
            yield timeout()

    with concurrent.futures.ThreadPoolExecutor(1) as other:
        assert other.submit(list, timeouts()).result() == [30_000, 200, 30_000, 5_000]


# Connections to Postgres


def end_all_others(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_connection_that_has_rested_is_replaced_where_it_is_gone(rest, settings, monkeypatch):
    assert rest("list-users").ok
    end_all_others(settings.database_url)
    monkeypatch.setattr(pool, "RESTED_SECONDS", 0)
    assert rest("list-users").ok


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_one_that_is_gone_while_it_is_in_use_is_told_of_once(rest, settings, monkeypatch):
    """It is not asked whether it is still there: that would double the round trips of a request."""
    monkeypatch.setattr(pool, "RESTED_SECONDS", 60)
    assert rest("list-users").ok
    end_all_others(settings.database_url)
    assert [rest("list-users").code for _ in range(2)] == [503, 200]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_one_that_is_gone_as_soon_as_it_is_made_takes_nobodys_place(settings, monkeypatch):
    """A proxy of Postgres connects, and only then tells that there is none behind it."""
    lent, connect = database.database.obj, peewee.PostgresqlDatabase._connect

    def connected(self):
        connection = connect(self)
        end_all_others(settings.database_url)
        return connection

    lent.close_all()
    with monkeypatch.context() as patched:
        patched.setattr(peewee.PostgresqlDatabase, "_connect", connected)
        for _ in range(2):
            with pytest.raises(Unavailable), database.session():
                database.database.connect()
    assert lent._in_use == {}
    with database.session():
        database.database.connect()


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_where_all_are_in_use_the_database_is_unavailable(settings, monkeypatch):
    monkeypatch.setattr(database.database.obj, "_max_connections", 1)
    monkeypatch.setattr(database.database.obj, "_wait_timeout", 0.1)
    with database.own_connection():
        with pytest.raises(Unavailable, match="all connections are in use"), database.session():
            database.database.connect()


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("is_gone", [False, True])
def test_one_for_a_long_use_takes_no_place_in_the_pool_after_it(settings, is_gone):
    lent = database.database.obj
    with contextlib.suppress(psycopg.OperationalError), database.own_connection() as connection:
        if is_gone:
            end_all_others(settings.database_url)
        connection.execute("SELECT 1")
    assert connection.closed
    assert lent._in_use == {}


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize(("id", "code"), [(1, 200), (99, 404), ("x", 404)])
def test_a_request_is_lent_one_connection_and_gives_it_back(shop, monkeypatch, id, code):
    given_back, check = [], pool.Pool._can_reuse
    monkeypatch.setattr(
        pool.Pool, "_can_reuse", lambda self, one: given_back.append(one) or check(self, one)
    )
    assert shop("get-user", user_id=id).code == code
    assert len(given_back) == 1
    assert database.database.is_closed()


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_what_may_take_long_before_a_transaction_holds_no_connection(shop):
    held = []

    def look(**given):
        held.append(not database.database.is_closed())
        return given

    operation = BY_COMMAND["create-user"]
    database.hold()
    try:
        with database.session():
            database.database.connection()
        for before in (look, dict):
            given = {"email": f"{before.__name__}@example.org"}
            dispatch(operation._replace(before=before), OPERATOR, given)
    finally:
        database.give_back()
    assert held == [False]
