"""Namespaces of Caelus that its database does not know: they are listed, and can be adopted."""

import json

import pytest

from caelus import database, drift, orphans, restored, secretvalues, sightings
from caelus.errors import Conflict
from caelus.models import Deployment, Event, Template
from tests.drifting import one_database, open_jobs
from tests.drifting import scene as scene  # the fixture
from tests.kube import ApiError
from tests.test_after_restore import create, state
from tests.test_after_restore import days as days  # the fixture
from tests.test_end_to_end import CHART

pytestmark = one_database
one_helm = pytest.mark.parametrize("scene", ["4"], indirect=True)
ADOPTION = {"user_id": 1, "template_id": 1}


@pytest.fixture
def lost(days, monkeypatch):
    """A deployment that was made after the backup that was restored; gives its uid."""
    for tool in ("helm", "kubectl"):
        monkeypatch.setenv(f"CAELUS_{tool.upper()}", str(days.scene.calls_file.parent / tool))
    days.back_up()
    uid = create(days, password="hunter2hunter2")
    days.update(user_values_json={"n": 2, "password": "hunter3hunter3"})
    days.key = secretvalues.secrets_of(Deployment.get()).generated["/admin/key"]
    days.restore()
    assert Deployment.select().count() == 0
    return uid


def adopt(days, uid: str, **changes):
    return days.rest("adopt", namespace=uid, **ADOPTION | changes)


def test_what_the_database_has_lost_is_listed(days, lost):
    (orphan,) = days.rest("orphans").document
    created_at = orphan.pop("created_at")
    assert created_at.endswith("Z")
    assert orphan == {
        "namespace": lost,
        "phase": "Active",
        "release_status": "deployed",
        "revision": 2,
        "chart": "app-1.0.0",
        "deployment_id": 1,
        "generation": 2,
        "template_id": 1,
        "domainname": "a.example.org",
        "user_email": "ada@example.org",
    }
    days.scene.calls()
    assert days.work() == [], "it is left alone"


def test_it_is_adopted_as_it_runs(days, lost):
    answer = adopt(days, lost)
    assert answer.code == 201, answer.sentence
    assert answer.document["user_values_json"] == {"n": 2, "password": "********"}
    deployment = Deployment.get()
    assert (state(deployment.id), deployment.deployment_uid) == (("ready", None), lost)
    assert (deployment.generation, deployment.applied_revision) == (2, 2)
    secrets = secretvalues.secrets_of(deployment)
    assert secrets.given == {"/user/password": "hunter3hunter3"}
    assert secrets.generated == {"/admin/key": days.key}
    days.scene.calls()
    assert days.work() == []
    assert days.rest("orphans").document == []
    (event,) = Event.select().where(Event.type == "adopted")
    assert event.message == f"adopted from namespace {lost} as template 1"
    assert "hunter3" not in json.dumps([e.message for e in Event.select()])


def test_it_goes_on_like_any_other(days, lost):
    adopt(days, lost)
    (d,) = Deployment.select()
    days.update(d.id, user_values_json={"n": 3, "password": "********"})
    text = days.scene.run("helm", "get", "values", lost, "--namespace", lost, "-o", "json")
    values = json.loads(text)
    assert values["user"] == {"n": 3, "password": "hunter3hunter3"}
    assert values["admin"]["key"] == days.key
    days.ask("delete-deployment", d.id)
    assert days.scene.reconcile().status == "deleted"


@one_helm
def test_a_record_that_was_closed_is_opened_again(days, lost):
    adopt(days, lost)
    (before,) = Deployment.select()
    days.ask("forget-deployment", before.id)
    assert [orphan["namespace"] for orphan in days.rest("orphans").document] == [lost]
    assert adopt(days, lost).document["id"] == before.id
    assert state(before.id) == ("ready", None)


