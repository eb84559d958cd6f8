"""The owner's pages, as a browser without JavaScript gets and posts them."""

import datetime
import html.parser
import re
import urllib.parse

import falcon.testing
import pytest

from caelus import config, database, events, sessions
from caelus.api import create_app
from caelus.database import session, transaction
from caelus.models import Deployment, Event, Job, Product, Token, User, now
from tests.conftest import TEMPLATE

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

HERE = "/ui/users/1/deployments/1"
SECRET = "correct horse battery"
SCHEMA = {
    "type": "object",
    "properties": {
        "user": {
            "type": "object",
            "required": ["title"],
            "properties": {
                "title": {"type": "string", "minLength": 1, "maxLength": 20},
                "size": {"type": "integer", "maximum": 10},
                "tags": {"type": "array", "items": {"type": "string"}},
                "mail": {"type": "string", "format": "password"},
                "key": {"type": "string", "writeOnly": True, "generate": {"length": 20}},
            },
            "additionalProperties": False,
        },
    },
}
NEWER = {
    "type": "object",
    "properties": {
        "user": {
            "type": "object",
            "required": ["title", "language"],
            "properties": SCHEMA["properties"]["user"]["properties"]
            | {"size": {"type": "integer", "maximum": 20}, "language": {"type": "string"}},
        },
    },
}
VALUES = {"title": "Notes of Ada", "size": 3, "mail": SECRET}


class Form(html.parser.HTMLParser):
    """What a browser posts of the form of a page whose action ends so, if nothing is touched."""

    def __init__(self, text: str, action: str | None = None):
        super().__init__()
        self._action, self._in, self._open, self.pairs = action, False, None, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "form":
            is_post = given.get("method") == "post" and given.get("action") != "/logout"
            self._in = is_post and (self._action is None or given["action"].endswith(self._action))
        name = given.get("name")
        if not self._in or name is None and tag != "option":
            return
        if tag == "input" and (given.get("type") != "checkbox" or "checked" in given):
            self.pairs.append((name, given.get("value", "")))
        elif tag == "textarea":
            self._open = [name, ""]
        elif tag == "select":
            self.pairs.append((name, ""))
        elif tag == "option" and "selected" in given:
            self.pairs[-1] = (self.pairs[-1][0], given["value"])

    def handle_data(self, data):
        if self._open:
            self._open[1] += data

    def handle_endtag(self, tag):
        if tag == "form":
            self._in = False
        if tag == "textarea" and self._open:
            self.pairs.append((self._open[0], self._open[1].removeprefix("\n")))
            self._open = None

    def with_(self, **typed: str) -> list[tuple[str, str]]:
        typed = {name.replace("__", "/"): text for name, text in typed.items()}
        kept = [(name, text) for name, text in self.pairs if name not in typed]
        return [*kept, *typed.items()]


class Browser:
    """Logged in as the user with this id; `get` and `post` give the answer."""

    def __init__(self, user_id: int, settings=None):
        app = create_app(settings)
        with session(), transaction():
            cookie = sessions.create(User.get_by_id(user_id))
        headers = {"Host": "localhost", "Cookie": f"caelus_session={cookie}"}
        self._client = falcon.testing.TestClient(app, headers=headers)

    def get(self, path: str, **extra):
        return self._client.simulate_get(path, **extra)

    def page(self, path: str, **extra) -> str:
        answer = self.get(path, **extra)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, path: str, pairs=(), **typed):
        fields = [*(pairs.items() if isinstance(pairs, dict) else pairs), *typed.items()]
        return self._client.simulate_post(
            path,
            body=urllib.parse.urlencode(fields),
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "Sec-Fetch-Site": "same-origin",
            },
        )


