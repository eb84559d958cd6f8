"""kubectl as a child process: the namespaces of deployments."""

import json
import re

from caelus.helm import no_cluster
from caelus.process import ToolError, Tools, reason
from caelus.validation import compact

APPLY_SECONDS = 60
LIST_SECONDS = 120
_NO_CLUSTER = re.compile(
    "was refused|connection refused|unable to connect|no such host|no route to host|i/o timeout",
    re.IGNORECASE,
)


def apply_namespace(tools: Tools, name: str) -> None:
    """Make sure of the namespace; its labels say whose it is."""
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "caelus"}},
    }
    try:
        tools.kubectl(
            *("apply", "--server-side", "--force-conflicts", "--field-manager=caelus"),
            *("--filename", "-", "--request-timeout=30s"),
            stdin=compact(namespace),
            timeout=APPLY_SECONDS,
        )
    except ToolError as e:
        raise _explained(f"cannot make namespace {name}", e) from None


def namespaces(tools: Tools) -> dict[str, str]:
    """The namespaces that Caelus made: their phases, Active or Terminating, by name."""
    text = tools.kubectl(
        *("get", "namespaces", "--selector", "app.kubernetes.io/managed-by=caelus"),
        *("--output", "json", f"--request-timeout={LIST_SECONDS - 10}s"),
        timeout=LIST_SECONDS,
    )
    return {
        item["metadata"]["name"]: item.get("status", {}).get("phase", "")
        for item in json.loads(text)["items"]
    }


def delete_namespace(tools: Tools, name: str, seconds: int) -> None:
    """Delete the namespace and wait at most `seconds` for its end; one not there is fine."""
    try:
        tools.kubectl(
            *("delete", "namespace", name, "--ignore-not-found", "--wait=true"),
            f"--timeout={seconds}s",
            timeout=seconds + 30,
        )
    except ToolError as e:
        if "timed out waiting" in e.output:
            raise ToolError(
                f"namespace {name} is still terminating after {seconds} s; what blocks it "
                f"is in its conditions: kubectl get namespace {name} --output yaml",
                e.output,
            ) from None
        raise _explained(f"cannot delete namespace {name}", e) from None


def _explained(what: str, error: ToolError) -> ToolError:
    if _NO_CLUSTER.search(error.output):
        return no_cluster(error)
    return ToolError(f"{what}: {reason(error)}", error.output)
