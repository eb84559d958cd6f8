"""`--follow`: asking for logs again and again, and printing what is new."""

import datetime
import logging
import re
import sys
import time

from caelus import logs
from caelus.errors import CaelusError

log = logging.getLogger("caelus.following")
POLL_SECONDS = 2
MOST = 5000  # lines at a time
OVERLAP = datetime.timedelta(seconds=10)  # a container's line may be shown after a later one's
DEAF_SECONDS = 300  # without an answer, before it is given up
STYLE = re.compile(r"\x1b\[[0-9;]*m")


def follow(ask, operation, arguments: dict) -> int:
    """Print the lines of a deployment as they come, until it is deleted or somebody stops it.

    `ask` takes an operation and its arguments. Raises CaelusError where there is nobody to ask.
    """
    follower = Follower(ask, operation, arguments)
    while follower.look() != "deleted":
        time.sleep(POLL_SECONDS)
    log.info("deployment %s is deleted", arguments["deployment_id"])
    return 0


class Follower:
    def __init__(self, ask, operation, arguments: dict):
        self._ask = lambda given: ask(operation, given)
        self._arguments = arguments
        self._heard: float | None = None
        self._shown: dict[tuple, None] = {}  # those that may come once more, in order
        self._begin = ""  # the time of the first line that was shown
        self._message = None

    def look(self) -> str | None:
        """Print what is new; gives the deployment's status, None where it could not be asked."""
        try:
            document = self._ask(self._arguments)
        except CaelusError as e:
            if e.status != 503 or self._is_deaf():
                raise
            self._tell(e.detail)
            return None
        self._heard = time.monotonic()
        self._tell(document["message"] if not self._shown else None)
        if document["truncated"] and self._shown:
            log.warning("there were more lines than can be shown")
        self._print(document["lines"])
        return document["status"]

    def _is_deaf(self) -> bool:
        """Whether nobody has answered for long, or ever."""
        return self._heard is None or time.monotonic() - self._heard > DEAF_SECONDS

    def _tell(self, message: str | None) -> None:
        if message and message != self._message:
            log.info("%s", message)
        self._message = message

    def _print(self, lines: list[dict]) -> None:
        for line in lines:
            key = (line["time"], line["pod"], line["container"], line["line"])
            if key not in self._shown and line["time"] >= self._begin:
                self._shown[key] = None
                sys.stdout.write(_plain(line))
        sys.stdout.flush()
        self._arguments = self._arguments | {"tail": MOST}
        if lines:
            self._begin = self._begin or lines[0]["time"]
            newest = datetime.datetime.fromisoformat(lines[-1]["time"])
            since = f"{newest - OVERLAP:%Y-%m-%dT%H:%M:%S.%fZ}"
            self._arguments["since"] = since
            self._shown = {key: None for key in self._shown if key[0] > since}


def _plain(line: dict) -> str:
    """A line for a terminal, which it can't drive."""
    said = logs.one_line(STYLE.sub("", line["line"]).expandtabs())
    return f"{line['pod']} {line['container']} | {said}\n"
