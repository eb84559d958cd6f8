"""What a checkup found: one line for a person or a machine, with the next step where it is bad."""

from typing import NamedTuple

OK, WARNING, FAILED = STATUSES = ("ok", "warning", "failed")


class Check(NamedTuple):
    """`next_step` is what to do or to type; empty where all is well."""

    section: str
    name: str
    status: str
    detail: str
    next_step: str = ""


class Section:
    """Makes the findings of one section of the page."""

    def __init__(self, title: str):
        self._title = title

    def ok(self, name: str, detail: str) -> Check:
        return Check(self._title, name, OK, detail)

    def warning(self, name: str, detail: str, next_step: str) -> Check:
        return Check(self._title, name, WARNING, detail, next_step)

    def failed(self, name: str, detail: str, next_step: str) -> Check:
        return Check(self._title, name, FAILED, detail, next_step)


def size(count: int) -> str:
    """A number of bytes as people read it: `1.2 GiB`."""
    amount, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while amount >= 1024 and len(units) > 1:
        amount /= 1024
        units.pop(0)
    return f"{amount:.0f} {units[0]}" if units[0] == "B" else f"{amount:.1f} {units[0]}"


def span(seconds: float) -> str:
    """A time as people read it: `90 s`, `5 min`, `3 h`, `2 days`."""
    for unit, length, most in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 48)):
        if seconds < most * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"
