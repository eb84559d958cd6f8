"""What /metrics tells Prometheus: the requests of this process, and what the database says of all.

No label holds what a user or a client has written.
"""

import platform

import prometheus_client
from prometheus_client import metrics_core as core

from caelus import __version__, database, tallies
from caelus.errors import Unseen
from caelus.models import DEPLOYMENT_STATUSES, JOB_STATUSES

PATH = "/metrics"
REASONS = ("create", "update", "delete", "drift")
ACTIONS = ("corrected", "reported", "given_up")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
prometheus_client.disable_created_metrics()  # another gauge beside each series, of use to few


class Metrics:
    """The resource at /metrics, for admins and for the addresses that the guard lets through."""

    def __init__(self):
        self._registry = prometheus_client.CollectorRegistry()
        self._requests = prometheus_client.Counter(
            "caelus_http_requests",
            "Requests that this process has answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._durations = prometheus_client.Histogram(
            "caelus_http_request_duration_seconds",
            "How long this process took for them.",
            ("method", "route"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._series: dict[tuple, tuple] = {}  # the library takes long to find them
        build = {"version": __version__, "python": platform.python_version()}
        about = "The Caelus that answers."
        prometheus_client.Info("caelus_build", about, registry=self._registry).info(build)
        prometheus_client.ProcessCollector(registry=self._registry)
        self._registry.register(Recorded())

    def count(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Note a request; `route` is a template, None for what was refused before it had one."""
        key = method if method in METHODS else "other", route or "none", status
        if key not in self._series:
            self._series[key] = self._of(*key)
        requests, durations = self._series[key]
        requests.inc()
        durations.observe(seconds)

    def _of(self, method: str, route: str, status: int) -> tuple:
        durations = self._durations.labels(method, route)
        return self._requests.labels(method, route, str(status)), durations

    def on_get(self, req, resp):
        actor = req.context.actor
        if actor is not None and not actor.is_admin:
            raise Unseen(f"{req.method} {PATH} does not exist")
        with database.session():
            resp.data = prometheus_client.generate_latest(self._registry)
        resp.content_type = prometheus_client.CONTENT_TYPE_LATEST

    on_head = on_get


class Recorded:
    """What the database has recorded, whichever process did it; one query for each figure."""

    def describe(self):
        return []

    def collect(self):
        queue = tallies.queue()
        yield _jobs(queue)
        yield core.GaugeMetricFamily(
            "caelus_queue_age_seconds",
            "Since the oldest job that waits for a worker became due; 0 where none does.",
            queue.age,
        )
        yield _reconciles()
        yield _drift()
        yield _deployments()
        yield core.GaugeMetricFamily(
            "caelus_database_size_bytes", "What the database takes up.", database.size()
        )


def _jobs(queue: tallies.Queue):
    about = "Jobs by status and reason; those that are closed are kept for 90 days."
    family = core.GaugeMetricFamily("caelus_jobs", about, labels=("status", "reason"))
    for status in JOB_STATUSES:
        for reason in REASONS:
            family.add_metric((status, reason), queue.jobs.get((status, reason), 0))
    return family


def _reconciles():
    about = "How long attempts took, and why they failed; the cause is none of those that did not."
    family = core.HistogramMetricFamily(
        "caelus_reconcile_duration_seconds", about, labels=("reason", "cause")
    )
    for found in tallies.durations():
        buckets, total = [], 0
        for bound in tallies.BOUNDS:
            total += found.counts.get(bound, 0)
            buckets.append((str(float(bound)), total))
        buckets.append(("+Inf", sum(found.counts.values())))
        family.add_metric((found.reason, found.cause), buckets, found.seconds)
    return family


def _drift():
    about = "What was found changed behind Caelus's back, by what was done about it."
    family = core.CounterMetricFamily("caelus_drift_found", about, labels=("action",))
    return _counted(family, tallies.drift(), ACTIONS)


def _deployments():
    about = "Deployments by status."
    family = core.GaugeMetricFamily("caelus_deployments", about, labels=("status",))
    return _counted(family, tallies.deployments(), DEPLOYMENT_STATUSES)


def _counted(family, found: dict[str, int], every: tuple[str, ...]):
    """The family with what was found, and with 0 for what was not."""
    for value in every:
        family.add_metric((value,), found.get(value, 0))
    return family
