"""What a deployment's containers have printed, without its secrets."""

import collections
import datetime
import re
from typing import NamedTuple

from caelus import glances, kubectl, redact
from caelus.database import session
from caelus.errors import Invalid
from caelus.models import DELETED

TAIL, MOST = 100, 5000  # lines, of each container and in all
MOST_BYTES = 1024 * 1024
LONGEST = 16 * 1024  # characters of a line
LINE = re.compile(r"\[pod/([^/\] ]+)/([^/\] ]+)\] (.*)", re.DOTALL)


class Line(NamedTuple):
    time: datetime.datetime
    pod: str
    container: str
    line: str


class Logs(NamedTuple):
    """`truncated`: there are lines between those that were asked for that are not shown."""

    deployment_id: int
    status: str
    message: str | None
    truncated: bool
    lines: list[Line]


def look(
    *,
    user_id: int,
    deployment_id: int,
    tail: int = TAIL,
    since: str | None = None,
    previous: bool = False,
    pod: str | None = None,
) -> dict:
    """The fields of `Logs`: the newest `tail` lines after the time `since`; takes seconds at worst.

    `previous`: of the containers as they were before they were restarted last.
    Raises Invalid, ClusterUnavailable, SecretKeyError.
    """
    after = _moment(since)
    deployment = glances.subject(user_id, deployment_id)
    with session():
        secrets = redact.secrets_of(deployment)
    text = ""
    if deployment.status != DELETED:
        with glances.into(deployment) as tools:
            text = kubectl.logs(
                tools, deployment.deployment_uid, pod, tail, after, previous, MOST_BYTES
            )
    mask = redact.masking(secrets, text)
    lines, notes, is_cut = parsed(text)
    newer = [line for line in lines if after is None or line.time > after]
    shown = _newest(sorted(newer, key=_place), tail)
    left_out = len(shown) < min(len(newer), tail) or (after is not None and len(lines) >= tail)
    return {
        "deployment_id": deployment_id,
        "status": deployment.status,
        "message": None if shown else _why_none(deployment_id, pod, list(map(mask, notes))),
        "truncated": is_cut or left_out,
        "lines": [line._replace(line=mask(line.line)[:LONGEST]) for line in shown],
    }


def _moment(text: str | None) -> datetime.datetime | None:
    if not text:
        return None
    moment = _read(text)
    if moment is None or datetime.datetime.fromisoformat(text).tzinfo is None:
        raise Invalid(("since", "must be a time with its zone, such as 2026-01-31T12:00:00Z"))
    return moment


def parsed(text: str) -> tuple[list[Line], list[str], bool]:
    """The lines in what kubectl prints, what it says of containers without a log, and whether one
    of the logs was cut.

    Where a container's log is cut, its last line is half a line, and runs into the next one's.
    """
    lines, notes, used = [], [], collections.Counter()
    for written in text.split("\n"):  # nothing else ends a line
        found = LINE.fullmatch(written)
        if found is None:
            notes.append(written.removeprefix("error: "))
            continue
        pod, container, rest = found.groups()
        used[pod, container] += len(rest.encode()) + 1
        time, _, said = rest.partition(" ")
        if used[pod, container] >= MOST_BYTES:
            continue
        if at := _read(time):
            lines.append(Line(at, pod, container, said))
        else:  # the node's own words
            notes.append(rest)
    return lines, list(filter(None, notes)), any(n >= MOST_BYTES for n in used.values())


def _read(time: str) -> datetime.datetime | None:
    """A time in UTC, which may be given in another zone, as by a node."""
    try:
        return datetime.datetime.fromisoformat(time).astimezone(datetime.UTC)
    except (ValueError, OverflowError):  # the latter at either end of time
        return None


def _place(line: Line) -> tuple:
    """By it lines are sorted; those that a container printed at one moment stay as they were."""
    return line.time, line.pod, line.container


def _newest(lines: list[Line], most: int) -> list[Line]:
    """The last of the lines that fit."""
    kept, size = [], 0
    for line in reversed(lines[-most:]):
        size += len(line.line[:LONGEST].encode()) + 1
        if size > MOST_BYTES:
            break
        kept.append(line)
    return kept[::-1]


def _why_none(deployment_id: int, pod: str | None, notes: list[str]) -> str:
    if notes:
        return redact.shortened(notes[0])
    what = f"pod {pod} of deployment {deployment_id}" if pod else f"deployment {deployment_id}"
    return f"{what} has printed nothing that was asked for"
