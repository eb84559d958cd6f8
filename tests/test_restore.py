"""A restore: the backup or the old database, never neither, and only while no Caelus runs."""

import contextlib
import errno
import os
import pathlib
import pty
import signal
import sqlite3
import stat
import subprocess
import sys

import pytest

from caelus import audit, backups, config, database, keyring, migrate, presence, restores
from caelus.cli import main
from caelus.errors import ConfigError
from caelus.models import LoginLink, Session, User, now
from tests.old_schemas import add_migration as add_migration  # the fixture
from tests.program import Program
from tests.test_backup import file as file  # the fixture
from tests.test_backup import killed, names, rows

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ADA, EVE = "ada@example.org", "eve@example.org"


def place(settings) -> pathlib.Path:
    return database.sqlite_path(settings.database_url)


def leave() -> None:
    """This process has the database open no more."""
    database.database.close()
    presence.leave()


def emails() -> list[str]:
    return [user.email for user in User.select().order_by(User.id)]


def kept(settings) -> list[pathlib.Path]:
    return sorted(place(settings).parent.glob("caelus.db.before-restore-*"))


@pytest.fixture
def yesterday(cli, file):
    """A backup with Ada alone; Eve has come since."""
    cli("create-user", email=ADA)
    assert cli.run("backup", str(file)).ok
    cli("create-user", email=EVE)
    return file


def test_what_was_there_is_kept_and_the_backup_takes_its_place(cli, yesterday, settings):
    leave()
    told = cli.run("restore", str(yesterday), "--yes").document
    assert (told["users"], told["applied"], told["new_keys"]) == (1, [], [])
    (old,) = kept(settings)
    assert told["kept"] == str(old)
    assert rows(old) == [ADA, EVE]
    assert [stat.S_IMODE(path.stat().st_mode) for path in (old, place(settings))] == [0o600] * 2
    assert [user["email"] for user in cli("list-users").document] == [ADA]
    assert cli.run("verify-audit").document["ok"]
    assert cli("list-all-events", limit=1).document[0]["type"] == "restored"


def test_two_restores_in_one_second_keep_both(cli, yesterday, settings):
    leave()
    at = now()
    told = [restores.restore(settings, yesterday, with_key=False, at=at) for _ in range(2)]
    assert [rows(pathlib.Path(each["kept"])) for each in told] == [[ADA, EVE], [ADA]]


def test_a_database_that_is_elsewhere_by_a_link_stays_there(cli, yesterday, settings, tmp_path):
    leave()
    (tmp_path / "disk").mkdir()
    real = tmp_path / "disk" / "real.db"
    place(settings).rename(real)
    place(settings).symlink_to(real)
    told = cli.run("restore", str(yesterday), "--yes").document
    assert place(settings).readlink() == real
    assert rows(pathlib.Path(told["kept"])) == [ADA, EVE]
    assert pathlib.Path(told["kept"]).parent == real.parent
    assert [user["email"] for user in cli("list-users").document] == [ADA]


def test_what_was_only_in_the_log_is_kept_too(cli, yesterday, settings):
    """As after a kill: the log is there, and holds what the file does not."""
    path = place(settings)
    leave()
    process = subprocess.run(
        [*Program().command[:1], "-c", KILLED, str(path)], env=Program().env, check=False
    )
    assert process.returncode == -signal.SIGKILL
    assert path.with_name("caelus.db-wal").stat().st_size > 0
    assert cli.run("restore", str(yesterday), "--yes").ok
    (old,) = kept(settings)
    assert rows(old) == [ADA, EVE, "late@example.org"]
    leave()
    assert names(path.parent) == [
        "backups",
        "caelus.db",
        old.name,
        "caelus.db.lock",
        "data",
    ]


