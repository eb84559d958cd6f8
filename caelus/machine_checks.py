"""Checkups of the machine: the settings, whose the files are, room on the disks, the clock."""

import contextlib
import os
import pathlib
import pwd
import stat
import sys
from collections.abc import Iterator

from caelus import __version__, backups, database, keyring
from caelus.config import Config
from caelus.errors import ConfigError, SecretKeyError
from caelus.findings import Check, Section, size, span
from caelus.models import now

LEAST, LITTLE, ENOUGH = 100 * 10**6, 1024**3, 20 * 1024**3  # bytes of room on a disk
SHARE = 0.1  # of a disk: less is little, unless it is ENOUGH all the same
YEARS = range(2026, 2100)  # in which a clock can be right that runs this program
AHEAD_SECONDS = 60
FEW = 16  # addresses, such as proxies of one site may have
LATE_SECONDS = 600  # of a backup, beyond twice what it may be old
PLACE = "set CAELUS_DATA_DIR to a directory of the user that Caelus runs as"
_section = Section("machine")
ok, warning, failed = _section.ok, _section.warning, _section.failed


def look(config: Config) -> Iterator[Check]:
    python = ".".join(map(str, sys.version_info[:3]))
    yield ok("caelus", f"{__version__}, by Python {python}, as {_user(os.geteuid())}")
    yield _settings(config)
    yield _exposure(config)
    if config.auth_header:
        yield _believed(config)
    yield _directory(config.data_dir)
    yield _key(config)
    yield from _database_files(config)
    if config.backup_dir and config.is_sqlite:
        yield _backup(config)
    yield from _disks(config)
    yield _clock(config)


def unusable(error: ConfigError) -> Check:
    """The one finding where the settings themselves can't be used."""
    return failed("settings", error.detail, "correct it; the README has a table of all settings")


def _settings(config: Config) -> Check:
    if config.warnings:
        step = "correct the name, or unset it"
        return warning("settings", "; ".join(config.warnings), step)
    return ok("settings", "all are known")


def _exposure(config: Config) -> Check:
    if config.is_exposed:
        detail = f"Caelus listens on {config.host} without https: tokens can be read on the way"
        step = (
            "put a proxy with TLS in front, and name it in CAELUS_TRUSTED_PROXIES "
            "or CAELUS_PUBLIC_URL"
        )
        return warning("exposure", detail, step)
    return ok("exposure", f"{config.base_url}")


def _believed(config: Config) -> Check:
    """How many may say by the header who somebody is: pods and apps of users should not."""
    wide = [str(net) for net in config.trusted_proxies if net.num_addresses > FEW]
    if wide:
        detail = f"each of the addresses of {', '.join(wide)} can be any user of Caelus"
        step = "name the addresses of the proxies themselves in CAELUS_TRUSTED_PROXIES"
        return warning("proxies", f"{config.auth_header} is believed: {detail}", step)
    return ok("proxies", f"{config.auth_header} is believed of those in CAELUS_TRUSTED_PROXIES")


# Files


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _directory(path: pathlib.Path) -> Check:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return warning("data directory", f"there is no {path} yet", "caelus serve makes it")
    except OSError as e:
        return failed("data directory", f"cannot use {path}: {e.strerror}", PLACE)
    if not stat.S_ISDIR(found.st_mode):
        return failed("data directory", f"{path} is no directory", PLACE)
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return _unwritable(path, found)
    return _modes("data directory", path, found, 0o700)


def _unwritable(path: pathlib.Path, found: os.stat_result) -> Check:
    owner, us = _user(found.st_uid), _user(os.geteuid())
    if us in (owner, "root"):
        step = f"chmod 700 {path}, or have its file system mounted to be written"
        return failed("data directory", f"{us} can't write to {path}, its own", step)
    step = f"run Caelus as {owner}, or {PLACE}"
    return failed("data directory", f"{path} belongs to {owner}; {us} can't write there", step)


