"""What helm has stored of a release: its revisions, going back to one, and removing a lock."""

import base64
import gzip
import json

from caelus.process import ToolError, Tools, reason
from caelus.recovery import Revision
from caelus.validation import compact

STORED_AS = "sh.helm.release.v1.{release}.v{revision}"  # helm 3 and 4: a Secret per revision


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
    return [Revision(int(row["revision"]), row["status"]) for row in json.loads(text)]


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


def unlock(tools: Tools, release: str, revision: int) -> None:
    """Mark a revision whose helm was killed as failed, so that helm goes on from it.

    The stored release and its label must say the same, so both change in one replace.
    """
    name = STORED_AS.format(release=release, revision=revision)
    try:
        text = tools.kubectl(
            *("get", "secret", name, "--namespace", release, "--output", "json"), timeout=60
        )
        tools.kubectl(
            *("replace", "--namespace", release, "--filename", "-"),
            stdin=compact(marked_failed(json.loads(text))),
            timeout=60,
        )
    except ToolError as e:
        raise ToolError(f"cannot unlock the release {release}: {reason(e)}", e.output) from None


def marked_failed(secret: dict) -> dict:
    """The Secret of a stored release with the status `failed`."""
    stored = base64.b64decode(base64.b64decode(secret["data"]["release"]))
    release = json.loads(gzip.decompress(stored))
    release["info"]["status"] = "failed"
    release["info"]["description"] = "interrupted; marked failed by Caelus"
    packed = gzip.compress(json.dumps(release, ensure_ascii=False).encode(), mtime=0)
    data = base64.b64encode(base64.b64encode(packed)).decode()
    metadata = secret["metadata"]
    labels = metadata["labels"] | {"status": "failed"}
    return secret | {"metadata": metadata | {"labels": labels}, "data": {"release": data}}
