"""The pages for admins: what each shows and does, what was refused, and who sees none of them."""

import html.parser
import logging
import pathlib
import re
import time
import urllib.parse

import pytest

from caelus import credentials
from caelus.database import clock
from caelus.models import Event, Job, Session, Template, User, now
from caelus.web import editor, routes
from tests.conftest import TEMPLATE
from tests.test_logins import DAY, OWN, Browser
from tests.test_overview import deploy, queries, tell

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ADMIN = [path for path in routes.PAGES if path == "/admin" or path.startswith("/admin/")]
CHART = str(pathlib.Path(__file__).parent / "charts" / "app")
EDITOR = "/products/1/templates/new"
CHECK = "/products/1/templates/check"
FILLED = {"chart_ref": "oci://registry.example.org/x", "chart_version": "1.0.0"}


class Pages(Browser):
    """A browser in which this user is logged in, at /ui/admin."""

    def __init__(self, user_id: int, **headers):
        super().__init__(**headers)
        self.cookie = credentials.new()
        row = {"user": user_id, "hash": credentials.digest(self.cookie), "last_seen_at": now()}
        Session.create(expires_at=now() + DAY, **row)

    def get(self, path: str = "", **params):
        query = urllib.parse.urlencode(params)
        return self.send("GET", f"/ui/admin{path}", query_string=query)

    def post(self, path: str, **fields):
        body = urllib.parse.urlencode(fields)
        return self.send("POST", f"/ui/admin{path}", OWN | FORM, body=body)


def after(answer) -> str:
    """Where the browser is led to."""
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


@pytest.fixture
def admin(shop):
    return Pages(0)


@pytest.fixture
def empty(rest):
    """An admin's browser where there is no product."""
    return Pages(0)


def text_of(answer) -> str:
    """What is read on a page, in one line."""
    text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", answer.text, flags=re.DOTALL)
    return " ".join(html.unescape(text).split())


class Read(html.parser.HTMLParser):
    """A page's elements, and what its fields hold."""

    def __init__(self, answer):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.texts: dict[str, str] = {}
        self._area = None
        self.feed(answer.text)

    def handle_starttag(self, tag, attributes):
        found = {name: value if value is not None else "" for name, value in attributes}
        self.elements.append((tag, found))
        if tag == "textarea":
            self._area = found["name"]
            self.texts[self._area] = ""
        elif tag == "input" and "name" in found:
            self.texts[found["name"]] = found.get("value", "on")

    def handle_data(self, data):
        if self._area:
            self.texts[self._area] += data

    def handle_endtag(self, tag):
        if tag == "textarea":
            self._area = None

    def with_id(self, id: str) -> dict:
        (found,) = (found for _, found in self.elements if found.get("id") == id)
        return found


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
        assert f"{method} {place} does not exist" in text_of(answer)
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
    page = empty.send("GET", place.partition("?")[0], query_string="done=product")
    assert "which Helm chart it is" in text_of(page)
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
        assert (answer.status_code, f"deployment {odd} not found" in answer.text) == (404, True)


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


def test_events_tell_who_did_what_from_where(admin):
    admin.post("/users/new", email="eve@example.org")
    text = text_of(admin.get("/events"))
    assert "root@example.org user 2 (eve@example.org) created user_created unknown" in text
    assert "user 1 (ada@example.org) created user_created 127.0.0.1 token tests" in text


# Users


def test_users_are_found(admin, shop):
    shop("create-user", email="eve@example.org")
    assert "ada@example.org" in admin.get("/users").text
    found = admin.get("/users", search="EVE").text
    assert "eve@example.org" in found and "ada@example.org" not in found
    assert "Nobody is like that" in admin.get("/users", search="zoe").text


def test_a_user_is_made_and_gets_a_link_once(admin):
    place = after(admin.post("/users/new", email=" eve@example.org ", is_admin="on"))
    assert place == "/ui/admin/users/2?done=user"
    assert User.get_by_id(2).is_admin
    answer = admin.post("/users/2", action="link")
    url = Read(answer).with_id("link")["value"]
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers
    assert url not in admin.get("/users/2").text
    assert Browser().send("POST", urllib.parse.urlsplit(url).path).status_code == 303


@pytest.mark.parametrize(
    ("email", "status"), [("ADA@example.org", 409), ("nobody", 422), ("", 422)]
)
def test_a_refused_user_is_not_lost(admin, email, status):
    answer = admin.post("/users/new", email=email, is_admin="on")
    assert answer.status_code == status
    assert Read(answer).with_id("email")["value"] == email
    assert "checked" in answer.text
    assert 'role="alert"' in answer.text


def test_a_role_is_given_and_taken(admin):
    assert after(admin.post("/users/1", action="make-admin")) == "/ui/admin/users/1?done=admin"
    assert after(admin.post("/users/1", action="make-plain")) == "/ui/admin/users/1?done=plain"
    last = admin.post("/users/0", action="make-plain")
    assert last.status_code == 404  # an id is at least 1: the tests' admin is out of reach


