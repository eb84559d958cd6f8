"""After a restore of an older backup: what runs goes on, and nothing that is not known is harmed.

With real helm and kubectl, on the suite's own Kubernetes API or a real one.
"""

import json
import pathlib

import pytest

from caelus import (
    audit,
    backups,
    database,
    drift,
    jobs,
    kubectl,
    leases,
    presence,
    releases,
    restored,
    restores,
)
from caelus.models import Deployment, Job, now
from caelus.releases import Release
from caelus.restored import GONE, NEWER, verdict
from tests.conftest import make_admin
from tests.drifting import one_database, open_jobs
from tests.drifting import scene as scene  # the fixture
from tests.kube import ApiError
from tests.test_end_to_end import CHART

pytestmark = one_database
one_helm = pytest.mark.parametrize("scene", ["4"], indirect=True)
ROW = {"deployment_uid": "a-1", "restored_generation": 3, "applied_revision": 4}


def namespace(generation=None, phase="Active") -> dict:
    said = {} if generation is None else {"caelus/generation": str(generation)}
    return {"metadata": {"name": "a-1", "annotations": said}, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("row", "live", "release", "code"),
    [
        # It runs as the backup knows it.
        ({"applied_template": 1}, namespace(3), Release(4, "deployed"), None),
        ({"applied_template": 1}, namespace(3), Release(9, "deployed"), None),
        ({"applied_template": 1}, namespace(2), Release(9, "failed"), None),
        # It was changed since.
        ({"applied_template": 1}, namespace(4), Release(5, "deployed"), NEWER),
        ({"applied_template": 1}, namespace(4), Release(4, "deployed"), NEWER),
        ({}, namespace(4), Release(4, "deployed"), NEWER),
        # Fenced by a Caelus that left no generation there.
        ({"applied_template": 1}, namespace(), Release(4, "deployed"), None),
        ({"applied_template": 1}, namespace(), Release(5, "deployed"), NEWER),
        ({"applied_template": 1}, namespace("x"), Release(5, "deployed"), NEWER),
        ({"acting_revision": 5}, namespace(), Release(5, "deployed"), None),
        ({"applied_template": 1}, namespace(), Release(None, "deployed"), None),
        # It was deleted since.
        ({"applied_template": 1}, None, None, GONE),
        ({"applied_template": 1}, namespace(3, "Terminating"), None, GONE),
        ({"applied_template": 1}, namespace(3), None, GONE),
        ({"applied_template": 1}, namespace(3), Release(4, "uninstalling"), GONE),
        # It never ran: nothing is lost by what its job does.
        ({}, None, None, None),
        ({}, namespace(3), None, None),
        # It was to be deleted already.
        ({"applied_template": 1, "deleted_at": now()}, None, None, None),
        ({"applied_template": 1, "deleted_at": now()}, namespace(2), Release(4, "deployed"), None),
        ({"applied_template": 1, "deleted_at": now()}, namespace(4), Release(5, "deployed"), NEWER),
    ],
)
def test_the_cluster_is_believed_where_it_knows_better(row, live, release, code, database_url):
    found = verdict(Deployment(**ROW | row), live, release)
    assert (found and found.code) == code


# With a cluster

READS = ("helm list", "helm history", "helm get", "kubectl get")
SECRET = {"type": "string", "writeOnly": True}
SCHEMA = {
    "type": "object",
    "properties": {
        "user": {"type": "object", "properties": {"password": SECRET}},
        "admin": {"type": "object", "properties": {"key": SECRET | {"generate": {"length": 20}}}},
    },
}


class Days:
    """A cluster that has seen more than the backup of the day before."""

    def __init__(self, settings, rest, scene, directory: pathlib.Path):
        self.settings, self.rest, self.scene = settings, rest, scene
        self.file = directory / "yesterday.db"

    def back_up(self) -> None:
        backups.write(self.settings, self.file, with_key=False, force=False)
        self.scene.calls()

    def restore(self) -> None:
        database.database.close()
        presence.leave()
        restores.restore(self.settings, self.file, with_key=False, at=now())
        database.connect(self.settings)
        make_admin()
        self.scene.calls()

    def ask(self, command: str, id: int = 1, **more):
        answer = self.rest(command, user_id=1, deployment_id=id, **more)
        assert answer.ok, answer.sentence
        return answer.document

    def update(self, id: int = 1, **changes) -> None:
        self.ask("update-deployment", id, **changes)
        assert self.scene.reconcile().status == "ready"

    def work(self) -> list[str]:
        """All that the threads of serve would do; gives what helm and kubectl were told to
        change."""
        restored.tend(self.scene.tools)
        for _ in range(2):
            while self.scene.reconcile():
                pass
            drift.sweep(self.scene.tools)
        return [call for call in self.scene.calls() if not call.startswith(READS)]

    def runs(self, uid: str) -> tuple[int, dict]:
        """The revision of the release there, and the values of its user."""
        text = self.scene.run("helm", "get", "values", uid, "--namespace", uid, "-o", "json")
        found = releases.history(self.scene.tools, uid)
        self.scene.calls()
        return max(r.number for r in found), json.loads(text)["user"]