def _modes(name: str, path: pathlib.Path, found: os.stat_result, wanted: int) -> Check:
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        detail = f"{path} has the mode {mode:o}: others can use it"
        return warning(name, detail, f"chmod {wanted:o} {path}")
    return ok(name, f"{path}, mode {mode:o}, of {_user(found.st_uid)}")


def _key(config: Config) -> Check:
    try:
        count = len(keyring.fingerprints())
    except SecretKeyError as e:
        detail, _, step = e.detail.partition("; ")
        return failed("secret key", detail, step or "run Caelus as its owner")
    if not count:
        return ok("secret key", "none yet: it is made for the first secret")
    return ok("secret key", f"{keyring.source()}; keep a copy, but not beside the database's")


def _database_files(config: Config) -> Iterator[Check]:
    """The modes of what is there; that it can be read at all is told with the database."""
    with contextlib.suppress(ConfigError):
        for path in _files(config):
            with contextlib.suppress(OSError):
                yield _modes(path.name, path, os.stat(path), 0o600)


def _files(config: Config) -> list[pathlib.Path]:
    if not config.is_sqlite:
        return []
    path = database.sqlite_path(config.database_url)
    return [path, path.with_name(f"{path.name}-wal")]


def _backup(config: Config) -> Check:
    directory = config.backup_dir
    step = f"see the log of caelus serve, and that it can write to {directory}"
    try:
        age = backups.age(directory, now())
    except OSError as e:
        return failed("backup", f"cannot read {directory}: {e.strerror}", step)
    if age is None:
        return warning("backup", f"there is none in {directory} yet", step)
    told = f"the newest in {directory} is {span(age.total_seconds())} old"
    if age.total_seconds() > 2 * config.backup_every + LATE_SECONDS:
        return failed("backup", f"{told}; one is due every {span(config.backup_every)}", step)
    return ok("backup", told)


# Room


def _disks(config: Config) -> Iterator[Check]:
    """Each file system once, under the first name of a place that is on it."""
    seen = set()
    for name, path in _places(config):
        try:
            there = next(p for p in (path, *path.parents) if os.path.exists(p))
            device = os.stat(there).st_dev
            if device not in seen:
                seen.add(device)
                yield _disk(name, there, os.statvfs(there))
        except OSError as e:
            yield failed(name, f"cannot look at {path}: {e.strerror}", PLACE)


def _places(config: Config) -> Iterator[tuple[str, pathlib.Path]]:
    with contextlib.suppress(ConfigError):
        for path in _files(config)[:1]:
            yield "disk", path.absolute().parent
    yield "data disk", config.data_dir
    if config.backup_dir and config.is_sqlite:
        yield "backup disk", config.backup_dir


def _disk(name: str, path: pathlib.Path, found: os.statvfs_result) -> Check:
    free, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    room = f"{size(free)} of {size(total)} are free at {path}"
    step = "make room there, or move the data to a larger disk: a full one stops all changes"
    if free < LEAST:
        return failed(name, room, step)
    if found.f_files and not found.f_favail:
        return failed(name, f"no more files can be made at {path}: it is out of inodes", step)
    if free < LITTLE or free < min(SHARE * total, ENOUGH):
        return warning(name, room, step)
    return ok(name, room)


# The clock


def _clock(config: Config) -> Check:
    at = now()
    step = "have the clock set by NTP (timedatectl set-ntp true)"
    if at.year not in YEARS:
        return failed("clock", f"it says {at:%Y-%m-%d}", step)
    for path in (config.data_dir, *_written(config)):
        with contextlib.suppress(OSError):
            ahead = os.stat(path).st_mtime - at.timestamp()
            if ahead > AHEAD_SECONDS:
                return warning("clock", f"{path} was written {span(ahead)} after now", step)
    return ok("clock", f"{at:%Y-%m-%d %H:%M:%S} UTC")


def _written(config: Config) -> list[pathlib.Path]:
    with contextlib.suppress(ConfigError):
        return _files(config)
    return []
