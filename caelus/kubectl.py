"""kubectl as a child process: the namespaces of deployments, what fences them and what is there."""

import datetime
import json
import re

from caelus.helm import no_cluster
from caelus.jsontext import compact
from caelus.process import ToolError, Tools, ToolTimeout, reason

APPLY_SECONDS = 60
LIST_SECONDS = 120
LOOK_SECONDS = 8  # while somebody waits
RESOURCES = "pods,persistentvolumeclaims,services,ingresses.networking.k8s.io"
EVERY_POD = "!caelus.none"  # a label that no pod has: kubectl wants some selector
FENCES = "namespaces,networkpolicies.networking.k8s.io,resourcequotas,limitranges"
_NO_CLUSTER = re.compile(
    "was refused|connection refused|unable to connect|no such host|no route to host|i/o timeout",
    re.IGNORECASE,
)


class FenceError(ToolError):
    """The fence of a namespace could not be put up."""


def apply_fence(tools: Tools, name: str, objects: list[dict], surplus: list[str]) -> None:
    """Make sure of the namespace and its fence: `objects` in this order, the Namespace first.

    `surplus`, as `limitranges/name`, is deleted where an older fence had it; to ask first whether
    it did would be a call as well. By name, because `apply --prune` goes by a selector, and is
    still alpha for what is applied server-side. Raises ToolError.
    """
    try:
        tools.kubectl(
            *("apply", "--server-side", "--force-conflicts", "--field-manager=caelus"),
            *("--filename", "-", f"--request-timeout={APPLY_SECONDS // 2}s"),
            stdin="\n".join(map(compact, objects)),
            timeout=APPLY_SECONDS,
        )
        if surplus:
            tools.kubectl(
                *("delete", *surplus, "--namespace", name, "--ignore-not-found", "--wait=false"),
                f"--request-timeout={APPLY_SECONDS // 2}s",
                timeout=APPLY_SECONDS,
            )
    except ToolError as e:
        raise _explained(f"cannot fence namespace {name}", e, FenceError) from None


def fences(tools: Tools) -> dict[str, list[dict]]:
    """The namespaces that Caelus made, by name: each with what fences it, the Namespace first.

    By one process, however many there are.
    """
    text = tools.kubectl(
        *("get", FENCES, "--all-namespaces", "--output", "json"),
        *("--selector", "app.kubernetes.io/managed-by=caelus"),
        f"--request-timeout={LIST_SECONDS - 10}s",
        timeout=LIST_SECONDS,
    )
    items = json.loads(text)["items"]
    found = {item["metadata"]["name"]: [item] for item in items if item["kind"] == "Namespace"}
    for item in items:
        if item["kind"] != "Namespace":
            found.get(item["metadata"]["namespace"], []).append(item)
    return found


def namespace(tools: Tools, name: str) -> dict | None:
    """The namespace as it is, None if there is none."""
    arguments = ("get", "namespace", name, "--ignore-not-found", "--output", "json")
    text = tools.kubectl(*arguments, timeout=30)
    return json.loads(text) if text.strip() else None


def delete_namespace(tools: Tools, name: str, seconds: int) -> None:
    """Delete the namespace and wait at most `seconds` for its end; one not there is fine.

    Raises ToolError while it is still there.
    """
    wait = ("--wait=true", f"--timeout={seconds}s") if seconds else ("--wait=false",)
    try:
        tools.kubectl(
            *("delete", "namespace", name, "--ignore-not-found", *wait), timeout=seconds + 30
        )
        if seconds == 0 and _is_there(tools, name):
            raise _terminating(name)
    except ToolError as e:
        if "timed out waiting" in e.output:
            raise _terminating(name) from None
        raise _explained(f"cannot delete namespace {name}", e) from None


def resources(tools: Tools, namespace: str) -> list[dict]:
    """What runs in the namespace and holds its data; nothing where there is none.

    Raises ToolError.
    """
    text = _look(tools, namespace, "get", RESOURCES, "--output", "json")
    try:
        return json.loads(text)["items"]
    except (ValueError, KeyError, TypeError):
        raise ToolError(
            f"cannot look into namespace {namespace}: kubectl's answer is odd"
        ) from None


def logs(
    tools: Tools,
    namespace: str,
    pod: str | None,
    tail: int,
    since: datetime.datetime | None,
    previous: bool,
    most: int,
) -> str:
    """What the containers of a pod, or of all, have printed, at most `most` bytes of each.

    Each line with its pod, container and time; one without them is about a container whose log
    can't be had. Raises ToolError.
    """
    options = [f"--tail={tail}", f"--limit-bytes={most}"]
    if since is not None:
        whole = since.astimezone(datetime.UTC).replace(microsecond=0, tzinfo=None)
        options.append(f"--since-time={whole.isoformat()}Z")  # %Y has no zeros in front
    if previous:
        options.append("--previous")
    which = pod or f"--selector={EVERY_POD}"
    shape = ("--all-containers", "--prefix", "--timestamps", "--ignore-errors")
    try:
        return _look(tools, namespace, "logs", which, *shape, *options)
    except ToolError as e:
        if pod and f'pods "{pod}" not found' in e.output:
            return f"there is no pod {pod}"
        raise


def _look(tools: Tools, namespace: str, *arguments: str) -> str:
    flags = ("--namespace", namespace, f"--request-timeout={LOOK_SECONDS - 2}s")
    try:
        return tools.kubectl(*arguments, *flags, timeout=LOOK_SECONDS)
    except ToolTimeout:
        raise ToolError(
            f"the cluster has not answered within {LOOK_SECONDS} s; try again"
        ) from None
    except ToolError as e:
        raise _explained(f"cannot look into namespace {namespace}", e) from None


def _is_there(tools: Tools, namespace: str) -> bool:
    arguments = ("get", "namespace", namespace, "--ignore-not-found", "--output", "name")
    return bool(tools.kubectl(*arguments, timeout=30).strip())


def _terminating(name: str) -> ToolError:
    return ToolError(
        f"namespace {name} is still terminating; what blocks it is in its conditions: "
        f"kubectl get namespace {name} --output yaml"
    )


def _explained(what: str, error: ToolError, kind=ToolError) -> ToolError:
    if _NO_CLUSTER.search(error.output):
        return no_cluster(error)
    return kind(f"{what}: {reason(error)}", error.output)
