"""The admin's pages: who sees them, the overview, deployments, jobs, events, the doctor."""

import html.parser
import logging
import pathlib
import re
import time
import urllib.parse

import pytest

from caelus.database import clock
from caelus.models import Event, Job, User
from caelus.web import routes
from tests.admins import EDITOR, FORM, Pages, Read, after, text_of
from tests.admins import admin as admin
from tests.conftest import TEMPLATE
from tests.test_logins import DAY, OWN, Browser
from tests.test_overview import deploy, queries, tell

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


ADMIN = [path for path in routes.PAGES if path == "/admin" or path.startswith("/admin/")]
CHART = str(pathlib.Path(__file__).parent / "charts" / "app")


@pytest.fixture
def empty(rest):
    """An admin's browser where there is no product."""
    return Pages(0)


# Who sees them


def filled_in(path: str) -> str:
    return "/ui" + re.sub(r"{\w+}", "1", path)


@pytest.mark.parametrize("path", ADMIN)
def test_for_a_plain_user_there_is_no_page_for_admins(shop, path):
    ada, place = Pages(1), filled_in(path)
    for method in ("GET", "POST"):
        answer = ada.send(method, place)
        if answer.status_code == 405:  # nobody can do that there
            continue
        nothing = ada.send(method, "/ui/admin-nothing")
        assert answer.status_code == nothing.status_code == 404
        assert f"{place} does not exist" in text_of(answer)
        assert answer.headers["content-type"] == nothing.headers["content-type"]
        shown = text_of(answer).replace(place, "")
        assert shown == text_of(nothing).replace("/ui/admin-nothing", "")


@pytest.mark.parametrize("path", ADMIN)
def test_nobody_is_told_to_log_in(shop, path):
    answer = Browser().send("GET", filled_in(path))
    assert answer.status_code == 401
    assert "caelus create-login-link" in text_of(answer)


def test_what_a_plain_user_asks_for_is_on_record(shop):
    Pages(1).get("/users")
    event = Event.select().order_by(Event.id.desc()).first()
    assert (event.type, event.actor) == ("refused", "ada@example.org")


def test_all_pages_for_admins_are_below_one_path(settings):
    modules = ("admin", "checkup")
    ours = {
        p for p, page in routes.PAGES.items() if page.__module__.split(".")[-1].startswith(modules)
    }
    assert ours == set(ADMIN)
    assert len(ours) > 12


# How they are made


def test_each_page_is_such_that_all_can_use_it(admin):
    deploy(2, status="error", last_error="It broke", cause={"code": "timeout", "hint": "wait"})
    tell("ready", clock())
    admin.post("/users/1", action="token", name="x")
    for path in ADMIN:
        answer = admin.send("GET", filled_in(path))
        if answer.status_code in (303, 405):
            continue
        assert answer.status_code == 200, path
        page = Read(answer)
        ids = [found["id"] for _, found in page.elements if "id" in found]
        assert len(ids) == len(set(ids)), path
        labelled = {found.get("for") for tag, found in page.elements if tag == "label"}
        for tag, found in page.elements:
            assert "style" not in found, path
            assert not [name for name in found if name.startswith("on")], path
            typed = tag in ("select", "textarea") or (
                tag == "input" and found.get("type") not in ("hidden", "checkbox")
            )
            assert not typed or found["id"] in labelled, (path, found)
            for id in found.get("aria-describedby", "").split():
                assert id in ids, (path, id)
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style", answer.text)
        assert [found for tag, found in page.elements if tag == "h1"]
        assert answer.text.count('aria-current="page"') >= 1


# The overview


def test_where_there_is_nothing_three_steps_lead_to_the_first_app(empty, rest):
    first = empty.get()
    assert "Three steps to the first app" in first.text
    assert 'href="/ui/admin/products/new"' in first.text
    assert rest("create-product", name="Notes").ok
    assert 'href="/ui/admin/products/1/templates/new"' in empty.get().text
    assert rest("create-template", product_id=1, **TEMPLATE).ok
    assert 'href="/ui/admin/products/1"' in empty.get().text
    assert rest("update-product", product_id=1, template_id=1).ok
    assert 'href="/ui/products/1/create"' in empty.get().text


def test_once_something_runs_the_steps_are_gone(admin):
    deploy(1)
    assert "Three steps" not in admin.get().text


def test_a_newcomer_gets_from_nothing_to_an_app(empty):
    place = after(empty.post("/products/new", name="Hello", description="A page that greets"))
    assert place == "/ui/admin/products/1/templates/new?done=product"
    assert "New template of Hello" in empty.get("/products/1/templates/new").text
    fields = {"chart_ref": CHART, "chart_version": "1.0.0", "offer": "on"}
    place = after(empty.post("/products/1/templates/new", **fields))
    assert place == "/ui/admin/products/1?done=offered"
    assert 'href="/ui/products/1/create"' in empty.get("/products/1").text
    assert empty.send("GET", "/ui/products/1/create").status_code == 200


