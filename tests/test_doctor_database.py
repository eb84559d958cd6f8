"""`caelus doctor` about the database and the queue: each fault made for real."""

import contextlib
import datetime
import os
import pathlib
import sqlite3

import pytest

from caelus import config, database_checks, jobs, leases, queue_checks, readonly
from caelus.cli import main
from caelus.database import database, is_postgres
from caelus.models import Deployment, Job, now
from tests.drifting import one_database
from tests.drifting import scene as scene  # the fixture
from tests.program import Program
from tests.test_doctor import closed_port
from tests.test_keyring import key_file as key_file
from tests.test_keyring import shop as shop_with_secrets  # noqa: F401
from tests.test_locks import deploy, helm_by_hand, publish

LONG_AGO = datetime.timedelta(hours=3)


def look(**environ: str) -> dict:
    """The findings about the database by their names."""
    settings = config.load(os.environ | environ)
    return {check.name: check for check in database_checks.look(settings)}


def failures(found: dict) -> list[str]:
    return [check.name for check in found.values() if check.status == "failed"]


# The file, and the server


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A database that nobody has open, with 300 users."""
    path = tmp_path / "data" / "caelus.db"
    assert main(["migrate"]) == 0
    database.close()
    fill(path, 300)
    assert failures(look()) == []
    return path


def fill(path: pathlib.Path, count: int) -> None:
    users = ((f"u{count}-{n}@example.org",) * 2 for n in range(count))
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO users (created_at, email, email_key, is_admin) "
            "VALUES ('2026-01-01 00:00:00', ?, ?, 0)",
            users,
        )


def overwrite(path: pathlib.Path, place: int, content: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(content)


def pages_of(path: pathlib.Path, name: str) -> tuple[int, int]:
    """The first page of a table or index, and the size of a page."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        select = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (root,) = connection.execute(select, (name,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    return root, size


def test_a_page_of_the_file_is_overwritten(file):
    root, size = pages_of(file, "users")
    overwrite(file, (root - 1) * size, os.urandom(size))
    found = look()
    assert failures(found) == ["integrity"]
    assert found["integrity"].detail.startswith("the file is damaged: ")
    assert found["integrity"].next_step == database_checks.RESTORE
    assert "schema" not in found


@pytest.mark.parametrize(
    ("harm", "detail"),
    [
        (lambda path: overwrite(path, 0, b"x" * 100), "file is not a database"),
        (lambda path: overwrite(path, 4096, b"\xff" * 8192), "malformed"),
        (lambda path: os.truncate(path, 6000), "malformed"),
    ],
)
def test_a_file_that_can_not_be_read_at_all(file, harm, detail):
    harm(file)
    found = look()
    (name,) = failures(found)
    assert detail in found[name].detail or "damaged" in found[name].detail
    assert found[name].next_step == database_checks.RESTORE


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_look_from_the_server_itself_leaves_it_its_locks(settings):
    """Without them the next command takes SQLite's log away at its end, as its last user would."""
    log = pathlib.Path(f"{settings.database_url.removeprefix('sqlite:///')}-wal")
    before = log.stat().st_ino
    assert failures(look()) == []
    Program().yaml("list-users")
    assert log.stat().st_ino == before


def test_damage_that_ends_the_look_is_no_traceback(file, caplog):
    root, size = pages_of(file, "jobs_one_open")
    overwrite(file, (root - 1) * size, b"\xff" * 1000)
    found = look()["database"]
    assert found.detail == f"{file} is damaged: database disk image is malformed"
    assert caplog.records == []


def test_a_file_that_is_too_large_to_be_looked_through(file, monkeypatch):
    fill(file, 30_000)
    monkeypatch.setattr(database_checks, "INTEGRITY_SECONDS", 0)
    found = look()
    assert found["integrity"].status == "warning"
    assert found["integrity"].next_step == f"sqlite3 {file} 'PRAGMA integrity_check'"
    assert found["schema"].status == "ok"


