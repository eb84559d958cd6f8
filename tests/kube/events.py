"""The warnings that a kubelet writes about pods it cannot run."""

from tests.kube import pods
from tests.kube.children import digest
from tests.kube.resources import EVENTS


def warn(store, pod: dict):
    """Write one Event for each trouble that the pod has, once."""
    metadata = pod["metadata"]
    for container, reason, message in pods.troubles(pod):
        name = f"{metadata['name']}.{digest([metadata['uid'], container, reason])}"
        if not store.lookup(EVENTS, metadata["namespace"], name):
            event = _event(pod, container, reason, message)
            store.create(EVENTS, metadata["namespace"], {"metadata": {"name": name}, **event})


def _event(pod, container, reason, message):
    metadata = pod["metadata"]
    return {
        "type": "Warning",
        "reason": reason,
        "message": message,
        "count": 1,
        "firstTimestamp": metadata["creationTimestamp"],
        "lastTimestamp": metadata["creationTimestamp"],
        "source": {"component": "kubelet"},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "fieldPath": f"spec.containers{{{container}}}",
        },
    }
