"""The page of one deployment."""

import datetime
import re

import pytest

from caelus import events
from caelus.database import session, transaction
from caelus.models import Deployment, Job, now
from tests.conftest import TEMPLATE
from tests.owner import HERE, SECRET, Browser, deploy, fail, newer, settle, text_of
from tests.owner import ada as ada
from tests.owner import cluster as cluster
from tests.owner import one as one

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_another_users_app_is_not_there(one):
    other, nobody = Browser(2), "/ui/users/2/deployments/99"
    ends = (
        "",
        "/live",
        "/edit",
        "/domain",
        "/upgrade",
        "/delete",
        "/secrets",
        "/resources",
        "/logs",
    )
    for end in ends:
        assert other.get(HERE + end).status_code == 404
        assert other.get(nobody + end).status_code == 404
        assert other.get(f"/ui/users/2/deployments/1{end}").status_code == 404
    for end in ("/edit", "/domain", "/domain/check", "/upgrade", "/retry", "/delete", "/secrets"):
        assert other.post(HERE + end, name="n1.example.org").status_code == 404
    assert Deployment.get().status == "ready"


def test_an_admin_sees_whose_it_is(one):
    page = text_of(Browser(3).page(HERE))
    assert "This app is ada@example.org's, not yours." in page
    assert "not yours" not in one.page(HERE)


def test_a_running_job_is_told_with_its_attempt(ada, rest):
    deploy(rest)
    assert "waits for a free worker" in ada.page(HERE)
    Job.update(status="running", attempt=1).execute()
    assert "Setting it up now, attempt 1." in ada.page(HERE)


def test_a_failure_tells_cause_next_step_and_next_attempt(one):
    due = now() + datetime.timedelta(minutes=5)
    fail("image_pull", "check the image", status="queued", attempt=3, run_after=due)
    page = one.page(HERE)
    assert "it broke &lt;b&gt;" in page
    assert "Next step: check the image." in page
    assert "<code>image_pull</code>, Pod web-0" in page
    assert "attempt 3 failed" in page
    assert f'The next one comes <time datetime="{due:%Y-%m-%dT%H:%M}' in page
    assert 'id="do-retry" class="primary"' in page


@pytest.mark.parametrize(
    ("code", "first"),
    [
        ("values_rejected", 'id="do-edit" class="button primary"'),
        ("chart_unusable", 'id="do-upgrade" class="button primary"'),
        ("timeout", 'id="do-retry" class="primary"'),
    ],
)
def test_the_button_that_helps_comes_first(one, rest, code, first):
    newer(rest)
    fail(code)
    page = one.page(HERE)
    assert first in page
    assert "It is not tried again by itself" in page


def test_what_failed_before_a_deletion_is_no_failure_of_it(one):
    settle(status="error")
    Deployment.update(last_error="the image is gone").execute()
    assert "the image is gone" in one.page(HERE)
    assert one.post(f"{HERE}/delete", name="n1.example.org").status_code == 303
    assert "the image is gone" not in one.page(HERE)
    last = Job.select().order_by(Job.id.desc()).get()
    Job.update(status="running", attempt=1).where(Job.id == last.id).execute()
    assert "the image is gone" not in one.page(HERE)
    Deployment.update(last_error="the namespace stays").execute()
    Job.update(status="queued", attempt=1).where(Job.id == last.id).execute()
    assert "the namespace stays" in one.page(HERE)


def test_retry_is_a_button(one):
    fail("timeout")
    answer = one.post(f"{HERE}/retry")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?done=retried")
    assert Deployment.get().status == "provisioning"
    answer = one.post(f"{HERE}/retry")
    assert answer.status_code == 409
    assert "A deployment job is already queued or running" in answer.text


def test_the_live_part_is_asked_for_often_while_something_goes_on(ada, rest):
    deploy(rest)
    assert 'hx-trigger="every 3s"' in ada.page(HERE)
    assert '<noscript><meta http-equiv="refresh" content="5; url=/ui/' in ada.page(HERE)
    settle()
    assert 'hx-trigger="every 20s"' in ada.page(HERE)
    assert "<noscript>" not in ada.page(HERE)
    settle(status="deleted")
    assert "hx-trigger" not in ada.page(HERE)


