"""The pages for admins in a real browser: on a phone, in the dark, while one types."""

import re
import urllib.parse

import pytest

from caelus import credentials
from caelus.database import clock, session, transaction
from caelus.models import Deployment, Product, Session, User, now
from caelus.web import editor, routes
from tests.browser import PHONE, SLOW_MS, chromium, faults_of_access, is_too_wide, page_of
from tests.conftest import Rest, listening
from tests.test_logins import DAY
from tests.test_overview import deploy, tell

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]
PLACES = [
    "/ui" + re.sub(r"{\w+}", "1", path)
    for path, page in routes.PAGES.items()
    if path.startswith("/admin") and hasattr(page, "on_get")
]


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def site(rest):
    """The address of a Caelus, and a cookie of its admin's."""
    text = credentials.new()
    with session(), transaction():
        row = {"user": 0, "hash": credentials.digest(text), "last_seen_at": now()}
        Session.create(expires_at=now() + DAY, **row)
    with listening() as url:
        cookie = {
            **{"name": "caelus_session", "value": text, "path": "/", "sameSite": "Lax"},
            **{"domain": urllib.parse.urlsplit(url).hostname, "httpOnly": True},
            **{"expires": -1, "secure": False},
        }
        yield url, {"storage_state": {"cookies": [cookie], "origins": []}}


@pytest.fixture
def shop(rest):
    """A product and template of the editor's own example, and deployments in trouble."""
    given = editor.arguments(editor.example())
    for command, arguments in (
        ("create-user", {"email": "ada@example.org"}),
        ("create-product", {"name": "Notes", "description": "For short texts"}),
        ("create-template", {"product_id": 1} | {k: v for k, v in given.items() if v}),
        ("create-token", {"user_id": 1, "name": "laptop"}),
    ):
        assert rest(command, **arguments).ok
    cause = {"code": "image_pull", "hint": "correct the image's name"}
    deploy(
        3, status="error", last_error="the image a/very/long/name:1 can't be pulled", cause=cause
    )
    deploy(60)
    tell("ready", clock(), 3)
    tell("failed", clock(), 1)
    return rest


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_people_from_using_them(browser, shop, site, scheme):
    url, known = site
    with page_of(browser, url, color_scheme=scheme, **known) as page:
        for place in PLACES:
            page.goto(place)
            for details in page.query_selector_all("details"):
                details.evaluate("element => element.open = true")
            assert faults_of_access(page) == [], place


def test_on_a_phone_nothing_must_be_moved_aside(browser, shop, site):
    url, known = site
    with page_of(browser, url, viewport=PHONE, **known) as page:
        for place in [*PLACES, "/ui/admin/products/1/templates/new?example=podinfo"]:
            page.goto(place)
            assert not is_too_wide(page), place


LONG_DOMAIN = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 57, "org"])
LONG_EMAIL = f"{'e' * 64}@{'f' * 63}.{'g' * 63}.example.org"
ONE = "/ui/users/1/deployments/1"


def test_the_longest_names_stay_on_a_phone_with_small_and_large_letters(browser, shop, site):
    Deployment.update(domainname=LONG_DOMAIN).where(Deployment.id == 1).execute()
    User.update(email=LONG_EMAIL).where(User.id == 1).execute()
    Product.update(name="N" * 200, description="d" * 500).execute()
    url, known = site
    ends = ("", "/edit", "/domain", "/delete", "/forget", "/secrets", "/retry", "/upgrade")
    with page_of(browser, url, viewport={"width": 320, "height": 640}, **known) as page:
        for place in [*PLACES, *(ONE + end for end in ends), "/ui/products"]:
            page.goto(place)
            assert not is_too_wide(page), place
            page.evaluate("document.documentElement.style.fontSize = '24px'")
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], place


def test_what_a_finger_has_to_hit_is_large_enough(browser, shop, site):
    url, known = site
    small = """() => [...document.querySelectorAll("button, .button, select, nav a, summary")]
        .filter(found => found.offsetParent && found.getBoundingClientRect().height < 43)
        .map(found => found.outerHTML)"""
    with page_of(browser, url, viewport=PHONE, **known) as page:
        for place in [*PLACES, ONE, f"{ONE}/edit", "/ui", "/ui/products/1/create", "/ui/account"]:
            page.goto(place)
            assert page.evaluate(small) == [], place


