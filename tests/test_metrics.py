"""/metrics: who may read it, what it tells, and that it is right whoever did the work."""

import datetime
import re
import subprocess
import sys

import falcon.testing
import pytest
from prometheus_client.parser import text_string_to_metric_families

from caelus import causes, config, database, drift, jobs, metrics, outcomes, tallies
from caelus.api import create_app
from caelus.cli import main
from caelus.database import transaction
from caelus.errors import ConfigError
from caelus.models import DEPLOYMENT_STATUSES, Deployment, Event, Job, Tally, now
from tests import admin
from tests.program import ROOT

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
BODY = {"desired_template_id": 1, "domainname": "a.example.org"}
ADMIN = {"Authorization": admin.BEARER}


def ask(client=None, peer="192.0.2.7", **headers):
    client = client or falcon.testing.TestClient(create_app(), headers={"Host": "localhost"})
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.simulate_get("/metrics", headers=given, remote_addr=peer)


def figures(client=None) -> dict[tuple, float]:
    """The samples by name and labels, such as ("caelus_jobs", "queued", "create")."""
    answer = ask(client, **ADMIN)
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels, reverse=True))): (
            sample.value
        )
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.fixture
def deployed(shop):
    assert shop("create-deployment", user_id=1, **BODY).ok
    return shop


# Who may


@on_sqlite
def test_admins_may_read_it_and_users_do_not_see_it(shop):
    token = shop("create-token", user_id=1).document["token"]
    assert ask(**ADMIN).headers["content-type"].startswith("text/plain; version=")
    refused = ask(Authorization=f"Bearer {token}")
    assert (refused.status_code, refused.json["detail"]) == (404, "GET /metrics does not exist")
    assert ask().status_code == 401


@on_sqlite
@pytest.mark.parametrize(
    ("readers", "peer", "status"),
    [
        ("10.42.0.0/16", "10.42.7.1", 200),
        ("10.42.0.0/16", "::ffff:10.42.7.1", 200),
        ("10.42.0.0/16", "10.43.0.1", 401),
        ("2001:db8::/32, 10.0.0.9", "2001:db8::1", 200),
        ("10.0.0.9", "", 401),
        ("", "127.0.0.1", 401),
    ],
)
def test_readers_need_no_token(rest, monkeypatch, readers, peer, status):
    monkeypatch.setenv("CAELUS_METRICS_READERS", readers)
    assert ask(peer=peer).status_code == status


@on_sqlite
def test_readers_read_nothing_else(rest, monkeypatch):
    monkeypatch.setenv("CAELUS_METRICS_READERS", "10.0.0.9")
    client = falcon.testing.TestClient(create_app(), headers={"Host": "localhost"})
    for path in ("/users", "/metrics/", "/openapi.json"):
        assert client.simulate_get(path, remote_addr="10.0.0.9").status_code == 401
    assert client.simulate_post("/metrics", remote_addr="10.0.0.9").status_code == 403
    other_host = client.simulate_get("/metrics", headers={"Host": "x.org"}, remote_addr="10.0.0.9")
    assert other_host.status_code == 403


@on_sqlite
def test_who_comes_by_a_proxy_is_no_reader_unless_the_proxy_is_trusted(rest, monkeypatch):
    monkeypatch.setenv("CAELUS_METRICS_READERS", "127.0.0.1, 10.0.0.9")
    assert ask(peer="127.0.0.1", X_Forwarded_For="127.0.0.1").status_code == 401
    assert ask(peer="127.0.0.1", Forwarded="for=1.2.3.4").status_code == 401
    monkeypatch.setenv("CAELUS_TRUSTED_PROXIES", "127.0.0.1")
    assert ask(peer="127.0.0.1").status_code == 401
    assert ask(peer="127.0.0.1", X_Forwarded_For="198.51.100.1").status_code == 401
    assert ask(peer="127.0.0.1", X_Forwarded_For="10.0.0.9").status_code == 200


def test_readers_that_are_no_addresses_are_refused():
    with pytest.raises(ConfigError, match="CAELUS_METRICS_READERS: 'x' does not appear"):
        config.load({"CAELUS_METRICS_READERS": "10.0.0.1, x"})


# Requests


@on_sqlite
def test_requests_are_counted_by_their_routes_not_by_their_paths(shop):
    client = falcon.testing.TestClient(create_app(), headers={"Host": "localhost"} | ADMIN)
    for path in ("/users/1", "/users/2", "/users/x", "/secret-path", "/login/secret-code"):
        client.simulate_get(path)
    client.simulate_request("BREW", "/users")
    client.simulate_get("/users", headers={"Authorization": "Bearer x"})
    found = figures(client)
    counted = {key[1:]: n for key, n in found.items() if key[0] == "caelus_http_requests_total"}
    assert counted[("200", "/users/{user_id}", "GET")] == 1
    assert counted[("404", "/users/{user_id}", "GET")] == 2
    assert counted[("404", "none", "GET")] == 1
    assert counted[("401", "none", "GET")] == 1
    assert counted[("401", "/login/{code}", "GET")] == 1
    assert [labels for labels in counted if labels[2] == "other"]
    assert found["caelus_http_request_duration_seconds_count", "/users/{user_id}", "GET"] == 3
    assert "secret" not in ask(client).text