@pytest.fixture
def days(settings, rest, scene, tmp_path):
    rest("create-user", email="ada@example.org")
    rest("create-product", name="App")
    for version in ("1", "2"):
        answer = rest(
            "create-template",
            product_id=1,
            chart_ref=str(CHART),
            chart_version=version,
            values_schema_json=SCHEMA,
            capabilities_json={"bindings": {"/message": "I am ${domainname}"}},
            health_timeout_sec=10,
        )
        assert answer.ok, answer.sentence
    return Days(settings, rest, scene, tmp_path)


def create(days, name: str = "a", **values) -> str:
    """A deployment that is ready; gives its uid."""
    domain = f"{name}.example.org"
    new = {"desired_template_id": 1, "domainname": domain, "user_values_json": {"n": 1} | values}
    assert days.rest("create-deployment", user_id=1, **new).ok
    deployment = days.scene.reconcile()
    assert (deployment.status, deployment.last_error) == ("ready", None)
    return deployment.deployment_uid


def state(deployment_id: int = 1) -> tuple:
    d = Deployment.get_by_id(deployment_id)
    return d.status, d.cause and d.cause["code"]


def test_what_is_as_the_backup_knows_it_is_not_touched(days):
    uid = create(days)
    days.back_up()
    days.restore()
    assert days.work() == []
    assert (state(), open_jobs()) == (("ready", None), [])
    assert days.runs(uid) == (1, {"n": 1})
    assert Deployment.get().restored_generation is None
    assert audit.verify()["ok"]


@one_helm
@pytest.mark.slow
def test_the_same_generation_that_was_applied_again_since_is_taken_as_it_is(days):
    uid = create(days)
    days.back_up()
    days.scene.run("kubectl", "delete", "namespace", uid)
    drift.sweep(days.scene.tools)
    days.scene.reconcile()
    days.scene.run("helm", "rollback", uid, "1", "--namespace", uid)
    drift.sweep(days.scene.tools)
    assert days.scene.reconcile().applied_revision == 3
    days.restore()
    assert days.work() == []
    assert (state(), Deployment.get().applied_revision) == (("ready", None), 3)


@pytest.mark.parametrize("is_known", [True, False], ids=["annotated", "of-an-older-caelus"])
def test_what_was_updated_since_is_not_downgraded(days, is_known):
    uid = create(days)
    days.back_up()
    days.update(desired_template_id=2, user_values_json={"n": 2})
    if not is_known:
        words = ("annotate", "namespace", uid, "caelus/generation-")
        days.scene.run("kubectl", *words)
    days.restore()
    assert days.work() == []
    assert state() == ("error", NEWER)
    assert days.runs(uid) == (2, {"n": 2})
    told = days.ask("get-deployment")
    assert told["last_error"] == f"the cluster has a newer state of {uid} than the database"
    assert f"helm get values {uid}" in told["cause"]["hint"]
    assert days.work() == [], "nor later"


@one_helm
@pytest.mark.slow
def test_a_person_may_bring_back_what_the_database_says(days):
    uid = create(days)
    days.back_up()
    days.update(user_values_json={"n": 2})
    days.restore()
    days.work()
    days.ask("retry-deployment")
    assert days.scene.reconcile().status == "ready"
    assert days.runs(uid) == (3, {"n": 1})
    days.scene.calls()
    assert days.work() == []


@one_helm
@pytest.mark.slow
def test_a_person_may_update_to_what_it_should_be(days):
    uid = create(days)
    days.back_up()
    for n in (2, 3, 4):
        days.update(user_values_json={"n": n})
    days.restore()
    days.work()
    days.update(user_values_json={"n": 5})
    assert days.runs(uid) == (5, {"n": 5})
    assert Deployment.get().generation == 5, "newer than all that the cluster had"
    days.scene.calls()
    assert days.work() == []
    assert state() == ("ready", None)


@one_helm
@pytest.mark.slow
def test_an_update_that_comes_before_the_comparison_does_not_go_by_it(days):
    uid = create(days)
    days.back_up()
    days.update(desired_template_id=2, user_values_json={"n": 2})
    days.restore()
    days.ask("update-deployment", user_values_json={"n": 3})
    assert days.scene.reconcile().status == "error"
    assert state() == ("error", NEWER)
    assert (days.runs(uid), open_jobs()) == ((2, {"n": 2}), [])
    days.ask("retry-deployment")
    assert days.scene.reconcile().status == "ready"
    assert days.runs(uid) == (3, {"n": 3})


