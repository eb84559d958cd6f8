"""The API: requests a second, and how they compare with a bare app's; memory."""

import json

from bench import load, place
from bench.report import Row, ratio

GOALS = {"get a user": ">= 0.4", "list 100 users": ">= 0.12"}
GOALS |= {"create a user": ">= 0.3", "create a deployment": ">= 0.2"}
SMALL, LARGE = 100, 100_000


def measure(quick: bool) -> dict[str, list[Row]]:
    found = {}
    for rows in (SMALL,) if quick else (SMALL, LARGE):
        with place.databases("sqlite", "postgres") as urls:
            for kind, url in urls.items():
                found[f"API on {kind}, {rows:,} rows"] = _of(url, rows, 200 if quick else 1500)
    return found


def _of(url: str, rows: int, count: int) -> list[Row]:
    with place.settings(url):
        place.fill(rows)
        with (
            place.serving("bench.bare") as bare,
            place.serving("caelus", "serve", "--port=0", "--workers=0") as ours,
        ):
            before = place.resident(ours[1])
            found = [
                row
                for connections in (1, 8)
                for what, requests in _requests(count, rows, connections).items()
                for row in _compared(what, ours, bare, requests, connections)
            ]
            after = place.resident(ours[1])
    memory = Row(
        "memory of `serve`, after", after, f"{after:.0f} MB ({before:.0f} before)", "<= 80"
    )
    return [*found, memory]


def _compared(what: str, ours: tuple, bare: tuple, requests: list[bytes], connections: int):
    """Servers are their URLs and pids. The ratio of what they compute is there for machines that
    have much else to do."""
    mine, theirs = load.in_turns([ours, bare], requests, connections)
    more = f"{mine.per_second:,.0f}/s, p50 {mine.p50:.1f} ms, p99 {mine.p99:.1f} ms"
    if mine.cpu:
        more += f", by what they compute {theirs.cpu / mine.cpu:.2f} x"
    times = "1 connection" if connections == 1 else f"{connections} connections"
    named = f"{what}, {times}, to a bare app"
    yield ratio(named, mine.per_second, theirs.per_second, GOALS.get(what, ""), more)


def _requests(count: int, rows: int, connections: int) -> dict[str, list[bytes]]:
    get = load.request
    few = max(100, count // 5)
    return {
        "get a user": [get("GET", f"/users/{n % rows + 1}") for n in range(count)],
        "list 100 users": [get("GET", "/users?limit=100")] * few,
        "list 20 products": [get("GET", "/products")] * few,
        "list a user's 50 deployments": [get("GET", f"/users/{place.OWNER}/deployments")] * few,
        "create a user": [
            get("POST", "/users", _json(email=f"new{connections}-{n}@example.org"))
            for n in range(count)
        ],
        "create a deployment": [
            get(
                "POST",
                "/users/2/deployments",
                _json(desired_template_id=1, **_name(connections, n)),
            )
            for n in range(few)
        ],
    }


def _name(connections: int, n: int) -> dict:
    return {"domainname": f"new{connections}-{n}.example.org", "user_values_json": {"size": 3}}


def _json(**fields) -> bytes:
    return json.dumps(fields).encode()
