"""How long a thread waits for SQLite's one writer, be that another thread or another process."""

import contextlib
import threading

from caelus.errors import Unavailable

WAIT_SECONDS = 30
REQUEST_WAIT_SECONDS = 5  # where somebody waits for an answer, and others for the thread
# SQLite's own busy handler is not fair: threads of one process queue here, where waiting is.
_writer = threading.RLock()
_thread = threading.local()


def seconds() -> float:
    """How long this thread waits."""
    return getattr(_thread, "seconds", WAIT_SECONDS)


def become(seconds: float) -> None:
    """Wait that long in this thread from now on; `settle` tells a connection that is open."""
    _thread.seconds = seconds


def settle(connection) -> None:
    """Have this thread's connection wait for other processes as long as the thread does."""
    connection.execute(f"PRAGMA busy_timeout = {int(1000 * seconds())}")


@contextlib.contextmanager
def writing():
    """Be this process's one writer. Raises Unavailable where the others take too long: who waits
    on another process's lock would else keep all after it waiting, one after the other."""
    if not _writer.acquire(timeout=seconds()):
        told = "the database does not work: it is locked by somebody for too long"
        raise Unavailable(f"{told}; see: caelus doctor")
    try:
        yield
    finally:
        _writer.release()