@one_helm
@pytest.mark.slow
def test_an_update_that_was_open_in_the_backup_goes_on(days):
    uid = create(days)
    days.ask("update-deployment", user_values_json={"n": 2})
    days.back_up()
    assert days.scene.reconcile().status == "ready"
    days.restore()
    assert days.scene.reconcile().status == "ready"
    assert days.runs(uid)[1] == {"n": 2}
    days.scene.calls()
    assert days.work() == []


@one_helm
@pytest.mark.slow
def test_an_open_update_is_held_where_there_were_later_ones(days):
    uid = create(days)
    days.ask("update-deployment", user_values_json={"n": 2})
    days.back_up()
    assert days.scene.reconcile().status == "ready"
    days.update(user_values_json={"n": 3})
    days.restore()
    assert days.work() == []
    assert (state(), open_jobs(), days.runs(uid)[1]) == (("error", NEWER), [], {"n": 3})


@one_helm
@pytest.mark.slow
def test_a_job_that_ran_during_the_backup_is_taken_from_its_worker(days):
    uid = create(days)
    days.ask("update-deployment", user_values_json={"n": 2})
    assert jobs.claim("elsewhere:0:1-1:1") is not None
    days.back_up()
    days.restore()
    assert leases.recover(now() + 2 * jobs.LEASE) == 1
    assert days.scene.reconcile().status == "ready"
    assert days.runs(uid)[1] == {"n": 2}


@one_helm
@pytest.mark.slow
def test_a_create_that_was_open_in_the_backup_goes_on(days):
    days.rest("create-deployment", user_id=1, desired_template_id=1, domainname="a.example.org")
    days.back_up()
    days.restore()
    assert days.scene.reconcile().status == "ready"


@pytest.mark.parametrize("harm", ["namespace", "release"])
def test_what_was_deleted_since_is_not_made_anew_by_itself(days, harm):
    uid = create(days)
    days.back_up()
    if harm == "namespace":
        days.ask("delete-deployment")
        assert days.scene.reconcile().status == "deleted"
    else:
        days.scene.run("helm", "uninstall", uid, "--namespace", uid)
    days.restore()
    assert days.work() == []
    assert state() == ("error", GONE)
    assert days.ask("get-deployment")["last_error"] == (
        f"{harm} {uid} is gone, where it ran when the backup was made"
    )
    days.ask("retry-deployment")
    assert days.scene.reconcile().status == "ready"


@one_helm
@pytest.mark.slow
def test_what_was_deleted_since_can_be_closed(days):
    create(days)
    days.back_up()
    days.ask("delete-deployment")
    days.scene.reconcile()
    days.restore()
    days.work()
    days.ask("delete-deployment")
    assert days.scene.reconcile().status == "deleted"


@one_helm
@pytest.mark.slow
def test_a_deletion_that_was_open_in_the_backup_is_done(days):
    uid = create(days)
    days.ask("delete-deployment")
    days.back_up()
    days.restore()
    assert days.scene.reconcile().status == "deleted"
    assert uid not in kubectl.fences(days.scene.tools)


@one_helm
@pytest.mark.slow
def test_without_a_restore_a_namespace_that_is_gone_comes_back(days):
    uid = create(days)
    days.scene.run("kubectl", "delete", "namespace", uid)
    assert drift.sweep(days.scene.tools) == 1
    assert days.scene.reconcile().status == "ready"


@one_helm
@pytest.mark.slow
def test_a_cluster_that_does_not_answer_leaves_all_as_it_is(days, caplog):
    uid = create(days)
    days.back_up()
    days.update(user_values_json={"n": 2})
    days.restore()
    days.ask("update-deployment", user_values_json={"n": 3})
    days.scene.api.intercept = lambda *_: ApiError(503, "ServiceUnavailable", "not now")
    caplog.clear()
    assert not restored.tend(days.scene.tools)
    assert "can't be compared with the cluster yet" in caplog.text
    assert days.scene.reconcile().status == "error"
    assert Deployment.get().restored_generation == 1
    days.scene.api.intercept = None
    Job.update(run_after=now()).execute()
    days.work()
    assert (state(), days.runs(uid)[1]) == (("error", NEWER), {"n": 2})


@one_helm
@pytest.mark.slow
def test_a_restore_that_nobody_has_told_of_is_seen_by_a_sweep(days):
    """As of Postgres, or by a copy of the file."""
    uid = create(days)
    days.back_up()
    days.update(user_values_json={"n": 2})
    Deployment.update(generation=1, applied_revision=1, user_values_json={"n": 1}).execute()
    days.scene.calls()
    assert days.work() == []
    assert (state(), days.runs(uid)[1]) == (("error", NEWER), {"n": 2})