@pytest.fixture
def ada(rest):
    """User 1, ada, in her browser; user 2 is bob, user 3 an admin; product 1 has template 1."""
    rest("create-user", email="ada@example.org")
    rest("create-user", email="bob@example.org")
    rest("create-user", email="chief@example.org", is_admin=True)
    rest("create-product", name="Notes", description="Lists & more")
    template = TEMPLATE | {"values_schema_json": SCHEMA, "default_values_json": {"replicas": 1}}
    assert rest("create-template", product_id=1, **template).ok
    rest("update-product", product_id=1, template_id=1)
    return Browser(1)


def deploy(rest, number: int = 1, user_id: int = 1, user_values=VALUES) -> int:
    made = rest(
        "create-deployment",
        user_id=user_id,
        desired_template_id=1,
        domainname=f"n{number}.example.org",
        user_values_json=user_values,
    )
    assert made.ok, made
    return made.document["id"]


def settle(status: str = "ready") -> None:
    """What a worker leaves behind of deployment 1."""
    Job.update(status="done").execute()
    Deployment.update(status=status, applied_template=1, last_reconcile_at=now()).execute()


def fail(code: str, hint: str = "do this", **job) -> None:
    cause = {"code": code, "object": "Pod web-0", "message": "it broke <b>", "hint": hint}
    settle(status="error")
    Job.update({"status": "failed"} | job).execute()
    Deployment.update(last_error=cause["message"], cause=cause).execute()
    with session(), transaction(), events.by("worker-1"):
        events.record(1, "failed", cause["message"], cause)


@pytest.fixture
def one(ada, rest):
    """Ada's browser; her deployment 1 is ready."""
    deploy(rest)
    settle()
    return ada


def newer(rest, **fields) -> None:
    """Template 2, which the product now offers."""
    template = TEMPLATE | {"values_schema_json": SCHEMA, "chart_version": "1.1.0"} | fields
    assert rest("create-template", product_id=1, **template).ok
    assert rest("update-product", product_id=1, template_id=2).ok


def statements(do) -> int:
    """How many statements `do` sends to the database."""
    count = 0
    execute = database.database.obj.execute_sql

    def counted(*args, **kwargs):
        nonlocal count
        count += 1
        return execute(*args, **kwargs)

    database.database.obj.execute_sql = counted
    try:
        do()
    finally:
        del database.database.obj.execute_sql
    return count


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", "", page))


# My apps


def test_who_has_nothing_is_told_what_to_do(ada):
    page = ada.page("/ui")
    assert "Nothing runs yet" in page
    assert 'href="/ui/products"' in page


def test_my_apps_say_how_they_are_in_words(ada, rest):
    deploy(rest)
    assert "Provisioning" in ada.page("/ui")
    settle()
    page = text_of(ada.page("/ui"))
    assert "Ready" in page
    assert "Notes 1.0.0 · created just now" in page


def test_only_a_ready_app_is_linked_to(ada, rest):
    deploy(rest)
    assert "http://n1.example.org" not in ada.page("/ui")
    assert "http://n1.example.org" not in ada.page(HERE)
    settle()
    assert 'href="http://n1.example.org"' in ada.page("/ui")
    assert 'href="http://n1.example.org"' in ada.page(HERE)


def test_apps_are_linked_to_by_the_sites_own_scheme(one, monkeypatch):
    monkeypatch.setenv("CAELUS_PUBLIC_URL", "https://caelus.example.org")
    settings = config.load()._replace(public_url=None)
    assert "http://n1.example.org" in Browser(1, settings).page("/ui")
    page = one.page  # the cookie of an https site has another name
    assert page("/ui")


def test_a_newer_version_is_told_of(one, rest):
    assert "update available" not in one.page("/ui")
    newer(rest)
    assert "update available" in one.page("/ui")
    assert "update available" in one.page(HERE)


