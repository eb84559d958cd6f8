"""What becomes of a Deployment in a simulated cluster: its ReplicaSets, pods, events and logs.

Nothing runs. How far a pod is follows from when it was started, and from the behaviour that a word
in the values asks for (docs/demo.md).
"""

import datetime
import hashlib
import json
import random
from collections.abc import Iterator

from caelus.simulated_cluster import Cluster, age, moment, stamp

# What a word in the values makes of an app; the first of them counts.
MISSING, CRASH, UNSCHEDULABLE, SLOW, STUCK = WORDS = (
    "missing",
    "crash",
    "unschedulable",
    "slow",
    "stuck",
)
HOPELESS = (MISSING, CRASH, UNSCHEDULABLE)
BEHAVIOUR = "simulator/behaviour"  # an annotation of pod templates
_STARTS = "simulator/starts"  # of ReplicaSets: when each of its pods was started
_REVISION = "deployment.kubernetes.io/revision"
PULL_SECONDS = 1.0  # from a pod's start until its container runs
SLOW_SECONDS = 60
BACK_OFF_SECONDS = 6  # from the first failed pull to the kubelet's patience
CRASH_EVERY = 10
NODE = "simulated-node"
MOST_SETS = 10  # former ReplicaSets that are kept, as Kubernetes does
LOG_EVERY, LOG_MOST = 5, 2000  # seconds between lines; lines that are kept
FATAL = "fatal: the key server.url is not in the configuration"


# Deployments and their ReplicaSets


def roll(cluster: Cluster, deployment: dict) -> None:
    """Bring the ReplicaSets of a Deployment in line with it, as its controller does."""
    sets = replica_sets(cluster, deployment)
    template, count = deployment["spec"]["template"], deployment["spec"].get("replicas", 1)
    name = f"{deployment['metadata']['name']}-{_hash(template)}"
    current = next((one for one in sets if one["metadata"]["name"] == name), None)
    if current is None:
        current, starts = _new_set(deployment, name), []
    elif current is sets[0] or not _is_healthy(cluster, sets[0]):
        starts = _starts(current)  # what was there has gone on
    else:
        starts = []
    if not sets or current is not sets[0]:
        newest = max((_number(one) for one in sets), default=0)
        current["metadata"]["annotations"][_REVISION] = str(newest + 1)
    for old in sets[MOST_SETS:]:
        cluster.remove("ReplicaSet", old["metadata"]["namespace"], old["metadata"]["name"])
    starts = (starts + [stamp(cluster.at)] * count)[:count]
    current["metadata"]["annotations"][_STARTS] = json.dumps(starts)
    current["spec"]["replicas"] = count
    cluster.put(current)


def replica_sets(cluster: Cluster, deployment: dict) -> list[dict]:
    """Those of a Deployment, the newest first."""
    metadata = deployment["metadata"]
    mine = [
        one
        for one in cluster.every("ReplicaSet", metadata["namespace"])
        if one["metadata"]["ownerReferences"][0]["uid"] == metadata["uid"]
    ]
    return sorted(mine, key=_number, reverse=True)


def _new_set(deployment: dict, name: str) -> dict:
    metadata, spec = deployment["metadata"], deployment["spec"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": spec["template"]["metadata"]["labels"],
            "annotations": {},
            "ownerReferences": [_owner(deployment)],
        },
        "spec": {"selector": spec["selector"], "template": spec["template"]},
    }


def shown(cluster: Cluster, obj: dict) -> dict:
    """A Deployment or ReplicaSet with the status that it has now."""
    sets = [obj] if obj["kind"] == "ReplicaSet" else replica_sets(cluster, obj)[:1]
    pods = [pod for one in sets for pod in _pods_of(cluster, one)]
    count, ready = len(pods), sum(map(is_ready, pods))
    available = "True" if ready >= obj["spec"].get("replicas", 1) else "False"
    status = {"replicas": count, "readyReplicas": ready, "updatedReplicas": count}
    status |= {"availableReplicas": ready, "unavailableReplicas": count - ready}
    return obj | {"status": status | {"conditions": [{"type": "Available", "status": available}]}}


