"""What was measured, as rows of a Markdown table with the goals beside them."""

from typing import NamedTuple


class Row(NamedTuple):
    """`goal` is at most (`<=`) or at least (`>=`) a number, as text; it is about `value`."""

    what: str
    value: float
    shown: str
    goal: str = ""

    @property
    def verdict(self) -> str:
        if not self.goal:
            return ""
        sign, bound = self.goal.split()[:2]
        met = self.value <= float(bound) if sign == "<=" else self.value >= float(bound)
        return "yes" if met else "**no**"


def table(title: str, rows: list[Row]) -> str:
    lines = [f"### {title}", "", "| what | measured | goal | met |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.shown} | {row.goal} | {row.verdict} |" for row in rows]
    return "\n".join([*lines, ""])


def ratio(what: str, ours: float, theirs: float, goal: str = "", more: str = "") -> Row:
    """How many times `theirs` ours is."""
    value = ours / theirs
    shown = f"{value:.2f} x" if value < 20 else f"{value:.0f} x"
    return Row(what, value, f"{shown}{more and f' ({more})'}", goal)
