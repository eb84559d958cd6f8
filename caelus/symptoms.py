"""What the objects in a namespace show of why they are not healthy: the cause, not its effects."""

import re

from caelus import wording
from caelus.evidence import (
    Evidence,
    claim_names,
    conditions,
    ended,
    is_going,
    is_hook,
    is_out_of_memory,
    is_starting,
    newest_first,
    owner,
    status,
    title,
    waiting,
)
from caelus.wording import Finding, quoted


def shown(evidence: Evidence, hook: str | None) -> Finding | None:
    """The cause, or None. `hook` is the failed hook's name, "" if unknown, None if none failed."""
    of_hooks = [pod for pod in evidence.pods if is_hook(pod)]
    if hook is not None:
        mine = [p for p in of_hooks if hook in ("", p["metadata"]["name"], owner(p).get("name"))]
        return _failed_hook(evidence.about(mine), hook)
    others = evidence.about([pod for pod in evidence.pods if pod not in of_hooks])
    return _look(others, *_BEFORE, *_AFTER) or _look(evidence.about(of_hooks), *_BEFORE, _crash)


def terminating(evidence: Evidence) -> Finding | None:
    """A Namespace that is being deleted, and what keeps it."""
    for namespace in evidence.every("Namespace"):
        if is_going(namespace):
            kept = [c["message"] for c in conditions(namespace) if c["status"] == "True"]
            why = f": {quoted('; '.join(kept), 400)}" if kept else ""
            return _of("namespace_terminating", namespace, f" is still being deleted{why}")
    return None


def unready(evidence: Evidence) -> tuple[str, str] | None:
    """`Pod name` of the newest pod that is not ready, and its state, in brackets if it has one."""
    for pod in evidence.pods:
        own = status(pod).get("reason")
        reasons = [own, *(waiting(c).get("reason") for _, c in evidence.about([pod]).containers())]
        return title(pod), next((f" ({reason})" for reason in reasons if reason), "")
    return None


def _look(evidence: Evidence, *looks) -> Finding | None:
    return next((found for look in looks if (found := look(evidence))), None)


def _of(code: str, obj: dict, rest: str) -> Finding:
    return code, title(obj), f"{title(obj)}{rest}"


# What keeps pods from running


def _refused(evidence: Evidence) -> Finding | None:
    """Pods or claims that a controller may not create."""
    for message, controller in evidence.events(evidence.short_of_pods(), "FailedCreate"):
        found = wording.told(message, title(controller))
        if found and found[0] in ("quota_exceeded", "admission_denied", "cluster_unreachable"):
            return found
    return None


def _unbound(evidence: Evidence) -> Finding | None:
    """A volume that a pod waits for, or that can't be had at all."""
    lacking = [pod for pod in evidence.pods if _NO_VOLUME.search(_unscheduled(evidence, pod))]
    for pod in lacking:
        if absent := _NO_CLAIM.search(_unscheduled(evidence, pod)):
            claim = f"PersistentVolumeClaim {absent[1]}"
            return "pvc_unbound", claim, f"{claim}, which {title(pod)} needs, {absent[2]}"
    needed = {name for pod in lacking for name in claim_names(pod)}
    for claim in evidence.open_claims():
        if claim["metadata"]["name"] in needed or _refusals(evidence, claim):
            return _not_bound(evidence, claim)
    return _of("pvc_unbound", lacking[0], " waits for a volume") if lacking else None


def _unpulled(evidence: Evidence) -> Finding | None:
    for pod, container in evidence.containers():
        reason = waiting(container).get("reason")
        if reason in _UNPULLED:
            events = [message for message, _ in evidence.events([pod], "Failed", "InspectFailed")]
            said = " ".join([waiting(container).get("message") or "", *events, reason])
            why = next((words for words, told in _PULL_TROUBLES if told.search(said)), reason)
            image = container["image"]
            return _of("image_pull", pod, f": image {image} can't be pulled ({why})")
    return None


def _unschedulable(evidence: Evidence) -> Finding | None:
    for pod in evidence.pods:
        if why := _unscheduled(evidence, pod):
            return _of("unschedulable", pod, f" can't be scheduled: {why}")
    return None


def _unmounted(evidence: Evidence) -> Finding | None:
    starting = [pod for pod in evidence.pods if is_starting(pod)]
    for message, pod in evidence.events(starting, "FailedMount", "FailedAttachVolume"):
        volume = re.search(r'volumes?(?: |=\[)"?([\w.-]+)', message)
        said = f": volume {volume[1] if volume else ''} can't be mounted"
        if absent := _ABSENT.search(message):
            return _of("crash_loop", pod, f"{said} ({absent[0]})")
        return _of("pvc_unbound", pod, said)
    return None


# What keeps them from being healthy


def _killed(evidence: Evidence) -> Finding | None:
    """What looks like a crash, but the kubelet ended it because it did not answer."""
    for message, pod in evidence.events(evidence.pods, "Killing"):
        if _KILLED.search(message) and not is_out_of_memory(pod):
            probes = [said for said, _ in evidence.events([pod], "Unhealthy")]
            return _unanswering(pod, next(filter(_KILLING.match, probes), message))
    return None


def _crash(evidence: Evidence) -> Finding | None:
    for pod, container in evidence.containers():
        reason = waiting(container).get("reason")
        if reason in _UNSTARTABLE:
            why = _ABSENT.search(waiting(container).get("message") or "")
            said = f": container {container['name']} can't be started ({why[0] if why else reason})"
            return _of("crash_loop", pod, said)
    if crashed := evidence.crashed():
        return _of("crash_loop", crashed[0], f": {_death(crashed[1], evidence.log)}")
    return None


