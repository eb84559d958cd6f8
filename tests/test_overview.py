"""All at a glance, and finding one among many: in numbers, by search, and newest first."""

import datetime

import pytest
from peewee import fn

from caelus import overview
from caelus.database import clock, database, session, transaction
from caelus.models import Deployment, Event, Job, User

HOUR = datetime.timedelta(hours=1)


def deploy(count: int, **fields) -> None:
    """`count` deployments of user 1, with a job each."""
    with session(), transaction():
        first = Deployment.select().count()
        for number in range(first, first + count):
            name = f"d{number}"
            row = {"domainname": f"{name}.example.org", "deployment_uid": name, "status": "ready"}
            made = Deployment.create(**{"user": 1, "desired_template": 1} | row | fields)
            Job.create(deployment=made, reason="create", status="done")


def tell(type: str, at: datetime.datetime, count: int = 1) -> None:
    newest = Event.select(fn.MAX(Event.id)).scalar() or 0
    for id in range(newest + 1, newest + 1 + count):
        row = {"id": id, "type": type, "actor": "caelus", "message": "x", "created_at": at}
        Event.insert(row).execute()


def queries(act) -> int:
    """How many queries `act()` asks of the database."""
    asked, plain = [], database.obj.execute_sql

    def counted(sql, *rest, **named):
        asked.append(sql)
        return plain(sql, *rest, **named)

    database.obj.execute_sql = counted
    try:
        with session():
            act()
    finally:
        del database.obj.execute_sql
    return len(asked)


# The overview


def test_where_there_is_nothing_all_is_zero(surface):
    found = surface("overview").document
    assert found["users"] == (1 if surface.name == "rest" else 0)
    assert found["products"] == found["templates"] == found["queue_age_sec"] == 0
    assert found["deployments"] == {"provisioning": 0, "ready": 0, "error": 0, "deleting": 0}
    assert found["jobs"] == {"queued": 0, "running": 0}
    assert found["causes"] == []
    assert len(found["hours"]) == 24
    assert {(hour["done"], hour["failed"]) for hour in found["hours"]} == {(0, 0)}


def test_all_surfaces_give_the_same_overview(remote_cli, cli, rest):
    document = cli("overview").document
    assert document["users"] == 1
    assert remote_cli("overview").document == rest("overview").document == document


def test_what_there_is_is_counted(shop):
    deploy(3)
    deploy(2, status="deleted")
    deploy(1, status="provisioning")
    found = shop("overview").document
    assert (found["users"], found["products"], found["templates"]) == (2, 1, 2)
    assert found["deployments"] == {"provisioning": 1, "ready": 3, "error": 0, "deleting": 0}


def test_what_is_deleted_counts_no_more(shop):
    for number in (1, 2):
        assert shop("delete-template", product_id=1, template_id=number).ok
    assert shop("delete-product", product_id=1).ok
    assert shop("delete-user", user_id=1).ok
    found = shop("overview").document
    assert (found["users"], found["products"], found["templates"]) == (1, 0, 0)


def test_the_age_of_the_queue_is_that_of_the_job_due_longest(shop):
    deploy(4)
    due = [clock() - HOUR, clock() - 2 * HOUR, clock() + HOUR]
    for number, at in enumerate(due, 1):
        Job.update(status="queued", run_after=at).where(Job.id == number).execute()
    Job.update(status="running", run_after=clock() - 3 * HOUR).where(Job.id == 4).execute()
    found = shop("overview").document
    assert found["jobs"] == {"queued": 3, "running": 1}
    assert 7200 <= found["queue_age_sec"] < 7260


def test_what_waits_for_later_is_not_late(shop):
    deploy(1)
    Job.update(status="queued", run_after=clock() + HOUR).execute()
    assert shop("overview").document["queue_age_sec"] == 0


