"""Pod Security admission: a namespace's label may refuse a pod, in a real server's words.

Of the standards' controls only those that tests need: what `baseline` says of host namespaces,
host paths and privileged containers, and `restricted` of users.
"""

from tests.kube.errors import ApiError
from tests.kube.resources import NAMESPACES

_LABEL = "pod-security.kubernetes.io/enforce"


def check(store, namespace: str, pod: dict):
    """Raise ApiError for a pod that the namespace's level does not let in."""
    labels = store.find(NAMESPACES, "", namespace)["metadata"].get("labels") or {}
    level = labels.get(_LABEL, "privileged")
    violations = [text for text in _violations(level, pod["spec"]) if text]
    if violations:
        raise ApiError(
            403,
            "Forbidden",
            f'pods "{pod["metadata"]["name"]}" is forbidden: violates PodSecurity '
            f'"{level}:latest": {", ".join(violations)}',
        )


def _violations(level, spec):
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    if level in ("baseline", "restricted"):
        yield _listed("host namespaces ({})", [f"{n}=true" for n in _HOSTS if spec.get(n)])
        paths = [v["name"] for v in spec.get("volumes") or [] if "hostPath" in v]
        yield _named("hostPath volumes ({} {})", "volume", paths)
        privileged = [c["name"] for c in containers if _security(c).get("privileged")]
        must_not = "privileged ({} {} must not set securityContext.privileged=true)"
        yield _named(must_not, "container", privileged)
    if level == "restricted" and not _security(spec).get("runAsNonRoot"):
        root = [c["name"] for c in containers if not _security(c).get("runAsNonRoot")]
        must = "runAsNonRoot != true (pod or {} {} must set securityContext.runAsNonRoot=true)"
        yield _named(must, "container", root)


_HOSTS = ("hostNetwork", "hostPID", "hostIPC")


def _security(spec):
    return spec.get("securityContext") or {}


def _named(sentence, kind, names):
    kind = kind if len(names) == 1 else f"{kind}s"
    return names and sentence.format(kind, ", ".join(f'"{name}"' for name in names))


def _listed(sentence, parts):
    return parts and sentence.format(", ".join(parts))
