"""Which processes of this machine have a SQLite database open: they share a lock on a file beside
it, which is held alone by who puts another database in its place.
"""

import contextlib
import fcntl
import os
import pathlib
import time

from caelus.errors import ConfigError

PATIENCE_SECONDS = 3  # with a command that is about to end
RESTORING = "{path} is being restored from a backup; try again when that is done"
IN_USE = (
    "a Caelus is running on {path}; stop it first (systemctl stop caelus), and every "
    "`caelus serve` and `caelus reconcile --watch`"
)
_shared: list[int] = []  # the descriptor of this process's lock, once it has one


def share(path: pathlib.Path) -> None:
    """Have the database at `path` open, until this process ends or shares another.

    Raises ConfigError while it is being restored.
    """
    descriptor = _opened(path)
    if not _locks(descriptor, fcntl.LOCK_SH, 0):
        os.close(descriptor)
        raise ConfigError(RESTORING.format(path=path))
    leave()
    _shared.append(descriptor)


def leave() -> None:
    """Have none open any more."""
    while _shared:
        os.close(_shared.pop())


@contextlib.contextmanager
def alone(path: pathlib.Path):
    """Keep every Caelus from opening the database. Raises ConfigError while one has it open."""
    descriptor = _opened(path)
    try:
        if not _locks(descriptor, fcntl.LOCK_EX, PATIENCE_SECONDS):
            raise ConfigError(IN_USE.format(path=path))
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def only(path: pathlib.Path):
    """As `alone`, by who has it open already; from the end on, they have it so no more."""
    try:
        if not _locks(_shared[-1], fcntl.LOCK_EX, PATIENCE_SECONDS):
            raise ConfigError(IN_USE.format(path=path))
        yield
    finally:
        leave()


def _opened(path: pathlib.Path) -> int:
    # Not the database itself: closing any descriptor of it would end SQLite's own locks.
    place = path.with_name(f"{path.name}.lock")
    try:
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
        give_away(descriptor, path.parent)
    except OSError as e:
        raise ConfigError(f"cannot use {place}: {e.strerror}; be the owner of it") from None
    return descriptor


def give_away(descriptor: int, like: pathlib.Path) -> None:
    """As root, leave a new file to the owner of `like`: a service may run as them."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _locks(descriptor: int, kind: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
