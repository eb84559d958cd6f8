"""What may be said of how tenants are kept apart, by a template or for the whole site.

Pure: shapes and names only. `fence` makes Kubernetes objects of it.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

CHOICES = {
    "pod_security": ("privileged", "baseline", "restricted"),
    "network": ("isolated", "open"),
}
SECTIONS = ("default", "defaultRequest", "max", "min")  # of a LimitRange's item
_KEYS = (*CHOICES, "quota", "limits")
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_COUNTED = (
    *("pods", "services", "services.loadbalancers", "services.nodeports", "secrets", "configmaps"),
    *("persistentvolumeclaims", "replicationcontrollers", "resourcequotas"),
)
_QUOTA = {
    *_COUNTED,
    *_COMPUTE,
    *(f"{kind}.{name}" for kind in ("requests", "limits") for name in _COMPUTE),
    "requests.storage",
}
# Whatever else Kubernetes takes has a domain: `count/jobs.batch`, `requests.nvidia.com/gpu`.
_OTHER = re.compile(r"(?:requests\.)?hugepages-\w{1,20}|[\w.-]{1,253}/[\w.-]{1,253}", re.ASCII)
# A number and its unit, as Kubernetes reads it; none is negative here.
QUANTITY = re.compile(
    r"(?P<number>\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})"
    r"(?P<unit>(?:[KMGTPE]i|[numkMGTPE])?|[eE][+-]?\d{1,2})",
    re.ASCII,
)


class Problem(NamedTuple):
    path: tuple[str, ...]
    text: str


def problem(said) -> Problem | None:
    """The first thing that is wrong with what is said of isolation, None for a good document."""
    if not isinstance(said, dict):
        return Problem((), "must be an object")
    return next((found for key, value in said.items() for found in _problems(key, value)), None)


def _problems(key: str, value) -> Iterator[Problem]:
    if key in CHOICES and value not in CHOICES[key]:
        yield Problem((key,), f"must be one of {', '.join(CHOICES[key])}")
    elif key == "quota":
        yield from _amounts((key,), value, _QUOTA)
    elif key == "limits":
        yield from _limits(value)
    elif key not in _KEYS:
        yield Problem((key,), f"is not known; there are {', '.join(_KEYS)}")


def _limits(value) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(("limits",), "must be an object")
        return
    for section, amounts in value.items():
        if section in SECTIONS:
            yield from _amounts(("limits", section), amounts, _COMPUTE)
        else:
            yield Problem(("limits", section), f"is not known; there are {', '.join(SECTIONS)}")


def _amounts(path: tuple, value, known) -> Iterator[Problem]:
    """What is wrong with a map of quantities by the names of resources."""
    if not isinstance(value, dict):
        yield Problem(path, "must be an object of quantities, such as 500m or 2Gi, by resource")
        return
    for name, amount in value.items():
        if name not in known and not _OTHER.fullmatch(name):
            yield Problem((*path, name), f"is no resource; there are {', '.join(sorted(known))}")
        elif not _is_quantity(amount):
            yield Problem((*path, name), "must be a quantity, such as 500m or 2Gi")


def _is_quantity(value) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (is_number or isinstance(value, str)) and bool(QUANTITY.fullmatch(str(value)))
