"""The warnings of kubelets about pods that can't run, and of controllers that may not make pods."""

from tests.kube import pods
from tests.kube.names import digest
from tests.kube.resources import EVENTS


def warn(store, pod: dict):
    """Write one Event for each trouble that the pod has, once."""
    metadata = pod["metadata"]
    for container, reason, message in pods.troubles(pod):
        name = f"{metadata['name']}.{digest([metadata['uid'], container, reason])}"
        if not store.lookup(EVENTS, metadata["namespace"], name):
            event = _event(pod, container, reason, message)
            store.create(EVENTS, metadata["namespace"], {"metadata": {"name": name}, **event})


def refuse(store, owner: dict, why: str):
    """Write that the owner's pods may not be created; the same is told once."""
    metadata = owner["metadata"]
    name = f"{metadata['name']}.{digest([metadata['uid'], why])}"
    if not store.lookup(EVENTS, metadata["namespace"], name):
        event = _warning(owner, "FailedCreate", f"Error creating: {why}")
        store.create(EVENTS, metadata["namespace"], {"metadata": {"name": name}, **event})


def _event(pod, container, reason, message):
    event = _warning(pod | {"apiVersion": "v1", "kind": "Pod"}, reason, message)
    event["involvedObject"]["fieldPath"] = f"spec.containers{{{container}}}"
    return event | {"source": {"component": "kubelet"}}


def _warning(about, reason, message):
    metadata = about["metadata"]
    return {
        "type": "Warning",
        "reason": reason,
        "message": message,
        "count": 1,
        "firstTimestamp": metadata["creationTimestamp"],
        "lastTimestamp": metadata["creationTimestamp"],
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
    }
