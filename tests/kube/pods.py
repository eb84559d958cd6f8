"""What becomes of a pod: an image named `never:...` can't be pulled, one named `fail:...` exits 1.

Every other image runs, or has done its work at once where the pod is not to be restarted.
"""

import re


def status(pod: dict) -> dict:
    """The status that a kubelet would have reported after a while."""
    spec, since = pod["spec"], pod["metadata"]["creationTimestamp"]
    endless = spec["restartPolicy"] == "Always"
    init = [_container(c, False, endless, since) for c in spec.get("initContainers") or []]
    started = all(_exit_code(container) == 0 for container in init)
    containers = [
        _container(c, endless, endless, since) if started else _waiting(c, "PodInitializing")
        for c in spec.get("containers") or []
    ]
    phase = _phase(init + containers)
    return {
        "phase": phase,
        "startTime": since,
        "podIP": "10.42.0.7",
        "hostIP": "192.0.2.1",
        "conditions": _conditions(phase, started, containers),
        **({"initContainerStatuses": init} if init else {}),
        "containerStatuses": containers,
    }


def troubles(pod: dict) -> list[tuple[str, str, str]]:
    """Container name, reason and message of every event that a kubelet would warn with."""
    reported = pod["status"].get("initContainerStatuses", []) + pod["status"]["containerStatuses"]
    found = []
    for container in reported:
        name, image = container["name"], container["image"]
        match container["state"].get("waiting", {}).get("reason"):
            case "ImagePullBackOff":
                found.append((name, "Failed", f'Failed to pull image "{image}": not found'))
                found.append((name, "BackOff", f'Back-off pulling image "{image}"'))
            case "CrashLoopBackOff":
                found.append((name, "BackOff", _back_off(name, pod)))
    return found


def _back_off(container, pod):
    where = f"{pod['metadata']['name']}_{pod['metadata']['namespace']}"
    return f"Back-off restarting failed container {container} in pod {where}"


def _container(container, runs_on, restarted, since):
    image = container.get("image", "")
    fate = re.search(r"(?:^|/)(never|fail)[:@]", image)
    match fate and fate[1]:
        case "never":
            return _waiting(container, "ImagePullBackOff", f'Back-off pulling image "{image}"')
        case "fail" if restarted:
            last = {"lastState": {"terminated": _terminated(1, since)}, "restartCount": 3}
            return _waiting(container, "CrashLoopBackOff", "back-off restarting") | last
        case "fail":
            return _report(container, {"terminated": _terminated(1, since)})
    if runs_on:
        running = {"running": {"startedAt": since}}
        return _report(container, running) | {"ready": True, "started": True}
    return _report(container, {"terminated": _terminated(0, since)})


def _waiting(container, reason, message=""):
    return _report(container, {"waiting": {"reason": reason, "message": message}})


def _terminated(code, since):
    reason = "Error" if code else "Completed"
    return {"exitCode": code, "reason": reason, "startedAt": since, "finishedAt": since}


def _report(container, state):
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "",
        "ready": False,
        "started": False,
        "restartCount": 0,
        "state": state,
    }


def _exit_code(container):
    return container["state"].get("terminated", {}).get("exitCode")


def _phase(containers):
    codes = [_exit_code(container) for container in containers]
    if any(codes):
        return "Failed"
    if codes and all(code == 0 for code in codes):
        return "Succeeded"
    reasons = {c["state"].get("waiting", {}).get("reason") for c in containers}
    return "Pending" if reasons & {"ImagePullBackOff", "PodInitializing"} else "Running"


def _conditions(phase, initialized, containers):
    unready = [container["name"] for container in containers if not container["ready"]]
    why = {"reason": "ContainersNotReady", "message": f"containers with unready status: {unready}"}
    if phase == "Succeeded":
        why = {"reason": "PodCompleted"}
    return [
        {"type": "PodScheduled", "status": "True"},
        {"type": "Initialized", "status": str(initialized)},
        {"type": "ContainersReady", "status": str(not unready), **(why if unready else {})},
        {"type": "Ready", "status": str(not unready), **(why if unready else {})},
    ]
