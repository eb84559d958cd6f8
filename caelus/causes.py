"""Why a reconcile failed, as one stable code: the error's own words first, then what is seen.

`wording` knows what programs say, `symptoms` what `evidence` of the cluster shows; all are pure.
"""

import json
import re
from dataclasses import asdict, dataclass

from caelus import symptoms, wording
from caelus.errors import CaelusError, ReconcileError, Unavailable
from caelus.evidence import Evidence
from caelus.kubectl import FenceError
from caelus.process import ToolError, Tools, ToolTimeout
from caelus.wording import Finding, one_line

LONGEST = 500
ASK_SECONDS = 10
LOG_LINES, LINES_READ, READ = 20, 100, 10_000
KINDS = "pods,jobs,replicasets,statefulsets,daemonsets,persistentvolumeclaims,services,events"

# Code: (heals, hint). What heals may come right while nobody changes anything: a registry, a
# cluster, room in it, an app that is slow to start. What does not is refused, or crashes, the next
# time too; so does a hook, whose effects moreover must not be repeated without end.
CODES = {
    "image_pull": (True, "check the image's name and tag, and its registry's access"),
    "crash_loop": (False, "see the log of {object}; change the values or the template"),
    "probe_failing": (True, "see the log of {object}; a longer health timeout helps a slow start"),
    "unschedulable": (True, "make room in the cluster, or ask for less in the values"),
    "pvc_unbound": (True, "check its storage class and the cluster's storage"),
    "quota_exceeded": (True, "free what the namespace's quota counts, or raise the quota"),
    "admission_denied": (False, "change the values or the template, or what the cluster allows"),
    "hook_failed": (False, "see the log of {object}; change the values or the template"),
    "load_balancer_pending": (
        True,
        "give the cluster a load balancer, or use another Service type",
    ),
    "immutable_field": (False, "undo the change, or create a new deployment with it"),
    "apply_conflict": (False, "find out who else manages {object}, and leave it to one of them"),
    "chart_not_found": (True, "check the chart's reference and version, and that its source is up"),
    "chart_digest_mismatch": (False, "find out who changed the chart; publish a new template"),
    "chart_unusable": (False, "publish a new template with a chart that Caelus can use"),
    "release_busy": (True, "wait until that helm ends, or end it; Caelus then goes on by itself"),
    "registry_auth": (True, "check the access that Caelus has to the chart's source"),
    "values_rejected": (False, "change the values or the template"),
    "fence_rejected": (
        False,
        "change the isolation that the template asks for, or CAELUS_QUOTA and CAELUS_LIMITS",
    ),
    "secret_key": (True, "bring the key back that encrypted its secrets"),
    "cluster_unreachable": (True, "check that the cluster is up, and KUBECONFIG"),
    "namespace_terminating": (True, "see to what its conditions name; then it ends by itself"),
    "tool_missing": (True, "install it on the PATH, or set CAELUS_HELM or CAELUS_KUBECTL"),
    "timeout": (True, "see its pods and events; a longer health timeout helps a slow start"),
    "newer_in_cluster": (
        False,
        "see what runs (helm get values {object} --namespace {object}); then update-deployment to "
        "what it should be, or retry-deployment for what the database says",
    ),
    "gone_from_cluster": (
        False,
        "retry-deployment makes it anew, without its data; delete-deployment closes it",
    ),
    "internal": (True, "see the log of Caelus"),
}
# Codes that errors carry themselves, where they are others than ours.
_SAME = {"registry_unreachable": "chart_not_found"}


@dataclass(frozen=True)
class Cause:
    """`object` is `Kind name`, for values a JSON Pointer; `message` and `hint` are one line each.

    None of it holds a value or what looks like a secret.
    """

    code: str
    object: str | None
    message: str
    hint: str

    @property
    def heals(self) -> bool:
        """Whether another attempt can help though nobody changes anything."""
        return CODES[self.code][0]

    def document(self) -> dict:
        return asdict(self)


INTERNAL = Cause("internal", None, "an internal error of Caelus", CODES["internal"][1])


def find(tools: Tools, namespace: str, error: Exception) -> Cause:
    """The cause of `error`; the cluster is asked only where the error itself does not settle it.

    Raises only Cancelled.
    """
    found = _told(error)
    if found is None:
        try:
            return diagnose(error, *gather(tools, namespace))
        except ToolError as e:
            return _unseen(error, e)
    if found[0] == "namespace_terminating":  # what holds it is not in helm's words
        return diagnose(error, _namespace(tools, namespace))
    return _cause(*found)