def test_the_overview_tells_what_there_is_and_what_fails(admin):
    deploy(3)
    deploy(2, status="error", cause={"code": "image_pull"})
    Job.update(status="queued", run_after=clock() - DAY).where(Job.id == 1).execute()
    tell("ready", clock(), 3)
    tell("failed", clock(), 1)
    page = admin.get()
    text = text_of(page)
    for sentence in (
        *("3 Ready", "2 Error", "0 Deleting", "1 product", "2 users", "image_pull 2"),
        *("1 job queued, 0 running", "has been due for 24 h", "3 done, 1 failed"),
    ):
        assert sentence in text
    bars = [found for tag, found in Read(page).elements if found.get("class") == "bar-done"]
    assert len(bars) == 24
    assert (bars[-1]["height"], bars[0]["height"]) == ("75.0", "0.0")
    assert Read(page).elements.count(("tr", {})) == 2 + 2  # causes, and the one hour


# Deployments


def test_deployments_are_filtered_and_searched(admin):
    deploy(2)
    deploy(1, status="error", last_error="It broke")
    assert "d0.example.org" in admin.get("/deployments").text
    failed = admin.get("/deployments", status="error").text
    assert "d2.example.org" in failed and "It broke" in failed
    assert "d0.example.org" not in failed
    assert "d1.example.org" in admin.get("/deployments", search="D1.", product_id=1).text
    nothing = admin.get("/deployments", search="%")
    assert "None is like that" in nothing.text
    assert Read(nothing).texts["search"] == "%"


@pytest.mark.parametrize("query", ["status=odd", "search=" + "x" * 300, "search=%00"])
def test_an_odd_filter_is_refused_with_a_sentence(admin, query):
    answer = admin.send("GET", "/ui/admin/deployments", query_string=query)
    assert answer.status_code == 422
    assert "text/html" in answer.headers["content-type"]


def test_many_deployments_come_in_pages_that_keep_the_filters(admin):
    deploy(120)
    page = admin.get("/deployments", search="example")
    assert page.text.count("/deployments/") >= 50
    (link,) = re.findall(r'href="([^"]*after=[^"]*)"', page.text)
    assert html.unescape(link) == "/ui/admin/deployments?after=50&search=example"
    second = admin.get("/deployments", search="example", after=50)
    assert "d50.example.org" in second.text and "d49.example.org" not in second.text
    first = '<a class="button" href="/ui/admin/deployments?search=example">First page</a>'
    assert first in second.text and first not in page.text


def test_after_the_last_product_it_is_not_said_that_there_is_none(admin):
    assert "There is nothing further" in admin.get("/products", after=9).text


@pytest.mark.parametrize("path", ["", "/deployments", "/jobs?status=all", "/users/1", "/events"])
def test_a_page_takes_as_many_queries_with_many_as_with_few(admin, path):
    place, _, query = path.partition("?")
    pages = [lambda: admin.get(place, **dict(urllib.parse.parse_qsl(query)))]
    deploy(2)
    few = queries(pages[0])
    deploy(500)
    assert queries(pages[0]) == few < 20


def test_without_any_deployment_the_next_step_is_told(empty):
    assert "Publish a product" in empty.get("/deployments").text


def test_a_deployment_known_by_its_number_is_led_to(admin):
    deploy(1)
    deploy(1, status="deleted")
    for number in (1, 2):
        place = after(admin.get(f"/deployments/{number}"))
        assert place == f"/ui/users/1/deployments/{number}"
    for odd in ("3", "0", "x", "9" * 30):
        answer = admin.get(f"/deployments/{odd}")
        assert (answer.status_code, f"Deployment {odd} not found." in answer.text) == (404, True)


# Jobs and events


def test_jobs_begin_with_those_that_are_open(admin):
    deploy(3)
    Job.update(status="running", locked_by="w1").where(Job.id == 2).execute()
    Job.update(status="failed", last_error="It broke", cause={"hint": "mend it"}).where(
        Job.id == 3
    ).execute()
    shown = admin.get("/jobs").text
    assert "d1.example.org" in shown and "d0.example.org" not in shown
    everything = admin.get("/jobs", status="all").text
    assert everything.index("d2.") < everything.index("d1.") < everything.index("d0.")
    assert "Next step: mend it" in text_of(admin.get("/jobs", status="failed"))
    assert "d0.example.org" not in admin.get("/jobs", status="all", deployment_id=2).text


