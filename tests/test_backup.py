"""Backups of Caelus's own database: whole under load, in place at once, dated ones by their age."""

import datetime
import multiprocessing
import os
import pathlib
import signal
import sqlite3
import stat
import subprocess
import sys
import time

import pytest

from caelus import backups, config, copies, database, keyring, users
from caelus.models import User, now
from tests.program import Program, wait_until

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NOON = datetime.datetime(2026, 11, 27, 12, tzinfo=datetime.UTC)
ON_THE_WAY = (".partial", ".partial-wal", ".partial-shm", ".partial-journal")


@pytest.fixture
def file(tmp_path) -> pathlib.Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "mine.db"


@pytest.fixture
def dated(settings, tmp_path):
    """Settings with a directory for dated backups."""
    return settings._replace(backup_dir=tmp_path / "dated", backup_every=3600, backup_keep=3)


def rows(path: pathlib.Path, query: str = "SELECT email FROM users ORDER BY id") -> list:
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    try:
        return [row[0] for row in connection.execute(query)]
    finally:
        connection.close()


def names(directory: pathlib.Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_backup_is_one_whole_file_for_its_owner_alone(cli, file):
    cli("create-user", email="ada@example.org")
    told = cli.run("backup", str(file)).document
    assert names(file.parent) == [file.name]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert rows(file) == ["ada@example.org"]
    assert (told["users"], told["keys"], told["audit"]) == (1, 0, "whole")
    assert told["newest_event"]["hash"] == rows(file, "SELECT newest_hash FROM audit")[0]


def test_a_file_that_exists_is_replaced_only_by_force(cli, file):
    file.write_text("precious")
    answer = cli.run("backup", str(file))
    assert answer.sentence == f"{file} exists; name another file, or say --force"
    assert file.read_text() == "precious"
    assert cli.run("backup", str(file), "--force").ok
    assert rows(file) == []


@pytest.mark.parametrize(
    "name", ["caelus.db", "caelus.db-wal", "caelus.db.lock", "caelus.db.partial", "secret.key"]
)
def test_what_is_caeluss_own_is_not_replaced_even_by_force(cli, settings, name, tmp_path):
    source = database.sqlite_path(settings.database_url)
    own = settings.data_dir / name if name == keyring.FILE else source.with_name(name)
    before = own.exists() and own.stat().st_ino
    link = tmp_path / "link"
    link.symlink_to(own.parent)
    for path in (own, link / name):
        answer = cli.run("backup", str(path), "--force")
        assert answer.sentence == f"{path} is Caelus's own; name another file"
    assert (own.exists() and own.stat().st_ino) == before


def test_another_name_of_the_database_is_not_replaced_even_by_force(cli, settings, file):
    os.link(database.sqlite_path(settings.database_url), file)
    assert cli.run("backup", str(file), "--force").sentence.endswith("name another file")


def test_a_pipe_or_a_device_is_not_replaced_even_by_force(cli, file):
    os.mkfifo(file)
    answer = cli.run("backup", str(file), "--force")
    assert answer.sentence == f"{file} is no plain file; name another"
    assert file.is_fifo()


def test_a_key_comes_along_only_when_asked_for(cli, file, settings):
    cli.run("backup", str(file), "--with-key")
    assert names(file.parent) == [file.name], "there was none yet"
    token = keyring.seal("hunter2", "a row")
    assert cli.run("backup", str(file), "--force").document["keys"] == 0
    assert names(file.parent) == [file.name]
    assert cli.run("backup", str(file), "--force", "--with-key").document["keys"] == 1
    key = file.with_name("mine.db.key")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_bytes() == (settings.data_dir / "secret.key").read_bytes()
    assert token.encode() not in file.read_bytes()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("owner", [0, 65534])
def test_by_root_both_files_are_of_the_directorys_owner(cli, file, settings, owner):
    keyring.seal("hunter2", "a row")
    os.chown(settings.data_dir, 65533, 65533)
    for _ in range(2):
        os.chown(file.parent, owner, owner)
        assert cli.run("backup", str(file), "--with-key", "--force").ok
        owners = {path.name: path.stat().st_uid for path in file.parent.iterdir()}
        assert owners == {"mine.db": owner, "mine.db.key": owner}
        owner = 65532  # what is replaced has another one


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("/proc/none/x.db", "cannot write /proc/none/x.db: No such file or directory"),
        ("/", "/ is a directory; name a file in it"),
        ("/dev/full", "/dev/full is no plain file; name another"),
    ],
)
def test_a_place_that_takes_none_is_told(cli, place, sentence):
    answer = cli.run("backup", place)
    assert (answer.code, answer.sentence) == (1, sentence)


def test_a_damaged_database_is_not_backed_up(cli, file, settings):
    for number in range(200):
        users_sql = "INSERT INTO users (created_at, email, email_key, is_admin) VALUES (0, ?, ?, 0)"
        database.database.execute_sql(users_sql, (f"u{number}" * 20, f"u{number}" * 20))
    file.write_text("the backup of yesterday")
    database.database.close()
    path = database.sqlite_path(settings.database_url)
    content = bytearray(path.read_bytes())
    content[8 * 4096 : 30 * 4096] = os.urandom(22 * 4096)
    path.write_bytes(content)
    answer = cli.run("backup", str(file), "--force")
    assert answer.code == 1
    assert answer.sentence.startswith("cannot copy ") or "no use:" in answer.sentence
    assert file.read_text() == "the backup of yesterday"
    assert names(file.parent) == [file.name]