@one_helm
def test_an_adoption_that_can_not_be_is_refused(days, lost):
    uid = lost
    refusals = [
        (adopt(days, "no-such-1"), "namespace no-such-1 not found among those that Caelus"),
        (adopt(days, "default"), "namespace default not found among those that Caelus has made"),
        (adopt(days, uid, user_id=99), "user 99 not found"),
        (adopt(days, uid, template_id=99), "template 99 not found"),
        (adopt(days, "-x"), "namespace"),
        (adopt(days, uid, domainname="localhost"), "the domain localhost is Caelus' own"),
    ]
    for answer, sentence in refusals:
        assert not answer.ok and sentence in answer.sentence
    first = Template.id == 1
    Template.update(chart_ref="oci://registry.example.org/app").where(first).execute()
    answer = adopt(days, uid)
    assert answer.sentence == (
        f"release {uid} is of chart app 1.0.0, template 1 of oci://registry.example.org/app 1; "
        "name the template of what runs"
    )
    other = {"chart_ref": "oci://registry.example.org/other", "chart_version": "1.0.0"}
    Template.update(other).where(first).execute()
    assert "is of chart app 1.0.0" in adopt(days, uid).sentence
    longer = {"chart_ref": "oci://registry.example.org/my-app-pro", "chart_version": "1.0.0"}
    Template.update(longer).where(first).execute()
    assert "is of chart app 1.0.0" in adopt(days, uid).sentence
    assert Deployment.select().count() == 0
    Template.update(chart_ref=str(CHART)).where(first).execute()
    assert adopt(days, uid).ok
    assert adopt(days, uid).sentence == (
        f"namespace {uid} is that of deployment {Deployment.get().id}"
    )


@one_helm
def test_a_namespace_that_is_being_deleted_is_not_adopted(days, lost):
    with database.session():
        found = sightings.of(lost)
    found = found._replace(orphan=found.orphan._replace(phase="Terminating"))
    with pytest.raises(Conflict, match="is being deleted: there is nothing to adopt"):
        orphans.adopt(found=found, **ADOPTION)
    assert Deployment.select().count() == 0


@one_helm
def test_a_domain_that_is_taken_or_not_known_is_a_persons_to_give(days, lost):
    create(days, "b")
    answer = adopt(days, lost, domainname="B.example.org")
    assert answer.sentence == (
        f"the domain b.example.org or the namespace {lost} is another deployment's; delete that "
        "one first if it is gone from the cluster, or give another domain (--domainname)"
    )
    days.scene.run("kubectl", "annotate", "namespace", lost, "caelus/domain-")
    assert "give it (--domainname)" in adopt(days, lost).sentence
    assert adopt(days, lost, domainname="c.example.org").ok
    (event,) = Event.select().where(Event.type == "adopted")
    assert event.message.endswith("; the next update will change /message")


@one_helm
def test_what_has_failed_is_adopted_as_that(days, lost):
    secret = days.scene.document("secret", f"sh.helm.release.v1.{lost}.v2", "--namespace", lost)
    failed = json.dumps(drift.releases.marked_failed(secret))
    (days.scene.calls_file.parent / "failed.json").write_text(failed)
    days.scene.run("kubectl", "replace", "-f", str(days.scene.calls_file.parent / "failed.json"))
    document = adopt(days, lost).document
    assert (document["status"], document["applied_template_id"]) == ("error", None)
    assert document["last_error"] == "the release was failed when it was adopted"
    days.scene.calls()
    assert days.work() == []
    days.ask("retry-deployment", document["id"])
    assert days.scene.reconcile().status == "ready"


@one_helm
def test_a_namespace_without_a_release_can_not_be_adopted(days, lost):
    days.scene.run("helm", "uninstall", lost, "--namespace", lost)
    assert days.rest("orphans").document[0]["release_status"] is None
    assert "has no release" in adopt(days, lost).sentence


@one_helm
def test_a_cluster_that_does_not_answer_is_told(days, lost):
    days.scene.api.intercept = lambda *_: ApiError(503, "ServiceUnavailable", "not now")
    for answer in (days.rest("orphans"), adopt(days, lost)):
        assert (answer.code, "the cluster can't be asked" in answer.sentence) == (409, True)


@one_helm
def test_one_asks_the_cluster_at_a_time(days, lost):
    with sightings._asking:
        assert "is being asked" in days.rest("orphans").sentence
    assert days.rest("orphans").ok


@one_helm
def test_ids_that_the_cluster_knows_are_not_given_out_again(days, lost):
    create(days, "b")
    (orphan,) = days.rest("orphans").document
    assert Deployment.get().id > orphan["deployment_id"] + restored.SKIPPED_IDS - 1
    assert open_jobs() == []
