"""The whole of it in a real browser, on real helm: from the link that `serve` prints, with no
documentation, to a published product, an app that runs, breaks, is mended, and is deleted.
"""

import json

import pytest

from tests.browser import PHONE, chromium, faults_of_access, is_too_wide, page_of
from tests.kube import kubernetes
from tests.program import Program, Serving
from tests.test_end_to_end import CHART, Cluster

SCHEMA = """
type: object
properties:
  user:
    type: object
    properties:
      image:
        {title: Image, type: string, default: "busybox:1.36", examples: ["busybox:1.36"]}
      copies: {title: Copies, type: integer, minimum: 1, maximum: 3}
      password: {title: Password, type: string, writeOnly: true, generate: {length: 20}}
"""
CAPABILITIES = {
    "bindings": {
        "/message": "Hello ${user.email}",
        "/image": "${values.user.image}",
        "/replicas": "${values.user.copies}",
    }
}
SLOW_MS = 60_000
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def server(tmp_path):
    with kubernetes() as api:
        settings = Cluster("4", api, tmp_path).settings
        program = Program(CAELUS_DATA_DIR=str(tmp_path / "data"), **settings)
        serving = Serving(program, ["serve", "--port=0"], with_admin=False)
        serving.program = program
        try:
            yield serving
        finally:
            serving.stop()


def log_in(page, link: str, email: str | None = None) -> None:
    page.goto(link)
    if email:
        page.get_by_label("E-mail").fill(email)
    page.get_by_role("button", name="log in").click()
    page.get_by_role("heading", level=1).wait_for()


def publish(page) -> None:
    page.get_by_role("link", name="Admin").click()
    page.get_by_role("link", name="Publish a product").click()
    page.get_by_label("Name").fill("Hello")
    page.get_by_label("Description").fill("A page that greets")
    page.locator("main form button.primary").click()
    if page.get_by_role("link", name="Add the first template").count():
        page.get_by_role("link", name="Add the first template").click()
    page.get_by_label("Chart", exact=True).fill(str(CHART))
    page.get_by_label("Version", exact=True).fill("1.0.0")
    page.get_by_text("Digest and patience").click()
    page.get_by_label("Seconds until it must be healthy").fill("4")
    page.get_by_label("Values schema").fill(SCHEMA)
    page.get_by_label("Capabilities").fill(json.dumps(CAPABILITIES))
    page.locator("#check").get_by_text("Copies").wait_for()  # in the preview
    offer = page.get_by_label("Offer it to users at once")
    if not offer.is_checked():
        offer.check()
    page.get_by_label("Resolve").uncheck()
    page.get_by_role("button", name="Add the template").click()


def create(page, domain: str) -> None:
    page.get_by_role("link", name="Catalogue").first.click()
    page.get_by_role("link", name="Create").first.click()
    page.get_by_label("Domain name").fill(domain)
    page.get_by_label("Copies").fill("2")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("heading", name=domain).wait_for()


def status(page, word: str) -> None:
    """Wait, without doing anything, until the page says so."""
    page.locator("#live .status", has_text=word).first.wait_for(timeout=SLOW_MS)


def set_image(page, image: str) -> None:
    page.get_by_role("link", name="Edit settings").click()
    page.get_by_label("Image").fill(image)
    page.get_by_role("button", name="Save and apply").click()


def test_from_the_first_link_to_an_app_that_runs_breaks_is_mended_and_goes(browser, server):
    with page_of(browser, server.url) as page:
        log_in(page, server.welcome, "ada@example.org")
        publish(page)
        create(page, "hello.example.org")
        status(page, "Ready")
        page.locator("#resources .status", has_text="Ready").first.wait_for()
        assert faults_of_access(page) == []

        set_image(page, "never:missing")
        status(page, "Error")
        page.get_by_text("can't be pulled").first.wait_for()
        page.get_by_text("Next step:").first.wait_for()
        assert faults_of_access(page) == []

        set_image(page, "busybox:1.36")
        status(page, "Ready")

        page.get_by_role("link", name="Delete").click()
        page.get_by_label("Type").fill("hello.example.com")
        page.get_by_role("button", name="Delete it with all its data").click()
        page.get_by_role("alert").wait_for()  # not its name
        page.get_by_label("Type").fill("hello.example.org")
        page.get_by_role("button", name="Delete it with all its data").click()
        status(page, "Deleted")
        page.goto("/ui")
        page.get_by_role("link", name="Create an app").wait_for()
        assert page.get_by_text("hello.example.org").count() == 0


