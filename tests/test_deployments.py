"""The rules of deployments, on both surfaces and both databases."""

import re

import pytest

from caelus import deployments, jobs
from caelus.database import session, transaction
from caelus.models import Deployment, Job, now
from tests.conftest import TEMPLATE

NEW = {"user_id": 1, "desired_template_id": 1, "domainname": "a.example.org"}
MINE = {"user_id": 1, "deployment_id": 1}


def settle(status="ready", **changes):
    """What a reconciler leaves behind: the open job done, the deployment with `status`."""
    with session(), transaction():
        Job.update(status="done").where(Job.status.in_(["queued", "running"])).execute()
        Deployment.update(status=status, **changes).execute()


def let_fail():
    """A first attempt that failed: the job waits for its retry."""
    job = jobs.claim("worker", now())
    jobs.postpone(job, "boom")
    Deployment.update(status="error", last_error="boom").execute()
    return job.id


def test_a_new_deployment_is_provisioning_and_has_a_job(shop, surface):
    deployment = surface("create-deployment", **NEW).document
    assert deployment["status"] == "provisioning"
    assert deployment["generation"] == 1
    assert deployment["user_values_json"] is None
    assert deployment["applied_template"] is None
    assert deployment["user"]["email"] == "ada@example.org"
    assert deployment["desired_template"]["product"]["name"] == "Notes"
    (job,) = surface("list-jobs").document
    assert (job["deployment_id"], job["reason"], job["status"]) == (1, "create", "queued")
    assert surface("get-deployment", **MINE).document == deployment
    assert surface("list-deployments", user_id=1).document == [deployment]
    assert surface("list-all-deployments").document == [deployment]


def test_a_deployment_shows_what_is_done_about_it(shop, surface):
    def shown():
        job = surface("get-deployment", **MINE).document["open_job"]
        return job and (job["reason"], job["status"], job["attempt"])

    assert surface("create-deployment", **NEW).document["open_job"]["status"] == "queued"
    assert shown() == ("create", "queued", 0)
    job = jobs.claim("worker", now())
    assert shown() == ("create", "running", 1)
    jobs.postpone(job, "boom")
    assert shown() == ("create", "queued", 1)
    assert surface("get-deployment", **MINE).document["open_job"]["run_after"].endswith("Z")
    settle()
    assert shown() is None
    surface("delete-deployment", **MINE)
    assert shown() == ("delete", "queued", 0)
    (listed,) = surface("list-all-deployments").document
    assert listed["open_job"]["reason"] == "delete"


def test_a_refused_deployment_leaves_nothing_behind(shop, surface):
    answer = surface("create-deployment", **NEW, user_values_json={"size": 11})
    assert answer.code in (409, 1)
    assert answer.sentence == "user values are not valid: /size must be at most 10"
    assert surface("list-all-deployments").document == []
    assert surface("list-jobs").document == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"user_id": 9}, 404),
        ({"desired_template_id": 9}, 404),
        ({"desired_template_id": "x"}, 422),
        ({"domainname": "not a host"}, 422),
        ({"domainname": "-a.example.org"}, 422),
        ({"domainname": f"{'a' * 64}.example.org"}, 422),
        ({"user_values_json": {"colour": "red"}}, 409),
    ],
)
def test_a_deployment_that_can_not_be_is_refused(shop, surface, changes, code):
    assert surface("create-deployment", **NEW | changes).code in (code, 1)


def test_the_domain_is_lower_cased_and_unique_until_deleted(shop, surface):
    first = surface("create-deployment", **NEW | {"domainname": "A.Example.ORG"})
    assert first.document["domainname"] == "a.example.org"
    second = surface("create-deployment", **NEW)
    assert second.code in (409, 1)
    assert second.sentence == "the domain a.example.org is taken by another deployment"
    settle("deleting", deleted_at=now())
    assert surface("create-deployment", **NEW).code in (409, 1)
    settle("deleted")
    assert surface("create-deployment", **NEW).ok


def test_user_values_need_a_place_in_the_schema(shop, surface):
    plain = {**TEMPLATE, "chart_version": "2", "values_schema_json": {"type": "object"}}
    shop("create-template", product_id=1, **plain)
    refused = surface(
        "create-deployment", **NEW | {"desired_template_id": 3}, user_values_json={"size": 1}
    )
    assert refused.code in (409, 1)
    assert "properties.user" in refused.sentence
    allowed = surface("create-deployment", **NEW | {"desired_template_id": 3}, user_values_json={})
    assert allowed.document["user_values_json"] == {}