def test_500_apps_come_in_pages_of_50(ada):
    template = Deployment(desired_template=1, user=1, status="ready")
    rows = [
        {"domainname": f"d{n}.example.org", "deployment_uid": f"d-{n}", "created_at": now()}
        | {"user": template.user_id, "desired_template": 1, "status": "ready"}
        for n in range(500)
    ]
    with session(), transaction():
        Deployment.insert_many(rows).execute()
    path, seen = "/ui", []
    while path:
        page = ada.page(path)
        seen += re.findall(r"<h2><a [^>]*>(.*?)</a>", page)
        following = re.search(r'href="(/ui\?after=\d+)"', page)
        path = following and following[1]
    assert seen == [f"d{n}.example.org" for n in range(500)]
    assert "nothing further" in ada.page("/ui?after=999999")


@pytest.mark.parametrize("path", ["/ui", "/ui/products"])
def test_a_list_takes_as_many_queries_for_60_as_for_3(ada, rest, path):
    for number in range(3):
        deploy(rest, number)
        rest("create-product", name=f"App {number}")
    few = statements(lambda: ada.page(path))
    for number in range(3, 60):
        deploy(rest, number)
        rest("create-product", name=f"App {number}")
    assert statements(lambda: ada.page(path)) == few


def test_one_app_takes_as_many_queries_for_60_events_as_for_1(one):
    few = statements(lambda: one.page(HERE))
    for number in range(60):
        with session(), transaction():
            events.record(1, "updated", f"change {number}")
    assert statements(lambda: one.page(HERE)) == few


# Catalogue and creation


def test_the_catalogue_shows_products_with_their_versions(ada, rest):
    rest("create-product", name="Bare")
    page = text_of(ada.page("/ui/products"))
    assert "Lists &amp; moreVersion 1.0.0 Create a Notes" in page
    assert "Bare No version can be installed yet" in page


def test_a_product_without_a_template_says_so(ada, rest):
    rest("create-product", name="Bare")
    page = ada.page("/ui/products/2/create")
    assert "can't be created yet" in page
    assert "<input" not in page
    assert ada.post("/ui/products/2/create", domainname="a.example.org").status_code == 404


def creation(ada) -> Form:
    return Form(ada.page("/ui/products/1/create"), "/create")


def test_create_posts_what_the_api_accepts(ada, rest):
    form = creation(ada)
    sent = form.with_(domainname=" N1.example.org ", user__title="Mine", user__size="4")
    answer = ada.post("/ui/products/1/create", sent)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?done=created")
    made = rest("get-deployment", user_id=1, deployment_id=1).document
    assert made["domainname"] == "n1.example.org"
    assert made["user_values_json"] == {"title": "Mine", "size": 4}
    assert "Created. It is being set up now." in ada.page(f"{HERE}?done=created")


def test_what_the_api_refuses_stands_beside_its_field_and_nothing_is_lost(ada):
    sent = creation(ada).with_(domainname="n1.example.org", user__title="Mine", user__size="44")
    answer = ada.post("/ui/products/1/create", sent)
    assert answer.status_code == 409
    assert re.search(r'id="user/size:errors">must be at most 10<', answer.text)
    assert "see what is marked below" in answer.text
    again = dict(Form(answer.text, "/create").pairs)
    assert (again["user/size"], again["domainname"]) == ("44", "n1.example.org")
    assert Deployment.select().count() == 0


def test_a_domain_that_is_taken_is_told_beside_it(one):
    sent = creation(one).with_(domainname="n1.example.org", user__title="Mine")
    answer = one.post("/ui/products/1/create", sent)
    assert answer.status_code == 409
    sentence = "the domain n1.example.org is taken by another deployment"
    assert f'id="domainname-error">{sentence}<' in answer.text
    assert 'aria-describedby="domainname-error' in answer.text


def test_a_preview_says_what_will_happen_and_does_nothing(ada):
    sent = creation(ada).with_(domainname="n1.example.org", user__title="Mine", do="preview")
    answer = ada.post("/ui/products/1/create", sent)
    page = text_of(answer.text)
    assert answer.status_code == 200
    assert re.search("notes-ada-example-org-xxxxxx", page)
    assert "Caelus makes: key." in page
    assert "oci://registry.example.org/notes 1.0.0" in page
    assert "No other app reaches it" in page
    assert (Deployment.select().count(), Job.select().count()) == (0, 0)
    assert Event.select().where(Event.type == "created").count() == 0


