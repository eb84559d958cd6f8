"""A stand-in for kubectl, for the commands that Caelus runs, on a simulated cluster."""

import json
import re

from caelus import simulated_helm, simulated_pods
from caelus.simulated_cluster import Cluster, Refused, merged

VERSION = "v1.34.0"
NEVER_ENDS = 3600
STEP_SECONDS = 0.1
# Plural, kind and API of what can be asked for; of some there is never any.
_RESOURCES = {
    "namespaces": ("Namespace", "v1"),
    "secrets": ("Secret", "v1"),
    "services": ("Service", "v1"),
    "persistentvolumeclaims": ("PersistentVolumeClaim", "v1"),
    "resourcequotas": ("ResourceQuota", "v1"),
    "limitranges": ("LimitRange", "v1"),
    "networkpolicies": ("NetworkPolicy", "networking.k8s.io/v1"),
    "ingresses": ("Ingress", "networking.k8s.io/v1"),
    "deployments": ("Deployment", "apps/v1"),
    "replicasets": ("ReplicaSet", "apps/v1"),
    "statefulsets": ("StatefulSet", "apps/v1"),
    "daemonsets": ("DaemonSet", "apps/v1"),
    "jobs": ("Job", "batch/v1"),
    "horizontalpodautoscalers": ("HorizontalPodAutoscaler", "autoscaling/v2"),
    "pods": ("Pod", "v1"),
    "events": ("Event", "v1"),
    "storageclasses": ("StorageClass", "storage.k8s.io/v1"),
    "ingressclasses": ("IngressClass", "networking.k8s.io/v1"),
}
_PLURALS = {kind: plural for plural, (kind, _) in _RESOURCES.items()}
_DEFAULT = {"is-default-class": "true"}
_FIXED = {
    "StorageClass": [
        {
            "metadata": {
                "name": "local-path",
                "annotations": {f"storageclass.kubernetes.io/{k}": v for k, v in _DEFAULT.items()},
            },
            "reclaimPolicy": "Delete",
        }
    ],
    "IngressClass": [
        {
            "metadata": {
                "name": "traefik",
                "annotations": {f"ingressclass.kubernetes.io/{k}": v for k, v in _DEFAULT.items()},
            },
        }
    ],
}
_SYSTEM = ("default", "kube-system")  # namespaces that every cluster has


def version(call) -> str:
    told = {"clientVersion": {"gitVersion": VERSION}}
    if "--client" not in call.flags:
        told["serverVersion"] = {"gitVersion": f"{VERSION}+simulated"}
    return json.dumps(told)


def create(call) -> str:
    """Answers to SelfSubjectAccessReviews: everything is allowed, nobody else is there."""
    answers = []
    for review in _documents(call.stdin):
        if review["kind"] != "SelfSubjectAccessReview":
            raise Refused(f"error: the simulated kubectl creates no {review['kind']}\n")
        answers.append(review | {"status": {"allowed": True}})
    return "\n".join(map(json.dumps, answers))


def apply(call) -> str:
    wanted = _documents(call.stdin)
    if "--dry-run" in call.flags:
        with call.reading() as cluster:
            return _listed([_applied(cluster, obj, call) for obj in wanted])
    with call.changing() as cluster:
        for obj in wanted:
            cluster.put(_applied(cluster, obj, call))
    return "".join(f"{_title(obj)} serverside-applied\n" for obj in wanted)


def _applied(cluster: Cluster, obj: dict, call) -> dict:
    """What there would be once `obj` is applied."""
    kind, name, namespace = _named(obj, call)
    if kind != "Namespace":
        _require_open(cluster, kind, name, namespace)
        obj = obj | {"metadata": obj["metadata"] | {"namespace": namespace}}
    there = cluster.find(kind, namespace, name)
    if there is None and kind == "Namespace":
        own = {"labels": {"kubernetes.io/metadata.name": name}}
        there = {"metadata": own, "status": {"phase": "Active"}}
    return merged(there or {}, obj)


def _require_open(cluster: Cluster, kind: str, name: str, namespace: str) -> None:
    found = cluster.find("Namespace", "", namespace)
    if found is None:
        raise Refused(f'Error from server (NotFound): namespaces "{namespace}" not found\n')
    if "deletionTimestamp" in found["metadata"] and not cluster.find(kind, namespace, name):
        raise Refused(
            f'Error from server (Forbidden): {_PLURALS[kind]} "{name}" is forbidden: unable to '
            f"create new content in namespace {namespace} because it is being terminated\n"
        )


