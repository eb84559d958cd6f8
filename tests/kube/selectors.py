"""Label and field selectors, as list and watch requests carry them."""

import re


def matches(obj: dict, query: dict) -> bool:
    """Whether an object is selected by a request's labelSelector and fieldSelector, if any."""
    labels = obj["metadata"].get("labels") or {}
    # A comma inside parentheses separates the values of one requirement.
    requirements = re.split(r",(?![^(]*\))", query.get("labelSelector", ""))
    fields = query.get("fieldSelector", "").split(",")
    return all(_label_matches(labels, r.strip()) for r in requirements if r) and all(
        _field_matches(obj, f) for f in fields if f
    )


def _label_matches(labels, requirement):
    if found := re.fullmatch(r"(\S+)\s+(in|notin)\s+\((.*)\)", requirement):
        key, operator, values = found.groups()
        among = labels.get(key) in [value.strip() for value in values.split(",")]
        return among == (operator == "in")
    if "=" in requirement:
        return _equality(requirement, labels.get)
    return requirement[1:] not in labels if requirement[0] == "!" else requirement in labels


def _field_matches(obj, requirement):
    return _equality(requirement, lambda path: _field(obj, path))


def _equality(requirement, read):
    key, operator, value = re.fullmatch(r"([^=!]+)(==|!=|=)(.*)", requirement).groups()
    return (read(key.strip()) == value.strip()) == (operator != "!=")


def _field(obj, path):
    """The text of a field like `involvedObject.name`; an absent one is empty."""
    for name in path.split("."):
        obj = obj.get(name) if isinstance(obj, dict) else None
    return "" if obj is None else str(obj)