def test_a_preview_leaves_no_job_in_the_log(ada, caplog):
    caplog.set_level("INFO")
    typed = creation(ada).with_(domainname="n1.example.org", user__title="Mine")
    ada.post("/ui/products/1/create", [*typed, ("do", "preview")])
    assert "queued" not in caplog.text
    ada.post("/ui/products/1/create", typed)
    assert "job 1 (create) of deployment 1 queued" in caplog.text


def test_a_secret_that_is_given_is_not_made(ada):
    typed = {"domainname": "n1.example.org", "user__title": "Mine", "user__key": "k" * 20}
    answer = ada.post("/ui/products/1/create", creation(ada).with_(**typed, do="preview"))
    assert "Caelus has none to make." in answer.text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("free.example.org", "free.example.org is free."),
        ("N1.example.org", "the domain n1.example.org is taken by another deployment"),
        ("no host", "The domain name must be a host name"),
        ("localhost", "the domain localhost is Caelus&#39; own"),
        ("", ""),
    ],
)
def test_a_domain_is_checked_while_it_is_typed_though_the_rest_is_missing(one, typed, said):
    for path in ("/ui/products/1/create/check", f"{HERE}/domain/check"):
        if typed.lower() == "n1.example.org" and path.startswith(HERE):
            continue  # it is its own
        answer = one.post(path, domainname=typed)
        assert answer.status_code == 200
        assert said in answer.text
        assert "<html" not in answer.text
    assert Deployment.select().count() == 1


def test_a_version_can_be_chosen_where_there_are_several(ada, rest):
    assert "<select" not in ada.page("/ui/products/1/create")
    newer(rest, values_schema_json=NEWER)
    page = ada.page("/ui/products/1/create")
    assert "1.1.0 (recommended)" in page
    assert 'name="user/language"' in page
    page = ada.page("/ui/products/1/create?template_id=1")
    assert 'name="user/language"' not in page
    assert dict(Form(page, "/create").pairs)["template_id"] == "1"
    assert ada.get("/ui/products/1/create?template_id=77").status_code == 404


def test_a_row_is_added_without_javascript_and_nothing_is_created(ada):
    sent = [
        *creation(ada).with_(domainname="n1.example.org", user__title="M"),
        ("_add", "user/tags"),
    ]
    answer = ada.post("/ui/products/1/create", sent)
    assert answer.status_code == 200
    again = dict(Form(answer.text, "/create").pairs)
    assert "user/tags/0" in again
    assert again["domainname"] == "n1.example.org"
    assert Deployment.select().count() == 0


# One deployment


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


def test_retry_is_a_button(one):
    fail("timeout")
    answer = one.post(f"{HERE}/retry")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?done=retried")
    assert Deployment.get().status == "provisioning"
    answer = one.post(f"{HERE}/retry")
    assert answer.status_code == 409
    assert "a deployment job is already queued or running" in answer.text


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
    assert "something new" in answer.text


def test_the_timeline_says_in_words_what_was_done_and_by_whom(one):
    for actor in ("vm:84628a90:14009-616204:2", "caelus", "operator", "bob@example.org"):
        with session(), transaction(), events.by(actor):
            events.record(1, "ready", "create done")
    page = one.page(HERE)
    assert page.count("Set up: it runs as it should") == 4
    assert "by Caelus" in page and "by operator" in page and "by bob@example.org" in page
    assert "84628a90" not in page


def test_the_timeline_goes_on_on_older_pages(one):
    for number in range(30):
        with session(), transaction():
            events.record(1, "updated", f"change {number}.")
    page = one.page(HERE)
    assert "change 29." in page and "change 9." not in page
    older = re.search(r'href="([^"]*\?before=\d+)"', page)[1]
    page = one.page(older)
    assert "change 9." in page and "created from template 1" in page
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


