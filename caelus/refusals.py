"""Who was refused is on record; of a flood only the start and the number, so that it costs little.

Counted by address and in memory. A limit against noise, not against guessing, which 256 bits make
hopeless: who shows what is valid gets in, however many others of the same address do not.
"""

import ipaddress
import logging
import threading
import time
from typing import NamedTuple

from caelus import events
from caelus.database import session, transaction
from caelus.errors import Unavailable

log = logging.getLogger("caelus.refusals")
WINDOW_SECONDS = 60
RECORDED = 10  # refusals of one address within the window that become events one by one
TOLERATED = 100  # failed attempts of one address within it that are answered as such
ADDRESSES = 10_000  # that are remembered at most


class Count(NamedTuple):
    begun: float
    number: int


class Refusals:
    def __init__(self, clock=time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[str, Count] = {}  # by address, the oldest first

    def note(self, author: events.Author, message: str) -> bool:
        """Put a refusal on record; gives whether there were too many of this address."""
        source = _source(author)
        with self._lock:
            over = self._take_over()
            begun, number = self._counts.get(source, Count(self._clock(), 0))
            self._counts[source] = Count(begun, number + 1)
        if number < RECORDED:
            _record(author, message)
        self._tell(over)
        return number >= TOLERATED

    def settle(self) -> None:
        """Put on record how many there were where the window is over; cheap where none is."""
        with self._lock:
            over = self._take_over()
        self._tell(over)

    def _take_over(self) -> list[tuple[str, int]]:
        """Forget the addresses whose window is over, and the oldest where there are too many."""
        oldest, over = self._clock() - WINDOW_SECONDS, []
        while self._counts:
            source, count = next(iter(self._counts.items()))
            if count.begun > oldest and len(self._counts) < ADDRESSES:
                break
            del self._counts[source]
            over.append((source, count.number - RECORDED))
        return [(source, more) for source, more in over if more > 0]

    @staticmethod
    def _tell(over: list[tuple[str, int]]) -> None:
        for source, more in over:
            author = events.Author("nobody", address=source)
            _record(author, f"{more} more were refused within {WINDOW_SECONDS} s")


def _record(author: events.Author, message: str) -> None:
    log.warning("%s, %s: %s", author.actor, author.address, message)
    try:
        with session(), transaction(), events.by(*author):
            events.record(None, "refused", message)
    except Unavailable as e:  # to be refused is all the same
        log.warning("a refusal is not on record: %s", e.detail)


def _source(author: events.Author) -> str:
    """What one client can not easily change: who they are, else where they are."""
    return author.actor if author.actor != "nobody" else network_of(author.address)


def network_of(address: str) -> str:
    """What a client that changes its address keeps of it: of an IPv6 one the network."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address
