"""What goes on with a deployment, and what its owner can do now; from its document alone."""

from caelus import values
from caelus.models import DELETED, DELETING, ERROR, QUEUED, READY, RUNNING

FAST, SLOW = 3, 20  # seconds between two looks at it
DOING = {
    "create": "Setting it up",
    "update": "Making the change",
    "delete": "Deleting it",
    "drift": "Putting right what somebody changed in the cluster",
}
# Of a timeline's entry: how it is coloured.
LOOKS = {
    "ready": "good",
    "deleted": "idle",
    "failed": "bad",
    "rollback_failed": "bad",
    "rolled_back": "busy",
    "interrupted": "busy",
    "drift_found": "busy",
}
# By the code of a cause: what helps first, where that is not to try again.
_EDIT_FIRST = {
    *("values_rejected", "crash_loop", "hook_failed", "admission_denied", "immutable_field"),
    *("unschedulable", "quota_exceeded"),
}
_UPGRADE_FIRST = {*("chart_not_found", "chart_digest_mismatch", "chart_unusable", "fence_rejected")}


def is_busy(deployment: dict) -> bool:
    """Whether a job is at work on it, or waits for its first or next attempt."""
    return deployment["open_job"] is not None


def pause(deployment: dict) -> int | None:
    """How many seconds until a page looks again; None where nothing can change any more."""
    if deployment["status"] == DELETED:
        return None
    return FAST if is_busy(deployment) else SLOW


def stage(deployment: dict) -> str:
    """running, waiting (for a first attempt), retrying, stopped (after failures) or settled."""
    job = deployment["open_job"]
    if job is None:
        return "stopped" if deployment["status"] == ERROR else "settled"
    if job["status"] == RUNNING:
        return "running"
    return "retrying" if job["attempt"] else "waiting"


def is_newer(deployment: dict) -> bool:
    """Whether the product's version is newer than the deployment's."""
    template = deployment["desired_template"]
    canonical = template["product"]["template_id"]
    return canonical is not None and canonical > template["id"]


def can(deployment: dict) -> set[str]:
    """Of `retry`, `edit`, `domain`, `upgrade`, `delete`, `reveal`, `open`: what makes sense now."""
    found = set()
    if stage(deployment) in ("stopped", "retrying"):
        found.add("retry")
    if deployment["status"] != DELETED:
        found.add("reveal")
    if deployment["deleted_at"] is not None:
        return found
    found |= {"domain", "delete"}
    if values.takes_user_values(deployment["desired_template"]["values_schema_json"]):
        found.add("edit")
    if is_newer(deployment):
        found.add("upgrade")
    if deployment["status"] == READY:
        found.add("open")
    return found


def is_failure_past(deployment: dict) -> bool:
    """Whether the last error is from before the deletion, of which nothing has failed yet."""
    job = deployment["open_job"]
    if job is None or job["reason"] != "delete":
        return False
    return job["attempt"] <= (job["status"] == RUNNING)


def remedies(deployment: dict) -> list[str]:
    """The steps that can help a failed deployment, the likeliest first."""
    if deployment["last_error"] is None:
        return []
    code = (deployment["cause"] or {}).get("code")
    order = ["retry", "edit", "upgrade"]
    if code in _EDIT_FIRST:
        order = ["edit", "retry", "upgrade"]
    elif code in _UPGRADE_FIRST:
        order = ["upgrade", "retry", "edit"]
    possible = can(deployment)
    return [step for step in order if step in possible]


def sentence(deployment: dict) -> str:
    """Where it stands, without times: what a screen reader is told when that changes."""
    job = deployment["open_job"]
    if job is not None and job["status"] == RUNNING:
        return f"{DOING[job['reason']]} now, attempt {job['attempt']}."
    if job is not None and job["status"] == QUEUED and not job["attempt"]:
        return f"{DOING[job['reason']]}: waits for a free worker."
    if job is not None:
        return f"{DOING[job['reason']]}: attempt {job['attempt']} failed."
    return {
        READY: "It runs as it should.",
        ERROR: "It is not tried again by itself: something has to change first.",
        DELETED: "It was deleted.",
        DELETING: "It is being deleted.",
    }.get(deployment["status"], "")
