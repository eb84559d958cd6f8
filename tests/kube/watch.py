"""Watches: the changes to one kind, as a stream that a client reads while they happen."""

import time
from collections.abc import Iterator

from tests.kube.resources import Resource
from tests.kube.selectors import matches

_LONGEST_SECONDS = 600


def watch(store, resource: Resource, namespace: str, query: dict) -> Iterator[dict]:
    """Yield watch events until the client's timeout or the end of the store.

    Each wait takes `store.changed` itself: it must not be held between two events.
    """
    since, existing = _start(store, resource, namespace, query)
    return _stream(store, resource, namespace, query, since, existing)


def _start(store, resource, namespace, query):
    """The revision to go on from, and the events that come before it."""
    asked = query.get("resourceVersion") or "0"
    whole = query.get("sendInitialEvents") == "true"
    if asked != "0" and not whole:
        return int(asked), []
    existing = [
        {"type": "ADDED", "object": obj}
        for obj in store.select(resource, namespace)
        if matches(obj, query)
    ]
    if whole:
        existing.append(_bookmark(resource, store.revision))
    return store.revision, existing


def _bookmark(resource, revision):
    """What tells a client that it now knows all that there was when it asked."""
    metadata = {
        "resourceVersion": str(revision),
        "annotations": {"k8s.io/initial-events-end": "true"},
    }
    api = {"kind": resource.kind, "apiVersion": resource.group_version}
    return {"type": "BOOKMARK", "object": {**api, "metadata": metadata}}


def _stream(store, resource, namespace, query, since, existing):
    yield from existing
    deadline = time.monotonic() + float(query.get("timeoutSeconds") or _LONGEST_SECONDS)
    while not store.closed and time.monotonic() < deadline:
        with store.changed:
            if store.revision == since and not store.closed:
                store.changed.wait(timeout=deadline - time.monotonic())
            # Every change makes one entry, so its place is its revision.
            news, since = store.history[since:], store.revision
        for change in news:
            in_scope = namespace in ("", change.object["metadata"].get("namespace"))
            if change.resource == resource and in_scope and matches(change.object, query):
                yield {"type": change.type, "object": change.object}