def gather(tools: Tools, namespace: str) -> tuple[list[dict], str]:
    """What is in the namespace, and the end of the log of what crashed there last.

    At most two calls of kubectl, for neither Secrets nor ConfigMaps; a log that can't be had is
    empty. Raises Cancelled, and ToolError where the cluster does not answer.
    """
    flags = ("--namespace", namespace, f"--request-timeout={ASK_SECONDS - 2}s")
    objects = _items(tools.kubectl("get", KINDS, "--output=json", *flags, timeout=ASK_SECONDS))
    crashed = Evidence.of(objects).crashed()
    return objects, _ask(tools, namespace, *_log_of(*crashed)) if crashed else ""


def _unseen(error: Exception, failure: ToolError) -> Cause:
    """The cause where nothing can be seen: that the cluster has gone, if that is why."""
    told = wording.told(_text(failure))
    if told is not None and told[0] == "cluster_unreachable":
        return _cause(*told)
    return diagnose(error, [])


def diagnose(error: Exception, objects: list[dict], logs: str = "") -> Cause:
    """The cause of `error`, given what `gather` found, or a Namespace that is being deleted."""
    evidence = Evidence.of(objects, logs)
    found = (
        symptoms.terminating(evidence)
        or _told(error)
        or symptoms.shown(evidence, wording.hook(_text(error)))
        or _otherwise(error, evidence)
    )
    return _cause(*found)


def _cause(code: str, thing: str | None, message: str) -> Cause:
    hint = CODES[code][1].format(object=thing or "it")
    return Cause(code, thing and one_line(thing), one_line(message, LONGEST), one_line(hint))


# The cluster's part


def _ask(tools: Tools, namespace: str, *arguments: str) -> str:
    flags = ("--namespace", namespace, f"--request-timeout={ASK_SECONDS - 2}s")
    try:
        return tools.kubectl(*arguments, *flags, timeout=ASK_SECONDS)
    except ToolError:
        return ""


def _namespace(tools: Tools, name: str) -> list[dict]:
    which = f"--field-selector=metadata.name={name}"
    return _items(_ask(tools, name, "get", "namespaces", which, "--output=json"))


def _items(text: str) -> list[dict]:
    try:
        return json.loads(text)["items"]
    except (ValueError, KeyError):
        return []


def _log_of(pod: dict, container: dict) -> list[str]:
    arguments = ["logs", pod["metadata"]["name"], f"--container={container['name']}"]
    over = "terminated" in container["state"] or not container.get("lastState")
    return [*arguments, f"--tail={LOG_LINES}", *([] if over else ["--previous"])]


# The error's part


def _told(error: Exception) -> Finding | None:
    """What needs no look at the cluster."""
    if not isinstance(error, CaelusError):
        return "internal", None, "an internal error of Caelus"
    if isinstance(error, Unavailable):
        return "internal", None, error.detail
    code = getattr(error, "code", None)
    code = _SAME.get(code, code)
    if code is None and not isinstance(error, ReconcileError):
        return "values_rejected", None, error.detail  # a rule of Caelus's own
    if code in CODES:
        said = error.detail.partition(" (")[0]  # in brackets is what helm said
        return code, wording.chart(error.detail) or wording.release(error.detail), said
    found = wording.told(_text(error))
    if found is not None and found[0] == "values_rejected" and isinstance(error, FenceError):
        return "fence_rejected", *found[1:]  # no value of the deployment has to do with it
    return found


def _text(error: CaelusError) -> str:
    """What a program said, but for its warnings and what it logged on the way."""
    lines = f"{error.detail}\n{getattr(error, 'output', '')}".splitlines()
    said = [line[: wording.READ] for line in lines if not _LOGGED.match(line)]
    return "\n".join(said[:LINES_READ])[:READ]


def _otherwise(error: CaelusError, evidence: Evidence) -> Finding:
    text = _text(error)
    if not evidence.objects and (cluster := wording.unanswered(text)):
        return cluster
    if isinstance(error, ToolTimeout) or _WAITED.search(text):
        return _late(text, evidence)
    if isinstance(error, ToolError):
        what = error.detail.partition(": ")[0]
        return "internal", None, ": ".join(filter(None, [what, wording.gist(text)]))
    return "internal", None, error.detail


def _late(text: str, evidence: Evidence) -> Finding:
    waiting = symptoms.unready(evidence)
    thing, state = waiting or (wording.waited_for(text), "")
    seconds = _SECONDS.search(text)
    after = f" after {seconds[1]} s" if seconds else " in time"
    return "timeout", thing, f"{thing or 'the release'} is not ready{after}{state}"


_LOGGED = re.compile(r"WARNING|level=|time=\S+ level=|[IWE]\d{4} ")
_WAITED = re.compile(r"deadline exceeded|timed out|not ready|did not become healthy|took longer")
_SECONDS = re.compile(r"(?:within|longer than) (\d+) s\b")
