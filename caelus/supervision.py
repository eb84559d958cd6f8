"""Who watches over this process: a service manager that wants to hear from it (sd_notify(3)), and
the loader of the one-file program, which is its parent.
"""

import contextlib
import os
import signal
import socket
import sys
import time

from caelus import config

PR_SET_PDEATHSIG = 1  # linux/prctl.h
IS_ONE_FILE = hasattr(sys, "frozen")  # by PyInstaller


def tell(*words: str) -> None:
    """Send assignments such as `READY=1` to the service manager, if there is one."""
    place = config.notify_socket()
    if not place:
        return
    if place.startswith("@"):  # a name in the abstract namespace of Linux
        place = f"\0{place[1:]}"
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.sendto("\n".join(words).encode(), place)


class Watchdog:
    """Tells the service manager that the server's loop goes round, twice in what it waits for."""

    def __init__(self):
        self._pause = config.watchdog_seconds() / 2
        self._next = 0.0

    def beat(self) -> None:
        if self._pause and time.monotonic() >= self._next:
            self._next = time.monotonic() + self._pause
            tell("WATCHDOG=1")


def end_with_loader() -> None:
    """In the one-file program: get SIGTERM when its loader is killed, which could not pass it on.

    A Caelus that nobody sees would keep its port, and go on to work.
    """
    if IS_ONE_FILE and sys.platform == "linux":
        import ctypes

        loader = os.getppid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != loader:  # it was killed before that
            os.kill(os.getpid(), signal.SIGTERM)
