"""Checkups of the cluster: is it there, what may Caelus do in it, what does it offer to charts."""

import json
import re
from collections.abc import Iterator

from caelus import config as settings
from caelus import rbac, tool_checks
from caelus.config import Config
from caelus.findings import Check, Section
from caelus.jsontext import compact
from caelus.process import ToolError, Tools, reason

SECONDS = 5  # for an answer of the cluster
MARGIN_SECONDS = 3
POD_SECURITY = (1, 25)  # from which on every Kubernetes goes by the labels of namespaces
_DEFAULT = "is-default-class"  # the end of an annotation's name, of both kinds of class
_CREDENTIALS = re.compile("unauthorized|must be logged in|provide credentials", re.IGNORECASE)
_CERTIFICATE = re.compile("x509|certificate|tls:", re.IGNORECASE)
_REFUSED = re.compile("forbidden", re.IGNORECASE)
_section = Section("cluster")
ok, warning, failed = _section.ok, _section.warning, _section.failed


def look(tools: Tools) -> Iterator[Check]:
    """What can be said of the cluster; nothing but the first finding where it does not answer."""
    try:
        (answer,) = _documents(tools, "version")
        client, server = (answer[f"{who}Version"]["gitVersion"] for who in ("client", "server"))
    except ToolError as e:
        yield _unreachable(e)
        return
    except (KeyError, TypeError, ValueError):
        step = "see what answers: kubectl version"
        yield failed("reachable", "what answers is no Kubernetes", step)
        return
    yield ok("reachable", f"Kubernetes {server}")
    yield _skew(client, server)
    yield _permissions(tools)
    yield from _classes(tools)
    yield _ingress_namespaces(tools)
    yield from _isolation(tools.config, server)


def _documents(tools: Tools, *arguments: str, stdin: str = "") -> list:
    """What kubectl answers, document by document."""
    text = tools.kubectl(
        *arguments,
        *("--output", "json", f"--request-timeout={SECONDS}s"),
        stdin=stdin,
        timeout=SECONDS + MARGIN_SECONDS,
    )
    found, decoder, text = [], json.JSONDecoder(), text.strip()
    try:
        while text:
            document, end = decoder.raw_decode(text)
            found.append(document)
            text = text[end:].lstrip()
    except ValueError:
        raise ToolError(f"cannot read what kubectl says: {text[:40]!r}") from None
    return found


def _unreachable(error: ToolError) -> Check:
    said = reason(error)
    if _CREDENTIALS.search(said) or said == "EOF":  # of kubectl's question for a user's name
        step = "make its kubeconfig anew, as caelus kube-rbac tells, or copy the admin's again"
        known = said if said != "EOF" else "the kubeconfig holds no credentials"
        return failed("reachable", f"the cluster does not know this account: {known}", step)
    if _CERTIFICATE.search(said):
        step = "copy its kubeconfig again: the certificate in it is not of this cluster, or is old"
        return failed("reachable", f"the cluster can't be trusted: {said}", step)
    step = "start it (k3s: systemctl start k3s), or correct the server in the kubeconfig"
    return failed("reachable", f"the cluster does not answer: {said}", step)


def _skew(client: str, server: str) -> Check:
    ours, theirs = tool_checks.minor(client), tool_checks.minor(server)
    text = f"kubectl {client}, Kubernetes {server}"
    if ours and theirs and (ours[0] != theirs[0] or abs(ours[1] - theirs[1]) > 1):
        step = f"install kubectl {theirs[0]}.{theirs[1]}, or set CAELUS_KUBECTL to one"
        return warning("versions", f"{text}: more than one minor version apart", step)
    return ok("versions", text)


# What Caelus may do


def _permissions(tools: Tools) -> Check:
    """By the very rules that `caelus kube-rbac` prints, for all namespaces; by one process."""
    wanted = rbac.permissions()
    reviews = "\n".join(compact(_review(*one)) for one in wanted)
    create = ("create", "--filename", "-", "--validate=false")
    try:
        answers = _documents(tools, *create, stdin=reviews)
        allowed = [answer["status"]["allowed"] for answer in answers]
        missing = [one for one, may in zip(wanted, allowed, strict=True) if not may]
    except ToolError as e:
        return failed("permissions", f"cannot ask what Caelus may do: {reason(e)}", _GRANT)
    except (KeyError, TypeError, ValueError):
        return failed("permissions", "the cluster does not say what Caelus may do", _GRANT)
    if missing:
        return failed("permissions", f"Caelus may not {_listed(missing)}", _GRANT)
    return ok("permissions", f"all {len(wanted)} that Caelus needs")


_GRANT = "as the cluster's admin: caelus kube-rbac | kubectl apply --filename -"


def _review(group: str, resource: str, verb: str) -> dict:
    name, _, part = resource.partition("/")
    asked = {"group": group, "resource": name, "subresource": part, "verb": verb}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }


