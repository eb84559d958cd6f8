"""The fence of a deployment's namespace: what Kubernetes is to have before any chart gets there.

Pure: from what a template and the site say of isolation to objects, and what of them is missing.
docs/isolation.md says what each is for.
"""

import hashlib
from collections.abc import Iterator

from caelus.config import Config
from caelus.isolation import quantity
from caelus.jsontext import compact
from caelus.models import Deployment

NAME = "caelus-fence"  # of each object in the namespace
# Annotations of the Namespace.
GENERATION, DEPLOYMENT = "caelus/generation", "caelus/deployment"
DOMAIN, TEMPLATE, USER = "caelus/domain", "caelus/template", "caelus/user"
MANAGED = {"app.kubernetes.io/managed-by": "caelus"}
# By kind: its API, and its name for kubectl, which other groups have a `networkpolicies` for, too.
_KINDS = {
    "NetworkPolicy": ("networking.k8s.io/v1", "networkpolicies.networking.k8s.io"),
    "ResourceQuota": ("v1", "resourcequotas"),
    "LimitRange": ("v1", "limitranges"),
}
_NAMESPACE = "kubernetes.io/metadata.name"  # a label that Kubernetes keeps on each
_DNS = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
# On which traefik (k3s's chart) and ingress-nginx listen: an app reaches itself by its own domain.
_WEB = [{"protocol": "TCP", "port": port} for port in (80, 443, 8000, 8443)]


def objects(uid: str, capabilities: dict | None, site: Config) -> list[dict]:
    """The namespace `uid` and all that fences it, in the order to apply it in.

    A template may say more than the site or less: it is an admin's work, as the site is.
    """
    said = site.isolation | ((capabilities or {}).get("isolation") or {})
    found = [_namespace(uid, said["pod_security"])]
    if said["network"] == "isolated":
        found.append(_object("NetworkPolicy", uid, _policy(site)))
    if said["quota"]:
        found.append(_object("ResourceQuota", uid, {"hard": _texts(said["quota"])}))
    if limits := {section: _texts(given) for section, given in said["limits"].items() if given}:
        found.append(_object("LimitRange", uid, {"limits": [{"type": "Container"} | limits]}))
    return found


def digest(objects: list[dict]) -> str:
    """What tells a fence from another one."""
    return hashlib.sha256(compact(objects).encode()).hexdigest()[:16]


def signed(fenced: list[dict], deployment: Deployment) -> list[dict]:
    """`fenced`, its Namespace with what a database that lost the deployment has to know of it."""
    namespace, *others = fenced
    said = {
        DEPLOYMENT: str(deployment.id),
        DOMAIN: deployment.domainname,
        GENERATION: str(deployment.generation),
        TEMPLATE: str(deployment.desired_template_id),
        USER: deployment.user.email,
    }
    return [namespace | {"metadata": namespace["metadata"] | {"annotations": said}}, *others]


def generation(namespace: dict) -> int | None:
    """The generation that was last applied to the live namespace, None if that is not known."""
    return number((namespace["metadata"].get("annotations") or {}).get(GENERATION))


def number(text: str | None) -> int | None:
    """What an annotation says that is to be a number; anybody may have written there."""
    fits = text is not None and text.isascii() and text.isdigit() and len(text) < 10
    return int(text) if fits else None


def surplus(wanted: list[dict]) -> list[str]:
    """What an older fence may have and this one has not, as kubectl names it: `limitranges/x`."""
    kinds = {obj["kind"] for obj in wanted}
    return [f"{plural}/{NAME}" for kind, (_, plural) in _KINDS.items() if kind not in kinds]