def test_postgres_is_left_to_its_own_tools(capsys, monkeypatch, file, database_url):
    from caelus.cli import main

    monkeypatch.setenv("CAELUS_DATABASE_URL", "postgresql://caelus:hunter2@127.0.0.1:1/caelus")
    assert main(["backup", str(file)]) == 1
    told = capsys.readouterr().err
    assert "pg_dump --format=custom" in told and "hunter2" not in told
    assert main(["serve", f"--backup-dir={file.parent}"]) == 1
    assert "CAELUS_BACKUP_DIR is for SQLite" in capsys.readouterr().err


def test_a_row_that_can_not_be_read_is_told_of_the_database(cli, file, settings):
    cli("create-user", email="ada@example.org")
    database.database.execute_sql("UPDATE events SET message = CAST(x'ff' AS TEXT)")
    place = database.sqlite_path(settings.database_url)
    assert cli.run("backup", str(file)).sentence.startswith(f"{place} can't be read")


def test_two_backups_to_one_file_do_not_meet(settings, file):
    with copies.partial(file):
        with pytest.raises(copies.CopyBusy, match="another process is writing"):
            backups.write(settings, file, with_key=False, force=False)
    assert names(file.parent) == []


def test_what_a_kill_left_is_done_away_with(cli, file):
    for end in ON_THE_WAY:
        file.with_name(file.name + end).write_bytes(b"left over" * 1000)
    assert cli.run("backup", str(file)).ok
    assert names(file.parent) == [file.name]


# Under load


def write_for_ever(url: str, number: int, data: str) -> None:
    """Users and, in the same transaction, an event for each."""
    os.environ |= {"CAELUS_DATABASE_URL": url, "CAELUS_DATA_DIR": data}
    database.connect(config.load())
    for count in range(10**6):
        with database.transaction():
            users.create(email=f"u{count}@{number}.example.org")


@pytest.fixture
def writers(settings):
    """Three processes that write all the time."""
    database.database.close()
    context = multiprocessing.get_context("spawn")
    arguments = (settings.database_url, str(settings.data_dir))
    processes = [
        context.Process(target=write_for_ever, args=(arguments[0], n, arguments[1]), daemon=True)
        for n in range(3)
    ]
    for process in processes:
        process.start()
    yield processes
    for process in processes:
        process.kill()
        process.join()


def count_of_users(settings) -> int:
    return database.database.execute_sql("SELECT COUNT(*) FROM users").fetchone()[0]


@pytest.mark.slow
def test_backups_under_load_are_consistent_20_times_of_20(writers, settings, file):
    wait_until(lambda: count_of_users(settings) > 100)
    counts = []
    for _ in range(20):
        told = backups.write(settings, file, with_key=False, force=True)
        assert told["audit"] == "whole"
        # Each transaction is in it as a whole.
        events = rows(file, "SELECT COUNT(*) FROM events WHERE type = 'user_created'")
        assert [told["users"]] == events
        counts.append(told["users"])
        time.sleep(0.05)
    assert len(set(counts)) > 10, "nobody wrote meanwhile"
    assert counts == sorted(counts)


def killed(program: Program, target: pathlib.Path, seconds: float | None, *argv) -> None:
    """Run a command, and kill it so many seconds after it has begun with `target` (None: never)."""
    process = subprocess.Popen(
        [*program.command, *map(str, argv)], env=program.env, stdout=subprocess.DEVNULL
    )
    begun = target.with_name(f"{target.name}.partial")
    while process.poll() is None and not begun.exists():
        time.sleep(0.001)
    if seconds is not None:
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_the_old_or_the_new_file(settings, file):
    with database.transaction():
        for number in range(2000):
            User.create(email="x" * 999 + str(number), email_key="x" * 999 + str(number))
    program = Program(CAELUS_DATABASE_URL=settings.database_url)
    program.yaml("backup", str(file))
    database.database.execute_sql("UPDATE users SET is_admin = 1 WHERE id = 1")
    whole, left = set(), 0
    for step in range(16):
        killed(program, file, step * 0.01 if step < 15 else None, "backup", file, "--force")
        found = backups.inspect(file)
        assert (found.users, found.fault) == (2000, None)
        whole |= set(rows(file, "SELECT is_admin FROM users WHERE id = 1"))
        left += len(names(file.parent)) > 1
    assert left, "no kill came in the middle"
    assert whole == {0, 1}
    program.yaml("backup", str(file), "--force")
    assert names(file.parent) == [file.name]
    assert rows(file, "SELECT is_admin FROM users WHERE id = 1") == [1]


# Dated ones