KUBECTL = """#!/bin/sh
case "$*" in
*logs*) echo '[pod/web-0/app] 2026-01-31T12:00:00.000000000Z hello <b> {secret}';;
*) cat {items};;
esac
"""
POD = """{"items": [
 {"kind": "Pod", "metadata": {"name": "web-0", "creationTimestamp": "2026-01-31T12:00:00Z"},
  "spec": {"containers": [{"name": "app"}]},
  "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}],
   "containerStatuses": [{"name": "app", "ready": false, "restartCount": 7,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}}}]}},
 {"kind": "PersistentVolumeClaim", "metadata": {"name": "disk"},
  "spec": {"storageClassName": "fast"},
  "status": {"phase": "Bound", "capacity": {"storage": "5Gi"}}},
 {"kind": "Ingress", "metadata": {"name": "web"},
  "spec": {"rules": [{"host": "n1.example.org"}]}}
]}"""


@pytest.fixture
def cluster(one, monkeypatch, tmp_path):
    """A kubectl that shows a pod that crashes, its volume, its ingress and its log."""
    items, program = tmp_path / "items.json", tmp_path / "kubectl"
    items.write_text(POD)
    program.write_text(KUBECTL.replace("{items}", str(items)).replace("{secret}", SECRET))
    program.chmod(0o755)
    monkeypatch.setenv("CAELUS_KUBECTL", str(program))
    return one


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


# Changes


def test_an_edit_shows_the_values_and_keeps_the_mask(one, rest):
    form = Form(one.page(f"{HERE}/edit"))
    assert dict(form.pairs)["user/mail"] == "********"
    answer = one.post(f"{HERE}/edit", form.with_(user__size="5"))
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?done=updated")
    after = rest("get-deployment", user_id=1, deployment_id=1).document["user_values_json"]
    assert after == {"title": "Notes of Ada", "size": 5, "mail": "********"}
    shown = rest("reveal-secrets", user_id=1, deployment_id=1).document["secrets"]
    assert shown["/user/mail"] == SECRET


def test_an_edit_that_changes_nothing_does_nothing(one):
    answer = one.post(f"{HERE}/edit", Form(one.page(f"{HERE}/edit")).pairs)
    assert answer.headers["location"] == f"{HERE}?done=nothing"
    assert Deployment.get().generation == 1


def test_a_refused_edit_says_why_and_loses_nothing(one):
    form = Form(one.page(f"{HERE}/edit"))
    answer = one.post(f"{HERE}/edit", form.with_(user__title="x" * 21))
    assert answer.status_code == 409
    assert "must have at most 20 characters" in answer.text
    assert dict(Form(answer.text).pairs)["user/title"] == "x" * 21


def test_an_edit_while_a_job_runs_is_refused_with_its_sentence(ada, rest):
    deploy(rest)
    answer = ada.post(f"{HERE}/edit", Form(ada.page(f"{HERE}/edit")).with_(user__size="5"))
    assert answer.status_code == 409
    assert "a deployment job is already queued or running; try again when it ends" in answer.text
    assert dict(Form(answer.text).pairs)["user/size"] == "5"


def test_an_edit_from_an_older_state_is_refused_once(one):
    form = Form(one.page(f"{HERE}/edit"))
    Deployment.update(generation=2).execute()
    answer = one.post(f"{HERE}/edit", form.with_(user__size="5"))
    assert answer.status_code == 409
    assert "changed since this form was opened" in answer.text
    assert one.post(f"{HERE}/edit", Form(answer.text).pairs).status_code == 303


