"""The queue: how many jobs a second go through it, and how long a new one waits for a worker."""

import multiprocessing
import os
import sqlite3
import statistics
import threading
import time

from bench import place
from bench.report import Row, ratio
from caelus import config, database, jobs, startup

TURNS = 3
GOALS = {("sqlite", "threads", 4): ">= 0.2", ("postgres", "processes", 4): ">= 0.3"}


def measure(quick: bool) -> dict[str, list[Row]]:
    found = {}
    count = 200 if quick else 1000
    with place.databases("sqlite", "postgres") as urls:
        for kind, url in urls.items():
            with place.settings(url):
                place.fill(count)
                found[f"Queue on {kind}"] = [
                    row
                    for way in ("threads", "processes")
                    for workers in (1, 4, 8)
                    for row in _of(kind, way, workers, count)
                ]
    return found


def _of(kind: str, way: str, workers: int, count: int):
    share = [count // workers] * workers
    whole = _rate(way, _enqueue_and_work, share)
    yield Row(f"enqueue, claim, finish, {workers} {way}", whole, f"{whole:,.0f}/s")
    turns = [_turn(way, [number // TURNS for number in share]) for _ in range(TURNS)]
    named = f"claim, finish, {workers} {way}, to bare one-row UPDATEs"
    value = statistics.median(work / bare for work, bare in turns)
    rate = statistics.median(work for work, _ in turns)
    yield ratio(named, value, 1, GOALS.get((kind, way, workers), ""), f"{rate:,.0f}/s")


def _turn(way: str, share: list[int]) -> tuple[float, float]:
    _enqueue(range(1, sum(share) + 1))
    return _rate(way, _work, share), _rate(way, _bare, share)


def _rate(way: str, task, share: list[int]) -> float:
    """How often a second the task is done, by workers that begin together."""
    run = _in_threads if way == "threads" else _in_processes
    spans = run(task, share)
    begun, ended = zip(*spans, strict=True)
    return sum(share) / (max(ended) - min(begun))


def _in_threads(task, share: list[int]) -> list[tuple]:
    barrier, spans = threading.Barrier(len(share)), []
    threads = [
        threading.Thread(target=_timed, args=(task, n, count, barrier, spans.append))
        for n, count in enumerate(share)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return spans


def _in_processes(task, share: list[int]) -> list[tuple]:
    spawn = multiprocessing.get_context("spawn")
    barrier, spans = spawn.Barrier(len(share)), spawn.SimpleQueue()
    processes = [
        spawn.Process(target=_process, args=(task, n, count, barrier, spans))
        for n, count in enumerate(share)
    ]
    for process in processes:
        process.start()
    found = [spans.get() for _ in processes]
    for process in processes:
        process.join()
    return found


def _process(task, number: int, count: int, barrier, spans) -> None:
    startup.open_database(config.load())
    _timed(task, number, count, barrier, spans.put)


def _timed(task, number: int, count: int, barrier, tell) -> None:
    with database.session():
        barrier.wait()
        started = time.monotonic()  # one clock for all processes of a machine
        task(number, count)
        tell((started, time.monotonic()))


def _enqueue(ids) -> None:
    for deployment in ids:
        with database.session(), database.transaction():
            jobs.enqueue(deployment, "update")


def _enqueue_and_work(number: int, count: int) -> None:
    for n in range(count):
        with database.session(), database.transaction():
            jobs.enqueue(number * count + n + 1, "update")
        _work_one(number)


def _work(number: int, count: int) -> None:
    for _ in range(count):
        _work_one(number)


def _work_one(number: int) -> None:
    with database.session():
        job = jobs.claim(f"bench:{os.getpid()}:{number}")
        while job is None:  # another one is a moment faster, and has left this worker's job
            job = jobs.claim(f"bench:{os.getpid()}:{number}")
    with database.session(), database.transaction():
        assert jobs.finish(job)


def _bare(number: int, count: int) -> None:
    connection, mark = _connection()
    statement = f"UPDATE deployments SET generation = generation + 1 WHERE id = {mark}"
    for n in range(count):
        if mark == "?":
            connection.execute("BEGIN IMMEDIATE")
        connection.execute(statement, (number * count + n + 1,))
        connection.commit()
    connection.close()


def _connection():
    """The driver's own connection, with Caelus's settings, and its mark of parameters."""
    url = config.database_url()
    if not url.startswith("sqlite:"):
        import psycopg

        return psycopg.connect(url), "%s"
    path = str(database.sqlite_path(url))
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    for name, value in database.SQLITE_PRAGMAS.items():
        connection.execute(f"PRAGMA {name} = {value}")
    return connection, "?"
