"""Events: what happened, newest first; and closing the record of what is lost."""

import pytest

from caelus import events, jobs
from caelus.database import transaction
from caelus.models import Deployment, Event, Job, now

NEW = {"user_id": 1, "desired_template_id": 1, "domainname": "a.example.org"}
MINE = {"user_id": 1, "deployment_id": 1}


def settle(status="ready"):
    Job.update(status="done").execute()
    Deployment.update(status=status).execute()


def types(answer) -> list[str]:
    return [event["type"] for event in answer.document]


def test_what_people_ask_for_is_on_record(shop, surface):
    surface("create-deployment", **NEW)
    settle()
    surface("update-deployment", **MINE, domainname="b.example.org")
    settle("error")
    surface("retry-deployment", **MINE)
    settle()
    surface("delete-deployment", **MINE)
    surface("delete-deployment", **MINE)
    listed = surface("list-events", **MINE)
    assert types(listed) == ["delete_requested", "retry_requested", "updated", "created"]
    who = {"cli": "operator", "rest": "root@example.org"}
    assert listed.document[0]["actor"] == who[surface.name]
    assert listed.document[0]["created_at"].endswith("Z")


def test_a_refused_change_is_no_event(shop, surface):
    surface("create-deployment", **NEW)
    assert not surface("update-deployment", **MINE, domainname="b.example.org").ok
    assert types(surface("list-events", **MINE)) == ["created"]


def test_events_come_in_pages_of_one_deployment_or_all(shop, surface):
    before = len(surface("list-all-events").document)
    for name in "abc":
        shop("create-deployment", **NEW | {"domainname": f"{name}.example.org"})
    first = before + 1
    listed = [e["id"] for e in surface("list-all-events").document]
    assert listed[:3] == [first + 2, first + 1, first]
    (event,) = surface("list-all-events", limit=1, before=first + 2).document
    assert event["id"] == first + 1
    assert [e["deployment_id"] for e in surface("list-events", **MINE).document] == [1]


def test_events_of_somebody_elses_deployment_are_not_found(shop, surface):
    shop("create-user", email="eve@example.org")
    shop("create-deployment", **NEW)
    assert surface("list-events", user_id=2, deployment_id=1).code in (404, 1)


def test_a_forgotten_deployment_is_deleted_and_frees_its_domain(shop, surface):
    surface("create-deployment", **NEW)
    forgotten = surface("forget-deployment", **MINE).document
    assert forgotten["status"] == "deleted"
    assert forgotten["deleted_at"].endswith("Z")
    assert [job["status"] for job in surface("list-jobs").document] == ["failed"]
    assert surface("create-deployment", **NEW).ok
    assert types(surface("list-events", **MINE)) == ["forgotten", "created"]
    assert surface("forget-deployment", **MINE).document == forgotten


def test_what_is_being_reconciled_is_not_forgotten(shop, surface):
    surface("create-deployment", **NEW)
    assert jobs.claim("worker", now())
    assert surface("forget-deployment", **MINE).code in (409, 1)


@pytest.mark.parametrize("actor", ["operator", "vm:1:1"])
def test_an_event_says_who(shop, actor):
    shop("create-deployment", **NEW)
    with events.by(actor), transaction():
        events.record(1, "ready", "create done")
    assert Event.select().order_by(Event.id.desc()).first().actor == actor