def _unhealthy(evidence: Evidence) -> Finding | None:
    for message, pod in evidence.events(evidence.pods, "Unhealthy"):
        return _unanswering(pod, message)
    return None


def _no_address(evidence: Evidence) -> Finding | None:
    for service in evidence.every("Service"):
        given = (status(service).get("loadBalancer") or {}).get("ingress")
        if service["spec"].get("type") == "LoadBalancer" and not given:
            return _of("load_balancer_pending", service, " of type LoadBalancer has no address yet")
    return None


def _idle_claim(evidence: Evidence) -> Finding | None:
    return next((_not_bound(evidence, claim) for claim in evidence.open_claims()), None)


_BEFORE = (_refused, _unbound, _unpulled, _unschedulable, _unmounted)
_AFTER = (_killed, _crash, _unhealthy, _no_address, _idle_claim)


def _failed_hook(evidence: Evidence, name: str) -> Finding:
    """What keeps the hook from running, else that it failed."""
    if found := _look(evidence, *_BEFORE):
        return found
    known = [*newest_first(evidence.every("Job")), *evidence.pods]
    hook = next((obj for obj in known if name in ("", obj["metadata"]["name"])), None)
    thing = title(hook) if hook else f"hook {name}" if name else None
    crashed = evidence.crashed()
    why = _death(crashed[1], evidence.log) if crashed else hook and _end(hook)
    said = f"{thing or 'a hook'}, which the chart runs as a hook, failed"
    return "hook_failed", thing, f"{said}: {why}" if why else said


# Words for it

_UNPULLED = (
    *("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"),
    *("RegistryUnavailable", "ImageInspectError", "SignatureValidationFailed"),
)
_PULL_TROUBLES = [
    (words, re.compile(pattern, re.IGNORECASE))
    for words, pattern in (
        ("no access, or no such repository", "pull access denied|insufficient_scope"),
        ("no access", r"\b40[13]\b|unauthorized|forbidden|denied|no basic auth"),
        ("the registry's rate limit", r"\b429\b|toomanyrequests|rate limit"),
        ("none for this platform", "no match for platform"),
        ("not found", "not found|manifest unknown|name unknown"),
        ("its registry can't be reached", wording.NET),
        ("not a valid image name", "InvalidImageName|parse image name"),
        ("not on the node, and not to be pulled", "ErrImageNeverPull"),
    )
]
_UNSTARTABLE = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_ABSENT = re.compile(
    r"""(?:secret|configmap) "[^"]+" not found|couldn't find key \S+ in \S+ [\w./-]+"""
    r"""|exec: "[^"]+": [\w $]+|container has runAsNonRoot and image will run as root"""
)
_KILLED = re.compile("failed (?:liveness|startup) probe")
_KILLING = re.compile("(?:Liveness|Startup) probe")
_PROBE = re.compile("(liveness|readiness|startup) probe", re.IGNORECASE)
_PROBED = re.compile(rf"statuscode: \d+|{wording.NET}|deadline exceeded|timed out|timeout")
_NO_VOLUME = re.compile(
    "persistentvolumeclaim|persistent volumes? to bind|binding volumes", re.IGNORECASE
)
_NO_CLAIM = re.compile(r'persistentvolumeclaim "([^"]+)" ((?:is )?[\w ]+)')


def _not_bound(evidence: Evidence, claim: dict) -> Finding:
    said = _refusals(evidence, claim) or [said for said, _ in evidence.events([claim])]
    return _of("pvc_unbound", claim, f" is not bound{f': {quoted(said[0])}' if said else ''}")


def _refusals(evidence: Evidence, claim: dict) -> list[str]:
    return [said for said, _ in evidence.events([claim], "ProvisioningFailed", "FailedBinding")]


def _unscheduled(evidence: Evidence, pod: dict) -> str:
    """Why the pod has no node; "" if it has one, or nobody tried yet."""
    told = [c for c in conditions(pod) if c["type"] == "PodScheduled"]
    said = [c.get("message") or c.get("reason") or "" for c in told if c["status"] == "False"]
    if not told and not pod["spec"].get("nodeName"):
        said = [message for message, _ in evidence.events([pod], "FailedScheduling")]
    return quoted(re.split(" (?:preemption:|no new claims)", said[0])[0]) if said else ""


def _unanswering(pod: dict, message: str) -> Finding:
    probe, why = _PROBE.search(message), _PROBED.search(message)
    said = f": its {probe[1].lower()} probe fails" if probe else ": a probe fails"
    return _of("probe_failing", pod, f"{said} ({why[0]})" if why else said)


def _death(container: dict, log: str) -> str:
    """How a container ended, with the last line of its log."""
    end = ended(container)
    how = f"exited with code {end.get('exitCode', '?')}"
    if end.get("reason") == "OOMKilled":
        how = "used more memory than its limit (OOMKilled)"
    elif why := _ABSENT.search(end.get("message") or ""):
        how = f"can't be started ({why[0]})"
    lines = [line for line in log.splitlines() if line.strip()]
    last = f": {quoted(lines[-1])}" if lines else ""
    return f"container {container['name']} {how}{last}"


def _end(hook: dict) -> str:
    failed = [c for c in conditions(hook) if c["type"] == "Failed" and c["status"] == "True"]
    return failed[0].get("reason", "") if failed else "it did not end in time"
