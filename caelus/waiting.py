"""Waiting for what was asked of a deployment: `--wait`.

It only looks, by the operations that show a deployment, so it works on a remote Caelus, too.
"""

import logging
import re
import sys
import time

from caelus import logs
from caelus.errors import CaelusError, Invalid, LeftAlone
from caelus.models import DELETED, DELETING, ERROR, PROVISIONING, QUEUED, READY
from caelus.operations import BY_COMMAND

log = logging.getLogger("caelus.waiting")
POLL_SECONDS, LONGEST_POLL_SECONDS = 0.3, 2
HINT_SECONDS = 5  # that a job waits for a worker before somebody may wonder
DEAF_SECONDS = 60  # that nobody answers before it is given up: a restart takes less
OUTCOME = {PROVISIONING: READY, DELETING: DELETED}
EVENTS = 20  # more do not come about between two looks
HINT = (
    "no worker has taken deployment %s up within %d s: "
    "they are busy, or none runs; then start caelus serve or caelus reconcile"
)


def seconds(text: str | None) -> float:
    """The time to wait at most, without end if `text` is None. Raises Invalid."""
    if text is None:
        return float("inf")
    if re.fullmatch("[0-9]{1,7}", text):
        return int(text)
    raise Invalid(("--timeout", "must be a whole number of seconds"))


def until_settled(ask, document: dict, patience: float) -> tuple[dict, str | None]:
    """Wait until what `document` shows to be under way has ended, at most `patience` seconds.

    `ask` takes an operation and its arguments. Gives the deployment as it is then, and a sentence
    where it is not as was asked for. Raises CaelusError where it can't be seen any more, LeftAlone
    for Ctrl-C.
    """
    wait = Wait(ask, document)
    try:
        with_time_left = wait.look_on(time.monotonic() + patience)
    except KeyboardInterrupt:
        raise LeftAlone(f"{wait.name} goes on; {wait.way_back}") from None
    except CaelusError as e:
        raise CaelusError(f"{wait.name} can't be seen: {e.detail}; {wait.way_back}") from None
    finally:
        wait.line.clear()
    if not with_time_left:
        status = wait.document["status"]
        late = f"{wait.name} is still {status} after {patience} s: {doing(wait.document)}"
        return wait.document, f"{late}; {wait.way_back}"
    return wait.document, wait.failure()


class Wait:
    def __init__(self, ask, document: dict):
        self.document = document
        self.name = f"deployment {document['id']}"
        self.line = Line()
        self._ask = ask
        self._ids = {"user_id": str(document["user_id"]), "deployment_id": str(document["id"])}
        self._wanted = OUTCOME.get(document["status"], document["status"])
        self._since = self._heard = time.monotonic()
        self._seen: set[int] | None = None  # the events that were told, or were there before
        self._hinted = False

    @property
    def way_back(self) -> str:
        return f"look again by: caelus get-deployment {' '.join(self._ids.values())}"

    def look_on(self, deadline: float) -> bool:
        """Look until the deployment is settled; False if that takes until `deadline`."""
        pause = POLL_SECONDS
        while self.document["status"] in OUTCOME:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._show()
            time.sleep(min(pause, left))
            pause = min(pause * 1.2, LONGEST_POLL_SECONDS)
            self._look()
        return True

    def failure(self) -> str | None:
        """What is not as was asked for, and what to do; None if all is well."""
        status, cause = self.document["status"], self.document.get("cause") or {}
        if status == self._wanted:
            return None
        if status != ERROR:
            return f"{self.name} is {status}, because somebody changed it meanwhile"
        parts = [f"{self.name}: {self.document['last_error']}", cause.get("hint")]
        if job := self.document.get("open_job"):
            parts.append(f"Caelus tries again by itself at {_clock(job['run_after'])}")
        return "; ".join(filter(None, parts))

    def _look(self) -> None:
        try:
            events = self._ask(BY_COMMAND["list-events"], self._ids | {"limit": EVENTS})
            self.document = self._ask(BY_COMMAND["get-deployment"], self._ids)
        except CaelusError as e:
            if e.status != 503 or time.monotonic() - self._heard > DEAF_SECONDS:
                raise
            self.line.show(e.detail)
            return
        self._heard = time.monotonic()
        new = [e for e in events if self._seen is not None and e["id"] not in self._seen]
        self._seen = {event["id"] for event in events}
        if self.document["status"] in OUTCOME:  # else the outcome says it
            for event in reversed(new):
                self._tell(logging.INFO, "%s: %s", self.name, event["message"])

    def _show(self) -> None:
        self.line.show(f"{self.name}: {doing(self.document)}", time.monotonic() - self._since)
        waits = time.monotonic() - self._since > HINT_SECONDS
        if waits and not self._hinted and _is_untouched(self.document):
            self._hinted = True
            self._tell(logging.WARNING, HINT, self.document["id"], HINT_SECONDS)

    def _tell(self, level: int, *message) -> None:
        self.line.clear()
        log.log(level, *message)


def doing(document: dict) -> str:
    """What is being done about a deployment that is not settled."""
    job = document.get("open_job")
    if job is None:
        return document["status"]
    again = job["attempt"] > (0 if job["status"] == QUEUED else 1)
    why = f": {document['last_error']}" if again and document["last_error"] else ""
    if job["status"] != QUEUED:
        attempt = f", attempt {job['attempt']}" if again else ""
        return f"helm and kubectl are at work ({job['reason']}{attempt}){why}"
    when = f"tried again at {_clock(job['run_after'])}" if again else "queued for a worker"
    return f"{when}{why}"


def _is_untouched(document: dict) -> bool:
    job = document.get("open_job") or {}
    return job.get("status") == QUEUED and job["attempt"] == 0


def _clock(time: str) -> str:
    """The time of day of a document's time."""
    return f"{time[11:19]} UTC"


class Line:
    """The line on a terminal that tells what is waited for; elsewhere a line of the log for each
    news."""

    def __init__(self):
        self._on_terminal = sys.stderr.isatty()
        self._shown = ""

    def show(self, text: str, since: float = 0) -> None:
        news, self._shown = text != self._shown, text
        if not self._on_terminal:
            if news:
                log.info("%s", text)
            return
        elapsed = f" ({since:.0f} s)" if since >= 1 else ""
        self._write(logs.coloured(_cut(logs.one_line(text), elapsed), "INFO"))

    def clear(self) -> None:
        if self._on_terminal:
            self._write("")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[2K{text}")
        sys.stderr.flush()


def _cut(text: str, end: str) -> str:
    """`text` and `end` in one line of the terminal: a longer one could not be cleared."""
    import shutil

    room = shutil.get_terminal_size().columns - len(end) - 1
    return (text if len(text) <= room else f"{text[: max(0, room - 3)]}...") + end