def test_another_users_deployment_is_not_found(shop, surface):
    shop("create-user", email="eve@example.org")
    shop("create-deployment", **NEW)
    for command in ("get-deployment", "delete-deployment", "retry-deployment"):
        assert surface(command, user_id=2, deployment_id=1).code in (404, 1)
    update = surface("update-deployment", user_id=2, deployment_id=1, domainname="b.example.org")
    assert update.code in (404, 1)


def test_an_update_is_a_new_generation_with_a_job(shop, surface):
    surface("create-deployment", **NEW)
    settle("error", last_error="boom")
    updated = surface(
        "update-deployment",
        **MINE,
        desired_template_id=2,
        domainname="B.example.org",
        user_values_json={"size": 3},
    ).document
    assert updated["status"] == "provisioning"
    assert updated["generation"] == 2
    assert updated["last_error"] is None
    assert updated["desired_template_id"] == 2
    assert updated["desired_template"]["chart_version"] == "1.1.0"
    assert updated["domainname"] == "b.example.org"
    assert updated["user_values_json"] == {"size": 3}
    assert [job["reason"] for job in surface("list-jobs", status="queued").document] == ["update"]


def test_an_update_keeps_what_it_does_not_name(shop, surface):
    surface("create-deployment", **NEW, user_values_json={"size": 3})
    settle()
    updated = surface("update-deployment", **MINE, domainname="b.example.org").document
    assert updated["user_values_json"] == {"size": 3}
    assert updated["desired_template_id"] == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 422),
        ({"desired_template_id": 1}, 409),
        ({"desired_template_id": 9}, 404),
        ({"desired_template_id": 4}, 409),
        ({"user_values_json": {"size": "big"}}, 409),
        ({"domainname": "taken.example.org"}, 409),
        ({"domainname": "no host"}, 422),
    ],
)
def test_an_update_that_breaks_a_rule_changes_nothing(shop, surface, changes, code):
    shop("create-product", name="Other")
    for version in ("1", "2"):
        shop("create-template", product_id=2, **TEMPLATE | {"chart_version": version})
    shop("create-deployment", **NEW | {"domainname": "taken.example.org"})
    shop("create-deployment", **NEW)
    settle()
    before = surface("get-deployment", user_id=1, deployment_id=2).document
    answer = surface("update-deployment", user_id=1, deployment_id=2, **changes)
    assert answer.code in (code, 1)
    assert surface("get-deployment", user_id=1, deployment_id=2).document == before
    assert surface("list-jobs", status="queued").document == []


def test_an_older_template_is_refused(shop, surface):
    surface("create-deployment", **NEW | {"desired_template_id": 2})
    settle()
    answer = surface("update-deployment", **MINE, desired_template_id=1)
    assert answer.code in (409, 1)
    assert "not newer" in answer.sentence


def test_kept_values_must_fit_the_new_template(shop, surface):
    strict = {**TEMPLATE, "chart_version": "2", "values_schema_json": {"type": "object"}}
    shop("create-template", product_id=1, **strict)
    surface("create-deployment", **NEW, user_values_json={"size": 3})
    settle()
    answer = surface("update-deployment", **MINE, desired_template_id=3)
    assert answer.code in (409, 1)
    assert "user values are not allowed" in answer.sentence


@pytest.mark.parametrize("running", [False, True])
def test_a_first_attempt_blocks_update_and_delete(shop, surface, running):
    surface("create-deployment", **NEW)
    if running:
        assert jobs.claim("worker", now())
    before = surface("get-deployment", **MINE).document
    for answer in (
        surface("update-deployment", **MINE, domainname="b.example.org"),
        surface("delete-deployment", **MINE),
        surface("retry-deployment", **MINE),
    ):
        assert answer.code in (409, 1)
        assert answer.sentence.startswith("a deployment job is already queued or running")
    assert surface("get-deployment", **MINE).document == before


def test_a_job_that_waits_for_a_retry_gives_way(shop, surface):
    surface("create-deployment", **NEW)
    waiting = let_fail()
    assert surface("update-deployment", **MINE, domainname="b.example.org").ok
    old, new = surface("list-jobs").document
    assert (old["id"], old["status"], old["last_error"]) == (waiting, "failed", "boom")
    assert (new["reason"], new["status"], new["attempt"]) == ("update", "queued", 0)


def test_a_running_retry_is_not_interrupted(shop, surface):
    surface("create-deployment", **NEW)
    let_fail()
    assert jobs.claim("worker", now(), deployment_id=1)
    assert surface("update-deployment", **MINE, domainname="b.example.org").code in (409, 1)


