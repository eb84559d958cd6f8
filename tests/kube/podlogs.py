"""What the containers of pods have printed, as a kubelet gives it: the log of a pod."""

import datetime

from tests.kube.errors import ApiError

Key = tuple[str, str, str]  # namespace, pod, container
_NOT_STARTED = ("ImagePullBackOff", "PodInitializing")


def read(pod: dict, printed: dict[Key, list[tuple[str, str]]], query: dict[str, str]) -> str:
    """The log of one container; ApiError where it can't be had.

    `printed` has the times and lines of those that have printed more than one line.
    """
    status = _status(pod, query.get("container", ""))
    previous = query.get("previous") == "true"
    _refuse(pod, status, previous)
    metadata = pod["metadata"]
    ended = status.get("lastState", {}).get("terminated")
    since = ended["startedAt"] if previous else metadata["creationTimestamp"]
    lines = [(since, f"hello from {metadata['name']}")]
    if not previous:
        lines += printed.get((metadata["namespace"], metadata["name"], status["name"]), [])
    return _limited(_selected(lines, query), query)


def _status(pod, name):
    status = pod["status"]
    found = [*status.get("initContainerStatuses", []), *status["containerStatuses"]]
    names = [container["name"] for container in found]
    if not name and len(names) > 1:
        asked = f"a container name must be specified for pod {pod['metadata']['name']}"
        raise ApiError(400, "BadRequest", f"{asked}, choose one of: [{' '.join(names)}]")
    if name and name not in names:
        where = f"container {name} is not valid for pod {pod['metadata']['name']}"
        raise ApiError(400, "BadRequest", where)
    return found[names.index(name) if name else 0]


def _refuse(pod, status, previous):
    where = f'container "{status["name"]}" in pod "{pod["metadata"]["name"]}"'
    reason = status["state"].get("waiting", {}).get("reason")
    if previous and not status.get("lastState"):
        raise ApiError(400, "BadRequest", f"previous terminated {where} not found")
    if not previous and reason in _NOT_STARTED:
        raise ApiError(400, "BadRequest", f"{where} is waiting to start: {reason}")


def _selected(lines, query):
    if since := query.get("sinceTime"):  # by whole seconds, as Kubernetes writes times
        lines = [line for line in lines if _moment(line[0]) >= _moment(since)]
    if tail := query.get("tailLines"):
        lines = lines[-int(tail) :] if int(tail) else []
    return lines


def _moment(text):
    return datetime.datetime.fromisoformat(text)


def _limited(lines, query):
    stamped = query.get("timestamps") == "true"
    text = "".join(f"{at} {line}\n" if stamped else f"{line}\n" for at, line in lines)
    limit = int(query.get("limitBytes") or len(text.encode()))
    return text.encode()[:limit].decode(errors="ignore")