def replace(call) -> str:
    """Only what nobody has changed since it was read."""
    (wanted,) = _documents(call.stdin)
    kind, name, namespace = _named(wanted, call)
    with call.changing() as cluster:
        there = cluster.find(kind, namespace, name)
        if there is None:
            raise Refused(f'Error from server (NotFound): {_PLURALS[kind]} "{name}" not found\n')
        if there["metadata"]["resourceVersion"] != wanted["metadata"]["resourceVersion"]:
            raise Refused(
                "Error from server (Conflict): Operation cannot be fulfilled on "
                f'{_PLURALS[kind]} "{name}": the object has been modified\n'
            )
        cluster.put(wanted)
    return f"{_title(wanted)} replaced\n"


def delete(call) -> str:
    """`KIND NAME`, or several of `KIND/NAME`; waits for the end of namespaces."""
    named = [word.split("/") for word in call.words]
    pairs = [call.words] if "/" not in call.words[0] else named
    gone = []
    for resource, name in pairs:
        kind, namespace = _kind(resource), call.flags.get("--namespace", "default")
        with call.changing() as cluster:
            if kind == "Namespace":
                simulated_helm.mark_stuck(cluster, name)
            done = simulated_helm.remove(cluster, kind, _place(kind, namespace), name)
        if not done and "--ignore-not-found" not in call.flags:
            raise Refused(f'Error from server (NotFound): {_PLURALS[kind]} "{name}" not found\n')
        if done and kind == "Namespace" and call.flags.get("--wait") != "false":
            _wait_for_end(call, name)
        gone += [f'{resource} "{name}" deleted\n'] * done
    return "".join(gone)


def _wait_for_end(call, name: str) -> None:
    passed, most = 0.0, float(call.flags.get("--timeout", f"{NEVER_ENDS}s").removesuffix("s"))
    while passed < most:
        with call.reading() as cluster:
            if cluster.find("Namespace", "", name) is None:
                return
        call.sleep(STEP_SECONDS)
        passed += STEP_SECONDS
    raise Refused(f"error: timed out waiting for the condition on namespaces/{name}\n")


# Looking


def get(call) -> str:
    """`get KINDS [NAME...]`, or the objects of a file."""
    with call.reading() as cluster:
        if "--filename" in call.flags:
            asked = (_named(obj, call) for obj in _documents(call.stdin))
            found = [_live(cluster, kind, place, name) for kind, name, place in asked]
            return _listed([obj for obj in found if obj is not None])
        resources, *names = call.words
        kinds = [_kind(resource) for resource in resources.split(",")]
        found = [obj for kind in kinds for obj in _every(cluster, kind, call)]
    found = [obj for obj in found if _is_selected(obj, call.flags)]
    return _output([*_of_these(found, names, kinds, call)] if names else found, names, call)


def _of_these(found: list[dict], names: list[str], kinds: list[str], call):
    there = {obj["metadata"]["name"]: obj for obj in found}
    for name in names:
        if name in there:
            yield there[name]
        elif "--ignore-not-found" not in call.flags:
            raise Refused(
                f'Error from server (NotFound): {_PLURALS[kinds[0]]} "{name}" not found\n'
            )


def _output(found: list[dict], names: list[str], call) -> str:
    match call.flags.get("--output"):
        case "json":
            return _listed(found) if names else _list(found)
        case "name":
            return "".join(f"{_title(obj)}\n" for obj in found)
    raise Refused("error: the simulated kubectl shows only --output json or name\n")


def _every(cluster: Cluster, kind: str, call) -> list[dict]:
    namespace = None if "--all-namespaces" in call.flags else call.flags.get("--namespace")
    if kind in _FIXED:
        return [_typed(obj, kind) for obj in _FIXED[kind]]
    if kind == "Namespace":
        every = cluster.every(kind)
        ours = {obj["metadata"]["name"] for obj in every}
        system = [_system_namespace(name) for name in _SYSTEM if name not in ours]
        return [*every, *system]
    if kind in ("Pod", "Event"):
        if namespace is not None:
            return _derived(cluster, kind, namespace)
        names = (obj["metadata"]["name"] for obj in cluster.every("Namespace"))
        return [obj for name in names for obj in _derived(cluster, kind, name)]
    return [_shown(cluster, obj) for obj in cluster.every(kind, namespace)]


def _derived(cluster: Cluster, kind: str, namespace: str) -> list[dict]:
    return (simulated_pods.pods if kind == "Pod" else simulated_pods.events)(cluster, namespace)


def _live(cluster: Cluster, kind: str, namespace: str, name: str) -> dict | None:
    obj = cluster.find(kind, namespace, name)
    return obj and _shown(cluster, obj)


