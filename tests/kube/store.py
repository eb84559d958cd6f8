"""The objects, their revisions, and the log of changes that watches read.

Objects in the store are never altered in place: a change puts a new dict there.
"""

import copy
import datetime
import re
import threading
import uuid
from typing import NamedTuple

from tests.kube import defaults, merge, namespaces, pod_security, workloads
from tests.kube.errors import ApiError
from tests.kube.resources import (
    BUILT_IN,
    DEFINITIONS,
    INGRESS_CLASSES,
    NAMESPACES,
    PODS,
    SERVICES,
    STORAGE_CLASSES,
    Resource,
    served_by,
)

_SERVER_OWNED = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "generation",
    "resourceVersion",
)
_DEFAULT_CLASS = {"storageclass.kubernetes.io/is-default-class": "true"}


class Change(NamedTuple):
    revision: int
    resource: Resource
    type: str
    object: dict


class Store:
    """Hold `changed`, a condition that is notified of every change, while calling anything here."""

    def __init__(self):
        self.changed = threading.Condition()
        self.revision = 0
        self.history: list[Change] = []
        self.resources: dict[tuple[str, str], Resource] = {}
        self.namespaces_held_by = ""
        self.closed = False
        self.printed: dict = {}  # see podlogs
        self._objects: dict[Resource, dict] = {}
        self._applied = {}
        with self.changed:
            for resource in BUILT_IN:
                self._serve(resource)
            self._create_what_a_new_cluster_has()

    def _create_what_a_new_cluster_has(self):
        self.create(NAMESPACES, "", {"metadata": {"name": "default"}})
        local = {"name": defaults.STORAGE_CLASS, "annotations": _DEFAULT_CLASS}
        self.create(STORAGE_CLASSES, "", {"metadata": local, "provisioner": "example.org/local"})
        ingress = {"metadata": {"name": "nginx"}, "spec": {"controller": "example.org/nginx"}}
        self.create(INGRESS_CLASSES, "", ingress)

    def close(self):
        """End every watch."""
        self.closed = True
        self.changed.notify_all()

    def _serve(self, resource):
        self.resources[resource.group_version, resource.plural] = resource
        self._objects.setdefault(resource, {})

    def lookup(self, resource: Resource, namespace: str, name: str) -> dict | None:
        return self._objects[resource].get((namespace, name))

    def find(self, resource: Resource, namespace: str, name: str) -> dict:
        found = self.lookup(resource, namespace, name)
        if found is None:
            raise ApiError(404, "NotFound", f'{resource.title} "{name}" not found')
        return found

    def select(self, resource: Resource, namespace: str = "") -> list[dict]:
        """Every object of this kind in this namespace, or in all, in order of name."""
        rows = sorted(self._objects[resource].items())
        return [obj for (where, _), obj in rows if namespace in ("", where)]

    def content(self, namespace: str) -> list[tuple[Resource, dict]]:
        """Everything in a namespace."""
        return [
            (resource, obj)
            for resource in self._objects
            if resource.namespaced
            for obj in self.select(resource, namespace)
        ]

    def create(self, resource: Resource, namespace: str, obj: dict, dry_run=False) -> dict:
        metadata = obj.setdefault("metadata", {})
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
        self._check_new(resource, namespace, metadata.get("name") or "")
        obj.update(apiVersion=resource.group_version, kind=resource.kind)
        metadata.update(uid=str(uuid.uuid4()), creationTimestamp=_now(), generation=1)
        if resource.namespaced:
            metadata["namespace"] = namespace
        if resource == PODS:
            pod_security.check(self, namespace, obj)
        defaults.fill(resource, obj)
        return obj if dry_run else self._write("ADDED", resource, obj)

    def _check_new(self, resource, namespace, name):
        longest = 63 if resource in (NAMESPACES, SERVICES) else 253
        if len(name) > longest or not re.fullmatch(r"[a-z0-9]([-a-z0-9.:]*[a-z0-9])?", name):
            raise ApiError(
                422,
                "Invalid",
                f'{resource.kind} "{name}" is invalid: metadata.name: Invalid value: "{name}"',
            )
        if resource.namespaced:
            namespaces.check_open(self, namespace, f'{resource.title} "{name}"')
        if self.lookup(resource, namespace, name):
            raise ApiError(409, "AlreadyExists", f'{resource.title} "{name}" already exists')

    def update(self, resource: Resource, old: dict, new: dict, dry_run=False) -> dict:
        """Put `new` in the place of the stored object `old`, unless it is based on another one."""
        _check_base(resource, old["metadata"], new["metadata"])
        new = copy.deepcopy(new)
        if "status" in old:
            new.setdefault("status", old["status"])
        kept = {name: old["metadata"][name] for name in _SERVER_OWNED if name in old["metadata"]}
        new["metadata"].update(kept)
        new.update(apiVersion=resource.group_version, kind=resource.kind)
        defaults.fill(resource, new)
        if new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] += 1
        if dry_run or new == old:
            return new
        stored = self._write("MODIFIED", resource, new)
        self._finish_deletion(resource, stored)
        return stored

    def apply(self, resource, namespace, config: dict, manager: str, dry_run=False) -> dict:
        """Server-side apply, without conflicts: the last manager to set a field has it."""
        live = self.lookup(resource, namespace, config["metadata"]["name"])
        if live is None:
            stored = self.create(resource, namespace, copy.deepcopy(config), dry_run)
        else:
            before = self._applied.get((live["metadata"]["uid"], manager), {})
            stored = self.update(resource, live, merge.apply(live, config, before), dry_run)
        if not dry_run:
            self._applied[stored["metadata"]["uid"], manager] = config
        return stored

    def set_status(self, resource: Resource, obj: dict, status: dict):
        """What a controller writes: no other controller is told."""
        live = self.lookup(resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        if live and live.get("status") != status:
            self._log("MODIFIED", resource, {**live, "status": status})

    def delete(self, resource: Resource, namespace: str, name: str) -> dict:
        """Delete, or only mark as being deleted if something has to be waited for."""
        obj = self.find(resource, namespace, name)
        if "deletionTimestamp" not in obj["metadata"]:
            metadata = {**obj["metadata"], "deletionTimestamp": _now()}
            obj = self._log("MODIFIED", resource, {**obj, "metadata": metadata})
            if resource == NAMESPACES:
                namespaces.empty(self, name)
        self._finish_deletion(resource, obj)
        return obj

    def _finish_deletion(self, resource, obj):
        metadata = obj["metadata"]
        if "deletionTimestamp" not in metadata:
            return
        if resource == NAMESPACES:
            namespaces.settle(self, metadata["name"])
        elif not metadata.get("finalizers"):
            self.remove(resource, obj)
            namespaces.settle(self, metadata.get("namespace", ""))

    def remove(self, resource: Resource, obj: dict):
        """Take an object away, and then what it owns."""
        metadata = obj["metadata"]
        del self._objects[resource][metadata.get("namespace", ""), metadata["name"]]
        self._log("DELETED", resource, obj)
        if resource == DEFINITIONS:
            self._retire(obj)
        for kind, dependent in self._dependents(metadata["uid"]):
            where = dependent["metadata"].get("namespace", "")
            if self.lookup(kind, where, dependent["metadata"]["name"]):
                self.delete(kind, where, dependent["metadata"]["name"])

    def _dependents(self, uid):
        return [
            (resource, obj)
            for resource in self._objects
            for obj in self.select(resource)
            if any(owner["uid"] == uid for owner in obj["metadata"].get("ownerReferences") or [])
        ]

    def _retire(self, definition):
        for resource in served_by(definition):
            for obj in self.select(resource):
                self.remove(resource, obj)
            self.resources.pop((resource.group_version, resource.plural), None)
            self._objects.pop(resource, None)

    def _write(self, type_, resource, obj):
        stored = self._log(type_, resource, obj)
        if resource == DEFINITIONS:
            for served in served_by(stored):
                self._serve(served)
        workloads.follow(self, resource, stored)
        return stored

    def _log(self, type_, resource, obj):
        self.revision += 1
        metadata = {**obj["metadata"], "resourceVersion": str(self.revision)}
        obj = {**obj, "metadata": metadata}
        if type_ != "DELETED":
            self._objects[resource][metadata.get("namespace", ""), metadata["name"]] = obj
        self.history.append(Change(self.revision, resource, type_, obj))
        self.changed.notify_all()
        return obj


def _check_base(resource, old, new):
    if new.get("resourceVersion") not in (None, "", old["resourceVersion"]):
        raise ApiError(
            409,
            "Conflict",
            f'Operation cannot be fulfilled on {resource.title} "{old["name"]}": the object has '
            "been modified; please apply your changes to the latest version and try again",
        )


def _now():
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