def _listed(missing: list[tuple[str, str, str]]) -> str:
    """`create or list pods, get secrets`."""
    verbs: dict[str, list[str]] = {}
    for group, resource, verb in missing:
        verbs.setdefault(f"{resource}.{group}" if group else resource, []).append(verb)
    return ", ".join(f"{' or '.join(may_not)} {title}" for title, may_not in verbs.items())


# What it offers


def _classes(tools: Tools) -> Iterator[Check]:
    try:
        (answer,) = _documents(tools, "get", "storageclasses,ingressclasses")
        kinds = {"StorageClass": [], "IngressClass": []}
        for item in answer["items"]:
            kinds[item["kind"]].append(item)
        found = [_storage(kinds["StorageClass"]), _ingress(kinds["IngressClass"])]
    except ToolError as e:
        step = _GRANT if _REFUSED.search(reason(e)) else "see: kubectl get storageclasses"
        found = [warning("classes", f"cannot list storage and ingress classes: {reason(e)}", step)]
    except (KeyError, TypeError, ValueError):
        found = [warning("classes", "kubectl's answer is odd", "see: kubectl get storageclasses")]
    yield from found


def _storage(classes: list[dict]) -> Check:
    defaults = [each for each in classes if _is_default(each)]
    names = ", ".join(each["metadata"]["name"] for each in classes)
    if not defaults:
        step = (
            "kubectl annotate storageclass NAME storageclass.kubernetes.io/is-default-class=true"
            if classes
            else "install a provisioner of volumes; k3s has its own, unless told otherwise"
        )
        detail = f"no default storage class ({names or 'there is none at all'}): " + (
            "volumes of charts that name no class are never made"
        )
        return warning("storage", detail, step)
    # Of several Kubernetes takes the youngest.
    chosen = max(defaults, key=lambda each: each["metadata"].get("creationTimestamp") or "")
    return _reclaim(chosen["metadata"]["name"], chosen.get("reclaimPolicy") or "Delete")


def _reclaim(name: str, policy: str) -> Check:
    if policy == "Delete":
        detail = f"the default class {name} deletes a volume's data with its claim, and so with "
        step = "back up what is in volumes, or make a class with reclaimPolicy: Retain the default"
        return warning("storage", f"{detail}its deployment", step)
    return ok("storage", f"the default class {name} keeps data: reclaimPolicy is {policy}")


def _ingress(classes: list[dict]) -> Check:
    names = ", ".join(each["metadata"]["name"] for each in classes)
    if not classes:
        step = "install an ingress controller, such as traefik (k3s has it) or ingress-nginx"
        return warning("ingress", "no ingress class: nothing leads browsers to deployments", step)
    if not any(map(_is_default, classes)):
        return ok("ingress", f"{names}; none is the default, so charts' values must name it")
    return ok("ingress", names)


def _is_default(each: dict) -> bool:
    notes = each["metadata"].get("annotations") or {}
    return any(key.endswith(_DEFAULT) and value == "true" for key, value in notes.items())


def _ingress_namespaces(tools: Tools) -> Check:
    wanted = tools.config.ingress_namespaces
    if not wanted:
        return ok("ingress namespaces", "none are wanted")
    step = "set CAELUS_INGRESS_NAMESPACES to where the ingress controller runs"
    try:
        answers = _documents(tools, "get", "namespaces", *wanted, "--ignore-not-found")
    except ToolError as e:
        step = "see: kubectl get namespaces"
        return warning("ingress namespaces", f"cannot look for them: {reason(e)}", step)
    # One alone is no list; none is no document.
    items = [item for answer in answers for item in answer.get("items", [answer])]
    there = [item["metadata"]["name"] for item in items]
    missing = ", ".join(name for name in wanted if name not in there)
    by_default = ",".join(wanted) == settings.INGRESS_NAMESPACES
    if not there or (missing and not by_default):
        detail = f"there is no {missing}: from there nobody reaches isolated deployments"
        return warning("ingress namespaces", detail, step)
    return ok("ingress namespaces", ", ".join(there))


# What it enforces


def _isolation(config: Config, server: str) -> Iterator[Check]:
    version, said = tool_checks.minor(server), config.isolation
    if version and version < POD_SECURITY and said["pod_security"] != "privileged":
        detail = f"Kubernetes {server} may ignore the Pod Security level {said['pod_security']}"
        yield warning("pod security", detail, "upgrade Kubernetes to 1.25 or newer")
    else:
        yield ok("pod security", said["pod_security"])
    if said["network"] == "open":
        yield ok("network", "open: nothing is to be enforced")
    else:
        yield ok("network", _enforced(server))


def _enforced(server: str) -> str:
    if "+k3s" in server:
        return "isolated; k3s enforces it unless started with --disable-network-policy"
    return "isolated, if the cluster's network enforces policies, which can't be seen from here"