def test_the_domain_is_changed(one):
    assert (
        one.post(f"{HERE}/domain", domainname="n1.example.org")
        .headers["location"]
        .endswith("done=nothing")
    )
    answer = one.post(f"{HERE}/domain", domainname="no host")
    assert answer.status_code == 422
    assert 'value="no host"' in answer.text
    assert "must be a host name" in answer.text
    assert one.post(f"{HERE}/domain", domainname="new.example.org").status_code == 303
    assert Deployment.get().domainname == "new.example.org"


def test_without_a_newer_version_there_is_nothing_to_upgrade(one):
    assert "It is up to date" in one.page(f"{HERE}/upgrade")
    assert one.post(f"{HERE}/upgrade").status_code == 409


def test_an_upgrade_shows_what_changes(one, rest):
    newer(
        rest,
        values_schema_json=NEWER,
        default_values_json={"replicas": 2, "cache": {"on": True}},
    )
    page = text_of(one.page(f"{HERE}/upgrade"))
    assert "Chart version1.0.0 → 1.1.0" in page
    assert "new language type: string, must be set" in page
    assert "changed size maximum: 10 → 20" in page
    assert "new cache.on true" in page
    assert "changed replicas 1 → 2" in page


def test_an_upgrade_that_fits_is_one_button(one, rest):
    newer(rest)
    page = one.page(f"{HERE}/upgrade")
    assert 'name="user/title"' not in page
    answer = one.post(f"{HERE}/upgrade", Form(page).pairs)
    assert answer.headers["location"] == f"{HERE}?done=upgraded"
    assert Deployment.get().desired_template_id == 2


def test_an_upgrade_that_does_not_fit_asks_for_what_is_missing(one, rest):
    newer(rest, values_schema_json=NEWER)
    page = one.page(f"{HERE}/upgrade")
    assert "The present settings do not fit the new version." in page
    assert 'id="user/language:errors">is missing<' in page
    form = Form(page)
    assert one.post(f"{HERE}/upgrade", form.pairs).status_code == 409
    assert one.post(f"{HERE}/upgrade", form.with_(user__language="en")).status_code == 303
    after = Deployment.get()
    assert (after.desired_template_id, after.user_values_json["language"]) == (2, "en")
    assert after.user_values_json["mail"] == "********"


def test_an_upgrade_from_an_older_state_does_not_undo_a_change(one, rest):
    newer(rest)
    form = Form(one.page(f"{HERE}/upgrade?values=1"))
    rest("update-deployment", user_id=1, deployment_id=1, user_values_json=VALUES | {"size": 4})
    settle()
    answer = one.post(f"{HERE}/upgrade", form.pairs)
    assert answer.status_code == 409
    assert "changed since this form was opened" in answer.text
    assert Deployment.get().user_values_json["size"] == 4


def test_a_deletion_says_what_is_lost_and_wants_the_name(one):
    page = one.page(f"{HERE}/delete")
    for lost in (Deployment.get().deployment_uid, "its volumes", "the domain n1.example.org"):
        assert lost in page
    for typed in ("", "n2.example.org", "\0"):
        answer = one.post(f"{HERE}/delete", name=typed)
        assert answer.status_code == 409
        assert "type n1.example.org to say that" in answer.text
    assert one.post(f"{HERE}/delete").status_code == 409
    assert Deployment.get().status == "ready"
    answer = one.post(f"{HERE}/delete", name=" N1.example.org ")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?done=deleting")
    assert Deployment.get().status == "deleting"


def test_a_deleted_app_still_has_its_page_but_no_changes(one):
    settle(status="deleted")
    Deployment.update(deleted_at=now()).execute()
    page = one.page(HERE)
    assert "It was deleted." in page
    for end in ("/edit", "/domain", "/delete", "/upgrade", "/secrets", "/resources/part"):
        assert f'"{HERE}{end}"' not in page
        if end != "/resources/part":
            one.page(HERE + end)
    answer = one.post(f"{HERE}/domain", domainname="x.example.org")
    assert "is deleted: it can&#39;t be updated" in answer.text


