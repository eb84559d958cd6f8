"""What an object gets before it is stored: default fields, statuses that are reached at once.

helm takes some of these fields for granted in what it reads back.
"""

import base64

from tests.kube import access, pods
from tests.kube import resources as kinds

STORAGE_CLASS = "standard"
_ADDRESS = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}


def fill(resource: kinds.Resource, obj: dict):
    """Complete `obj` in place; filling a complete one changes nothing."""
    filler = _FILLERS.get(resource)
    if filler:
        filler(obj, obj.setdefault("spec", {}))


def _namespace(obj, spec):
    metadata = obj["metadata"]
    own = {"kubernetes.io/metadata.name": metadata["name"]}
    metadata["labels"] = {**(metadata.get("labels") or {}), **own}
    spec["finalizers"] = ["kubernetes"]
    if "deletionTimestamp" not in metadata:
        obj["status"] = {"phase": "Active"}


def _secret(obj, _):
    del obj["spec"]
    obj.setdefault("type", "Opaque")
    if obj["type"] == access.TOKEN:
        token = base64.b64encode(f"token-{obj['metadata']['uid']}".encode()).decode()
        obj["data"] = {"ca.crt": "Q0E=", **(obj.get("data") or {}), "token": token}


def _service(obj, spec):
    spec.setdefault("type", "ClusterIP")
    if spec["type"] != "ExternalName":
        number = int(obj["metadata"]["uid"][:4], 16)
        spec.setdefault("clusterIP", f"10.96.{number >> 8}.{number & 0xFF}")
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
    obj["status"] = _ADDRESS if spec["type"] == "LoadBalancer" else {"loadBalancer": {}}


def _claim(obj, spec):
    spec.setdefault("storageClassName", STORAGE_CLASS)
    spec.setdefault("volumeMode", "Filesystem")
    spec.setdefault("volumeName", f"pvc-{obj['metadata']['uid']}")
    requests = (spec.get("resources") or {}).get("requests") or {}
    modes = spec.get("accessModes") or []
    obj["status"] = {"phase": "Bound", "accessModes": modes, "capacity": requests}


def _quota(obj, spec):
    hard = spec.get("hard") or {}
    obj["status"] = {"hard": hard, "used": dict.fromkeys(hard, "0")}


def _replicated(_, spec):
    spec.setdefault("replicas", 1)


def _stateful_set(_, spec):
    spec.setdefault("replicas", 1)
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    spec.setdefault("updateStrategy", rolling)


def _daemon_set(_, spec):
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    spec.setdefault("updateStrategy", rolling)


def _job(obj, spec):
    name = {"job-name": obj["metadata"]["name"]}
    owner = {"batch.kubernetes.io/controller-uid": obj["metadata"]["uid"]}
    metadata = spec["template"].setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **name, **owner}
    spec.setdefault("selector", {"matchLabels": owner})
    for name, value in {"parallelism": 1, "completions": 1, "backoffLimit": 6}.items():
        spec.setdefault(name, value)


def _pod(obj, spec):
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("nodeName", "node-1")
    obj["status"] = pods.status(obj)


def _ingress(obj, _):
    obj["status"] = _ADDRESS


def _definition(obj, spec):
    conditions = [
        {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts"},
        {"type": "Established", "status": "True", "reason": "InitialNamesAccepted"},
    ]
    versions = [version["name"] for version in spec["versions"]]
    names = {"acceptedNames": spec["names"], "storedVersions": versions[:1]}
    obj["status"] = {"conditions": conditions, **names}


_FILLERS = {
    kinds.NAMESPACES: _namespace,
    kinds.SECRETS: _secret,
    kinds.SERVICES: _service,
    kinds.CLAIMS: _claim,
    kinds.QUOTAS: _quota,
    kinds.PODS: _pod,
    kinds.DEPLOYMENTS: _replicated,
    kinds.REPLICA_SETS: _replicated,
    kinds.STATEFUL_SETS: _stateful_set,
    kinds.DAEMON_SETS: _daemon_set,
    kinds.JOBS: _job,
    kinds.INGRESSES: _ingress,
    kinds.DEFINITIONS: _definition,
}
