"""What a start costs: short commands against `python -c pass`."""

import os
import statistics
import subprocess
import sys
import sysconfig
import time

from bench import place
from bench.report import Row, ratio

COMMANDS = {
    "--version": ["--version"],
    "list-users": ["list-users"],
    "get-deployment": ["get-deployment", "1", "1"],
}
GOALS = {("wheel", "list-users"): "<= 10", ("binary", "--version"): "<= 25"}

SIZES = {"binary": "<= 15 MB"}


def measure(quick: bool, built: dict[str, str]) -> dict[str, list[Row]]:
    """`built`: the zipapp's and the binary's paths, where there are such."""
    ways = {"wheel": [f"{sysconfig.get_path('scripts')}/caelus"]}
    if "zipapp" in built:
        ways["zipapp"] = [sys.executable, built["zipapp"]]
    if "binary" in built:
        ways["binary"] = [built["binary"]]
    with place.databases("sqlite") as urls, place.settings(urls["sqlite"]):
        place.fill(100)
        rounds = 5 if quick else 25
        rows = [row for way, program in ways.items() for row in _of(way, program, rounds)]
    sizes = [_size(way, path) for way, path in built.items()]
    return {"Start-up": rows + sizes}


def _of(way: str, program: list[str], rounds: int):
    for what, argv in COMMANDS.items():
        ours, bare = _times([*program, *argv], [sys.executable, "-c", "pass"], rounds=rounds)
        goal = GOALS.get((way, what), "")
        yield ratio(
            f"`{what}`, {way}, to `python -c pass`", ours, bare, goal, f"{ours * 1000:.0f} ms"
        )


def _times(*commands: list[str], rounds: int) -> list[float]:
    """Seconds that each takes: the medians of rounds in which they take turns."""
    took = [[_seconds(command) for command in commands] for _ in range(rounds + 1)]
    return [statistics.median(times) for times in zip(*took[1:], strict=True)]


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _size(way: str, path: str) -> Row:
    size = os.path.getsize(path) / 1e6
    return Row(f"size of the {way}", size, f"{size:.1f} MB", SIZES.get(way, ""))