def test_an_admin_can_forget_what_others_cannot(one):
    chief = Browser(3)
    assert f"{HERE}/forget" not in one.page(HERE)
    assert one.get(f"{HERE}/forget").status_code == 403
    assert one.post(f"{HERE}/forget", name="n1.example.org").status_code == 403
    assert f"{HERE}/forget" in chief.page(HERE)
    assert chief.post(f"{HERE}/forget").status_code == 409
    assert chief.post(f"{HERE}/forget", name="n1.example.org").status_code == 303
    assert Deployment.get().status == "deleted"


# Secrets


def test_no_page_shows_a_secret_but_the_answer_to_reveal(cluster, rest):
    newer(rest, values_schema_json=NEWER)
    generated = rest("reveal-secrets", user_id=1, deployment_id=1).document["secrets"]["/user/key"]
    ends = (
        "",
        "/live",
        "/edit",
        "/upgrade",
        "/domain",
        "/delete",
        "/secrets",
        "/resources",
        "/logs",
    )
    for path in ("/ui", *(HERE + end for end in ends)):
        page = cluster.page(path)
        assert SECRET not in page and generated not in page
    count = Event.select().where(Event.type == "secrets_revealed").count()
    answer = cluster.post(f"{HERE}/secrets")
    assert SECRET in answer.text and generated in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers
    assert Event.select().where(Event.type == "secrets_revealed").count() == count + 1


# Account


def test_the_account_says_who_i_am_and_how_to_log_in(ada):
    page = text_of(ada.page("/ui/account"))
    assert "ada@example.org" in page
    assert "user: has apps of their own" in page
    assert "caelus login http://127.0.0.1:8000" in page
    assert "admin: may do everything" in Browser(3).page("/ui/account")


def test_a_token_is_shown_once_and_works(ada):
    answer = ada.post("/ui/account", name="laptop", expires_in_days="30")
    text = re.search('value="(caelus_[^"]+)"', answer.text)[1]
    assert answer.headers["cache-control"] == "no-store"
    page = ada.page("/ui/account")
    assert "laptop" in page and text not in page
    lasts = Token.get(Token.name == "laptop").expires_at - now()
    assert datetime.timedelta(days=29) < lasts <= datetime.timedelta(days=30)
    client = falcon.testing.TestClient(create_app(), headers={"Authorization": f"Bearer {text}"})
    assert client.simulate_get("/me", headers={"Host": "localhost"}).json["id"] == 1


@pytest.mark.parametrize("days", ["0", "x", "99999", "-1"])
def test_a_refused_token_says_why_and_keeps_what_was_typed(ada, days):
    answer = ada.post("/ui/account", name="laptop", expires_in_days=days)
    assert answer.status_code == 422
    assert 'id="expires_in_days-error">must be' in answer.text
    assert f'value="{days}"' in answer.text and 'value="laptop"' in answer.text
    assert Token.select().where(Token.user == 1).count() == 0


def test_a_token_is_deleted_after_a_question(ada):
    ada.post("/ui/account", name="laptop", expires_in_days="")
    token = Token.get(Token.name == "laptop")
    path = f"/ui/account/tokens/{token.id}/delete"
    assert path in ada.page("/ui/account")
    assert "Delete the token laptop?" in ada.page(path)
    assert Browser(2).get(path).status_code == 404
    assert Browser(2).post(path).status_code == 404
    assert ada.post(path).headers["location"] == "/ui/account?done=deleted"
    assert Token.get_by_id(token.id).deleted_at is not None
    assert ada.get(path).status_code == 404


# What is odd