def test_where_there_is_nothing_they_are_as_good(browser, site):
    url, known = site
    with page_of(browser, url, viewport=PHONE, **known) as page:
        for place in ("", "/deployments", "/products", "/users", "/jobs", "/events"):
            page.goto(f"/ui/admin{place}")
            assert faults_of_access(page) == [], place
            assert not is_too_wide(page), place


def test_while_one_types_a_template_it_is_checked_and_the_form_shown(browser, shop, site):
    url, known = site
    with page_of(browser, url, **known) as page:
        page.goto("/ui/admin/products/1/templates/new")
        schema = page.get_by_label("Values schema")
        schema.fill("properties: {user: {properties: {size: {type: int}}}}")
        wrong = page.locator("#error-values_schema_json")
        wrong.wait_for(state="visible")
        assert "/properties/user/properties/size/type" in wrong.inner_text()
        schema.fill("properties: {user: {properties: {size: {type: integer, title: How big}}}}")
        page.get_by_text("How big").wait_for()
        assert not wrong.is_visible()
        assert faults_of_access(page) == []
        assert schema.evaluate("element => element === document.activeElement")


def test_a_login_link_is_copied_by_a_button(browser, shop, site):
    url, known = site
    with page_of(browser, url, **known) as page:
        page.goto("/ui/admin/users/1")
        page.get_by_role("button", name="Make a login link").click()
        link = page.locator("#link").input_value()
        page.get_by_role("button", name="Copy").click()
        page.get_by_role("button", name="Copied").wait_for()
        page.get_by_label("Name").focus()
        page.keyboard.press("Control+V")
        assert page.get_by_label("Name").input_value() == link


def test_a_long_cause_or_name_pushes_nothing_out_of_a_table(browser, shop, site):
    url, known = site
    deploy(1, status="error", last_error="it/can't/be/pulled/" * 40, domainname="a-b." * 50 + "org")
    with page_of(browser, url, **known) as page:
        page.goto("/ui/admin/deployments?search=a-b.a-b")
        row = page.locator("tbody tr")
        assert row.bounding_box()["height"] < 250
        table = page.locator(".wide")
        assert not table.evaluate("element => element.scrollWidth > element.clientWidth")


def test_without_javascript_a_product_is_published(browser, site):
    url, known = site
    with page_of(browser, url, java_script_enabled=False, **known) as page:
        page.goto("/ui/admin")
        page.get_by_role("link", name="Publish a product").click()
        page.get_by_label("Name").fill("Hello")
        page.get_by_role("button", name="Go on").click()
        page.get_by_role("link", name="Fill in a whole example").click()
        page.get_by_label("Resolve").uncheck()
        page.get_by_role("button", name="Check").click()
        assert page.get_by_text("Greeting").last.is_visible()
        page.get_by_role("button", name="Add the template").click()
        assert page.get_by_text("Published: users find it in the catalogue.").is_visible()
        page.get_by_role("link", name="Overview").click()
        assert page.get_by_role("link", name="Create a Hello").is_visible()
    assert Rest()("get-product", product_id=1).document["template"]["version_label"] == "6.7"


def test_the_doctor_tells_by_itself_when_it_is_done(browser, site):
    url, known = site
    with page_of(browser, url, **known) as page:
        page.goto("/ui/admin/doctor")
        page.get_by_role("button", name="Run the checkup").click()
        page.get_by_role("button", name="Run it again").wait_for()
        assert page.get_by_text("Next step:").first.is_visible()
        assert faults_of_access(page) == []


def test_the_page_of_an_app_says_so_while_caelus_does_not_answer(browser, shop, site):
    url, known = site
    context = browser.new_context(base_url=url, **known)  # not page_of: here is a fault
    try:
        page = context.new_page()
        page.goto("/ui/users/1/deployments/1")
        page.get_by_text("Look again at the log").wait_for()
        told, again = page.locator("#away"), page.get_by_role("button", name="at the log")
        assert not told.is_visible()
        page.route("**/logs/part", lambda route: route.abort())
        again.click()
        told.wait_for(state="visible", timeout=SLOW_MS)
        page.unroute("**/logs/part")
        again.click()
        told.wait_for(state="hidden", timeout=SLOW_MS)
    finally:
        context.close()
