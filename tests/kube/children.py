"""The objects that a controller makes for another object: named, owned and found again here."""

import copy

from tests.kube import events
from tests.kube.errors import ApiError
from tests.kube.resources import PODS

REVISION_LABEL = "controller-revision-hash"


def keep_pods(store, owner: dict, names: list[str], template: dict) -> tuple[int, int]:
    """Make the owner's pods those named, of this template; how many there are, and are ready.

    Pods that may not be created are told in an event of the owner.
    """
    namespace = owner["metadata"]["namespace"]
    for pod in owned(store, PODS, owner):
        if pod["metadata"]["name"] not in names or _revision(pod) != _revision(template):
            store.delete(PODS, namespace, pod["metadata"]["name"])
    for name in names:
        if not store.lookup(PODS, namespace, name):
            new = copy.deepcopy(template)
            new["metadata"] = {**(new.get("metadata") or {}), **metadata(owner, name)}
            try:
                store.create(PODS, namespace, new)
            except ApiError as error:
                events.refuse(store, owner, error.message)
    present = owned(store, PODS, owner)
    return len(present), len([pod for pod in present if _is_ready(pod)])


def _revision(obj):
    labels = (obj.get("metadata") or {}).get("labels") or {}
    return labels.get(REVISION_LABEL)


def _is_ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"]["conditions"])


def owned(store, resource, owner: dict) -> list[dict]:
    uid = owner["metadata"]["uid"]
    return [
        obj
        for obj in store.select(resource, owner["metadata"]["namespace"])
        if any(ref["uid"] == uid for ref in obj["metadata"].get("ownerReferences") or [])
    ]


def metadata(owner: dict, name: str) -> dict:
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {"name": name, "ownerReferences": [reference]}


def labelled(template: dict, labels: dict) -> dict:
    """A pod template with more labels."""
    own = template.get("metadata") or {}
    return {**template, "metadata": {**own, "labels": {**(own.get("labels") or {}), **labels}}}
