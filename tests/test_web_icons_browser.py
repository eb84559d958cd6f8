"""Icons and times in a real browser: chosen, drawn, harmless when opened; in the reader's zone."""

import pytest

from caelus import icons
from caelus.database import session, transaction
from caelus.models import Deployment
from tests.browser import PHONE, chromium, faults_of_access, is_too_wide, page_of
from tests.test_icons import DRAWN, PNG, SVG, icon_of, uri
from tests.test_overview import deploy
from tests.test_web_admin_browser import site as site  # the fixture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]
EVIL = SVG.replace(b"<path", b'<script>document.title="run"</script><path')
KUBECTL = """#!/bin/sh
case "$*" in
*logs*) echo '[pod/web-0/app] 2026-01-31T23:30:05.000000000Z hello';;
*) echo '{"items": [{"kind": "Pod", "metadata": {"name": "web-0"}}]}';;
esac
"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def known(shop, site):
    """Where the pages are, and an admin's cookie; product 1 has two deployments."""
    assert shop("update-product", product_id=1, template_id=1, icon=DRAWN).ok
    deploy(2)
    url, cookie = site
    return {"url": url, **cookie}


@pytest.mark.parametrize("with_script", [True, False])
def test_an_icon_is_chosen_from_a_file_and_drawn(browser, shop, known, with_script):
    file = {"name": "logo.png", "mimeType": "image/png", "buffer": PNG}
    with page_of(browser, java_script_enabled=with_script, **known) as page:
        page.goto("/ui/admin/products/1")
        page.get_by_label("Icon", exact=True).set_input_files(file)
        page.get_by_role("button", name="Save").click()
        page.get_by_role("status").wait_for()
        assert icons.opened(icon_of(shop)) == ("image/png", PNG)
        page.goto("/ui/products")
        image = page.locator("img.icon")
        assert (image.evaluate("i => i.complete && i.naturalWidth") if with_script else 1) == 1
        page.goto("/ui/admin/products/1")
        page.get_by_label("Remove the present icon").check()
        page.get_by_role("button", name="Save").click()
        page.get_by_role("status").wait_for()
        assert icon_of(shop) is None


def test_a_file_that_is_too_large_is_told_of_before_it_is_sent(browser, shop, known):
    file = {"name": "photo.png", "mimeType": "image/png", "buffer": PNG.ljust(90_000)}
    with page_of(browser, **known) as page:
        page.goto("/ui/admin/products/1")
        field = page.get_by_label("Icon", exact=True)
        field.set_input_files(file)
        told = "This file has 88 KiB; choose one of at most 32 KiB."
        assert field.evaluate("field => field.validationMessage") == told
        field.set_input_files({**file, "buffer": PNG})
        assert field.evaluate("field => field.validationMessage") == ""


def test_an_icon_that_is_opened_by_itself_runs_nothing(browser, shop, known):
    assert shop("update-product", product_id=1, icon=uri(EVIL, icons.SVG)).ok
    context = browser.new_context(
        base_url=known["url"], storage_state=known["storage_state"]
    )  # that its script is refused is what is looked for, and no fault
    page, said = context.new_page(), []
    page.on("console", lambda line: said.append(line.text))
    page.goto("/ui/products/1/icon")
    page.wait_for_timeout(300)
    assert page.title() != "run"
    assert any("Blocked script execution" in line or "script" in line for line in said), said
    context.close()


@pytest.mark.parametrize(
    "place", ["/ui", "/ui/products", "/ui/admin/products/1", "/ui/admin/events"]
)
def test_pages_with_icons_and_filters_are_such_that_all_can_use_them(browser, known, place):
    Deployment.update(user=0).execute()
    for options in ({}, {"color_scheme": "dark"}, {"viewport": PHONE}):
        with page_of(browser, **known | options) as page:
            page.goto(place)
            assert faults_of_access(page) == []
            assert not is_too_wide(page)


def test_the_times_of_a_log_are_in_the_readers_zone(browser, known, monkeypatch, tmp_path):
    program = tmp_path / "kubectl"
    program.write_text(KUBECTL)
    program.chmod(0o755)
    monkeypatch.setenv("CAELUS_KUBECTL", str(program))
    with session(), transaction():
        Deployment.update(applied_template=1).execute()
    with page_of(browser, timezone_id="Asia/Kolkata", **known) as page:
        page.goto("/ui/users/1/deployments/1")
        line = page.locator("#logs pre")
        line.wait_for()
        assert line.inner_text().strip() == "05:00:05 hello"
        assert "times in your time zone" in page.locator("#logs").inner_text()
    with page_of(browser, java_script_enabled=False, **known) as page:
        page.goto("/ui/users/1/deployments/1/logs")
        assert "23:30:05 hello" in page.locator("pre").inner_text()
        assert "times in UTC" in page.locator("main").inner_text()