def test_the_last_admin_stays(admin, shop):
    User.update(is_admin=True).where(User.id == 1).execute()
    User.update(is_admin=False).where(User.id == 0).execute()
    ada = Pages(1)
    answer = ada.post("/users/1", action="make-plain")
    assert answer.status_code == 409
    assert "is the last admin" in text_of(answer)


def test_who_is_no_admin_any_more_is_led_to_their_own_apps(admin):
    User.update(is_admin=True).where(User.id == 1).execute()
    assert after(Pages(1).post("/users/1", action="make-plain")) == "/ui"


def test_tokens_are_made_and_deleted_for_a_user(admin):
    answer = admin.post("/users/1", action="token", name="laptop", expires_in_days="9")
    token = Read(answer).with_id("token")["value"]
    assert answer.headers["cache-control"] == "no-store"
    headers = {"Authorization": f"Bearer {token}"}
    assert Browser().send("GET", "/me", headers).json["email"] == "ada@example.org"
    page = admin.get("/users/1").text
    assert "laptop" in page and token not in page
    place = after(admin.post("/users/1", action="drop-token", token_id="1"))
    assert place == "/ui/admin/users/1?done=token-deleted"
    assert Browser().send("GET", "/me", headers).status_code == 401


def test_a_refused_token_is_not_lost(admin):
    answer = admin.post("/users/1", action="token", name="laptop", expires_in_days="soon")
    assert answer.status_code == 422
    assert "expires_in_days must be of type integer" in text_of(answer)
    page = Read(answer)
    assert page.with_id("name")["value"] == "laptop"
    assert page.with_id("expires_in_days")["value"] == "soon"


def test_a_user_with_deployments_is_not_deleted(admin):
    deploy(2)
    answer = admin.post("/users/1", action="delete")
    assert answer.status_code == 409
    assert "cannot delete user 1: 2 deployments use it" in text_of(answer)
    assert "d0.example.org" in answer.text


def test_a_user_without_deployments_is_deleted(admin):
    assert after(admin.post("/users/1", action="delete")) == "/ui/admin/users?done=deleted"
    assert admin.get("/users/1").status_code == 404


# Products


def test_a_refused_product_is_not_lost(admin):
    answer = admin.post("/products/new", name="Notes", description="For <b>")
    assert answer.status_code == 409
    assert "a product named 'Notes' exists already" in text_of(answer)
    assert Read(answer).with_id("description")["value"] == "For <b>"


def test_a_product_is_described_offered_and_withdrawn(admin, shop):
    assert "Users can't have it yet" in admin.get("/products/1").text.replace("&#39;", "'")
    assert after(admin.post("/products/1", action="offer", template_id="1")).endswith("offered")
    save = {"action": "save", "description": "Short texts"}
    assert after(admin.post("/products/1", **save, template_id="2")).endswith("saved")
    product = shop("get-product", product_id=1).document
    assert (product["template_id"], product["description"]) == (2, "Short texts")
    after(admin.post("/products/1", **save, template_id=""))
    assert shop("get-product", product_id=1).document["template_id"] is None


def test_a_form_of_before_the_first_template_withdraws_none(admin, shop):
    after(admin.post("/products/1", action="offer", template_id="1"))
    after(admin.post("/products/1", action="save", description="Short texts"))
    assert shop("get-product", product_id=1).document["template_id"] == 1


def test_what_was_typed_of_a_product_is_not_lost(admin):
    answer = admin.post("/products/1", action="save", description="Kept", template_id="99")
    assert answer.status_code == 404
    assert "template 99 not found" in text_of(answer)
    assert Read(answer).texts["description"] == "Kept"


def test_products_and_templates_that_are_used_are_not_deleted(admin):
    deploy(1)
    for path in ("/products/1", "/products/1/templates/1"):
        answer = admin.post(path, action="delete")
        assert answer.status_code == 409
        assert "1 deployment uses it; delete those first" in text_of(answer)
    place = after(admin.post("/products/1/templates/2", action="delete"))
    assert place == "/ui/admin/products/1?done=deleted"


def test_a_product_is_deleted(admin):
    assert after(admin.post("/products/1", action="delete")) == "/ui/admin/products?done=deleted"
    assert "There is no product yet" in admin.get("/products").text


def test_a_template_is_shown_as_people_read_it(admin):
    page = admin.get("/products/1/templates/1")
    assert "bindings:\n  /host: ${domainname}" in page.text
    assert "from=1" in page.text


# The editor


