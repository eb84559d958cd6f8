"""Helm 3 and 4 as a child process: install or upgrade a release, uninstall it.

Values go in on stdin, nothing of them into argv. Only flags that both majors know are used.
"""

import json
import re

from caelus.charts import Chart, located
from caelus.jsontext import compact
from caelus.process import ToolError, Tools, ToolTimeout, reason

MARGIN_SECONDS = 60  # for the chart's download, beyond what helm's own --timeout bounds
HISTORY = "10"  # revisions kept of a release; each is a Secret
# A wait that ended; not a request that did: `Get "https://...": context deadline exceeded`.
_WAITED = re.compile(r"(?<!\": )context deadline exceeded\s*$|timed out waiting", re.IGNORECASE)
_NO_CLUSTER = re.compile("kubernetes cluster unreachable", re.IGNORECASE)


_majors: dict[str, int] = {}  # by the program's path; a new helm is found out by a new process


def major(tools: Tools) -> int:
    """The major version of helm."""
    program = tools.config.helm
    if program not in _majors:
        text = tools.helm("version", "--template", "{{.Version}}", timeout=30)
        found = re.match(r"v?(\d+)\.", text.strip())
        if found is None:
            raise ToolError(f"cannot tell the version of {program}: it says {text[:40]!r}")
        _majors[program] = int(found[1])
    return _majors[program]


def upgrade(
    tools: Tools, release: str, chart: Chart, values: dict, timeout: int, force: bool = False
) -> int | None:
    """Install or upgrade `release` in the namespace of its name; wait until it is healthy.

    Gives the revision that it made, None if helm does not say. `force` takes back fields that
    others have set; helm 4 has it, only for releases that are applied server-side.
    Raises ReconcileError with a sentence for the owner; `timeout` is in seconds.
    """
    arguments = located(tools, chart)
    try:
        text = tools.helm(
            *("upgrade", "--install", release, *arguments, "--namespace", release),
            *("--values", "-", "--reset-values", "--history-max", HISTORY),
            *("--wait", "--timeout", f"{timeout}s", "--output", "json"),
            *(["--force-conflicts"] if force else []),
            stdin=compact(values),
            timeout=timeout + MARGIN_SECONDS,
        )
    except ToolError as e:
        raise _explained(e, release, chart, timeout) from None
    return _revision(text)


def _revision(text: str) -> int | None:
    """The revision in a release as JSON, which also holds values: nothing else is taken.

    Helm 4.2.1 and later write lines about the chart's download before it.
    """
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                return int(json.loads(line)["version"])
            except (ValueError, KeyError, TypeError):
                return None
    return None


def values(tools: Tools, release: str) -> dict:
    """The values that the newest revision was given, secrets and all."""
    text = tools.helm(
        "get", "values", release, "--namespace", release, "--output", "json", timeout=60
    )
    return json.loads(text) or {}


def uninstall(tools: Tools, release: str, timeout: int) -> None:
    """Uninstall `release`; one that is not there is fine."""
    try:
        tools.helm(
            *("uninstall", release, "--namespace", release, "--ignore-not-found"),
            *("--timeout", f"{timeout}s"),
            timeout=timeout + MARGIN_SECONDS,
        )
    except ToolError as e:
        if _NO_CLUSTER.search(e.output):
            raise no_cluster(e) from None
        raise ToolError(f"cannot uninstall {release}: {reason(e)}", e.output) from None


def no_cluster(error: ToolError) -> ToolError:
    return ToolError(f"cannot reach the cluster ({reason(error)}); check KUBECONFIG", error.output)


def _explained(error: ToolError, release: str, chart: Chart, timeout: int) -> ToolError:
    if isinstance(error, ToolTimeout) or _WAITED.search(error.output):
        return ToolError(
            f"chart {chart} did not become healthy within {timeout} s ({reason(error)}); "
            f"see: kubectl --namespace {release} get pods,events",
            error.output,
        )
    if _NO_CLUSTER.search(error.output):
        return no_cluster(error)
    if not error.output:
        return error
    return ToolError(f"helm could not apply chart {chart}: {reason(error)}", error.output)