@one_database
@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE events SET message = CAST(x'ff' AS TEXT)",
        "UPDATE events SET created_at = 5",
        "UPDATE deployments SET status = 'error', cause = '{'",
    ],
)
def test_a_row_that_can_not_be_read(harm, deployed, settings):
    database.execute_sql(harm)
    found = [check for check in database_checks.look(settings) if check.status == "failed"]
    assert found[0].detail.startswith("a row in it is damaged: ")
    assert found[0].next_step == database_checks.RESTORE


def test_rows_that_have_lost_what_they_belong_to(file):
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "INSERT INTO products (id, created_at, name) VALUES (9, '2026-01-01 00:00:00', 'x')"
        )
        connection.execute(
            "INSERT INTO templates (created_at, product_id, chart_ref, chart_version) "
            "VALUES ('2026-01-01 00:00:00', 9, 'x', '1')"
        )
        connection.execute("DELETE FROM products")
    found = look()
    assert failures(found) == ["integrity"]
    assert found["integrity"].detail == "1 rows have lost what they belong to, in: templates"


def test_there_is_no_database_yet(tmp_path):
    found = look()
    assert [(c.name, c.status) for c in found.values()] == [("database", "warning")]
    assert found["database"].next_step.startswith("caelus serve makes it")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("mysql://x", "the database URL must begin with"),
        ("sqlite:x", "a SQLite URL names a file"),
        ("sqlite:////proc/1/mem/x", "cannot read /proc/1/mem/x: Not a directory"),
        ("postgresql://u:hunter2@127.0.0.1:x/c", "the database URL can't be read"),
    ],
)
def test_a_database_url_that_leads_nowhere(url, detail):
    found = look(CAELUS_DATABASE_URL=url)
    assert failures(found) == ["database"]
    assert found["database"].detail.startswith(detail)
    assert "hunter2" not in str(found)


def test_postgres_is_down():
    found = look(CAELUS_DATABASE_URL=f"postgresql://u:hunter2@127.0.0.1:{closed_port()}/caelus")
    assert failures(found) == ["database"]
    assert "Connection refused" in found["database"].detail
    assert "hunter2" not in str(found)
    assert found["database"].next_step.startswith("start Postgres")


def test_a_file_that_somebody_holds(file):
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        found = look()
        holder.execute("ROLLBACK")
    assert failures(found) == ["database"]
    assert "has been locked for 5 s" in found["database"].detail
    assert found["database"].next_step == f"see who holds it: fuser -v {file}"


# What is in it


def test_a_well_database_of_either_kind(settings):
    found = look()
    assert [(c.name, c.detail) for c in found.values() if c.status != "ok"] == []
    assert {"schema", "secrets", "audit", "jobs", "leases", "deployments"} <= found.keys()
    assert ("clock" if is_postgres() else "integrity") in found


@pytest.mark.parametrize(
    ("statement", "status", "detail", "step"),
    [
        (
            "DELETE FROM migratehistory WHERE id > 2",
            *("failed", "this Caelus needs", "caelus migrate"),
        ),
        (
            "INSERT INTO migratehistory (id, name, migrated_at) "
            "VALUES (99, '999_future', '2026-01-01 00:00:00')",
            *("failed", "999_future, made by a newer Caelus", "install that version"),
        ),
        ("DROP TABLE migratehistory", "failed", "tables that are not Caelus's", "of its own"),
        ("DROP TABLE sessions", "failed", "tables are gone: sessions", "restore"),
        (
            "ALTER TABLE users RENAME COLUMN email TO mail",
            *("failed", "columns or indexes are gone: users.email", "restore"),
        ),
        (
            "DROP INDEX jobs_one_open",
            *("failed", "columns or indexes are gone: jobs_one_open", "restore"),
        ),
    ],
)
def test_a_schema_that_is_not_this_programs(settings, statement, status, detail, step):
    database.execute_sql(statement)
    found = look()
    assert found["schema"].status == status
    assert detail in found["schema"].detail
    assert step in found["schema"].next_step
    assert "jobs" not in found


