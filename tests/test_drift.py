"""Sweeps: what was changed behind Caelus's back is found, and put right."""

import datetime
import json
import threading

import pytest

from caelus import config, drift, events, fence, releases
from caelus.database import database, is_postgres, transaction
from caelus.drift import compare
from caelus.errors import Conflict
from caelus.models import Deployment, Event, Job, Template, now
from caelus.process import Tools
from caelus.releases import Release
from caelus.values import check_template
from tests.drifting import (
    REPLICAS,
    UNHEALTHY_SECONDS,
    Scene,
    deploy,
    one_database,
    open_jobs,
    publish,
    told,
)
from tests.drifting import scene as scene
from tests.kube import ApiError
from tests.program import Program, wait_until
from tests.test_end_to_end import CHART
from tests.tools import tool_directory

ACTIVE = {"a-1": "Active", "b-2": "Active"}
NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
DEPLOYED = {"a-1/a-1": Release(2, "deployed")}
PRINTING = """#!/bin/sh
echo "{tool} $*" >> {calls}
[ "$1" = version ] && echo v4.3.1 && exit
cat {answer}
"""


@pytest.mark.parametrize(
    ("revision", "found", "namespaces", "difference"),
    [
        (2, DEPLOYED, ACTIVE, None),
        (None, DEPLOYED, ACTIVE, None),
        (2, {"a-1/a-1": Release(None, "deployed")}, ACTIVE, None),
        (2, DEPLOYED, {}, "namespace a-1 is missing"),
        (2, {}, {"a-1": "Terminating"}, "namespace a-1 is being deleted"),
        (2, {}, ACTIVE, "release a-1 is missing"),
        (2, {"b-2/a-1": Release(2, "deployed")}, ACTIVE, "release a-1 is missing"),
        (1, DEPLOYED, ACTIVE, "release a-1 is at revision 2, Caelus applied 1"),
        *(
            (
                2,
                {"a-1/a-1": Release(2, status)},
                ACTIVE,
                f"release a-1 has the status {status}, not deployed",
            )
            for status in ("failed", "pending-upgrade", "uninstalled", "superseded", "unknown")
        ),
    ],
)
def test_what_is_not_as_applied_is_named(revision, found, namespaces, difference):
    assert compare("a-1", revision, found, namespaces, NOON) == difference


@pytest.mark.parametrize(("minutes", "is_drift"), [(59, False), (61, True)])
def test_a_helm_that_somebody_runs_is_waited_for(minutes, is_drift):
    started = NOON - datetime.timedelta(minutes=minutes)
    found = {"a-1/a-1": Release(3, "pending-upgrade", started)}
    assert bool(compare("a-1", 2, found, ACTIVE, NOON)) == is_drift


@pytest.mark.parametrize(
    "capabilities", [{"drift": "fix"}, {"drift": False}, {"on_upgrade_failure": ["keep"]}]
)
def test_a_template_with_an_unknown_policy_is_refused(capabilities):
    (name,) = capabilities
    with pytest.raises(Conflict, match=f"/{name} must be one of"):
        check_template(None, None, capabilities)


def test_a_template_may_say_what_is_done_about_drift_and_failures(surface):
    surface("create-product", name="Notes")
    answer = surface(
        "create-template",
        product_id=1,
        chart_ref="oci://registry.example.org/notes",
        chart_version="1",
        capabilities_json={"drift": "warn", "on_upgrade_failure": "keep"},
    )
    assert answer.ok


# Sweeps