POSTS = [
    *("/ui/products/1/create", "/ui/products/1/create/check", "/ui/account"),
    *(f"{HERE}/{end}" for end in ("edit", "domain", "domain/check", "upgrade", "retry", "delete")),
]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "pairs",
    [
        {},
        {"domainname": "\0", "name": "\0", "user/title": "\0", "expires_in_days": "\0"},
        {"template_id": "9" * 40, "generation": "x", "do": "😀"},
        {"template_id": "-1", "user/size": "1e999", "user:json": "[" * 5000},
        {"user/title": "x" * 100_000, "domainname": "x" * 100_000, "name": "x" * 100_000},
        {"asks": "1", "user/tags:item": "a", "_add": "nowhere", "_remove": "user/tags/999"},
    ],
)
def test_an_odd_post_gets_a_page_with_a_sentence(one, rest, path, pairs):
    newer(rest)
    answer = one.post(path, pairs)
    assert answer.status_code < 500
    if answer.status_code != 303:
        assert answer.headers["content-type"].startswith("text/html")
        assert "</" in answer.text or path.endswith("/check")


@pytest.mark.parametrize("path", ["/ui/products/1/create", f"{HERE}/edit"])
def test_too_large_a_form_is_refused_in_a_sentence(one, path):
    answer = one.post(path, domainname="x" * 2**21)
    assert answer.status_code == 413
    assert "<html" in answer.text and "is over" in answer.text


def test_an_asset_is_304_to_who_has_it(ada):
    for name in ("app.css", "app.js", "htmx.min.js"):
        etag = ada.get(f"/ui/assets/{name}").headers["etag"]
        again = ada.get(f"/ui/assets/{name}", headers={"If-None-Match": etag})
        assert again.status_code == 304


@pytest.mark.parametrize("end", ["?after=x", "?after=-1", "?after=%00", "?after=1&after=2"])
def test_an_odd_place_in_a_list_is_its_beginning(one, end):
    assert "n1.example.org" in one.page(f"/ui{end}")
    one.page(f"{HERE}{end.replace('after', 'before')}")


@pytest.mark.parametrize("path", ["/ui/products/x/create", "/ui/users/1/deployments/%00", "/ui/no"])
def test_what_is_not_there_is_a_page(ada, path):
    answer = ada.get(path)
    assert answer.status_code == 404
    assert "<html" in answer.text


def test_no_page_has_script_or_style_inside(one, rest):
    newer(rest, values_schema_json=NEWER)
    ends = ("", "/edit", "/upgrade", "/domain", "/delete", "/secrets", "/retry")
    paths = ["/ui", "/ui/products", "/ui/products/1/create", "/ui/account"]
    for path in [*paths, *(HERE + end for end in ends)]:
        page = one.page(path)
        assert not re.search(r"<style|style=|<script>|\son[a-z]+=", page), path
        labels = set(re.findall(r'<label[^>]* for="([^"]+)"', page))
        shown = re.findall(r"<(?:input|select|textarea)(?![^>]*hidden)[^>]*>", page)
        for control in shown:
            name = re.search(r' id="([^"]+)"', control)
            assert name is None or name[1] in labels or 'type="checkbox"' in control, control


def test_a_product_that_is_gone_meanwhile_is_told(ada, rest):
    sent = creation(ada).with_(domainname="n1.example.org", user__title="Mine")
    Product.update(deleted_at=now()).execute()
    answer = ada.post("/ui/products/1/create", sent)
    assert answer.status_code == 404
    assert "product 1 not found" in answer.text


@pytest.mark.parametrize("path", ["/ui", "/ui/nothing", "/login/x"])
def test_a_word_that_is_there_twice_is_a_page_like_any(ada, path):
    once, twice = ada.get(path), ada.get(path, query_string="done=created&done=updated")
    assert twice.status_code == once.status_code
    assert "<main" in twice.text


def test_no_cache_keeps_a_form_with_what_was_typed(one):
    typed = {"user/mail": SECRET, "user/size": "99", "user/title": "x", "template_id": "1"}
    for path in (f"{HERE}/edit", "/ui/products/1/create", "/ui/products/1/create/check"):
        answer = one.post(path, typed)
        assert answer.headers["cache-control"] == "no-store", path
        assert "etag" not in answer.headers
    assert SECRET in one.post(f"{HERE}/edit", typed).text
