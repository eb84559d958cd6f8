"""What helm and kubectl tell of the namespaces that Caelus has made; it only looks."""

import contextlib
import threading

from caelus import config, fence, helm, kubectl, releases
from caelus.errors import Conflict, NotFound
from caelus.orphans import Found, Orphan
from caelus.process import ToolError, Tools, reason
from caelus.releases import Release
from caelus.wording import one_line

LONGEST = 500  # of what is told of a cluster that can't be asked
_asking = threading.Lock()  # it takes a thread of the API's few for minutes: one at most


def every() -> list[Orphan]:
    """All namespaces that Caelus has made. Raises Conflict where the cluster can't be asked."""
    with _answers() as tools:
        fenced, found = kubectl.fences(tools), releases.every(tools)
        return [_orphan(live, found) for live, *_ in fenced.values()]


def of(namespace: str) -> Found:
    """What runs there. Raises NotFound for a namespace that is not Caelus's, Conflict for one
    without a release, or where the cluster can't be asked."""
    with _answers() as tools:
        live = kubectl.namespace(tools, namespace)
        if live is None or fence.MANAGED.items() - (live["metadata"].get("labels") or {}).items():
            raise NotFound(f"namespace {namespace} not found among those that Caelus has made")
        told = releases.metadata(tools, namespace)
        if told is None:
            raise Conflict(f"namespace {namespace} has no release {namespace} to adopt")
        chart, version = told["chart"], told["version"]
        release = Release(releases.number(told["revision"]), told["status"], None, chart)
        orphan = _orphan(live, {f"{namespace}/{namespace}": release})
        return Found(orphan, chart, version, helm.values(tools, namespace))


def _orphan(live: dict, found: dict[str, Release]) -> Orphan:
    metadata = live["metadata"]
    name, said = metadata["name"], metadata.get("annotations") or {}
    release = found.get(f"{name}/{name}") or Release(None, None)
    return Orphan(
        namespace=name,
        phase=live["status"]["phase"],
        created_at=releases.moment(metadata.get("creationTimestamp")),
        release_status=release.status,
        revision=release.revision,
        chart=release.chart,
        deployment_id=fence.number(said.get(fence.DEPLOYMENT)),
        generation=fence.generation(live),
        template_id=fence.number(said.get(fence.TEMPLATE)),
        domainname=said.get(fence.DOMAIN),
        user_email=said.get(fence.USER),
    )


@contextlib.contextmanager
def _answers():
    """Tools to ask the cluster with, one at a time."""
    if not _asking.acquire(blocking=False):
        raise Conflict("the cluster is being asked for orphans already; try again in a moment")
    try:
        yield Tools(config.load())
    except ToolError as e:
        told = f"{e.detail}: {reason(e)}" if e.output else e.detail
        raise Conflict(one_line(f"the cluster can't be asked: {told}", LONGEST)) from None
    except (ValueError, KeyError, TypeError):
        raise Conflict("an answer of helm or kubectl can't be read") from None
    finally:
        _asking.release()
