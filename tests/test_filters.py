"""Filters of events, and what the admins' lists say of filters that they can't understand."""

import re

import pytest

from caelus.database import session, transaction
from caelus.events import record
from tests.admins import Pages, Read, text_of
from tests.test_overview import deploy, queries

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def tell(deployment_id: int | None, type: str, *messages: str) -> None:
    with session(), transaction():
        for message in messages:
            record(deployment_id, type, message)


def told(surface, command="list-all-events", **filters) -> list[str]:
    return [event["message"] for event in surface(command, **filters).document]


@pytest.fixture
def told_of(shop):
    """Two deployments of user 1, and what happened to them."""
    deploy(2)
    tell(1, "failed", "Pod web-0 crashed", "100% of the quota is used")
    tell(2, "failed", "another")
    tell(2, "ready", "update done")
    return shop


@pytest.fixture
def admin(told_of):
    return Pages(0)


# The operations


def test_events_are_filtered_by_type_deployment_and_words(told_of, cli):
    ids = {"user_id": 1, "deployment_id": 1}
    for surface in (told_of, cli):
        assert told(surface, type="failed") == [
            *("another", "100% of the quota is used", "Pod web-0 crashed")
        ]
        assert told(surface, deployment_id=2) == ["update done", "another"]
        assert told(surface, type="failed", deployment_id=2) == ["another"]
        assert told(surface, search="POD") == ["Pod web-0 crashed"]
        assert told(surface, search="%", type="failed") == ["100% of the quota is used"]
        assert told(surface, type="nothing") == []
        assert told(surface, "list-events", **ids, type="ready") == []
        assert told(surface, "list-events", **ids, search="quota") == ["100% of the quota is used"]
        assert told(surface, "list-events", **ids, type="failed", limit=1) == [
            "100% of the quota is used"
        ]


# The page of events


@on_sqlite
def test_the_page_of_events_filters_them(admin):
    assert "update done" in admin.get("/events").text
    failed = admin.get("/events", type="failed")
    assert "another" in failed.text and "update done" not in failed.text
    found = admin.get("/events", type="failed", deployment_id=1, search="web-0")
    assert "Pod web-0 crashed" in found.text and "another" not in found.text
    read = Read(found)
    values = [read.with_id(name)["value"] for name in ("type", "deployment_id", "search")]
    assert values == ["failed", "1", "web-0"]
    assert 'href="/ui/admin/events?type=ready"' in admin.get("/events").text
    nothing = text_of(admin.get("/events", type="nonsense"))
    assert "None is like that" in nothing and "logged_in" in nothing


@on_sqlite
def test_the_page_of_an_app_leads_an_admin_to_its_events_and_jobs(admin):
    page = admin.send("GET", "/ui/users/1/deployments/2").text
    links = [
        link.replace("&amp;", "&") for link in re.findall(r'href="/ui/admin(/[ej][^"]*)"', page)
    ]
    assert links == ["/events?deployment_id=2", "/jobs?status=all&deployment_id=2"]
    events, jobs = (
        admin.send("GET", f"/ui/admin{place}", query_string=query).text
        for place, query in (link.split("?") for link in links)
    )
    assert "update done" in events and "Pod web-0" not in events
    assert "d1.example.org" in jobs and "d0.example.org" not in jobs
    assert "/ui/admin/events" not in Pages(1).send("GET", "/ui/users/1/deployments/2").text


@on_sqlite
def test_many_events_come_in_pages_that_keep_the_filters(admin):
    tell(1, "failed", *(f"number {number}" for number in range(120)))
    seen, query = [], "type=failed&search=number"
    while query:
        shown = admin.send("GET", "/ui/admin/events", query_string=query).text
        seen += [int(number) for number in re.findall(r"number (\d+)\n", shown)]
        following = re.search(r'href="/ui/admin/events\?(before=[^"]*)"', shown)
        query = following and following[1].replace("&amp;", "&")
    assert seen == [*range(119, -1, -1)]


@on_sqlite
def test_the_page_takes_as_many_queries_for_many_events_as_for_few(admin):
    few = queries(lambda: admin.get("/events", type="failed", search="n"))
    tell(1, "failed", *(f"number {number}" for number in range(100)))
    assert queries(lambda: admin.get("/events", type="failed", search="n")) == few


# Odd filters


@on_sqlite
@pytest.mark.parametrize(
    ("path", "query", "field", "sentence"),
    [
        ("/deployments", "product_id=x", "product_id", "must be of type integer"),
        ("/deployments", "product_id=0", "product_id", "must be at least 1"),
        ("/deployments", "product_id=1&product_id=2", "product_id", "is given more than once"),
        ("/deployments", "product_id=" + "9" * 30, "product_id", "must be of type integer"),
        ("/deployments", "status=odd", "status", "must be one of"),
        ("/deployments", "search=%00", "search", "must not hold a NUL character"),
        ("/jobs", "deployment_id=x", "deployment_id", "must be of type integer"),
        ("/jobs", "deployment_id=-1&status=all", "deployment_id", "must be at least 1"),
        ("/jobs", "status=odd", "status", "must be one of"),
        ("/events", "deployment_id=1.5", "deployment_id", "must be of type integer"),
        ("/events", "type=two+words", "type", "must be one word"),
        ("/users", "search=" + "x" * 300, "search", "must have at most 254 characters"),
    ],
)
def test_an_odd_filter_is_told_of_beside_its_field(admin, path, query, field, sentence):
    answer = admin.send("GET", f"/ui/admin{path}", query_string=query)
    assert answer.status_code == 422
    beside = re.search(rf'id="{field}-error">([^<]*)<', answer.text)[1]
    assert beside.startswith(f"{field} {sentence}")
    element = Read(answer).with_id(field)
    assert (element["aria-invalid"], element["aria-describedby"]) == ("true", f"{field}-error")
    assert "That can't be looked for" in text_of(answer)
    assert "d0.example.org" not in answer.text


@on_sqlite
def test_what_was_typed_into_a_filter_is_kept(admin):
    answer = admin.get("/jobs", deployment_id="one", status="failed")
    read = Read(answer)
    assert read.with_id("deployment_id")["value"] == "one"
    assert '<option value="failed" selected>Failed' in answer.text
