"""What of a deployment is in the cluster: its pods, claims, services and ingresses."""

import datetime
from typing import NamedTuple

from caelus import evidence, glances, kubectl
from caelus.models import DELETED

Moment = datetime.datetime | None


class Container(NamedTuple):
    """`reason` is what it waits for, or how it ended, be it the last time; so is `exit_code`."""

    name: str
    state: str
    ready: bool
    restarts: int
    reason: str | None
    exit_code: int | None


class Pod(NamedTuple):
    name: str
    phase: str
    ready: bool
    restarts: int
    reason: str | None
    created_at: Moment
    containers: list[Container]


class Claim(NamedTuple):
    name: str
    phase: str
    size: str | None
    storage_class: str | None
    created_at: Moment


class Service(NamedTuple):
    name: str
    type: str
    cluster_ip: str | None
    ports: list[str]
    created_at: Moment


class Ingress(NamedTuple):
    """`tls` are the hosts that a certificate is named for."""

    name: str
    ingress_class: str | None
    hosts: list[str]
    tls: list[str]
    addresses: list[str]
    created_at: Moment


class Resources(NamedTuple):
    deployment_id: int
    status: str
    namespace: str
    message: str | None
    pods: list[Pod]
    claims: list[Claim]
    services: list[Service]
    ingresses: list[Ingress]


def look(*, user_id: int, deployment_id: int) -> dict:
    """The fields of `Resources`, as the cluster has them now; takes seconds at worst.

    Raises ClusterUnavailable.
    """
    deployment = glances.subject(user_id, deployment_id)
    found = []
    if deployment.status != DELETED:
        with glances.into(deployment) as tools:
            found = kubectl.resources(tools, deployment.deployment_uid)
    parts = {
        name: [read(obj) for obj in found if obj.get("kind") == kind] for name, kind, read in _KINDS
    }
    message = None if parts["pods"] else f"nothing of deployment {deployment_id} runs"
    return parts | {
        "deployment_id": deployment_id,
        "status": deployment.status,
        "namespace": deployment.deployment_uid,
        "message": message,
    }


def _pod(obj: dict) -> Pod:
    containers = [_container(c) for c in evidence.containers(obj)]
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in evidence.conditions(obj))
    return Pod(
        name=obj["metadata"]["name"],
        phase="Terminating" if evidence.is_going(obj) else _phase(obj),
        ready=ready,
        restarts=sum(container.restarts for container in containers),
        reason=None if ready else _reason(obj, containers),
        created_at=_created(obj),
        containers=containers,
    )


def _container(status: dict) -> Container:
    ended = evidence.ended(status)
    return Container(
        name=status["name"],
        state=next(iter(status["state"]), "waiting"),
        ready=bool(status.get("ready")),
        restarts=status.get("restartCount", 0),
        reason=evidence.waiting(status).get("reason") or ended.get("reason"),
        exit_code=ended.get("exitCode"),
    )


def _reason(pod: dict, containers: list[Container]) -> str | None:
    """Why a pod is not ready, in Kubernetes' one word."""
    if told := evidence.status(pod).get("reason"):  # such as Evicted
        return told
    troubled = (c.reason for c in containers if not c.ready and c.exit_code != 0)
    scheduled = (c for c in evidence.conditions(pod) if c["type"] == "PodScheduled")
    unscheduled = (c.get("reason") for c in scheduled if c["status"] == "False")
    return next(filter(None, (*troubled, *unscheduled)), None)


def _claim(obj: dict) -> Claim:
    spec = obj["spec"]
    asked = (spec.get("resources") or {}).get("requests") or {}
    has = evidence.status(obj).get("capacity") or asked
    size, storage_class = has.get("storage"), spec.get("storageClassName")
    return Claim(obj["metadata"]["name"], _phase(obj), size, storage_class, _created(obj))


def _service(obj: dict) -> Service:
    spec = obj["spec"]
    ports = [f"{port['port']}/{port.get('protocol', 'TCP')}" for port in spec.get("ports") or []]
    kind, address = spec.get("type", "ClusterIP"), spec.get("clusterIP")
    return Service(obj["metadata"]["name"], kind, address, ports, _created(obj))


def _ingress(obj: dict) -> Ingress:
    spec = obj["spec"]
    rules = spec.get("rules") or []
    balancers = (evidence.status(obj).get("loadBalancer") or {}).get("ingress") or []
    return Ingress(
        name=obj["metadata"]["name"],
        ingress_class=spec.get("ingressClassName"),
        hosts=[rule["host"] for rule in rules if rule.get("host")],
        tls=[host for tls in spec.get("tls") or [] for host in tls.get("hosts") or []],
        addresses=[one.get("ip") or one.get("hostname") or "" for one in balancers],
        created_at=_created(obj),
    )


def _phase(obj: dict) -> str:
    return evidence.status(obj).get("phase") or "Unknown"


def _created(obj: dict) -> Moment:
    text = obj["metadata"].get("creationTimestamp")
    return datetime.datetime.fromisoformat(text) if text else None


_KINDS = (
    ("pods", "Pod", _pod),
    ("claims", "PersistentVolumeClaim", _claim),
    ("services", "Service", _service),
    ("ingresses", "Ingress", _ingress),
)