def unready(cluster: Cluster, namespace: str) -> tuple[dict, bool] | None:
    """A Deployment that is not as it is to be, and whether it never will be; None if all are."""
    for deployment in cluster.every("Deployment", namespace):
        status = shown(cluster, deployment)["status"]
        if status["readyReplicas"] < deployment["spec"].get("replicas", 1):
            return deployment, behaviour(deployment) in HOPELESS
    return None


def behaviour(owner: dict) -> str:
    notes = owner["spec"]["template"]["metadata"].get("annotations") or {}
    return notes.get(BEHAVIOUR, "")


def _is_healthy(cluster: Cluster, replica_set: dict) -> bool:
    return all(map(is_ready, _pods_of(cluster, replica_set)))


def _starts(replica_set: dict) -> list[str]:
    return json.loads(replica_set["metadata"]["annotations"].get(_STARTS, "[]"))


def _number(replica_set: dict) -> int:
    return int(replica_set["metadata"]["annotations"].get(_REVISION, "0"))


def _hash(template: dict) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]


def _owner(obj: dict) -> dict:
    known = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "controller": True}
    return known | {"name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}


# Pods


def pods(cluster: Cluster, namespace: str) -> list[dict]:
    """Those of the newest ReplicaSets; of the one before only until that is healthy."""
    found = []
    for deployment in cluster.every("Deployment", namespace):
        for one in replica_sets(cluster, deployment)[:2]:
            mine = _pods_of(cluster, one)
            found += mine
            if all(map(is_ready, mine)):
                break
    return found


def is_ready(pod: dict) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _pods_of(cluster: Cluster, replica_set: dict) -> list[dict]:
    return [_pod(cluster, replica_set, start) for start in enumerate(_starts(replica_set))]


def _pod(cluster: Cluster, replica_set: dict, start: tuple[int, str]) -> dict:
    number, begun = start
    metadata, template = replica_set["metadata"], replica_set["spec"]["template"]
    seed = f"{metadata['uid']}/{number}/{begun}"
    name = f"{metadata['name']}-{hashlib.sha256(seed.encode()).hexdigest()[:5]}"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "uid": f"{metadata['uid']}-{number}",
            "creationTimestamp": begun,
            "labels": template["metadata"]["labels"],
            "ownerReferences": [_owner(replica_set)],
        },
        "spec": {**template["spec"], "nodeName": NODE},
    }
    seconds = age(begun, cluster.at)
    return pod | {"status": _status(pod, behaviour(replica_set), seconds)}


def _status(pod: dict, word: str, seconds: float) -> dict:
    begun = moment(pod["metadata"]["creationTimestamp"])
    if word == UNSCHEDULABLE:
        del pod["spec"]["nodeName"]
        why = "0/1 nodes are available: 1 Insufficient memory."
        return {"phase": "Pending", "conditions": [_unscheduled(why)]}
    state = _state(word, seconds, begun)
    ready = "running" in state["state"] and seconds >= _ready_after(pod, word)
    container = pod["spec"]["containers"][0]
    shown = {"name": container["name"], "image": container["image"], "ready": ready, **state}
    return {
        "phase": "Pending" if "waiting" in state["state"] and word != CRASH else "Running",
        "startTime": pod["metadata"]["creationTimestamp"],
        "conditions": [
            {"type": "PodScheduled", "status": "True"},
            {"type": "Ready", "status": str(ready)},
        ],
        "containerStatuses": [shown],
    }


def _unscheduled(why: str) -> dict:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return condition | {"message": why}


def _ready_after(pod: dict, word: str) -> float:
    """Seconds from a pod's start; a little different for each."""
    if word == SLOW:
        return SLOW_SECONDS
    return PULL_SECONDS + random.Random(pod["metadata"]["name"]).uniform(0.5, 2.5)


def _state(word: str, seconds: float, begun: datetime.datetime) -> dict:
    """The state of a container, its last one, and how often it was restarted."""
    if seconds < PULL_SECONDS:
        return {"state": {"waiting": {"reason": "ContainerCreating"}}, "restartCount": 0}
    running = {"running": {"startedAt": stamp(begun + datetime.timedelta(seconds=PULL_SECONDS))}}
    if word == MISSING:
        reason = "ErrImagePull" if seconds < BACK_OFF_SECONDS else "ImagePullBackOff"
        return {"state": {"waiting": {"reason": reason}}, "restartCount": 0}
    if word != CRASH:
        return {"state": running, "restartCount": 0}
    over = {"terminated": {"exitCode": 1, "reason": "Error"}}
    waits = {"waiting": {"reason": "CrashLoopBackOff"}}
    restarts = int(seconds / CRASH_EVERY)
    return {"state": waits, "lastState": over, "restartCount": restarts}


