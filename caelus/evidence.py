"""Reading what kubectl gives of a namespace: which pods matter, their containers, claims, events.

Kubernetes' own documents, as of 1.30 and later; what they mean is told by `symptoms`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Evidence:
    """Every object; of the pods, the newest first, those in question; the log of `crashed`."""

    objects: list[dict]
    pods: list[dict]
    log: str = ""

    @classmethod
    def of(cls, objects: list[dict], log: str = "") -> "Evidence":
        """About the pods that are to become healthy: not those that are, have done their work,
        are being deleted, or belong to a former revision of a Deployment."""
        former = _former_sets(objects)
        pods = [p for p in objects if p.get("kind") == "Pod" and not _is_settled(p)]
        relevant = [pod for pod in pods if owner(pod).get("uid", "") not in former]
        return cls(objects, newest_first(relevant), log)

    def about(self, pods: list[dict]) -> "Evidence":
        """The same with only these pods in question; the log only if it is of one of them."""
        crashed = self.crashed()
        return replace(self, pods=pods, log=self.log if crashed and crashed[0] in pods else "")

    def every(self, kind: str) -> list[dict]:
        return [obj for obj in self.objects if obj.get("kind") == kind]

    def events(self, about: list[dict], *reasons: str) -> list[tuple[str, dict]]:
        """The messages of events with one of these reasons, the newest first, each with which
        object it is about; all reasons if none is given."""
        named = {(obj["kind"], obj["metadata"]["name"]): obj for obj in about}
        found = []
        for event in sorted(self.every("Event"), key=_seen, reverse=True):
            involved = event.get("involvedObject", {})
            obj = named.get((involved.get("kind"), involved.get("name")))
            if obj and _is_same(involved, obj) and (not reasons or event.get("reason") in reasons):
                found.append((event.get("message") or "", obj))
        return found

    def containers(self) -> Iterator[tuple[dict, dict]]:
        return ((pod, container) for pod in self.pods for container in containers(pod))

    def crashed(self) -> tuple[dict, dict] | None:
        """The newest pod with a container that crashed, and that container's status."""
        for pod, container in self.containers():
            failed = ended(container).get("exitCode") and not container.get("ready")
            if failed or waiting(container).get("reason") == "CrashLoopBackOff":
                return pod, container
        return None

    def short_of_pods(self) -> list[dict]:
        """Controllers that have fewer pods than they are to have."""
        former = _former_sets(self.objects)
        return [o for o in self.objects if _uid(o) not in former and _is_short(o)]

    def open_claims(self) -> list[dict]:
        claims = self.every("PersistentVolumeClaim")
        return [c for c in claims if status(c).get("phase") != "Bound" and not is_going(c)]


# Any object


def title(obj: dict) -> str:
    return f"{obj['kind']} {obj['metadata']['name']}"


def status(obj: dict) -> dict:
    return obj.get("status") or {}


def conditions(obj: dict) -> list[dict]:
    return status(obj).get("conditions") or []


def owner(obj: dict) -> dict:
    owners = obj["metadata"].get("ownerReferences") or [{}]
    return next((one for one in owners if one.get("controller")), owners[0])


def is_going(obj: dict) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def newest_first(objects: list[dict]) -> list[dict]:
    return sorted(objects, key=_created, reverse=True)


def _created(obj: dict) -> str:
    return obj["metadata"].get("creationTimestamp") or ""


def _uid(obj: dict) -> str | None:
    return obj["metadata"].get("uid")


def _seen(event: dict) -> str:
    series = event.get("series") or {}
    times = (event.get("lastTimestamp"), series.get("lastObservedTime"), event.get("eventTime"))
    return max(time or "" for time in (*times, _created(event)))


def _is_same(involved: dict, obj: dict) -> bool:
    """Not an earlier object of the same name."""
    return None in (involved.get("uid"), _uid(obj)) or involved["uid"] == _uid(obj)


# Pods and their containers


def is_hook(pod: dict) -> bool:
    notes = pod["metadata"].get("annotations") or {}
    return owner(pod).get("kind") == "Job" or "helm.sh/hook" in notes


def is_starting(pod: dict) -> bool:
    reasons = {waiting(container).get("reason") for container in containers(pod)}
    return bool(reasons & {"ContainerCreating", "PodInitializing"})


def is_out_of_memory(pod: dict) -> bool:
    return any(ended(container).get("reason") == "OOMKilled" for container in containers(pod))


def claim_names(pod: dict) -> list[str]:
    volumes = pod["spec"].get("volumes") or []
    return [
        v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v
    ]


def containers(pod: dict) -> list[dict]:
    """The statuses of its containers, those of init containers first."""
    both = ("initContainerStatuses", "containerStatuses")
    return [{"state": {}, **container} for key in both for container in status(pod).get(key) or []]


def waiting(container: dict) -> dict:
    return container["state"].get("waiting") or {}


def ended(container: dict) -> dict:
    """How it ended this time, or else the last time."""
    last = container.get("lastState") or {}
    return container["state"].get("terminated") or last.get("terminated") or {}


def _is_settled(pod: dict) -> bool:
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions(pod))
    over = status(pod).get("phase") == "Succeeded" or status(pod).get("reason") == "Evicted"
    return ready or over or is_going(pod)


# Controllers


def _former_sets(objects: list[dict]) -> set[str | None]:
    """The uids of all ReplicaSets but the newest of each Deployment."""
    sets = sorted((o for o in objects if o.get("kind") == "ReplicaSet"), key=_revision)
    newest = {owner(one).get("uid") or _uid(one): _uid(one) for one in sets}
    return {_uid(one) for one in sets} - set(newest.values())


def _revision(replica_set: dict) -> tuple[int, str]:
    notes = replica_set["metadata"].get("annotations") or {}
    number = notes.get("deployment.kubernetes.io/revision", "0")
    return int(number) if number.isdigit() else 0, _created(replica_set)


def _is_short(obj: dict) -> bool:
    match obj.get("kind"):
        case "ReplicaSet" | "StatefulSet":
            return status(obj).get("replicas", 0) < obj["spec"].get("replicas", 1)
        case "DaemonSet":
            wanted = status(obj).get("desiredNumberScheduled", 1)
            return status(obj).get("currentNumberScheduled", 0) < wanted
        case "Job":
            return not (status(obj).get("active") or status(obj).get("succeeded"))
    return False