def test_the_live_part_is_304_until_something_happens(one):
    first = one.get(f"{HERE}/live")
    assert "<html" not in first.text
    again = {"headers": {"If-None-Match": first.headers["etag"]}}
    assert one.get(f"{HERE}/live", **again).status_code == 304
    with session(), transaction():
        events.record(1, "updated", "something new")
    answer = one.get(f"{HERE}/live", **again)
    assert answer.status_code == 200
    assert "Something new" in answer.text


def test_the_timeline_says_in_words_what_was_done_and_by_whom(one):
    for actor in ("vm:84628a90:14009-616204:2", "caelus", "operator", "bob@example.org"):
        with session(), transaction(), events.by(actor):
            events.record(1, "ready", "create done")
    page = one.page(HERE)
    assert page.count("Set up: it runs as it should") == 4
    assert "by Caelus" in page and "by operator" in page and "by bob@example.org" in page
    assert "84628a90" not in page


def test_settings_have_the_titles_of_their_form(rest, ada):
    mail = {"type": "object", "title": "Mail server", "properties": {"host": {"type": "string"}}}
    shown = {"title": {"type": "string", "title": "Name of the site"}, "mail": mail}
    schema = {"properties": {"user": {"type": "object", "properties": shown}}}
    other = {"chart_version": "2.0.0", "values_schema_json": schema}
    assert rest("create-template", product_id=1, **TEMPLATE | other).ok
    values = {"title": "Notes", "mail": {"host": "mx"}}
    made = {"user_id": 1, "desired_template_id": 2, "domainname": "n1.example.org"}
    assert rest("create-deployment", **made, user_values_json=values).ok
    page = ada.page(HERE)
    assert "<dt>Name of the site</dt><dd>Notes</dd>" in page
    assert "<dt>Mail server › Host</dt><dd>mx</dd>" in page


def test_an_app_is_found_under_my_apps_and_others_under_admin(one):
    def current(page: str) -> list[str]:
        return re.findall(r'href="([^"]*)" aria-current', page)

    assert current(one.page(HERE)) == ["/ui"]
    assert current(one.page(f"{HERE}/delete")) == ["/ui"]
    assert current(Browser(3).page(HERE)) == ["/ui/admin"]


def test_the_timeline_goes_on_on_older_pages(one):
    for number in range(30):
        with session(), transaction():
            events.record(1, "updated", f"change {number}.")
    page = one.page(HERE)
    assert "Change 29." in page and "Change 9." not in page
    older = re.search(r'href="([^"]*\?before=\d+)"', page)[1]
    page = one.page(older)
    assert "Change 9." in page and "Created from template 1" in page
    assert "hx-trigger" not in page


@pytest.mark.parametrize("part", ["resources", "logs"])
def test_the_cluster_is_not_asked_for_the_page_itself(one, monkeypatch, part):
    monkeypatch.setenv("CAELUS_KUBECTL", "/nowhere/kubectl")
    page = one.page(HERE)
    assert f'hx-get="{HERE}/{part}/part"' in page
    assert f'href="{HERE}/{part}"' in page
    alone, inside = one.get(f"{HERE}/{part}"), one.get(f"{HERE}/{part}/part")
    assert (alone.status_code, inside.status_code) == (503, 200)
    assert "<html" in alone.text and "<html" not in inside.text
    assert "notice bad" in inside.text


def test_pods_are_shown_with_restarts_volumes_and_addresses(cluster):
    page = text_of(cluster.page(f"{HERE}/resources/part"))
    assert re.search("web-0 Running CrashLoopBackOff.*exit code 3 7 ", page)
    assert "disk Bound 5Gi, fast" in page
    assert "Ingress web: n1.example.org, no address yet" in page


def test_where_nothing_runs_it_is_said_without_a_number(cluster, tmp_path):
    (tmp_path / "items.json").write_text('{"items": []}')
    assert "Nothing of it runs." in cluster.page(f"{HERE}/resources/part")


def test_the_log_is_shown_without_secrets(cluster):
    page = cluster.page(f"{HERE}/logs")
    assert "hello &lt;b&gt;" in page
    assert SECRET not in page