def test_jobs_come_in_pages_newest_first(admin):
    deploy(60)
    page = admin.get("/jobs", status="done").text
    assert "d59.example.org" in page and "d9.example.org" not in page
    assert 'href="/ui/admin/jobs?before=11&amp;status=done"' in page
    assert "d9.example.org" in admin.get("/jobs", status="done", before=11).text


def test_without_an_open_job_the_page_says_so(admin):
    assert "No job is open" in admin.get("/jobs").text


def test_where_no_job_ever_was_none_is_offered(empty):
    assert "There was no job yet" in empty.get("/jobs", status="all").text


def test_events_tell_who_did_what_from_where(admin):
    admin.post("/users/new", email="eve@example.org")
    text = text_of(admin.get("/events"))
    assert "root@example.org user 2 (eve@example.org) created user_created unknown" in text
    assert "user 1 (ada@example.org) created user_created 127.0.0.1 token tests" in text


# The doctor


@pytest.fixture
def tools(monkeypatch, tmp_path):
    """Programs that note that they run, and wait until there is a file `go`."""
    program = tmp_path / "program"
    wait = f"echo >> {tmp_path}/runs; until [ -e {tmp_path}/go ]; do sleep 0.02; done"
    program.write_text(f"#!/bin/sh\n{wait}\nexit 1\n")
    program.chmod(0o755)
    for name in ("CAELUS_HELM", "CAELUS_KUBECTL"):
        monkeypatch.setenv(name, str(program))
    return tmp_path


def until_done(pages: Pages):
    deadline = time.monotonic() + 60
    while "The checkup runs" in (answer := pages.get("/doctor")).text:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer


def test_the_doctor_looks_once_at_a_time_and_holds_up_nobody(tools, shop):
    pages = Pages(0)
    assert "Run the checkup" in pages.get("/doctor").text
    for _ in range(3):
        assert after(pages.post("/doctor")) == "/ui/admin/doctor"
    running = pages.get("/doctor")
    assert 'hx-trigger="every 1s"' in running.text
    assert '<noscript><meta http-equiv="refresh"' in running.text
    (tools / "go").touch()
    text = text_of(until_done(pages))
    runs = (tools / "runs").read_text().count("\n")
    assert "Failed helm" in text and "Next step:" in text and "Ok integrity whole" in text
    assert "hx-get" not in pages.get("/doctor").text
    after(pages.post("/doctor"))
    until_done(pages)
    assert (tools / "runs").read_text().count("\n") == 2 * runs


# Odd input


POSTS = [path for path in ADMIN if hasattr(routes.PAGES[path], "on_post")]
ODD = [
    b"",
    b"action=nothing",
    b"action=link&action=delete%00",
    b"action=token&expires_in_days=" + b"9" * 400,
    b"action=token&name=%ff%00",
    b"action=save&template_id=%F0%9F%98%80",
    b"action=offer&template_id=-1",
    b"action=drop-token&token_id=9999999999999999999",
    b"action=delete&" + b"x=1&" * 20_000,
    b"default_values_json=" + b"%5B" * 50_000,
    b"capabilities_json=%7B%22bindings%22%3A1%7D&chart_ref=x&chart_version=1",
    b"values_schema_json=%26a+*a&chart_ref=x&chart_version=1",
    b"values_schema_json=a:+%21%21bool+x",
    b"chart_ref=%ED%A0%80&chart_version=%0a&name=%00&email=%00%40x",
    b"\xff\xfe=\x00",
]


@pytest.mark.parametrize("path", [path for path in POSTS if path != "/admin/doctor"])
def test_odd_posts_get_a_page_with_a_sentence(admin, path, caplog):
    place = filled_in(path)
    for body in ODD:
        answer = admin.send("POST", place, OWN | FORM, body=body)
        assert answer.status_code in (200, 303, 400, 404, 409, 413, 422), (body[:60], answer.text)
        if answer.status_code >= 400:
            assert "text/html" in answer.headers["content-type"]
            assert re.search(r"\w+ \w+", text_of(answer))
    as_json = admin.send("POST", place, OWN | {"Content-Type": "application/json"}, body="{}")
    assert as_json.status_code == 415
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


def test_what_is_too_large_is_refused(admin):
    body = b"default_values_json=" + b"x" * 1_100_000
    answer = admin.send("POST", "/ui/admin" + EDITOR, OWN | FORM, body=body)
    assert answer.status_code == 413


def test_a_page_of_another_site_changes_nothing(admin):
    other = FORM | {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.org"}
    answer = admin.send("POST", "/ui/admin/users/1", other, body="action=delete")
    assert answer.status_code == 403
    assert User.get_by_id(1).deleted_at is None