def test_one_is_made_when_the_newest_is_old_enough(dated):
    for minutes in (0, 1, 59, 60, 90, 125):
        assert backups.tend(dated, NOON + datetime.timedelta(minutes=minutes))
    assert names(dated.backup_dir) == [
        "caelus-20261127T120000Z.db",
        "caelus-20261127T130000Z.db",
        "caelus-20261127T140500Z.db",
    ]
    assert stat.S_IMODE(dated.backup_dir.stat().st_mode) == 0o700


def test_the_newest_are_kept_and_nothing_else_is_touched(dated):
    dated.backup_dir.mkdir()
    others = ["caelus-20200101T000000Z.db.old", "caelus-yesterday.db", "mine.db", "caelus.db.key"]
    for name in others:
        (dated.backup_dir / name).write_text("mine")
    for hours in range(6):
        assert backups.tend(dated, NOON + datetime.timedelta(hours=hours))
    kept = [f"caelus-20261127T{hour}0000Z.db" for hour in (15, 16, 17)]
    assert names(dated.backup_dir) == sorted([*others, *kept])


def test_one_from_the_future_keeps_no_backup_from_being_made_or_kept(dated):
    dated = dated._replace(backup_keep=1)
    dated.backup_dir.mkdir()
    (dated.backup_dir / "caelus-20990101T000000Z.db").write_text("a clock was wrong")
    assert backups.tend(dated, NOON)
    assert names(dated.backup_dir) == ["caelus-20261127T120000Z.db"]


def test_those_from_the_future_go_before_good_ones(dated):
    dated.backup_dir.mkdir()
    for year in range(2090, 2093):
        (dated.backup_dir / f"caelus-{year}0101T000000Z.db").write_text("a clock was wrong")
    for hours in range(3):
        assert backups.tend(dated, NOON + datetime.timedelta(hours=hours))
    kept = [f"caelus-20261127T{hour}0000Z.db" for hour in (12, 13, 14)]
    assert names(dated.backup_dir) == kept


def test_a_failure_is_a_warning_and_is_tried_again(dated, caplog, tmp_path):
    nowhere = dated._replace(backup_dir=tmp_path / "not" / "mounted")
    assert not backups.tend(nowhere, NOON)
    (record,) = caplog.records
    parent = nowhere.backup_dir.parent
    told = f"no backup was made: there is no {parent}; make it, or mount what it is on"
    assert (record.levelname, record.getMessage()) == ("WARNING", told)
    (tmp_path / "not").mkdir()
    assert backups.tend(nowhere, NOON)
    assert len(names(nowhere.backup_dir)) == 1


def test_two_serves_make_one_backup(settings, tmp_path):
    program = Program(CAELUS_DATABASE_URL=settings.database_url)
    directory = tmp_path / "dated"
    options = ("--workers=0", f"--backup-dir={directory}", "--every=1m")
    with program.serve(*options) as first, program.serve(*options) as second:
        wait_until(lambda: directory.exists() and backups.dated(directory))
        logs = [*first.log, *second.log]
        wait_until(lambda: any("backed up to" in line for line in [*first.log, *second.log]))
    with program.serve(*options):
        time.sleep(1.5)  # bounded: its first look is after one second
    assert len(names(directory)) == 1, logs


def test_doctor_knows_the_age_of_the_last_backup(dated, monkeypatch):
    from caelus import machine_checks

    def found(settings):
        return next(c for c in machine_checks.look(settings) if c.name == "backup")

    assert found(dated).status == "warning"
    backups.tend(dated, now())
    assert found(dated).status == "ok"
    (made,) = dated.backup_dir.iterdir()
    made.rename(made.with_name(f"caelus-{now() - datetime.timedelta(hours=3):{backups.STAMP}}.db"))
    assert found(dated).status == "failed"
    assert "3 h old" in found(dated).detail
    assert all(c.name != "backup" for c in machine_checks.look(dated._replace(backup_dir=None)))


@pytest.mark.parametrize("every", ["24", "0h", "1.5h", "h", "100000d", "-1h", "1w", ""])
def test_a_time_that_is_none_is_refused(database_url, every, monkeypatch):
    monkeypatch.setenv("CAELUS_BACKUP_EVERY", every)
    if not every:
        assert config.load().backup_every == 86_400
        return
    with pytest.raises(config.ConfigError, match="CAELUS_BACKUP_EVERY must be a time such as"):
        config.load()


def test_a_backup_by_the_server_leaves_it_its_locks(settings, file):
    """Without them the next command takes SQLite's log away at its end, as its last user would."""
    log = pathlib.Path(f"{database.sqlite_path(settings.database_url)}-wal")
    before = log.stat().st_ino
    backups.write(settings, file, with_key=False, force=False)
    Program().yaml("list-users")
    assert log.stat().st_ino == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_database_that_may_not_be_read_is_named_and_not_the_copys_place(settings):
    script = (
        "import os, pathlib; from caelus import backups, config; loaded = config.load(os.environ); "
        "os.setuid(65534); backups.write(loaded, pathlib.Path('/tmp/caelus-none.db'), False, False)"
    )
    done = Program(sys.executable, "-c", script).run()
    place = database.sqlite_path(settings.database_url)
    assert f"cannot read {place}: Permission denied" in done.stderr
