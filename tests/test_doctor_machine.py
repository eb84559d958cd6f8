"""`caelus doctor` about the machine: modes, room, clock and settings, each fault made for real."""

import datetime
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from caelus import config, machine_checks
from caelus.models import now
from tests.program import Program
from tests.test_doctor_database import file as file  # the fixture

LONG_AGO = datetime.timedelta(hours=3)


def machine(**environ: str) -> dict:
    settings = config.load(os.environ | environ)
    return {check.name: check for check in machine_checks.look(settings)}


def test_files_that_others_can_use(file):
    assert {check.status for check in machine().values()} == {"ok"}
    for path, mode in ((file, 0o644), (file.parent, 0o755)):
        path.chmod(mode)
    key = file.with_name("secret.key")
    key.touch(0o644)
    found = machine()
    assert found["caelus.db"].next_step == f"chmod 600 {file}"
    assert found["data directory"].next_step == f"chmod 700 {file.parent}"
    assert found["secret key"].status == "failed"
    assert found["secret key"].next_step == f"run: chmod 600 {key}"


def test_a_file_system_that_is_read_only(file, can_mount):
    done = mounted(
        f"mount --bind {file.parent} {file.parent}; mount -o remount,ro,bind {file.parent}; "
        f"exec {sys.executable} -m caelus doctor"
    )
    assert f"can't write to {file.parent}, its own" in done.stdout
    assert "whole" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_data_directory_of_somebody_else(file, tmp_path):
    place = pathlib.Path("/tmp") / f"caelus-{os.getpid()}"
    place.mkdir(0o755)
    try:
        os.chown(place, 1, 1)
        script = (
            "import os, ipaddress; from caelus import config, machine_checks; "
            f"loaded = config.load({{'CAELUS_DATA_DIR': {str(place)!r}}}); "
            "os.setuid(65534); print(*machine_checks.look(loaded), sep='\\n')"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], env=Program().env, capture_output=True, text=True
        )
    finally:
        place.rmdir()
    assert f"{place} belongs to daemon; nobody can't write there" in done.stdout, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_database_in_a_directory_that_one_may_not_enter(file):
    """tmp_path is for its owner alone, and so may be where Caelus itself is imported from."""
    script = (
        "import os; from caelus import config, database_checks, queue_checks; "
        "from caelus.process import Tools; loaded = config.load(os.environ)\n"
        "def look(): return [*database_checks.look(loaded), "
        "*queue_checks.locks(loaded, Tools(loaded))]\n"
        "look(); os.setuid(65534); print(*look())"
    )
    done = Program(sys.executable, "-c", script, CAELUS_HELM="/bin/true").run()
    assert "Traceback" not in done.stderr
    assert f"cannot read {file}: Permission denied" in done.stdout


def test_a_clock_that_was_set_back(file):
    later = (now() + LONG_AGO).timestamp()
    os.utime(file, (later, later))
    found = machine()["clock"]
    assert (found.status, found.detail) == ("warning", f"{file} was written 3 h after now")
    assert "NTP" in found.next_step


def test_proxies_that_are_not_only_proxies(file):
    header = {"CAELUS_AUTH_HEADER": "Remote-Email"}
    assert "proxies" not in machine()
    proxies = {"CAELUS_TRUSTED_PROXIES": "10.42.0.0/16,127.0.0.1"}
    found = machine(**header, **proxies)["proxies"]
    assert (found.status, "of 10.42.0.0/16 can be any user" in found.detail) == ("warning", True)
    assert machine(**header, CAELUS_TRUSTED_PROXIES="127.0.0.1")["proxies"].status == "ok"


def test_settings_that_are_unknown_or_leave_it_open(file):
    found = machine(CAELUS_DATABSE_URL="x", CAELUS_HOST="0.0.0.0")
    assert "did you mean CAELUS_DATABASE_URL?" in found["settings"].detail
    assert found["exposure"].status == "warning"
    behind = machine(CAELUS_HOST="0.0.0.0", CAELUS_PUBLIC_URL="https://caelus.example.org")
    assert behind["exposure"].status == "ok"


def mounted(command: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run a shell's command where it may mount; it is gone with the command."""
    alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    return subprocess.run(
        [*alone, "sh", "-ec", command, "sh", *arguments],
        env=Program(CAELUS_KUBECTL="/nowhere/kubectl").env,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def can_mount():
    if shutil.which("unshare") is None or mounted("mount -t tmpfs none /mnt").returncode:
        pytest.skip("nothing can be mounted here")


def test_a_full_disk_of_the_backups(tmp_path, can_mount):
    backups = tmp_path / "backups"
    backups.mkdir()
    done = mounted(f"""
        mount -t tmpfs -o size=1m none {backups}
        CAELUS_BACKUP_DIR={backups} exec {sys.executable} -m caelus doctor
    """)
    assert "  failed   backup disk " in done.stdout, done.stderr


def test_a_full_disk(file, tmp_path, can_mount):
    """A real one, of 110 MB, in memory."""
    script = f"""
        cp -a {file.parent} {tmp_path}/copy
        mount -t tmpfs -o size=110m none {file.parent}
        cp -a {tmp_path}/copy/. {file.parent}
        {sys.executable} -m caelus doctor > {tmp_path}/before || true
        fallocate -l 1G {file.parent}/rest 2>/dev/null || cat /dev/zero > {file.parent}/rest || true
        exec {sys.executable} -m caelus doctor
    """
    done = mounted(script)
    before = (tmp_path / "before").read_text()
    assert "  warning  disk " in before
    full = next(line for line in done.stdout.splitlines() if line.startswith("  failed   disk "))
    assert f"0 B of 110.0 MiB are free at {file.parent}" in full, done.stderr
    assert "make room there" in done.stdout
    assert "whole" in done.stdout
    assert done.returncode == 1
