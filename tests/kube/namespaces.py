"""The end of a namespace: emptied, and Terminating for as long as something in it stays."""

import collections

from tests.kube.errors import ApiError
from tests.kube.resources import NAMESPACES

_HOLDING_KIND = "widgets.example.org"


def check_open(store, namespace: str, what: str):
    """Refuse to create `what` where there is no namespace, or one on its way out."""
    found = store.find(NAMESPACES, "", namespace)
    if "deletionTimestamp" in found["metadata"]:
        raise ApiError(
            403,
            "Forbidden",
            f"{what} is forbidden: unable to create new content in namespace {namespace} "
            "because it is being terminated",
        )


def empty(store, namespace: str):
    """Delete all that is in it."""
    for resource, obj in store.content(namespace):
        # It may have gone meanwhile, with its owner.
        if store.lookup(resource, namespace, obj["metadata"]["name"]):
            store.delete(resource, namespace, obj["metadata"]["name"])


def settle(store, name: str):
    """Let a namespace that is being deleted go, or say in its status what it waits for."""
    namespace = store.lookup(NAMESPACES, "", name)
    if namespace is None or "deletionTimestamp" not in namespace["metadata"]:
        return
    kinds, finalizers = _blockers(store, name)
    if kinds or namespace["metadata"].get("finalizers"):
        conditions = _conditions(kinds, finalizers)
        store.set_status(NAMESPACES, namespace, {"phase": "Terminating", "conditions": conditions})
    else:
        store.remove(NAMESPACES, namespace)


def hold(store, finalizer: str):
    """Keep every namespace that is deleted from now on, or with "" let them all go."""
    store.namespaces_held_by = finalizer
    for namespace in store.select(NAMESPACES):
        settle(store, namespace["metadata"]["name"])


def _blockers(store, namespace):
    """How many objects there are of each kind, and with each finalizer."""
    kinds, finalizers = collections.Counter(), collections.Counter()
    for resource, obj in store.content(namespace):
        kinds[f"{resource.plural}.{resource.group}"] += 1
        finalizers.update(obj["metadata"].get("finalizers") or [])
    if store.namespaces_held_by:
        kinds[_HOLDING_KIND] += 1
        finalizers[store.namespaces_held_by] += 1
    return kinds, finalizers


def _conditions(kinds, finalizers):
    """In the words of Kubernetes' namespace controller."""
    remaining = ", ".join(f"{kind} has {n} resource instances" for kind, n in kinds.items())
    kept = ", ".join(f"{name} in {n} resource instances" for name, n in finalizers.items())
    return [
        _condition("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered"),
        _condition("NamespaceDeletionContentFailure", "ContentDeleted"),
        _condition(
            "NamespaceContentRemaining",
            "SomeResourcesRemain" if kinds else "ContentRemoved",
            remaining and f"Some resources are remaining: {remaining}",
        ),
        _condition(
            "NamespaceFinalizersRemaining",
            "SomeFinalizersRemain" if finalizers else "ContentHasNoFinalizers",
            kept and f"Some content in the namespace has finalizers remaining: {kept}",
        ),
    ]


def _condition(type_, reason, message=""):
    return {"type": type_, "status": str(bool(message)), "reason": reason, "message": message}