def test_a_template_is_added_from_yaml_and_json(admin, shop):
    fields = FILLED | {
        "default_values_json": "size: 3\nlist:\n- 22:30\n",
        "values_schema_json": '{"properties":\t{"size": {"type": "integer"}}}',
        "capabilities_json": "bindings: {/host: '${domainname}'}",
        "health_timeout_sec": " 60 ",
        "version_label": "",
    }
    assert after(admin.post(EDITOR, **fields)) == "/ui/admin/products/1?done=template"
    made = shop("get-template", product_id=1, template_id=3).document
    assert made["default_values_json"] == {"size": 3, "list": ["22:30"]}
    assert made["values_schema_json"] == {"properties": {"size": {"type": "integer"}}}
    assert made["capabilities_json"] == {"bindings": {"/host": "${domainname}"}}
    assert (made["health_timeout_sec"], made["version_label"]) == (60, None)
    assert shop("get-product", product_id=1).document["template_id"] is None


WRONG = [
    ({"chart_ref": ""}, "chart_ref", "Chart: is missing"),
    ({"chart_version": "^1"}, "chart_version", "must be one version, not a range"),
    ({"chart_digest": "md5:1"}, "chart_digest", "Digest: must match the pattern"),
    ({"health_timeout_sec": "long"}, "health_timeout_sec", "must be of type integer"),
    ({"default_values_json": "a: [1"}, "default_values_json", "not YAML: "),
    ({"default_values_json": '{"a": 1,}x'}, "default_values_json", "not JSON: "),
    (
        {"values_schema_json": "type: object\nproperties: {a: {}}\nproperties: {b: {}}"},
        "values_schema_json",
        "the key 'properties' stands twice, again at line 3",
    ),
    (
        {"default_values_json": "a: &x {b: [{c: 1,\n c: 2}]}\nd: *x"},
        "default_values_json",
        "the key 'c' stands twice, again at line 2",
    ),
    ({"values_schema_json": "- 1"}, "values_schema_json", "must hold a YAML or JSON object"),
    (
        {"values_schema_json": "properties: {size: {type: int}}"},
        "values_schema_json",
        "values schema: at /properties/size/type",
    ),
    (
        {
            "values_schema_json": "properties: {size: {type: integer}}",
            "default_values_json": "size: big",
        },
        "default_values_json",
        "default values are not valid: /size must be of type integer",
    ),
    (
        {"capabilities_json": "bindings: {/host: '${domain}'}"},
        "capabilities_json",
        "binding /host refers to ${domain}, which is not known",
    ),
    ({"capabilities_json": "drift: off"}, "capabilities_json", 'put "off" in quotes'),
    ({"capabilities_json": "isolation: {network: x}"}, "capabilities_json", "/isolation/network"),
    (
        {"chart_ref": TEMPLATE["chart_ref"]},
        "chart_version",
        "product 1 has a template of oci://registry.example.org/notes 1.0.0 already",
    ),
]


@pytest.mark.parametrize(("changes", "field", "sentence"), WRONG)
def test_what_is_wrong_is_told_beside_its_field_and_nothing_is_lost(
    admin, changes, field, sentence
):
    fields = FILLED | {"version_label": "mine"} | changes
    answer = admin.post(EDITOR, **fields)
    assert answer.status_code in (409, 422)
    page = Read(answer)
    assert page.with_id(field)["aria-invalid"] == "true"
    assert "hidden" not in page.with_id(f"error-{field}")
    beside = re.search(rf'id="error-{field}">([^<]*)<', answer.text)[1]
    assert sentence in html.unescape(beside)
    assert f'href="#{field}"' in answer.text
    for name, typed in fields.items():
        assert page.texts[name] == typed
    assert Template.select().count() == 2


@pytest.mark.parametrize(("changes", "field", "sentence"), WRONG[3:9:2])
def test_a_check_finds_the_same_while_one_types(admin, changes, field, sentence):
    answer = admin.post(CHECK, **FILLED | changes)
    assert answer.status_code == 200
    slot = Read(answer).with_id(f"error-{field}")
    assert slot["hx-swap-oob"] == "true" and "hidden" not in slot
    assert sentence in html.unescape(answer.text)
    assert "<html" not in answer.text


def test_a_check_keeps_nothing_and_pulls_no_chart(admin):
    fields = FILLED | {"chart_ref": "/absent/chart.tgz", "resolve": "on", "offer": "on"}
    events = Event.select().count()
    for answer in (admin.post(CHECK, **fields), admin.post(EDITOR, action="check", **fields)):
        assert answer.status_code == 200
        assert "Schema, default values and capabilities go together" in answer.text
        assert "not known before it is pulled" in answer.text
    assert (Template.select().count(), Event.select().count()) == (2, events)
    created = admin.post(EDITOR, **fields)
    assert created.status_code == 409
    assert "there is no such file" in text_of(created)
    assert Read(created).texts["chart_ref"] == "/absent/chart.tgz"