def _shown(cluster: Cluster, obj: dict) -> dict:
    """An object with the status that it has."""
    if obj["kind"] in ("Deployment", "ReplicaSet"):
        return simulated_pods.shown(cluster, obj)
    if obj["kind"] == "PersistentVolumeClaim":
        return obj | {
            "status": {"phase": "Bound", "capacity": obj["spec"]["resources"]["requests"]}
        }
    if obj["kind"] == "Ingress":
        return obj | {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.10"}]}}}
    return obj


def _system_namespace(name: str) -> dict:
    return _typed({"metadata": {"name": name}, "status": {"phase": "Active"}}, "Namespace")


def _typed(obj: dict, kind: str) -> dict:
    return {"apiVersion": _RESOURCES[_PLURALS[kind]][1], "kind": kind} | obj


def _is_selected(obj: dict, flags: dict) -> bool:
    labels = obj["metadata"].get("labels") or {}
    for part in filter(None, flags.get("--selector", "").split(",")):
        key, has_value, value = part.removeprefix("!").partition("=")
        fits = key in labels and (not has_value or labels[key] == value)
        if fits == part.startswith("!"):
            return False
    field, _, value = flags.get("--field-selector", "").partition("=")
    if field not in ("", "metadata.name"):
        raise Refused(f"error: the simulated kubectl selects by no field {field}\n")
    return not field or obj["metadata"]["name"] == value


def logs(call) -> str:
    namespace = call.flags.get("--namespace", "default")
    with call.reading() as cluster:
        pods = simulated_pods.pods(cluster, namespace)
        if call.words:
            pods = [pod for pod in pods if pod["metadata"]["name"] == call.words[0]]
        chosen = [pod for pod in pods if _is_selected(pod, call.flags)]
        if call.words and not chosen:
            raise Refused(
                f'error: error from server (NotFound): pods "{call.words[0]}" not found\n'
            )
        return "".join(_log(cluster, pod, call) for pod in chosen)


def _log(cluster: Cluster, pod: dict, call) -> str:
    container = pod["spec"]["containers"][0]["name"]
    if call.flags.get("--container", container) != container:
        raise Refused(f"error: container {call.flags['--container']} is not valid for this pod\n")
    try:
        lines = simulated_pods.log_lines(cluster, pod, "--previous" in call.flags)
    except LookupError:
        if "--ignore-errors" in call.flags:
            return ""
        raise Refused(f'error: previous terminated container "{container}" not found\n') from None
    since = call.flags.get("--since-time", "")
    lines = [line for line in lines if _second(line[0]) >= _second(since)]
    tail = int(call.flags.get("--tail", 10 if "--selector" in call.flags else -1))
    lines = lines if tail < 0 else lines[len(lines) - min(tail, len(lines)) :]
    head = f"[pod/{pod['metadata']['name']}/{container}] " if "--prefix" in call.flags else ""
    shown = [f"{at} {text}" if "--timestamps" in call.flags else text for at, text in lines]
    text = "".join(f"{head}{line}\n" for line in shown)
    most = call.flags.get("--limit-bytes")
    return text.encode()[: int(most)].decode(errors="ignore") if most else text


def _second(time: str) -> str:
    """A time stamp up to its seconds, as precise as Kubernetes takes it."""
    return time[:19]


# Words


def _kind(resource: str) -> str:
    """Of `pods`, `networkpolicies.networking.k8s.io`, or one of them, such as `namespace`."""
    bare = resource.partition(".")[0]
    for plural, (kind, api) in _RESOURCES.items():
        group = api.partition("/")[0] if "/" in api else ""
        if bare in (plural, kind.lower()) and resource in (bare, f"{bare}.{group}"):
            return kind
    raise Refused(f'error: the server doesn\'t have a resource type "{resource}"\n')


def _named(obj: dict, call) -> tuple[str, str, str]:
    """Kind, name and namespace of an object in a file."""
    kind, metadata = obj["kind"], obj["metadata"]
    if kind not in _PLURALS:
        raise Refused(f'error: no matches for kind "{kind}" in version "{obj["apiVersion"]}"\n')
    namespace = metadata.get("namespace") or call.flags.get("--namespace", "default")
    return kind, metadata["name"], _place(kind, namespace)


def _place(kind: str, namespace: str) -> str:
    return "" if kind == "Namespace" else namespace


def _title(obj: dict) -> str:
    group = obj["apiVersion"].partition("/")[0] if "/" in obj["apiVersion"] else ""
    return f"{obj['kind'].lower()}{f'.{group}' if group else ''}/{obj['metadata']['name']}"


def _documents(text: str) -> list[dict]:
    """JSON documents one after the other, or with `---` between."""
    found, decoder = [], json.JSONDecoder()
    text = re.sub(r"^---$", "", text, flags=re.MULTILINE).lstrip()
    while text:
        try:
            document, end = decoder.raw_decode(text)
        except ValueError:
            raise Refused("error: error parsing STDIN: it is not JSON\n") from None
        found.append(document)
        text = text[end:].lstrip()
    return found


def _list(objects: list[dict]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def _listed(objects: list[dict]) -> str:
    """One object is answered as itself, several as a List, none as nothing."""
    if len(objects) == 1:
        return json.dumps(objects[0])
    return _list(objects) if objects else ""
