"""Connections to databases, and databases that can't be used."""

import contextlib
import os
import socket
import stat
import threading

import pytest

from caelus import config, database, users
from caelus.cli import main
from caelus.errors import Unavailable
from caelus.models import User
from tests.old_schemas import console as console

PASSWORD = "hunter2hunter2"

# The connection


def test_the_directory_and_the_files_are_the_owners_alone(tmp_path, capsys):
    before = os.umask(0)
    try:
        assert main(["create-user", "ada@example.org"]) == 0
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
    names = ("caelus.db", "caelus.db-wal", "caelus.db-shm", "caelus.db.lock")
    assert modes == dict.fromkeys(names, 0o600)
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_each_thread_has_a_durable_connection_with_foreign_keys(settings):
    def pragmas():
        names = ("journal_mode", "foreign_keys", "synchronous")
        return [database.database.pragma(name) for name in names]

    seen = []
    thread = threading.Thread(target=lambda: seen.append(pragmas()))
    thread.start()
    thread.join()
    assert seen == [pragmas()] == [["wal", 1, 2]]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_disk_is_told_as_such_and_undoes_the_transaction(settings):
    pages = database.database.pragma("page_count")
    database.database.pragma("max_page_count", pages)
    with (
        pytest.raises(Unavailable, match="^the database does not work: .*full"),
        database.session(),
        database.transaction(),
    ):
        for number in range(10_000):
            users.create(email=f"{number}@example.org")
    assert User.select().count() == 0
    database.database.pragma("max_page_count", pages + 100)
    with database.session(), database.transaction():
        assert users.create(email="ada@example.org").id


# Databases that can't be used


@pytest.fixture
def refuse(capsys, monkeypatch):
    """refuse(url) gives the one sentence with which `caelus` refuses a database."""

    def run(url: str) -> str:
        monkeypatch.setenv("CAELUS_DATABASE_URL", url)
        assert main(["list-users"]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert PASSWORD not in err
        return err.rstrip("\n")

    return run


@pytest.mark.parametrize(
    "url",
    [f"mysql://caelus:{PASSWORD}@localhost/caelus", f"caelus:{PASSWORD}@localhost", "caelus.db"],
)
def test_a_database_of_another_kind_is_refused(refuse, url):
    assert "must begin with sqlite:/// or postgresql://" in refuse(url)


@pytest.mark.parametrize("url", ["sqlite:///:memory:", "sqlite:///", "sqlite://", "sqlite:x.db"])
def test_a_sqlite_url_without_a_file_is_refused(refuse, url):
    assert refuse(url).startswith("a SQLite URL names a file, such as sqlite:////")


@pytest.mark.parametrize(
    "rest",
    [
        "[::1/caelus",
        "127.0.0.1:port/caelus",
        "127.0.0.1:99999/caelus",
        "localhost/caelus?nonsense=1",
        "localhost/caelus?max_connections=1",
        "localhost/caelus?connect_timeout=soon",
        "local host/caelus",
        "example.org@localhost/caelus",
        "%00localhost/caelus",
    ],
)
def test_a_postgres_url_that_makes_no_sense_is_refused(refuse, rest):
    sentence = refuse(f"postgresql://caelus:{PASSWORD}@{rest}")
    assert sentence.startswith("the database URL can't be read; check its host, port and options")


def test_a_password_with_a_slash_does_not_get_into_the_sentence(refuse):
    assert refuse(f"postgresql://caelus:{PASSWORD}/x@localhost/caelus").startswith("the database")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_postgres_that_is_not_there_is_told(refuse, scheme):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    sentence = refuse(f"{scheme}://caelus:{PASSWORD}@127.0.0.1:{port}/caelus")
    assert sentence.startswith("the database does not work: connection failed: ")
    assert sentence.endswith("Connection refused; see: caelus doctor")


def test_a_postgres_that_does_not_answer_is_not_waited_for_long(refuse, monkeypatch):
    monkeypatch.setattr(database, "CONNECT_SECONDS", 2)  # the least that libpq takes
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        sentence = refuse(f"postgresql://caelus:{PASSWORD}@127.0.0.1:{port}/caelus")
    assert "timeout" in sentence


def test_a_damaged_file_is_told(refuse, tmp_path):
    (tmp_path / "caelus.db").write_bytes(b"this is no database" * 1000)
    sentence = refuse(f"sqlite:///{tmp_path}/caelus.db")
    assert sentence == "the database does not work: file is not a database; see: caelus doctor"


def test_a_file_damaged_inside_is_told(refuse, tmp_path, monkeypatch, capsys):
    path = tmp_path / "caelus.db"
    monkeypatch.setenv("CAELUS_DATABASE_URL", f"sqlite:///{path}")
    assert main(["migrate"]) == 0
    database.database.close()
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 40_000)
    capsys.readouterr()
    sentence = refuse(f"sqlite:///{path}")
    told = "database disk image is malformed; see: caelus doctor"
    assert sentence == f"the database does not work: {told}"


def test_a_directory_in_the_place_of_the_file_is_told(refuse, tmp_path):
    sentence = refuse(f"sqlite:///{tmp_path}")
    assert sentence == (
        f"cannot use {tmp_path}: Is a directory; set CAELUS_DATA_DIR or "
        "CAELUS_DATABASE_URL to a place that this user may write"
    )


def test_a_directory_that_may_not_be_written_is_told(refuse, tmp_path, capsys):
    assert main(["list-users"]) == 0  # what it imports can't be read without root's rights
    capsys.readouterr()
    place = tmp_path / "locked"
    place.mkdir(mode=0o500)
    with rights_of_nobody():
        sentence = refuse(f"sqlite:///{place}/below/caelus.db")
    assert "Permission denied; set CAELUS_DATA_DIR" in sentence


@contextlib.contextmanager
def rights_of_nobody():
    """Without root's rights, to whom no directory is locked."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_somebody_elses_database_is_left_alone(database_url, console):
    database.connect(config.load(os.environ))
    with database.session():
        database.database.execute_sql("CREATE TABLE users (name TEXT)")
    answer = console.run("list-users")
    assert answer.code == 1
    assert answer.sentence == (
        "the database has tables that are not Caelus's (users); give Caelus a database of its own"
    )