# Events


def events(cluster: Cluster, namespace: str) -> list[dict]:
    """What is told of the pods that there are."""
    told = []
    for pod in pods(cluster, namespace):
        for number, (reason, message) in enumerate(_told(pod)):
            told.append(_event(cluster, pod, number, reason, message))
    return told


def _told(pod: dict) -> Iterator[tuple[str, str]]:
    found = pod["status"].get("containerStatuses")
    if not found:
        yield "FailedScheduling", pod["status"]["conditions"][0]["message"]
        return
    image, state = found[0]["image"], found[0]["state"]
    reason = state.get("waiting", {}).get("reason", "")
    yield "Scheduled", f"Successfully assigned {pod['metadata']['name']} to {NODE}"
    yield "Pulling", f'Pulling image "{image}"'
    if reason in ("ErrImagePull", "ImagePullBackOff"):
        yield "Failed", f'Failed to pull image "{image}": not found'
    elif reason == "CrashLoopBackOff":
        yield "BackOff", f"Back-off restarting failed container {found[0]['name']}"
    elif "running" in state:
        yield "Started", f"Started container {found[0]['name']}"
        if not found[0]["ready"]:
            yield "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"


def _event(cluster: Cluster, pod: dict, number: int, reason: str, message: str) -> dict:
    metadata = pod["metadata"]
    usual = reason in ("Scheduled", "Pulling", "Started")
    begun = moment(metadata["creationTimestamp"])
    # The events of a pod in their order, however short the time since.
    seen = min(cluster.at, begun + datetime.timedelta(seconds=number / 2))
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.{number}",
            "namespace": metadata["namespace"],
            "creationTimestamp": stamp(seen),
        },
        "involvedObject": {"kind": "Pod"} | {k: metadata[k] for k in ("name", "namespace", "uid")},
        "reason": reason,
        "message": message,
        "type": "Normal" if usual else "Warning",
        "count": 1,
        "firstTimestamp": stamp(seen),
        "lastTimestamp": stamp(seen if usual else cluster.at),
    }


# Logs


def log_lines(cluster: Cluster, pod: dict, previous: bool = False) -> list[tuple[str, str]]:
    """What a pod's container has written, each line with its time; the former container's where
    `previous`. Raises LookupError where there was none."""
    container = pod["status"].get("containerStatuses", [{}])[0]
    if previous and not container.get("lastState"):
        raise LookupError
    begun = moment(pod["metadata"]["creationTimestamp"])
    first = begun + datetime.timedelta(seconds=PULL_SECONDS)
    if container.get("lastState"):
        first += datetime.timedelta(seconds=CRASH_EVERY * container["restartCount"])
        return [(stamp(first), f"starting {container['image']}"), (stamp(first), FATAL)]
    if "running" not in container.get("state", {}):
        return []
    lines = [(stamp(first), f"starting {container['image']}")]
    seconds = (cluster.at - first).total_seconds()
    if seconds > 1:
        lines.append((stamp(first + datetime.timedelta(seconds=1)), "listening on port 8080"))
    count = int(seconds / LOG_EVERY)
    for number in range(max(1, count - LOG_MOST), count + 1):
        at = first + datetime.timedelta(seconds=number * LOG_EVERY)
        lines.append((stamp(at), _request(pod, number)))
    return lines


def _request(pod: dict, number: int) -> str:
    chance = random.Random(f"{pod['metadata']['name']}/{number}")
    path = chance.choice(("/", "/", "/login", "/api/status", "/static/app.css", "/favicon.ico"))
    status = chance.choice((200, 200, 200, 200, 304, 404))
    return f'10.42.0.{chance.randrange(2, 250)} "GET {path}" {status} {chance.randrange(1, 90)} ms'
