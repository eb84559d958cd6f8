"""The form of a real chart's kind in a real browser: many groups, and what is wrong inside one."""

import re

import pytest

from caelus.database import session, transaction
from caelus.models import Session
from tests.browser import page_of
from tests.conftest import TEMPLATE
from tests.test_web_admin_browser import browser as browser  # the fixtures
from tests.test_web_admin_browser import site as site

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]
PORT = {"type": "object", "properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}}}
GROUPS = {f"group{i}": {"type": "object", "properties": {"port": PORT}} for i in range(6)}
SCHEMA = {"properties": {"user": {"type": "object", "properties": GROUPS}}}


def publish(rest, schema: dict) -> None:
    """Offer it to a user, to whom the browser is logged in."""
    rest("create-product", name="Chart")
    rest("create-template", product_id=1, **TEMPLATE | {"values_schema_json": schema})
    rest("create-user", email="ada@example.org")
    with session(), transaction():
        Session.update(user=1).execute()
    assert rest("update-product", product_id=1, template_id=1).ok


def test_a_closed_group_opens_for_what_the_browser_refuses_in_it(browser, rest, site):
    publish(rest, SCHEMA)
    url, known = site
    with page_of(browser, url, **known) as page:
        page.goto("/ui/products/1/create")
        page.fill("#domainname", "a.example.org")
        group = page.locator("details.group").nth(3)
        group.locator("summary").click()
        name = group.locator("input[type=text]")
        name.fill("HTTP")
        group.locator("summary").click()
        assert not name.is_visible()
        page.get_by_role("button", name="Create", exact=True).click()
        name.wait_for(state="visible")
        assert name.evaluate("field => field === document.activeElement")
        name.fill("http")
        page.get_by_role("button", name="Create", exact=True).click()
        page.wait_for_url(re.compile("done="))
    answer = rest("get-deployment", user_id=1, deployment_id=1)
    assert answer.document["user_values_json"] == {"group3": {"port": {"name": "http"}}}


def test_a_secret_that_the_browser_makes_is_as_long_as_the_schema_wants(browser, rest, site):
    key = {"type": "string", "format": "password", "minLength": 6, "maxLength": 12}
    publish(rest, {"properties": {"user": {"type": "object", "properties": {"key": key}}}})
    url, known = site
    with page_of(browser, url, **known) as page:
        page.goto("/ui/products/1/create")
        page.fill("#domainname", "a.example.org")
        page.get_by_role("button", name="Generate").click()
        assert len(page.locator("[id='user/key']").input_value()) == 12
        page.get_by_role("button", name="Create", exact=True).click()
        page.wait_for_url(re.compile("done="))