def test_a_second_user_on_a_phone_sees_nothing_of_the_firsts(browser, server):
    with page_of(browser, server.url) as page:
        log_in(page, server.welcome, "ada@example.org")
        publish(page)
        create(page, "hello.example.org")
        hers = page.url.partition("?")[0]
        page.goto("/ui/admin/users")
        page.get_by_role("link", name="New user").click()
        page.get_by_label("E-mail").fill("bob@example.org")
        page.locator("main form button.primary").click()
        page.get_by_role("button", name="login link").click()
        link = page.locator("#link").input_value()
    with page_of(browser, server.url, viewport=PHONE, color_scheme="dark") as page:
        page.goto(link)
        assert faults_of_access(page) == []
        log_in(page, link)
        places = ["/ui", "/ui/products", "/ui/products/1/create", "/ui/account"]
        for place in places:
            page.goto(place)
            assert page.get_by_text("hello.example.org").count() == 0
            assert faults_of_access(page) == [], place
            assert not is_too_wide(page), place
        assert page.get_by_role("link", name="Admin").count() == 0
        for place in (hers, f"{hers}/edit", f"{hers}/delete", "/ui/admin"):
            assert page.goto(place).status == 404
        create(page, "bob.example.org")
        status(page, "Ready")
        assert not is_too_wide(page)


TWICE = """() => {
  const form = document.querySelector("main form");
  const once = () => new SubmitEvent("submit", {bubbles: true, cancelable: true});
  return [form.dispatchEvent(once()), form.dispatchEvent(once())];
}"""


def test_a_double_click_sends_a_form_once(browser, server):
    with page_of(browser, server.url) as page:
        log_in(page, server.welcome, "ada@example.org")
        page.goto("/ui/account")
        assert page.evaluate(TWICE) == [True, False]


CHECK = "htmx.ajax('POST', '/ui/products/1/create/check', {target: '#name-hint'})"


def test_the_end_of_a_session_is_told_and_nothing_typed_is_lost(browser, server):
    with page_of(browser, server.url) as page:
        log_in(page, server.welcome, "ada@example.org")
        page.goto("/ui/account")
        page.get_by_label("Name").fill("laptop")
        page.context.clear_cookies()
        page.evaluate(CHECK)
        page.get_by_text("You are logged out.").wait_for()
        assert page.get_by_label("Name").input_value() == "laptop"


def test_all_of_it_works_without_javascript(browser, server):
    with page_of(browser, server.url, java_script_enabled=False) as page:
        log_in(page, server.welcome, "ada@example.org")
        server.program.run("create-product", "Hello")
        template = ["--product-id=1", f"--chart-ref={CHART}", "--chart-version=1.0.0"]
        server.program.run("create-template", *template, f"--values-schema-json={as_json(SCHEMA)}")
        server.program.run("update-product", "1", "--template-id=1")
        page.goto("/ui/products/1/create")
        page.get_by_label("Copies").fill("9")
        page.get_by_label("Domain name").fill("hello.example.org")
        page.get_by_role("button", name="Preview").click()
        assert page.get_by_label("Copies").get_attribute("aria-invalid") == "true"
        page.get_by_label("Copies").fill("1")
        page.get_by_role("button", name="Create").click()
        page.locator("#live .status", has_text="Ready").first.wait_for(timeout=SLOW_MS)
        page.get_by_role("link", name="Delete").click()
        page.get_by_label("Type").fill("hello.example.org")
        page.get_by_role("button", name="Delete it with all its data").click()
        page.locator("#live .status", has_text="Deleted").first.wait_for(timeout=SLOW_MS)


def as_json(text: str) -> str:
    import yaml

    return json.dumps(yaml.safe_load(text))
