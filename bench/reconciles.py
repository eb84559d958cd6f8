"""What Caelus adds to helm: the same installs and upgrades by it and without it."""

import concurrent.futures
import contextlib
import json
import logging
import os
import pathlib
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from bench import cluster, place, tools
from bench.report import Row, ratio
from caelus import config, database, fence
from caelus.actors import OPERATOR
from caelus.dispatch import dispatch
from caelus.models import QUEUED, READY, RUNNING, Deployment, Job
from caelus.operations import BY_COMMAND
from caelus.process import Tools
from caelus.worker import Workers
from tests.tools import HELM_MAJORS

CHART = place.ROOT / "tests" / "charts" / "app"
PARALLEL, TURNS = 2, 3
RUN = secrets.token_hex(3)


class Calls(logging.Handler):
    """Counts the programs that Caelus has run."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def emit(self, record):
        self.count += bool(re.match("(helm|kubectl) (?!version)", record.getMessage()))

    @contextlib.contextmanager
    def counting(self):
        log = logging.getLogger("caelus.process")
        log.setLevel(logging.INFO)
        log.propagate = False
        log.addHandler(self)
        try:
            yield self
        finally:
            log.removeHandler(self)


def measure(quick: bool) -> dict[str, list[Row]]:
    count = 6 if quick else 24
    found = {}
    for major in HELM_MAJORS:
        if (real := tools.real(major)) is not None:
            found[f"Reconciles, helm {major}"] = _with_helm(real, count)
    with tempfile.TemporaryDirectory() as home, place.databases("sqlite", "postgres") as urls:
        for kind, url in urls.items():
            found[f"Reconciles on {kind}, tools that do nothing"] = [
                *_with_nothing(url, pathlib.Path(home), 20 if quick else 100),
                *_wakeups(url, pathlib.Path(home), 5 if quick else 20),
            ]
    return found


# Real helm


def _with_helm(real: dict[str, str], count: int) -> list[Row]:
    with (
        tempfile.TemporaryDirectory() as home,
        place.databases("sqlite") as urls,
        cluster.kubeconfig(home) as kubeconfig,
        place.settings(urls["sqlite"], KUBECONFIG=kubeconfig, **real),
    ):
        _publish()
        try:
            return [
                *_compared("create", _create, count),
                *_compared("upgrade", _update, count),
            ]
        finally:
            cluster.remove(real["CAELUS_KUBECTL"], *_namespaces(count))


def _namespaces(count: int) -> list[str]:
    """All that were made, by Caelus and without it."""
    scripts = [_name(work, n) for work in (_helm, _fence_and_helm) for n in range(1, count + 1)]
    with database.session():
        return scripts + [found.deployment_uid for found in Deployment.select()]


def _name(work, number: int) -> str:
    """The release of a script, which nobody else's namespace is to be called, either."""
    return f"bench-{RUN}{work.__name__.replace('_', '-')}-{number}"


def _compared(what: str, enqueue, count: int):
    """Caelus, helm alone and a script of the same two programs, which take turns."""
    share, took = count // TURNS, []
    with Calls().counting() as calls:
        for first in range(1, count + 1, share):
            enqueue(share, first)
            numbers = range(first, first + share)
            scripts = [_by_script(work, what, numbers) for work in (_helm, _fence_and_helm)]
            took.append((_work_off(PARALLEL), *scripts))
    ours = statistics.median(seconds for seconds, *_ in took) / share
    for turn, script in ((1, "raw helm"), (2, "kubectl and helm by a script")):
        value = statistics.median(seconds[0] / seconds[turn] for seconds in took)
        named = f"{what} {count}, {PARALLEL} at a time, to {script}"
        yield ratio(named, value, 1, "<= 1.10", f"{ours:.2f} s each")
    yield Row(
        f"processes of each {what}", calls.count / count, f"{calls.count / count:.2f}", "<= 2"
    )


def _by_script(work, what: str, numbers: range) -> float:
    """Seconds for releases with these numbers, as a script would make them."""
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        started = time.monotonic()
        list(pool.map(lambda n: work(config.load(), _name(work, n), what), numbers))
        return time.monotonic() - started


def _helm(settings, name: str, what: str) -> None:
    values = {"message": f"{what} {name}", "ingress": {"host": f"{name}.example.org"}}
    subprocess.run(
        [settings.helm, "upgrade", "--install", name, CHART, "--namespace", name]
        + ["--create-namespace", "--values", "-", "--wait", "--timeout", "300s"],
        input=json.dumps(values).encode(),
        capture_output=True,
        check=True,
    )


