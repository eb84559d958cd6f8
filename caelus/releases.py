"""What helm has stored of a release: its revisions, going back to one, and removing a lock."""

import base64
import datetime
import gzip
import json
import re
from dataclasses import dataclass

from caelus.errors import ReconcileError
from caelus.helm import major
from caelus.jsontext import compact
from caelus.process import ToolError, Tools, reason
from caelus.recovery import Revision

STORED_AS = "sh.helm.release.v1.{release}.v{revision}"  # helm 3 and 4: a Secret per revision


class ReleaseBusy(ReconcileError):
    """A helm that Caelus did not start is at work on the release."""

    code = "release_busy"


@dataclass(frozen=True)
class Release:
    """`revision` and `updated` are None where helm writes them in a way that is not known."""

    revision: int | None
    status: str
    updated: datetime.datetime | None = None
    chart: str | None = None  # its name and version


def every(tools: Tools) -> dict[str, Release]:
    """The releases of all namespaces, by `namespace/name`. By one process, however many."""
    arguments = ["list", "--all-namespaces", "--max", "0", "--output", "json"]
    if major(tools) < 4:  # where it would leave out all but the deployed and the failed
        arguments.append("--all")
    rows = json.loads(tools.helm(*arguments, timeout=120))
    return {
        f"{row['namespace']}/{row['name']}": Release(
            number(row.get("revision")),
            row["status"],
            _time(row.get("updated")),
            row.get("chart"),
        )
        for row in rows
    }


def number(value) -> int | None:
    """A revision: text in helm's lists, a number elsewhere."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _time(value) -> datetime.datetime | None:
    """A time as Go prints it, such as `2026-11-23 16:36:44.334018494 +0000 UTC`."""
    parts = re.match(r"(\S+ \d\d:\d\d:\d\d)\S* ([+-]\d{4})", str(value))
    try:
        return parts and datetime.datetime.strptime(
            " ".join(parts.groups()), "%Y-%m-%d %H:%M:%S %z"
        )
    except ValueError:
        return None


def is_server_side(tools: Tools, release: str) -> bool:
    """Whether helm will apply the release server-side: it does so from 4 on, but for releases
    that it applied otherwise before."""
    if major(tools) < 4:
        return False
    found = metadata(tools, release)
    return found is None or found.get("applyMethod") == "ssa"


def metadata(tools: Tools, release: str) -> dict | None:
    """What helm says of the newest revision: chart, version, revision, status; None without one."""
    arguments = ("get", "metadata", release, "--namespace", release, "--output", "json")
    try:
        return json.loads(tools.helm(*arguments, timeout=60))
    except ToolError as e:
        if "not found" in e.output.lower():
            return None
        raise ToolError(f"cannot read the release {release}: {reason(e)}", e.output) from None


def manifest(tools: Tools, release: str) -> str:
    """The objects of the newest revision as YAML, hooks left out; it may hold secrets."""
    return tools.helm("get", "manifest", release, "--namespace", release, timeout=60)


def history(tools: Tools, release: str) -> list[Revision]:
    """The revisions that helm knows, none where there is no release."""
    try:
        text = tools.helm(
            *("history", release, "--namespace", release, "--output", "json", "--max", "256"),
            timeout=60,
        )
    except ToolError as e:
        if "not found" in e.output.lower():
            return []
        raise ToolError(f"cannot read the release {release}: {reason(e)}", e.output) from None
    try:
        return [
            Revision(int(row["revision"]), row["status"], moment(row.get("updated")))
            for row in json.loads(text)
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ToolError(f"cannot read the release {release}: helm's answer is odd") from None


def rollback(tools: Tools, release: str, revision: int, timeout: int) -> None:
    """Go back to `revision` and wait until it is healthy, at most `timeout` seconds."""
    try:
        tools.helm(
            *("rollback", release, str(revision), "--namespace", release),
            *("--wait", "--timeout", f"{timeout}s"),
            timeout=timeout + 60,
        )
    except ToolError as e:
        raise ToolError(
            f"cannot roll {release} back to revision {revision}: {reason(e)}", e.output
        ) from None


def stored(tools: Tools, release: str, revision: int) -> dict:
    """The Secret in which helm keeps a revision: it holds values."""
    name = STORED_AS.format(release=release, revision=revision)
    arguments = ("get", "secret", name, "--namespace", release, "--output", "json")
    try:
        return json.loads(tools.kubectl(*arguments, timeout=60))
    except ToolError as e:
        raise ToolError(f"cannot read the release {release}: {reason(e)}", e.output) from None


def moment(text) -> datetime.datetime | None:
    """A time as helm writes it into JSON; None for one that it has not set, and what is none."""
    try:
        moment = datetime.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo and moment.year > 1 else None


def deleted_at(secret: dict) -> datetime.datetime | None:
    """When the uninstall of a stored release began, None if there was none."""
    return moment(_opened(secret)["info"].get("deleted"))


def unlock(tools: Tools, release: str, secret: dict) -> None:
    """Mark the revision in `secret`, whose helm was killed, as failed: helm goes on from it.

    The stored release and its label must say the same, so both change in one replace; it is
    refused if somebody else has changed the Secret since it was read.
    """
    try:
        tools.kubectl(
            *("replace", "--namespace", release, "--filename", "-"),
            stdin=compact(marked_failed(secret)),
            timeout=60,
        )
    except ToolError as e:
        raise ToolError(f"cannot unlock the release {release}: {reason(e)}", e.output) from None


def marked_failed(secret: dict) -> dict:
    """The Secret of a stored release with the status `failed`."""
    release = _opened(secret)
    release["info"]["status"] = "failed"
    release["info"]["description"] = "interrupted; marked failed by Caelus"
    packed = gzip.compress(json.dumps(release, ensure_ascii=False).encode(), mtime=0)
    data = base64.b64encode(base64.b64encode(packed)).decode()
    metadata = secret["metadata"]
    labels = metadata["labels"] | {"status": "failed"}
    return secret | {"metadata": metadata | {"labels": labels}, "data": {"release": data}}


def _opened(secret: dict) -> dict:
    stored = base64.b64decode(base64.b64decode(secret["data"]["release"]))
    return json.loads(gzip.decompress(stored))
