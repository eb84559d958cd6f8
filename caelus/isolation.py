"""What may be said of how tenants are kept apart, by a template or for the whole site.

Pure: shapes, names and amounts, by the rules of Kubernetes' API. `fence` makes objects of it.
"""

import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

CHOICES = {
    "pod_security": ("privileged", "baseline", "restricted"),
    "network": ("isolated", "open"),
}
SECTIONS = ("min", "defaultRequest", "default", "max")  # of a LimitRange, none above the next
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
_LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_WITH_DOMAIN = (
    rf"(?=[^/]{{1,244}}/){_LABEL}(?:\.{_LABEL})*/(?=.{{1,63}}$)[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?"
)
_HUGE = "hugepages-[A-Za-z0-9]{1,20}"
_IN_QUOTA = re.compile(rf"(?:requests\.)?{_HUGE}|{_WITH_DOMAIN}", re.ASCII)
_IN_LIMITS = re.compile(rf"(?!requests\.)(?:{_HUGE}|{_WITH_DOMAIN})", re.ASCII)
# A number and its unit, as Kubernetes reads it; none is negative here.
_QUANTITY = re.compile(
    r"(?P<number>\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})"
    r"(?P<unit>(?:[KMGTPE]i|[numkMGTPE])?|[eE][+-]?\d{1,2})",
    re.ASCII,
)

_THOUSANDS = "num_kMGTPE"  # each times the one before; _ is one itself


class Problem(NamedTuple):
    path: tuple[str, ...]
    text: str


def problem(said) -> Problem | None:
    """The first thing that is wrong with what is said of isolation, None for a good document."""
    if not isinstance(said, dict):
        return Problem((), "must be an object")
    return next((found for key, value in said.items() for found in _problems(key, value)), None)


def quantity(text: str):
    """The number that a quantity is, as a Fraction; None for what is none."""
    from fractions import Fraction  # most starts have no need of it

    found = _QUANTITY.fullmatch(text)
    if not found:
        return None
    number, unit = found.group("number", "unit")
    if unit[:1] in ("e", "E") and len(unit) > 1 and unit != "Ei":
        return Fraction(number) * Fraction(10) ** int(unit[1:])
    if unit.endswith("i"):
        return Fraction(number) * 1024 ** ("KMGTPE".index(unit[0]) + 1)
    return Fraction(number) * Fraction(1000) ** (_THOUSANDS.index(unit or "_") - 3)


def _problems(key: str, value) -> Iterator[Problem]:
    if key in CHOICES and value not in CHOICES[key]:
        yield Problem((key,), f"must be one of {', '.join(CHOICES[key])}")
    elif key == "quota":
        yield from _amounts((key,), value, _QUOTA, _IN_QUOTA)
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
            yield from _amounts(("limits", section), amounts, _COMPUTE, _IN_LIMITS)
        else:
            yield Problem(("limits", section), f"is not known; there are {', '.join(SECTIONS)}")
    for low, high in itertools.combinations(SECTIONS, 2):
        for name in value.get(low, {}).keys() & value.get(high, {}).keys():
            if quantity(str(value[low][name])) > quantity(str(value[high][name])):
                yield Problem(("limits", low, name), f"must not be more than in {high}")
    given = value.get("max", {}) | value.get("default", {})  # as the server fills it in
    asked = value.get("defaultRequest", {})
    for name in given.keys() & asked.keys() - set(_COMPUTE):  # can't be promised twice
        if quantity(str(given[name])) != quantity(str(asked[name])):
            yield Problem(("limits", "defaultRequest", name), "must be as much as the default")


def _amounts(path: tuple, value, known, others: re.Pattern) -> Iterator[Problem]:
    """What is wrong with a map of quantities by the names of resources."""
    if not isinstance(value, dict):
        yield Problem(path, "must be an object of quantities, such as 500m or 2Gi, by resource")
        return
    for name, amount in value.items():
        if name not in known and not others.fullmatch(name):
            yield Problem((*path, name), f"is no resource; there are {', '.join(sorted(known))}")
        elif wrong := _wrong_amount(name, amount):
            yield Problem((*path, name), wrong)


def _wrong_amount(name: str, amount) -> str | None:
    is_number = isinstance(amount, int | float) and not isinstance(amount, bool)
    found = quantity(str(amount)) if is_number or isinstance(amount, str) else None
    if found is None:
        return "must be a quantity, such as 500m or 2Gi"
    is_counted = name in _COUNTED or ("/" in name and not name.startswith("requests."))
    if is_counted and found.denominator != 1:
        return "must be a whole number"
    if (found * 1000).denominator != 1:  # the server would round it up
        return "must be a multiple of 1m, a thousandth"
    return None