def difference(wanted: list[dict], live: list[dict]) -> str | None:
    """The first thing that is not as `wanted`, as one sentence, or None; missing ones first.

    `live`: a namespace with what is in it and managed by Caelus. What is wanted of a field counts,
    not what the server fills in.
    """
    there = {_key(obj): obj for obj in live}
    titles = {_key(obj): _title(obj) for obj in wanted}
    missing = [f"{title} is missing" for key, title in titles.items() if key not in there]
    differing = [
        f"{_title(obj)} differs at {path}"
        for obj in wanted
        if _key(obj) in there
        for path in _differing(_comparable(obj), _comparable(there[_key(obj)]))
    ]
    extra = [
        f"{_title(obj)} is no part of its fence"
        for key, obj in there.items()
        if key not in titles and obj["metadata"]["name"] == NAME
    ]
    return next(iter(missing + differing + extra), None)


def _title(obj: dict) -> str:
    metadata = obj["metadata"]
    if obj["kind"] == "Namespace":
        return f"namespace {metadata['name']}"
    return f"{obj['kind']} {metadata['name']} of namespace {metadata['namespace']}"


def _key(obj: dict) -> tuple[str, str]:
    return obj["kind"], obj["metadata"]["name"]


# The objects


def _namespace(uid: str, level: str) -> dict:
    # `warn` tells who applies a Deployment what would otherwise befall its pods alone.
    security = {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "warn")}
    metadata = {"name": uid, "labels": MANAGED | security}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _object(kind: str, uid: str, spec: dict) -> dict:
    metadata = {"name": NAME, "namespace": uid, "labels": MANAGED}
    return {"apiVersion": _KINDS[kind][0], "kind": kind, "metadata": metadata, "spec": spec}


def _policy(site: Config) -> dict:
    """Nothing in or out but within the namespace, DNS, ingress controllers and the internet.

    Every field that the server would fill in is there, so that lists compare.
    """
    inside = {"podSelector": {}}
    controllers = _in_namespaces(*site.ingress_namespaces)
    egress = [
        {"to": [inside]},
        {"to": [_in_namespaces("kube-system")], "ports": _DNS},
        {"to": [controllers], "ports": _WEB},
    ]
    # A rule with an empty `to` would let everything out.
    if internet := list(_internet(site.private_ranges)):
        egress.append({"to": internet})
    return {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [inside, controllers]}],
        "egress": egress,
    }


def _in_namespaces(*names: str) -> dict:
    among = {"key": _NAMESPACE, "operator": "In", "values": list(names)}
    return {"namespaceSelector": {"matchExpressions": [among]}}


def _internet(private: tuple[str, ...]) -> Iterator[dict]:
    """All addresses but the private ones; none of a family that is private as a whole."""
    for everything, mark in (("0.0.0.0/0", "."), ("::/0", ":")):
        exempt = [block for block in private if mark in block]
        if everything not in exempt:
            yield {"ipBlock": {"cidr": everything} | ({"except": exempt} if exempt else {})}


def _texts(amounts: dict) -> dict[str, str]:
    return {name: str(amount) for name, amount in amounts.items()}


# Comparing


def _comparable(obj: dict) -> dict:
    """What of an object is compared; a LimitRange's items by their type."""
    found = {"metadata": {"labels": obj["metadata"].get("labels") or {}}}
    if obj["kind"] == "LimitRange":
        return found | {"spec": {"limits": {item["type"]: item for item in obj["spec"]["limits"]}}}
    return found if obj["kind"] == "Namespace" else found | {"spec": obj["spec"]}


def _differing(wanted, live, path: str = "") -> Iterator[str]:
    """Where something is not as wanted; an empty map is wanted empty, a list as it is."""
    if wanted and isinstance(wanted, dict) and isinstance(live, dict):
        for key, below in wanted.items():
            yield from _differing(below, live.get(key), f"{path}.{key}" if path else key)
    elif _value(wanted) != _value(live):
        yield path


def _value(field):
    """A quantity as its number: the server writes 1 for 1000m, and 1Gi for 1024Mi."""
    found = quantity(field) if isinstance(field, str) else None
    return field if found is None else found