def test_failures_are_counted_by_their_cause(shop):
    deploy(1, status="error", cause={"code": "image_pull"})
    deploy(2, status="error", cause={"code": "timeout"})
    deploy(1, status="error")
    deploy(1, status="ready", cause={"code": "timeout"})
    assert shop("overview").document["causes"] == [
        {"code": "timeout", "count": 2},
        {"code": "image_pull", "count": 1},
        {"code": "unknown", "count": 1},
    ]


def test_the_last_day_is_told_by_hours(rest):
    this = clock().replace(minute=0, second=0, microsecond=0)
    tell("ready", this, 2)
    tell("deleted", this)
    tell("failed", this + datetime.timedelta(microseconds=1))
    tell("failed", this - 23 * HOUR, 2)
    tell("ready", this - 23 * HOUR - datetime.timedelta(microseconds=1))
    tell("updated", this)
    hours = rest("overview").document["hours"]
    assert [hour["begins_at"] for hour in hours] == sorted(hour["begins_at"] for hour in hours)
    assert hours[-1] == {"begins_at": f"{this:%Y-%m-%dT%H}:00:00.000000Z", "done": 3, "failed": 1}
    assert (hours[0]["done"], hours[0]["failed"]) == (0, 2)
    assert {(hour["done"], hour["failed"]) for hour in hours[1:-1]} == {(0, 0)}


def test_the_overview_takes_as_many_queries_with_many_as_with_none(shop):
    deploy(1, status="error", cause={"code": "timeout"})
    few = queries(overview.look)
    deploy(60, status="error", cause={"code": "timeout"})
    deploy(60)
    tell("ready", clock(), 60)
    assert queries(overview.look) == few < 12


# Search


@pytest.fixture
def crowd(shop):
    """Deployments of Ada (user 1) and of user 2, whose e-mail has characters that LIKE knows."""
    other = shop("create-user", email="Böb_50%@example.org").document["id"]
    deploy(1, domainname="cloud.example.org", deployment_uid="notes-ada-abc123")
    deploy(1, domainname="a-b.example.net", deployment_uid="axb", user=User.get_by_id(other))
    return shop


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("cloud", [1]),
        ("CLOUD.Example", [1]),
        ("ada-abc", [1]),
        ("ADA@", [1]),
        ("bÖB", [2]),
        ("example", [1, 2]),
        ("_50%", [2]),
        ("%", [2]),
        ("_", [2]),
        ("d_1", []),
        ("\\", []),
        ("'; DROP TABLE users; --", []),
    ],
)
def test_deployments_are_found_by_domain_uid_and_email(crowd, search, found):
    answer = crowd("list-all-deployments", search=search)
    assert [row["id"] for row in answer.document] == found


def test_a_search_goes_with_the_other_filters(crowd):
    Deployment.update(status="error").where(Deployment.id == 2).execute()
    both = {"search": "example", "limit": 1}
    assert [d["id"] for d in crowd("list-all-deployments", **both).document] == [1]
    assert [d["id"] for d in crowd("list-all-deployments", after=1, **both).document] == [2]
    failed = crowd("list-all-deployments", status="error", product_id=1, **both).document
    assert [d["id"] for d in failed] == [2]


@pytest.mark.parametrize(
    ("search", "found"),
    [("ADA", ["ada@example.org"]), ("böb_", ["Böb_50%@example.org"]), ("a_a", []), ("%@", 1)],
)
def test_users_are_found_by_part_of_their_email(crowd, search, found):
    emails = [user["email"] for user in crowd("list-users", search=search).document]
    assert emails == found or len(emails) == found


# Jobs, newest first


def test_jobs_are_listed_newest_first_before_an_id(shop):
    deploy(5)
    Job.update(status="failed").where(Job.id == 3).execute()
    newest = shop("list-jobs", before=10**18 - 1, limit=2).document
    assert [job["id"] for job in newest] == [5, 4]
    assert [job["id"] for job in shop("list-jobs", before=4).document] == [3, 2, 1]
    assert [job["id"] for job in shop("list-jobs", before=5, after=2).document] == [4, 3]
    done = shop("list-jobs", before=5, status="done").document
    assert [job["id"] for job in done] == [4, 2, 1]