KILLED = """
import os, signal, sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.execute("INSERT INTO users (created_at, email, email_key, is_admin) "
          "VALUES (0, 'late@example.org', 'late@example.org', 0)")
c.commit()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_ids_that_were_given_out_since_do_not_come_back(cli, yesterday, settings):
    leave()
    assert cli.run("restore", str(yesterday), "--yes").ok
    assert cli("create-user", email=EVE).document["id"] > 1000
    assert cli("create-product", name="Notes").document["id"] > 1000


def test_browsers_have_to_log_in_anew(cli, file, settings):
    cli("create-user", email=ADA)
    cli("create-login-link", user_id=1)
    Session.create(user=1, hash="x", expires_at=now(), last_seen_at=now())
    cli.run("backup", str(file))
    leave()
    assert cli.run("restore", str(file), "--yes").ok
    cli("list-users")
    assert (Session.select().count(), LoginLink.select().count()) == (0, 0)


def test_a_backup_goes_to_a_machine_that_has_none(cli, yesterday, tmp_path, monkeypatch):
    leave()
    monkeypatch.setenv("CAELUS_DATABASE_URL", f"sqlite:///{tmp_path}/new/place/caelus.db")
    told = cli.run("restore", str(yesterday), "--yes").document
    assert told["kept"] is None
    assert [user["email"] for user in cli("list-users").document] == [ADA]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "there is no file"),
        (b"", "is no database of Caelus"),
        (b"precious" * 9000, "file is not a database"),
    ],
)
def test_what_is_no_backup_is_refused(cli, yesterday, settings, tmp_path, content, sentence):
    leave()
    other = tmp_path / "other"
    if content is not None:
        other.write_bytes(content)
    answer = cli.run("restore", str(other), "--yes")
    assert answer.code == 1 and sentence in answer.sentence
    assert kept(settings) == []
    assert [user["email"] for user in cli("list-users").document] == [ADA, EVE]


def test_another_programs_database_is_refused(cli, yesterday, tmp_path):
    leave()
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE migratehistory (id INTEGER, name TEXT)")
        other.execute("INSERT INTO migratehistory VALUES (1, '001_initial')")
        other.commit()
    answer = cli.run("restore", str(tmp_path / "other.db"), "--yes")
    assert answer.sentence == f"{tmp_path / 'other.db'} is no database of Caelus"


def test_a_pipe_is_refused_and_not_waited_for(yesterday, tmp_path):
    leave()
    os.mkfifo(tmp_path / "pipe")
    done = Program().run("restore", str(tmp_path / "pipe"), "--yes", timeout=20)
    assert done.returncode == 1 and f"there is no file {tmp_path / 'pipe'}" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_backup_in_a_directory_that_one_may_not_enter_is_named(yesterday, settings):
    leave()
    script = (
        "import os; from caelus import config, restores; loaded = config.load(os.environ); "
        f"import pathlib; os.setuid(65534); restores.looked_at(loaded, pathlib.Path('{yesterday}'))"
    )
    done = Program(sys.executable, "-c", script).run()
    assert f"cannot read {yesterday}: Permission denied; be root" in done.stderr


def test_what_a_killed_restore_has_left_is_not_emptied_and_then_restored(cli, yesterday, settings):
    leave()
    left = place(settings).with_name("caelus.db.partial")
    left.write_bytes(yesterday.read_bytes())
    assert "would be emptied" in cli.run("restore", str(left), "--yes").sentence
    assert rows(left) == [ADA] and kept(settings) == []
    assert [user["email"] for user in cli("list-users").document] == [ADA, EVE]


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        ("UPDATE events SET created_at = 5", "a row in it is damaged"),
        ("UPDATE events SET created_at = x'00ff'", "a row in it is damaged"),
        ("UPDATE events SET message = CAST(x'ff' AS TEXT)", "can't be read"),
        ("DROP TABLE jobs", "it has lost its tables jobs"),
        ("ALTER TABLE users RENAME COLUMN is_admin TO admin", "it has lost users.is_admin"),
        ("DROP INDEX jobs_one_open", "it has lost jobs_one_open"),
        (
            "CREATE TRIGGER t BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'no'); END",
            "the backup is no use: no",
        ),
    ],
)
def test_a_backup_that_was_tampered_with_is_refused(cli, yesterday, settings, harm, sentence):
    leave()
    with contextlib.closing(sqlite3.connect(yesterday)) as other:
        other.execute(harm)
        other.commit()
    answer = cli.run("restore", str(yesterday), "--yes")
    assert answer.code == 1 and sentence in answer.sentence
    assert kept(settings) == []


def test_a_damaged_backup_is_refused(cli, settings, file):
    for number in range(300):
        cli_sql = "INSERT INTO users (created_at, email, email_key, is_admin) VALUES (0, ?, ?, 0)"
        database.database.execute_sql(cli_sql, (f"u{number}" * 20, f"u{number}" * 20))
    assert cli.run("backup", str(file)).ok
    content = bytearray(file.read_bytes())
    content[20 * 4096 : 40 * 4096] = os.urandom(20 * 4096)
    file.write_bytes(content)
    leave()
    answer = cli.run("restore", str(file), "--yes")
    assert answer.code == 1
    assert kept(settings) == []


def test_a_backup_of_a_newer_caelus_is_refused(cli, yesterday, settings):
    with contextlib.closing(sqlite3.connect(yesterday)) as backup:
        query = "INSERT INTO migratehistory (name, migrated_at) VALUES ('999_future', 0)"
        backup.execute(query)
        backup.commit()
    leave()
    answer = cli.run("restore", str(yesterday), "--yes")
    assert "was made by a newer Caelus (schema 999_future)" in answer.sentence
    assert kept(settings) == []


def test_a_backup_of_an_older_caelus_is_upgraded(cli, yesterday, settings, add_migration):
    leave()
    add_migration("900_more", 'migrator.sql("ALTER TABLE users ADD COLUMN more TEXT")')
    told = cli.run("restore", str(yesterday), "--yes").document
    assert (told["schema"], told["applied"]) == (migrate.newest()[-2], ["900_more"])
    assert rows(place(settings), "SELECT COUNT(*) FROM users WHERE more IS NULL") == [1]
    assert "900_more" not in rows(yesterday, "SELECT name FROM migratehistory")


def test_the_database_itself_is_no_backup(cli, yesterday, settings):
    leave()
    answer = cli.run("restore", str(place(settings)), "--yes")
    assert answer.sentence == f"{place(settings)} is the database itself; name a backup"


def test_a_restore_waits_for_no_running_caelus(yesterday, settings):
    leave()
    program = Program(CAELUS_DATABASE_URL=settings.database_url)
    with program.serve("--workers=0"):
        done = program.run("restore", str(yesterday), "--yes")
        assert done.returncode == 1
        assert "a Caelus is running on" in done.stderr
        assert len(program.yaml("list-users", "--after=0")) == 2, "others may use it all the same"
    assert kept(settings) == []
    assert program.run("restore", str(yesterday), "--yes").returncode == 0


def test_a_restore_waits_for_no_other_program(cli, yesterday, settings, monkeypatch):
    leave()
    monkeypatch.setattr(presence, "PATIENCE_SECONDS", 0)
    with contextlib.closing(sqlite3.connect(place(settings))) as shell:
        shell.execute("SELECT * FROM users").fetchall()
        answer = cli.run("restore", str(yesterday), "--yes")
    assert "is open in another program (database is locked)" in answer.sentence
    assert kept(settings) == []
    assert cli.run("restore", str(yesterday), "--yes").ok


def test_no_caelus_opens_what_is_being_restored(cli, settings):
    leave()
    with presence.alone(place(settings)):
        answer = cli("list-users")
        assert (answer.code, "is being restored from a backup" in answer.sentence) == (1, True)
    assert cli("list-users").ok


def test_a_place_whose_owner_can_not_be_given_the_lock_is_told(settings, monkeypatch):
    """As to root without CAP_CHOWN, or on NFS."""

    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", refuse)
    with pytest.raises(ConfigError, match="cannot use .*caelus.db.lock: Operation not permitted"):
        presence.share(place(settings))


def test_several_processes_share_a_database(cli, settings):
    program = Program(CAELUS_DATABASE_URL=settings.database_url)
    with program.serve("--workers=0"), program.serve("--workers=1"):
        assert program.run("create-user", ADA).returncode == 0
        assert program.run("reconcile").returncode == 0


def test_it_asks_before_it_does(yesterday, settings, capsys, monkeypatch):
    leave()
    assert main(["restore", str(yesterday)]) == 2
    assert "say --yes" in capsys.readouterr().err
    for answer, code in ((b"no\n", 1), (b"yes\n", 0)):
        ours, theirs = pty.openpty()
        os.write(ours, answer)
        with os.fdopen(theirs) as terminal:
            monkeypatch.setattr("sys.stdin", terminal)
            assert main(["restore", str(yesterday)]) == code
        os.close(ours)
        assert "1 users, 0 deployments" in capsys.readouterr().err
        assert len(kept(settings)) == (code == 0)


# A damaged database, and its log


def test_a_damaged_database_is_kept_as_it_is(cli, yesterday, settings):
    leave()
    path = place(settings)
    path.write_bytes(b"no database" * 1000)
    log = path.with_name("caelus.db-wal")
    log.write_bytes(b"a log" * 1000)
    assert cli.run("restore", str(yesterday), "--yes").ok
    old = kept(settings)[0]
    assert old.read_bytes() == b"no database" * 1000
    assert [user["email"] for user in cli("list-users").document] == [ADA]


def test_the_log_of_a_lost_database_is_not_taken_for_the_new_ones(cli, yesterday, settings):
    leave()
    path = place(settings)
    path.unlink()
    path.with_name("caelus.db-wal").write_bytes(b"a log" * 1000)
    assert cli.run("restore", str(yesterday), "--yes").document["kept"] is None
    assert [user["email"] for user in cli("list-users").document] == [ADA]
    assert [old.name.endswith("-wal") for old in kept(settings)] == [True]


# The key


def seal(text: str) -> str:
    return keyring.seal(text, "a row")


def test_a_key_is_brought_back_beside_the_one_that_is_there(cli, file, settings):
    token = seal("hunter2")
    assert cli.run("backup", str(file), "--with-key").ok
    key = settings.data_dir / "secret.key"
    key.unlink()
    newer = seal("hunter3")
    first = keyring.fingerprints()[0]
    leave()
    told = cli.run("restore", str(file), "--yes", "--with-key").document
    assert told["new_keys"] == [keyring.key_of(token)]
    assert keyring.fingerprints() == [first, keyring.key_of(token)]
    assert (keyring.unseal(token, "a row"), keyring.unseal(newer, "a row")) == (
        "hunter2",
        "hunter3",
    )


def test_a_key_goes_to_a_machine_that_has_none(cli, file, settings):
    token = seal("hunter2")
    assert cli.run("backup", str(file), "--with-key").ok
    (settings.data_dir / "secret.key").unlink()
    leave()
    assert cli.run("restore", str(file), "--yes", "--with-key").ok
    assert stat.S_IMODE((settings.data_dir / "secret.key").stat().st_mode) == 0o600
    assert keyring.unseal(token, "a row") == "hunter2"


def test_a_missing_key_file_is_told_before_anything_is_done(cli, yesterday, settings):
    leave()
    answer = cli.run("restore", str(yesterday), "--yes", "--with-key")
    assert answer.sentence.startswith(f"there is no {yesterday}.key; leave --with-key out")
    assert kept(settings) == []


def test_a_key_of_the_environment_is_for_a_person_to_set(cli, file, settings, monkeypatch):
    seal("hunter2")
    assert cli.run("backup", str(file), "--with-key").ok
    leave()
    monkeypatch.setenv("CAELUS_SECRET_KEY", "A" * 43 + "=")
    answer = cli.run("restore", str(file), "--yes", "--with-key")
    assert "CAELUS_SECRET_KEY does not hold key" in answer.sentence
    assert kept(settings) == []


# Kills


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_the_old_or_the_new_one(settings, file):
    with database.transaction():
        for number in range(500):
            User.create(email="x" * 999 + str(number), email_key="x" * 999 + str(number))
    program, path = Program(CAELUS_DATABASE_URL=settings.database_url), place(settings)
    program.yaml("backup", str(file))
    leave()
    outcomes = []
    for step in range(16):
        with contextlib.closing(sqlite3.connect(path)) as old, old:
            old.execute("DELETE FROM users WHERE id > 1")
        killed(program, path, step * 0.02 if step < 15 else None, "restore", file, "--yes")
        database.connect(config.load())  # what is there opens by itself
        assert audit.verify()["ok"]
        outcomes.append(User.select().count())
        leave()
        assert {backups.inspect(old).users for old in kept(settings)} <= {1, 500}
    assert set(outcomes) == {1, 500}, outcomes
    program.yaml("restore", str(file), "--yes")
    assert backups.inspect(path).users == 500
    assert [name for name in names(path.parent) if "partial" in name] == []
    assert not any(os.path.samefile(old, path) for old in kept(settings))


def test_a_second_name_that_a_kill_left_is_no_kept_database(cli, yesterday, settings):
    leave()
    os.link(place(settings), place(settings).with_name("caelus.db.before-restore-20260101T000000Z"))
    assert cli.run("restore", str(yesterday), "--yes").ok
    (old,) = kept(settings)
    assert "20260101" not in old.name
    assert rows(old) == [ADA, EVE]


# Before upgrades


def upgrade(settings) -> list[str]:
    return migrate.run(settings)


def test_a_database_is_kept_before_its_schema_is_upgraded(cli, settings, add_migration):
    cli("create-user", email=ADA)
    add_migration("900_more", 'migrator.sql("ALTER TABLE users ADD COLUMN more TEXT")')
    add_migration("901_less", 'migrator.sql("ALTER TABLE users DROP COLUMN more")')
    assert cli.run("migrate").document["applied"] == ["900_more", "901_less"]
    before = place(settings).with_name("caelus.db.before-900")
    assert stat.S_IMODE(before.stat().st_mode) == 0o600
    assert rows(before) == [ADA]
    assert "900_more" not in rows(before, "SELECT name FROM migratehistory")
    assert cli.run("migrate").document["applied"] == []


def test_the_copies_of_three_upgrades_are_kept(settings, add_migration):
    path = place(settings)
    path.with_name("caelus.db.before-mine").write_text("mine")
    for number in range(900, 905):
        add_migration(f"{number}_x", f'migrator.sql("CREATE TABLE t{number} (a TEXT)")')
        assert upgrade(settings) == [f"{number}_x"]
    found = [path.name for path in sorted(path.parent.glob("caelus.db.before-*"))]
    assert found == [f"caelus.db.before-{end}" for end in (902, 903, 904, "mine")]


def test_a_new_database_is_not_copied(settings):
    assert list(place(settings).parent.glob("*before*")) == []


def test_without_room_for_the_copy_nothing_is_upgraded(cli, settings, add_migration, monkeypatch):
    add_migration("900_more", 'migrator.sql("ALTER TABLE users ADD COLUMN more TEXT")')
    place(settings).with_name("caelus.db.before-900.partial").mkdir()  # as good as no room
    answer = cli.run("migrate")
    assert answer.code == 1
    assert "before an upgrade of its schema the database is copied, but:" in answer.sentence
    assert "900_more" not in migrate.applied()
    assert not place(settings).with_name("caelus.db.before-900").exists()


# Told by a person


def test_caelus_is_told_of_a_copy_by_hand(cli, yesterday, settings):
    assert cli.run("restored").document == {"deployments_to_compare": 0}
    assert cli("list-all-events", limit=1).document[0]["type"] == "restored"
    assert audit.verify()["ok"]


def test_caelus_is_told_of_none_while_it_is_running(yesterday, settings):
    leave()
    program = Program(CAELUS_DATABASE_URL=settings.database_url)
    with program.serve("--workers=0"):
        done = program.run("restored")
        assert (done.returncode, "a Caelus is running on" in done.stderr) == (1, True)
        assert "restored" not in [e["type"] for e in program.yaml("list-all-events")]
    assert program.run("restored").returncode == 0


def test_the_fault_of_an_audit_is_told_and_restored(cli, yesterday, settings):
    database.database.execute_sql("UPDATE events SET message = 'x' WHERE id = 2")
    cli.run("backup", str(yesterday), "--force")
    leave()
    told = cli.run("restore", str(yesterday), "--yes").document
    assert told["audit"].startswith("the chain of the newest")
    assert not cli.run("verify-audit").ok


def test_postgres_is_restored_by_its_own_tools(capsys, monkeypatch, database_url, file):
    monkeypatch.setenv("CAELUS_DATABASE_URL", "postgresql://caelus:hunter2@127.0.0.1:1/caelus")
    assert main(["restore", str(file), "--yes"]) == 1
    told = capsys.readouterr().err
    assert "pg_restore --clean" in told and "caelus restored" in told and "hunter2" not in told