def test_an_empty_database_is_a_new_one(database_url, tmp_path):
    (tmp_path / "caelus.db").touch()
    found = look()
    assert (failures(found), found["schema"].status) == ([], "warning")


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_looking_writes_nothing_to_postgres(settings):
    with readonly.connection(settings) as opened, pytest.raises(Exception, match="read-only"):
        readonly.settle(opened)
        opened.execute_sql("DELETE FROM users")


def test_secrets_without_their_key(shop_with_secrets, key_file):
    assert look()["secrets"].detail.startswith("2 rows, all readable by key ")
    key_file.rename(key_file.with_suffix(".lost"))
    found = look()
    assert failures(found) == ["secrets"]
    assert "are encrypted with key" in found["secrets"].detail
    assert "put that key back" in found["secrets"].next_step


def test_an_event_that_was_changed_or_removed(shop):
    assert look()["audit"].status == "ok"
    shop("create-user", email="eve@example.org")
    database.execute_sql("UPDATE events SET message = 'nothing' WHERE id = 2")
    assert failures(look()) == ["audit"]
    database.execute_sql("DELETE FROM events")
    found = look()
    assert failures(found) == ["audit"]
    assert "caelus verify-audit" in found["audit"].next_step


# The queue


@pytest.fixture
def deployed(shop):
    """A deployment with its job; what SQL says of the job."""
    body = {"desired_template_id": 1, "domainname": "a.example.org"}
    assert shop("create-deployment", user_id=1, **body).ok


def test_due_jobs_that_nobody_takes(deployed):
    assert look()["jobs"].detail == "1 wait, 0 run"
    Job.update(run_after=now() - LONG_AGO).execute()
    found = look()
    assert failures(found) == ["jobs"]
    told = "1 jobs are due and wait, the longest for 3 h, and no worker takes any"
    assert found["jobs"].detail == told
    assert found["jobs"].next_step.startswith("start caelus serve")


@pytest.mark.parametrize(("minutes", "status"), [(10, "ok"), (40, "warning")])
def test_due_jobs_that_wait_for_others(deployed, shop, minutes, status):
    assert jobs.claim(leases.worker_name())
    body = {"desired_template_id": 1, "domainname": "b.example.org"}
    assert shop("create-deployment", user_id=1, **body).ok
    late = now() - datetime.timedelta(minutes=minutes)
    Job.update(run_after=late).where(Job.status == "queued").execute()
    found = look()["jobs"]
    assert found.status == status
    assert f"the longest for {minutes} min, while 1 run" in found.detail


@pytest.mark.parametrize("worker", ["host:00000000:1-1:1", None])
def test_a_job_whose_worker_is_gone(deployed, worker):
    assert jobs.claim(worker or leases.worker_name())
    assert look()["leases"].detail == "each running job has its worker"
    Job.update(lease_until=now() - datetime.timedelta(minutes=1)).execute()
    found = look()["leases"]
    assert found.status == "warning"
    assert "job 1 of " in found.detail
    assert "takes them back by itself" in found.next_step


def test_what_is_in_error_by_its_causes(deployed):
    Deployment.update(status="error", cause={"code": "image_pull"}).execute()
    found = look()["deployments"]
    assert (found.status, found.detail) == ("warning", "1 in error: 1 image_pull")
    assert "--status=error" in found.next_step


@one_database
def test_a_release_that_a_helm_left_locked(rest, scene, settings):
    publish(rest, "busybox")
    uid = deploy(rest, scene)
    (well,) = queue_checks.locks(settings, scene.tools)
    assert well.status == "ok"
    helm_by_hand(scene, uid).kill()
    (locked,) = queue_checks.locks(settings, scene.tools)
    assert locked.status == "warning"
    assert f"{uid} (pending-upgrade)" in locked.detail
    assert locked.next_step.startswith("caelus retry-deployment 1 1")
