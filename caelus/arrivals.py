"""Who comes by way of a proxy that has authenticated them: a login, though no request is one.

Each person's first request from an address is on record, once a day. What was seen is in memory:
after a restart, and in each other process, the first one is on record again.
"""

import threading
import time

from caelus import events
from caelus.database import transaction
from caelus.models import User
from caelus.refusals import network_of

SECONDS = 24 * 3600
REMEMBERED = 10_000


class Arrivals:
    def __init__(self, clock=time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[tuple[int, str], float] = {}  # since when, the oldest first

    def note(self, user: User, address: str) -> None:
        """Put on record that the user came from there, if that is news.

        Raises Unavailable where it can't be.
        """
        who = user.id, network_of(address)
        if not self._is_news(who):
            return
        try:
            with transaction(), events.by(user.email, address=address):
                events.record(None, "logged_in", f"{user.email} logged in by the proxy")
        except BaseException:
            self._seen.pop(who, None)  # the next request tries again
            raise

    def _is_news(self, who: tuple[int, str]) -> bool:
        """Whether nobody has noted it; from now on somebody has. No lock is held for the writing:
        others are not to wait for it."""
        with self._lock:
            if self._clock() - self._seen.get(who, float("-inf")) < SECONDS:
                return False
            self._seen.pop(who, None)
            self._seen[who] = self._clock()
            if len(self._seen) > REMEMBERED:
                del self._seen[next(iter(self._seen))]
            return True