def test_delete_asks_once(shop, surface):
    surface("create-deployment", **NEW)
    settle()
    assert surface("delete-deployment", **MINE).ok
    deleting = surface("get-deployment", **MINE).document
    assert deleting["status"] == "deleting"
    assert deleting["deleted_at"].endswith("Z")
    assert deleting["generation"] == 2
    assert surface("delete-deployment", **MINE).ok
    assert surface("get-deployment", **MINE).document == deleting
    assert len(surface("list-jobs", status="queued").document) == 1
    assert surface("list-deployments", user_id=1).document == [deleting]


def test_what_is_being_deleted_can_not_be_updated(shop, surface):
    surface("create-deployment", **NEW)
    settle("deleting", deleted_at=now())
    for status in ("deleting", "error", "deleted"):
        settle(status)
        answer = surface("update-deployment", **MINE, domainname="b.example.org")
        assert answer.code in (409, 1)
        state = "deleted" if status == "deleted" else "being deleted"
        assert answer.sentence == f"deployment 1 is {state}: it can't be updated"


def test_a_deleted_deployment_answers_by_its_id_only(shop, surface):
    surface("create-deployment", **NEW)
    settle("deleted", deleted_at=now())
    assert surface("get-deployment", **MINE).document["status"] == "deleted"
    assert surface("list-deployments", user_id=1).document == []
    assert surface("list-all-deployments").document == []
    assert [d["id"] for d in surface("list-all-deployments", status="deleted").document] == [1]
    assert surface("list-jobs", deployment_id=1).document != []
    assert surface("delete-user", user_id=1).ok
    assert surface("get-deployment", **MINE).document["user"]["email"] == "ada@example.org"


def test_all_deployments_are_filtered_by_status_and_product(shop, surface):
    shop("create-product", name="Other")
    shop("create-template", product_id=2, **TEMPLATE)
    shop("create-deployment", **NEW)
    settle()
    other = NEW | {"desired_template_id": 3, "domainname": "b.example.org"}
    shop("create-deployment", **other)

    def ids(**filters):
        return [d["id"] for d in surface("list-all-deployments", **filters).document]

    assert ids() == [1, 2]
    assert ids(status="ready") == [1]
    assert ids(product_id=2) == [2]
    assert ids(status="ready", product_id=2) == []
    assert surface("list-all-deployments", status="odd").code in (422, 1)


def test_retry_makes_a_waiting_job_due_at_once(shop, surface):
    surface("create-deployment", **NEW)
    let_fail()
    assert jobs.claim("worker", now()) is None
    answer = surface("retry-deployment", **MINE)
    assert answer.code in (202, 0)
    assert answer.document["status"] == "provisioning"
    assert jobs.claim("worker", now()) is not None


def test_retry_gives_a_job_to_what_gave_up(shop, surface):
    surface("create-deployment", **NEW)
    settle("error", last_error="boom")
    assert surface("retry-deployment", **MINE).ok
    (job,) = surface("list-jobs", status="queued").document
    assert job["reason"] == "create"


def test_there_is_nothing_to_retry_where_nothing_failed(shop, surface):
    surface("create-deployment", **NEW)
    settle("ready")
    answer = surface("retry-deployment", **MINE)
    assert answer.code in (409, 1)
    assert answer.sentence == "deployment 1 is ready: nothing to retry"


@pytest.mark.parametrize(
    ("product", "email", "start"),
    [
        ("Next Cloud!", "Ada.L@example.org", "next-cloud-ada-l-example-org-"),
        ("云", "雲@例え", "dep-"),
        ("云", "ada@b", "ada-b-"),
        ("x" * 45, "ada@b", "x" * 45 + "-"),
        ("x" * 60, "ada@b", "x" * 46 + "-"),
    ],
)
def test_a_uid_is_a_release_name_that_helm_takes(product, email, start):
    uid = deployments.new_uid(product, email)
    assert re.fullmatch(re.escape(start) + "[0-9a-z]{6}", uid)
    assert len(uid) <= 53


@pytest.mark.parametrize("domain", ["localhost", "Caelus.example.org", "c2.example.org"])
def test_caelus_own_names_are_nobodys_domain(shop, monkeypatch, domain):
    monkeypatch.setenv("CAELUS_PUBLIC_URL", "https://caelus.example.org")
    monkeypatch.setenv("CAELUS_ALLOWED_HOSTS", "c2.example.org,*.c3.example.org")
    asked = {"user_id": 1, "desired_template_id": 1, "domainname": domain}
    answer = shop("create-deployment", **asked)
    assert (answer.code, answer.sentence) == (409, f"the domain {domain.lower()} is Caelus' own")