@on_sqlite
def test_nothing_is_in_the_packages_own_registry(rest):
    script = (
        "import prometheus_client as p; before = p.generate_latest(); "
        "from caelus.api import create_app; create_app(); create_app(); "
        "names = lambda text: {l.split()[2] for l in text.decode().splitlines() if l[0] == '#'}; "
        "assert names(p.generate_latest()) == names(before)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


# What the database has recorded


def test_jobs_deployments_and_size_are_told(deployed):
    found = figures()
    assert found["caelus_jobs", "queued", "create"] == 1
    assert found["caelus_jobs", "failed", "drift"] == 0
    assert found["caelus_deployments", "provisioning"] == 1
    assert {key[1] for key in found if key[0] == "caelus_deployments"} == set(DEPLOYMENT_STATUSES)
    assert found["caelus_database_size_bytes",] > 50_000
    assert [key for key in found if key[0] == "caelus_build_info"]


def test_the_age_of_the_queue_is_that_of_the_oldest_due_job(deployed):
    Job.update(run_after=now() - datetime.timedelta(seconds=90)).execute()
    assert 90 <= figures()["caelus_queue_age_seconds",] < 150
    Job.update(run_after=now() + datetime.timedelta(seconds=90)).execute()
    assert figures()["caelus_queue_age_seconds",] == 0
    Job.update(status="done").execute()
    assert figures()["caelus_queue_age_seconds",] == 0


def test_attempts_are_told_by_cause_with_their_durations(deployed):
    def end(code: str | None, seconds: float):
        claimed = now() - datetime.timedelta(seconds=seconds)
        with transaction():
            tallies.reconciled(Job(reason="create", locked_at=claimed), code)

    for code, seconds in ((None, 3), (None, 3), (None, 400), ("image_pull", 5000)):
        end(code, seconds)
    found = figures()

    def bucket(cause: str, bound: str):
        # Sorted from the last name: reason, le, cause.
        return found["caelus_reconcile_duration_seconds_bucket", "create", bound, cause]

    assert [bucket("none", b) for b in ("2.0", "5.0", "300.0", "600.0", "+Inf")] == [0, 2, 2, 3, 3]
    assert [bucket("image_pull", b) for b in ("1800.0", "+Inf")] == [0, 1]
    assert found["caelus_reconcile_duration_seconds_count", "create", "none"] == 3
    total = found["caelus_reconcile_duration_seconds_sum", "create", "none"]
    assert total == pytest.approx(406, abs=20)


def test_what_another_process_did_is_told(deployed, empty_cluster, tmp_path):
    """By the real reconciler, whose kubectl can do nothing here: helm is missing."""
    command = [sys.executable, "-m", "caelus", "reconcile"]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    (key,) = [k for k in figures() if k[0] == "caelus_reconcile_duration_seconds_count"]
    assert key[1] == "create"
    assert key[2] in causes.CODES


def test_an_outcome_that_is_not_recorded_is_not_counted(deployed):
    with pytest.raises(ZeroDivisionError), transaction():
        tallies.drifted("corrected")
        raise ZeroDivisionError
    assert Tally.select().count() == 0


def test_an_attempt_whose_job_is_lost_is_not_counted(deployed, monkeypatch):
    job = jobs.claim("worker")
    Job.update(locked_by="another").execute()
    outcomes.record(job, Deployment.get(), None, None, False)
    assert Tally.select().count() == 0


@on_sqlite
def test_a_count_outlives_what_is_pruned(deployed):
    with transaction():
        drift._tell_once(1, [], drift.FOUND, "replicas")
        drift._tell_once(1, [], drift.RECURRING, "replicas")
    Event.delete().execute()
    found = figures()
    assert found["caelus_drift_found_total", "reported"] == 1
    assert found["caelus_drift_found_total", "given_up"] == 1
    assert found["caelus_drift_found_total", "corrected"] == 0


def test_two_processes_count_in_one_row(deployed):
    from concurrent.futures import ThreadPoolExecutor

    def count(_):
        with database.session(), transaction():
            tallies.drifted("corrected")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(40)))
    assert tallies.drift() == {"corrected": 40}
    assert Tally.select().count() == 1


def test_the_queries_are_the_same_number_however_much_there_is(deployed, monkeypatch):
    asked = []
    run = type(database.database.obj).execute_sql
    monkeypatch.setattr(
        type(database.database.obj),
        "execute_sql",
        lambda *a, **k: asked.append(a[1]) or run(*a, **k),
    )

    def count() -> int:
        asked.clear()
        for family in metrics.Recorded().collect():
            assert family.samples
        return len(asked)

    with transaction():
        tallies.reconciled(jobs.claim("worker"), None)
    few = count()
    for name in "bcdefg":
        assert deployed("create-deployment", user_id=1, **BODY | {"domainname": f"{name}.b"}).ok
        with transaction():
            tallies.reconciled(jobs.claim("worker"), f"cause_{name}")
    assert count() == few <= 7


@on_sqlite
def test_the_page_about_it_names_every_metric_with_its_labels(deployed):
    page = (ROOT / "docs" / "observe.md").read_text()
    rows = re.findall(r"^\| `(caelus_\w+)` \| (.*?) ?\|", page, re.MULTILINE)
    with transaction():
        tallies.reconciled(jobs.claim("worker"), None)
    client = falcon.testing.TestClient(create_app(), headers={"Host": "localhost"} | ADMIN)
    client.simulate_get("/users")
    told = {
        re.sub("_(bucket|sum|count)$", "", sample.name): {*sample.labels} - {"le"}
        for family in text_string_to_metric_families(ask(client).text)
        for sample in family.samples
        if not sample.name.startswith("process_")
    }
    assert {name: {*re.findall(r"`(\w+)`", labels)} for name, labels in rows} == told


@on_sqlite
def test_a_command_does_not_load_the_library(settings):
    script = "import sys; from caelus.cli import main; main(['list-jobs']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "caelus.tracing" in done.stdout
    assert not re.search(r"\bprometheus_client\b", done.stdout)
    assert main(["list-jobs"]) == 0