def _fence_and_helm(settings, name: str, what: str) -> None:
    subprocess.run(
        [settings.kubectl, "apply", "--server-side", "--filename", "-"],
        input="\n".join(map(json.dumps, fence.objects(name, None, settings))).encode(),
        capture_output=True,
        check=True,
    )
    _helm(settings, name, what)


def _publish() -> None:
    _do("create-product", name="Hello")
    bindings = {"bindings": {"/message": "${domainname}"}}
    chart = {"chart_ref": str(CHART), "chart_version": "1.0.0", "capabilities_json": bindings}
    _do("create-template", product_id="1", **chart)
    _do("create-user", email="user1@example.org")


def _create(count: int, first: int = 1) -> None:
    for n in range(first, first + count):
        place_of = {"desired_template_id": 1, "domainname": f"d{n}.example.org"}
        _do("create-deployment", user_id="1", **place_of)


def _update(count: int, first: int) -> None:
    for n in range(first, first + count):
        changed = {"deployment_id": str(n), "domainname": f"e{n}.example.org"}
        _do("update-deployment", user_id="1", **changed)


def _do(command: str, **arguments) -> dict:
    return dispatch(BY_COMMAND[command], OPERATOR, arguments)


def _work_off(workers: int) -> float:
    """Seconds until no job is open any more."""
    pool = Workers(workers, Tools(config.load(), threading.Event()))
    started = time.monotonic()
    pool.start()
    while _open_jobs():
        time.sleep(0.01)
    seconds = time.monotonic() - started
    pool.stop()
    with database.session():
        assert not Deployment.select().where(Deployment.status != READY).exists()
    return seconds


def _open_jobs() -> bool:
    with database.session():
        return Job.select().where(Job.status.in_((QUEUED, RUNNING))).exists()


# Tools that do nothing


def _with_nothing(url: str, home: pathlib.Path, count: int):
    with place.settings(url, **tools.idle(home)):
        _publish()
        _create(count)
        before = time.process_time()
        with Calls().counting() as calls:
            ours = _work_off(1) / count
        computed = (time.process_time() - before) / count * 1000
        start = _start(str(home / "helm"))
        own = (ours - calls.count / count * start) * 1000
        shown = f"{own:.1f} ms ({ours * 1000:.1f} ms in all, a process start {start * 1000:.1f} ms)"
        shown += f"; Caelus itself computes {computed:.1f} ms"
        yield Row("own cost of a create", own, shown, "<= 10")


def _start(program: str) -> float:
    """Seconds for one start of a program that does nothing."""
    started = time.monotonic()
    for _ in range(50):
        subprocess.run([program], env=os.environ, capture_output=True)
    return (time.monotonic() - started) / 50


def _wakeups(url: str, home: pathlib.Path, count: int):
    """How long a new job waits for an idle worker, of this process and of another one."""
    with place.settings(url, **tools.idle(home, "sleep 0.2;")):
        first = Deployment.select().count() + 1
        pool = Workers(1, Tools(config.load(), threading.Event()))
        pool.start()
        time.sleep(1)
        yield _latency("the same process", [_waited(n) for n in range(first, first + count)])
        pool.stop()
        with _watching():
            first += count
            _waited(first)
            waits = [_waited(n) for n in range(first + 1, first + 1 + count)]
            yield _latency("another process", waits)


def _latency(where: str, waits: list[float]) -> Row:
    waits = sorted(waits)
    middle, most = waits[len(waits) // 2], waits[-1]
    shown = f"{middle * 1000:.0f} ms, at most {most * 1000:.0f} ms"
    return Row(f"wake-up of a worker in {where}", middle, shown)


def _waited(n: int) -> float:
    _create(1, n)
    with database.session():
        newest = Job.select().order_by(Job.id.desc()).limit(1)
        while (job := newest.get()).locked_at is None:
            time.sleep(0.005)
        waited = (job.locked_at - job.created_at).total_seconds()
        while newest.get().status == RUNNING:
            time.sleep(0.02)
    return waited


@contextlib.contextmanager
def _watching():
    command = [sys.executable, "-m", "caelus", "reconcile", "--watch"]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        time.sleep(2)
        yield
    finally:
        child.terminate()
        child.wait(40)
