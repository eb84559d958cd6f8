"""What grows with the number of deployments, and how."""

import pathlib
import statistics
import tempfile
import time

from bench import load, place, tools
from bench.reconciles import Calls
from bench.report import Row
from caelus import config, database, deployments, drift, jobs
from caelus.models import Deployment, Template
from caelus.process import Tools

SIZES, BASE = (10, 100, 1_000, 10_000), 100
GROWING = ("claim", "get a deployment", "a page of 50")
ROUNDS = 40


def measure(quick: bool) -> dict[str, list[Row]]:
    found = {}
    sizes = SIZES[:3] if quick else SIZES
    for kind in ("sqlite", "postgres"):
        measured = {}
        for count in sizes:
            with place.databases(kind) as urls:
                if urls:
                    measured[count] = _of(urls[kind], count)
        if measured:
            found[f"Scale on {kind}"] = list(_rows(measured))
    return found


def _rows(measured: dict[int, dict[str, float]]):
    largest = max(measured)
    for what in measured[largest]:
        shown = ", ".join(f"{count:,}: {found[what]:.3g}" for count, found in measured.items())
        if what in GROWING:
            value = measured[largest][what] / measured[BASE][what]
            yield Row(f"{what}, ms, by deployments", value, f"{shown} ({value:.2f} x)", "<= 1.5")
        elif what == "processes of a sweep":
            spread = len({found[what] for found in measured.values()})
            yield Row(what, spread, f"{shown} ({spread} different)", "<= 1")
        else:
            goal = "<= 80" if what.startswith("memory") else ""
            yield Row(f"{what}, by deployments", measured[largest][what], shown, goal)


def _of(url: str, count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        home = pathlib.Path(name)
        with place.settings(url, **tools.idle(home)):
            place.fill(count)
            return _sweep(home) | _served() | _rules(count)


def _sweep(home: pathlib.Path) -> dict[str, float]:
    site = config.load()
    with database.session():
        query = Deployment.select(Deployment, Template).join(
            Template, on=Deployment.desired_template, attr="desired_template"
        )
        tools.show(home, list(query), site)
    drift.sweep(Tools(site))  # the first one asks for helm's version
    with Calls().counting() as calls:
        started = time.monotonic()
        assert drift.sweep(Tools(site)) == 0
        seconds = time.monotonic() - started
    return {"seconds of a sweep": seconds, "processes of a sweep": calls.count}


def _served() -> dict[str, float]:
    with place.serving("caelus", "serve", "--port=0", "--workers=2") as (url, pid):
        page = load.request("GET", "/deployments?limit=50")
        load.pace(url, [page] * 100, 4)
        return {"memory of `serve`, MB": place.resident(pid)}


def _rules(count: int) -> dict[str, float]:
    middle = count // 2
    owner = place.OWNER if middle <= place.OWN else middle
    with database.session():
        found = {
            "get a deployment": _ms(lambda: deployments.get(user_id=owner, deployment_id=middle)),
            "a page of 50": _ms(lambda: deployments.find_all(limit=50, after=max(0, middle - 50))),
        }
        with database.transaction():
            for deployment in range(1, count + 1):
                jobs.enqueue(deployment, "update")
        return found | {"claim": _ms(_claim_and_postpone, min(ROUNDS, count))}


def _claim_and_postpone() -> None:
    jobs.postpone(jobs.claim("bench"), "later")


def _ms(work, rounds: int = ROUNDS) -> float:
    took = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return statistics.median(took) * 1000
