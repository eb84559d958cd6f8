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

        Raises Unavailable where it can't be: no login without its event.
        """
        who = user.id, network_of(address)
        if self._is_known(who):
            return
        with self._lock:
            if self._is_known(who):  # by another request, just now
                return
            with transaction(), events.by(user.email, address=address):
                events.record(None, "logged_in", f"{user.email} logged in by the proxy")
            self._seen.pop(who, None)
            self._seen[who] = self._clock()
            if len(self._seen) > REMEMBERED:
                del self._seen[next(iter(self._seen))]

    def _is_known(self, who: tuple[int, str]) -> bool:
        return self._clock() - self._seen.get(who, float("-inf")) < SECONDS