@pytest.mark.parametrize(
    ("updated", "read"),
    [
        ("2026-11-23 13:00:00.334018494 +0100 CET", NOON),
        ("2026-11-23 12:00:00 +0000 UTC", NOON),
        ("2026-99-23 12:00:00 +0000 UTC", None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_helms_times_are_read_or_ignored(updated, read):
    assert releases._time(updated) == read


@pytest.fixture
def stubs(tmp_path, settings):
    """Tools that print what helm list and kubectl get namespaces are to say."""
    return Scene(tmp_path, PRINTING)


def test_a_sweep_with_nothing_wrong_runs_two_processes_and_enqueues_nothing(rest, scene):
    publish(rest)
    for name in ("a", "b"):
        deploy(rest, scene, name)
    assert drift.sweep(scene.tools) == 0
    assert [call.split()[:2] for call in scene.calls()] == [["helm", "list"], ["kubectl", "get"]]
    assert (open_jobs(), told()) == ([], [])
    (row,) = {deployment.applied_revision for deployment in Deployment.select()}
    assert row == 1


@pytest.mark.parametrize(
    ("harm", "difference"),
    [
        (("helm", "uninstall", "{uid}", "--namespace", "{uid}"), "release {uid} is missing"),
        (("kubectl", "delete", "namespace", "{uid}"), "namespace {uid} is missing"),
        (
            ("helm", "rollback", "{uid}", "1", "--namespace", "{uid}"),
            "release {uid} is at revision 2, Caelus applied 1",
        ),
    ],
    ids=["uninstalled", "namespace-deleted", "rolled-back"],
)
@one_database
def test_what_was_done_behind_caelus_back_is_found_and_healed(rest, scene, harm, difference):
    publish(rest)
    uid = deploy(rest, scene)
    scene.run(*(word.format(uid=uid) for word in harm))
    assert drift.sweep(scene.tools) == 1
    assert (open_jobs(), told()) == ([(1, "drift")], [difference.format(uid=uid)])
    assert drift.sweep(scene.tools) == 0  # a job is open
    assert scene.reconcile().status == "ready"
    assert scene.document("deployments", uid, "--namespace", uid)["status"]["readyReplicas"] == 1
    assert drift.sweep(scene.tools) == 0
    assert len(told()) == 1


@one_database
def test_an_edited_object_is_found_and_healed(rest, scene):
    publish(rest)
    uid = deploy(rest, scene)
    where = (uid, "--namespace", uid)
    assert drift.deep(scene.tools, Deployment.get()) is None
    change = json.dumps({"data": {"index.html": "changed", "more": "added"}})
    scene.run("kubectl", "patch", "configmap", *where, "--type=merge", "--patch", change)
    scene.run("kubectl", "delete", "service", *where)
    later = now() + datetime.timedelta(days=1)
    assert drift.compare_next(scene.tools, later) == 1
    assert told() == [f'Service {uid} is missing; ConfigMap {uid} differs at data["index.html"]']
    assert drift.compare_next(scene.tools, later) == 0  # it was looked at just now
    scene.calls()
    assert scene.reconcile().status == "ready"
    server_side = "--server-side" in scene.run("helm", "upgrade", "--help")
    (upgrade,) = [call for call in scene.calls() if call.startswith("helm upgrade --install")]
    assert ("--force-conflicts" in upgrade) == server_side
    assert scene.document("configmap", *where)["data"]["index.html"] == "hello"
    assert scene.document("service", *where)
    assert drift.deep(scene.tools, Deployment.get()) is None


@one_database
@pytest.mark.parametrize("scene", ["4"], indirect=True)
def test_a_field_that_another_manager_took_is_taken_back(rest, scene):
    """As a cluster does after `kubectl edit`: it refuses an apply of the field without force."""
    publish(rest)
    uid = deploy(rest, scene)
    where = (uid, "--namespace", uid)
    change = json.dumps({"data": {"index.html": "changed"}})
    scene.run("kubectl", "patch", "configmap", *where, "--type=merge", "--patch", change)
    conflict = 'Apply failed with 1 conflict: conflict with "kubectl-edit" using v1: .data'
    refused = []

    def intercept(method, path, query):
        if method == "PATCH" and "/configmaps/" in path and query.get("force") != "true":
            refused.append(path)
            return ApiError(409, "Conflict", conflict)
        return None

    scene.api.intercept = intercept
    assert drift.compare_next(scene.tools, now() + datetime.timedelta(days=1)) == 1
    assert scene.reconcile().status == "ready"
    assert refused == []
    assert scene.document("configmap", *where)["data"]["index.html"] == "hello"
    rest("update-deployment", user_id=1, deployment_id=1, domainname="b.example.org")
    assert scene.reconcile().status == "ready"
    assert refused, "the first try was to be refused, and the second one forced"


@one_database
@pytest.mark.parametrize("scene", ["3"], indirect=True)
def test_what_helm_3_applied_is_healed_by_helm_4(rest, scene):
    publish(rest)
    uid = deploy(rest, scene)
    where = (uid, "--namespace", uid)
    change = json.dumps({"data": {"index.html": "changed"}})
    scene.run("kubectl", "patch", "configmap", *where, "--type=merge", "--patch", change)
    helm4 = {"CAELUS_HELM": str(tool_directory("4") / "helm")}
    scene.tools = Tools(config.load(scene.env | helm4))
    assert drift.compare_next(scene.tools, now() + datetime.timedelta(days=1)) == 1
    healed = scene.reconcile()
    assert (healed.status, healed.last_error) == ("ready", None)
    assert scene.document("configmap", *where)["data"]["index.html"] == "hello"
    assert drift.sweep(scene.tools) == 0


@one_database
def test_replicas_that_an_autoscaler_sets_are_no_drift(rest, scene, tmp_path):
    publish(rest)
    uid = deploy(rest, scene)
    where = (uid, "--namespace", uid)
    scene.run("kubectl", "patch", "deployment", *where, "--type=merge", "-p", REPLICAS)
    deployment = Deployment.get()
    assert drift.deep(scene.tools, deployment) == f"Deployment {uid} differs at spec.replicas"
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": uid}
    # Kubernetes has v2 since 1.23.
    version = "v2" if "autoscaling/v2\n" in scene.run("kubectl", "api-versions") else "v1"
    autoscaler = {
        "apiVersion": f"autoscaling/{version}",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "own"},
        "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3},
    }
    (tmp_path / "autoscaler").write_text(json.dumps(autoscaler))
    scene.run("kubectl", "create", *where[1:], "--filename", str(tmp_path / "autoscaler"))
    assert drift.deep(scene.tools, deployment) is None


@one_database
def test_a_revision_that_caelus_rolled_back_to_is_no_drift(rest, scene):
    publish(rest)
    deploy(rest, scene)
    rest(
        "create-template",
        product_id=1,
        chart_ref=str(CHART),
        chart_version="2",
        default_values_json={"image": "never:1"},
        health_timeout_sec=UNHEALTHY_SECONDS,
    )
    rest("update-deployment", user_id=1, deployment_id=1, desired_template_id=2)
    assert scene.reconcile().status == "error"
    assert Deployment.get().applied_revision == 3


# Sweeps, with tools that print lists


def ready(count: int, **fields) -> None:
    """Deployments that are ready, at revision 1."""
    common = {"user": 1, "desired_template": 1, "applied_template": 1, "status": "ready"}
    Deployment.insert_many(
        [
            {
                "domainname": f"d{n}.example.org",
                "deployment_uid": f"app-{n:06}",
                "applied_revision": 1,
                "last_reconcile_at": now(),
            }
            | common
            | fields
            for n in range(1, count + 1)
        ]
    ).execute()


def show(stubs, installed: range, namespaces: range, revision: int = 1) -> None:
    listed = [
        {"name": f"app-{n:06}", "namespace": f"app-{n:06}", "revision": str(revision)}
        | {"status": "deployed", "updated": "2026-11-23 17:36:44.334018494 +0100 CET"}
        for n in installed
    ]
    stubs.answers["helm"].write_text(json.dumps(listed))
    site = config.load()
    fenced = [obj for n in namespaces for obj in fence.objects(f"app-{n:06}", None, site)]
    items = [obj | {"status": {"phase": "Active"}} for obj in fenced]
    stubs.answers["kubectl"].write_text(json.dumps({"kind": "List", "items": items}))


@pytest.fixture
def published(rest):
    publish(rest)
    return rest


def test_200_deployments_take_no_more_processes_than_two(published, stubs):
    ready(200)
    show(stubs, range(1, 201), range(1, 201))
    assert drift.sweep(stubs.tools) == 0
    assert len(stubs.calls()) == 2
    assert open_jobs() == []
    show(stubs, range(3, 201), range(2, 201))
    assert drift.sweep(stubs.tools) == 2
    assert len(stubs.calls()) == 2
    assert open_jobs() == [(1, "drift"), (2, "drift")]


@pytest.mark.parametrize("tool", ["helm", "kubectl"])
@pytest.mark.parametrize("answer", ["", "not json", "[1]"])
def test_tools_that_do_not_answer_make_no_drift(published, stubs, tool, answer, caplog):
    ready(2)
    show(stubs, range(0), range(0))
    stubs.answers[tool].write_text(answer)
    assert drift.sweep(stubs.tools) == 0
    assert "cannot look for drift" in caplog.text
    assert open_jobs() == []


def test_a_cluster_that_is_down_makes_no_drift(published, tmp_path, caplog):
    ready(2)
    scene = Scene(tmp_path, "#!/bin/sh\necho 'Error: connection refused' >&2; exit 1\n")
    assert drift.sweep(scene.tools) == 0
    assert "connection refused" in caplog.text
    assert open_jobs() == []


def test_what_never_ran_or_is_at_work_is_left_alone(published, stubs):
    ready(3)
    failed = {"status": "error", "applied_template": None}
    Deployment.update(failed).where(Deployment.id == 1).execute()
    Job.create(deployment=2, reason="update", status="running", locked_by="w", attempt=1)
    going = {"status": "error", "deleted_at": now()}
    Deployment.update(going).where(Deployment.id == 3).execute()
    show(stubs, range(0), range(0))
    assert drift.sweep(stubs.tools) == 0
    assert told() == []


def test_what_is_in_error_is_brought_back_once_it_is_gone(published, stubs):
    """But not for ever: the attempt to bring it back may fail as the update did."""
    ready(1, status="error")
    show(stubs, range(2), range(2), revision=5)
    assert drift.sweep(stubs.tools) == 0
    show(stubs, range(0), range(2))

    def sweep_and_fail() -> int:
        found = drift.sweep(stubs.tools)
        Job.update(status="failed").execute()
        return found

    assert [sweep_and_fail() for _ in range(5)] == [1, 1, 1, 0, 0]
    assert told()[0] == "release app-000001 is missing"
    assert len(told("drift_recurring")) == 1


def test_what_changed_while_the_sweep_looked_is_left_alone(published, stubs):
    ready(1)
    (seen,) = drift._settled()
    Deployment.update(applied_revision=2).execute()
    assert not drift._report(seen, "release app-000001 is at revision 2, Caelus applied 1")
    assert (told(), open_jobs()) == ([], [])


def test_drift_that_comes_back_is_reported_and_not_fought(published, stubs):
    ready(1)
    show(stubs, range(2), range(2), revision=5)

    def sweep_and_heal() -> int:
        found = drift.sweep(stubs.tools)
        Job.update(status="done").execute()
        return found

    assert [sweep_and_heal() for _ in range(5)] == [1, 1, 1, 0, 0]
    assert len(told()) == 3
    (recurring,) = told("drift_recurring")
    assert recurring.startswith("no longer corrected, because it comes back: release app-000001 is")
    Event.update(created_at=now() - datetime.timedelta(days=2)).execute()
    assert sweep_and_heal() == 0  # the same was given up for good,
    show(stubs, range(0), range(2))
    assert [sweep_and_heal() for _ in range(5)] == [1] * 5  # what is missing is always brought back
    show(stubs, range(2), range(2), revision=5)
    assert sweep_and_heal() == 0
    with transaction():
        events.record(1, "updated", "changed")
    assert sweep_and_heal() == 1


def test_a_template_may_ask_for_warnings_only_or_for_nothing(rest, stubs):
    publish(rest, drift="warn")
    ready(1)
    show(stubs, range(0), range(2))
    assert [drift.sweep(stubs.tools) for _ in range(2)] == [0, 0]
    assert told() == ["release app-000001 is missing"]
    show(stubs, range(0), range(0))
    drift.sweep(stubs.tools)
    assert told()[1:] == ["namespace app-000001 is missing"]
    Event.delete().execute()
    Template.update(capabilities_json={"drift": "off"}).execute()
    assert drift.sweep(stubs.tools) == 0
    assert (told(), open_jobs()) == ([], [])


def test_one_process_sweeps_once_in_an_interval(published, stubs):
    ready(1)
    show(stubs, range(2), range(2))
    start = now()

    def sweeps(seconds: int) -> int:
        drift.run_due(stubs.tools, start + datetime.timedelta(seconds=seconds))
        return sum(call.startswith("helm list") for call in stubs.calls())

    assert [sweeps(s) for s in (0, 599, 601, 602, 1200, 1202)] == [0, 0, 1, 0, 0, 1]


def test_of_many_that_want_to_sweep_one_does(published):
    drift._is_time("drift", 600, now())
    later = now() + datetime.timedelta(seconds=601)
    claimed, ready_all = [], threading.Barrier(4)

    def claim():
        ready_all.wait(30)
        claimed.append(drift._is_time("drift", 600, later))
        if not is_postgres():
            database.close()  # SQLite's connection of this thread

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(claimed) == [False, False, False, True]


def test_comparing_every_object_is_spread_over_the_interval(published, stubs):
    """200 in six hours: one every 108 seconds, the oldest first, and none twice."""
    ready(200, last_reconcile_at=now() - datetime.timedelta(days=1))
    show(stubs, range(0), range(0))
    start, compared = now(), []
    for second in range(0, 21600, 54):
        at = start + datetime.timedelta(seconds=second)
        drift.compare_next(stubs.tools, at)
        compared += [d.id for d in Deployment.select().where(Deployment.compared_at == at)]
    assert compared == list(range(1, 201))
    assert [call.split()[1] for call in stubs.calls()] == ["get"] * 200
    turn = start + datetime.timedelta(seconds=21600)
    drift.compare_next(stubs.tools, turn)
    assert [d.id for d in Deployment.select().where(Deployment.compared_at == turn)] == [1]


def test_what_a_job_has_just_seen_is_not_compared(published, stubs):
    ready(2)
    assert drift._next_due(now(), 21600) is None
    Deployment.update(last_reconcile_at=now() - datetime.timedelta(days=1)).execute()
    Deployment.update(desired_template=off_template()).where(Deployment.id == 1).execute()
    assert drift._next_due(now(), 21600).id == 2


def test_of_many_that_want_to_compare_one_does(published):
    ready(1)
    seen = Deployment.get()
    assert drift._take(seen, now())
    assert not drift._take(seen, now())


def off_template() -> Template:
    return Template.create(
        product=1, chart_ref="x", chart_version="off", capabilities_json={"drift": "off"}
    )


@one_database
def test_serve_heals_by_itself(scene, settings):
    program = Program(
        CAELUS_DATA_DIR=str(scene.tools.config.data_dir),
        CAELUS_HELM=scene.tools.config.helm,
        CAELUS_KUBECTL=scene.tools.config.kubectl,
        CAELUS_DRIFT_INTERVAL="1",
    )
    with program.serve() as server:
        server.ask("POST", "/users", {"email": "ada@example.org"})
        server.ask("POST", "/products", {"name": "App"})
        chart = {"chart_ref": str(CHART), "chart_version": "1"}
        server.ask("POST", "/products/1/templates", chart)
        body = {"desired_template_id": 1, "domainname": "a.example.org"}
        _, created = server.ask("POST", "/users/1/deployments", body)
        uid, path = created["deployment_uid"], "/users/1/deployments/1"
        server.wait_for(path, "ready", "error")
        scene.run("helm", "uninstall", uid, "--namespace", uid)

        def healed():
            return [
                e for e in server.ask("GET", f"{path}/events")[1] if e["message"] == "drift done"
            ]

        wait_until(healed)
        assert scene.document("deployments", uid, "--namespace", uid)
    assert "Traceback" not in "\n".join(server.log)