def test_what_is_not_filled_in_yet_does_not_hinder_a_check(admin):
    answer = admin.post(CHECK, capabilities_json="bindings: {/a: '${x}'}")
    assert "binding /a refers to ${x}" in answer.text
    assert "chart_ref" not in text_of(answer)


def test_a_check_without_javascript_shows_the_whole_page(admin):
    answer = admin.post(EDITOR, action="check", **FILLED | {"capabilities_json": "drift: no"})
    assert answer.status_code == 422
    assert "<html" in answer.text
    assert Read(answer).with_id("capabilities_json")["aria-invalid"] == "true"


def test_the_form_of_the_users_is_previewed(admin):
    answer = admin.post(CHECK, **editor.EXAMPLE)
    assert "What users will fill in" in answer.text
    assert "Greeting" in answer.text and "How many run side by side." in answer.text
    whole = admin.post(EDITOR, action="check", **editor.EXAMPLE)
    assert "Greeting" in whole.text


def test_a_template_that_keeps_the_domain_to_itself_is_told_of(admin):
    told = "No binding has ${domainname}"
    assert told in text_of(admin.post(CHECK, **FILLED))
    assert told in text_of(admin.post(EDITOR, action="check", **FILLED))
    assert told not in text_of(admin.post(CHECK, **editor.EXAMPLE))
    assert told not in text_of(admin.get("/products/1"))
    after(admin.post(EDITOR, **FILLED, offer="on"))
    assert told in text_of(admin.get("/products/1"))
    assert told in text_of(admin.get("/products/1/templates/3"))
    assert told not in text_of(admin.get("/products/1/templates/1"))


def test_the_example_can_be_added_as_it_stands(admin, shop):
    page = Read(admin.get(EDITOR, example="podinfo"))
    fields = {name: page.texts[name] for name in editor.EXAMPLE}
    assert fields == editor.EXAMPLE
    after(admin.post(EDITOR, **fields, offer="on"))
    values = {"replicas": 2, "message": "Hi"}
    new = {"desired_template_id": 3, "domainname": "a.example.org", "user_values_json": values}
    assert shop("create-deployment", user_id=1, **new).ok


def test_a_new_version_begins_with_what_the_old_one_has(admin, shop):
    page = Read(admin.get(EDITOR, **{"from": "1"}))
    assert page.texts["chart_ref"] == TEMPLATE["chart_ref"]
    fields = {name: page.texts[name] for name in (*editor.WORDS, *editor.DOCUMENTS)}
    after(admin.post(EDITOR, **fields | {"chart_version": "9.0.0"}))
    made = shop("get-template", product_id=1, template_id=3).document
    for name in editor.DOCUMENTS:
        assert made[name] == TEMPLATE[name]
    assert admin.get(EDITOR, **{"from": "99"}).status_code == 404


def test_masked_secrets_of_the_old_version_are_asked_for_again(admin, shop):
    secret = {"properties": {"key": {"type": "string", "writeOnly": True}}}
    given = {"values_schema_json": secret, "default_values_json": {"key": "hunter2"}}
    assert shop("create-template", product_id=1, **FILLED, **given).ok
    page = Read(admin.get(EDITOR, **{"from": "3"}))
    fields = {name: page.texts[name] for name in (*editor.WORDS, *editor.DOCUMENTS)}
    assert "hunter2" not in str(fields)
    answer = admin.post(EDITOR, **fields | {"chart_version": "2"})
    assert answer.status_code == 409
    assert "/key is the mask ********; send the value itself" in answer.text


@pytest.fixture
def archive(tmp_path):
    """A chart's archive that has default values, by its path."""
    from tests.test_charts import archive as archived

    path = tmp_path / "app-1.0.0.tgz"
    path.write_bytes(archived({"app/values.yaml": b"color: red\n"}))
    return str(path)


def test_what_the_chart_says_fills_in_what_is_empty(admin, archive):
    chart = {"chart_ref": archive, "chart_version": "1.0.0"}
    answer = admin.post(EDITOR, action="fill", version_label="mine", **chart)
    assert answer.status_code == 200
    page = Read(answer)
    assert page.texts["default_values_json"] == "color: red\n"
    assert page.texts["chart_digest"].startswith("sha256:")
    assert page.texts["version_label"] == "mine"
    assert Template.select().count() == 2


def test_a_chart_is_resolved_when_its_template_is_added(admin, shop, archive):
    chart = {"chart_ref": archive, "chart_version": "1.0.0", "resolve": "on", "offer": "on"}
    assert after(admin.post(EDITOR, **chart)).endswith("offered")
    product = shop("get-product", product_id=1).document
    assert product["template"]["default_values_json"] == {"color": "red"}
    assert product["template"]["chart_digest"].startswith("sha256:")


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
        assert answer.status_code in (200, 303, 404, 409, 413, 422), (body[:60], answer.text)
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
