"""A real Chromium for the tests of the pages, driven by Playwright; the system's own, not one that
Playwright would download.
"""

import contextlib
import os
import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SERIOUS = ("serious", "critical")
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1200, "height": 900}
SLOW_MS = 20_000


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def chromium():
    """The browser; skips where there is none."""
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium here: install the package chromium")
    # Chromium's sandbox needs another user than root.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def page_of(browser, url: str, **options):
    """A page of a person of their own, at `url`; fails on any error of a script or of the policy
    for content, and on what the server could not answer."""
    context = browser.new_context(base_url=url, **{"viewport": DESK} | options)
    context.set_default_timeout(SLOW_MS)
    page, faults = context.new_page(), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if is_fault(said) else None)
    page.on("response", lambda r: faults.append(f"{r.status} {r.url}") if r.status >= 500 else None)
    try:
        yield page
        assert faults == []
    finally:
        context.close()


def is_fault(said) -> bool:
    """Whether a line of the console is one; that a refusal is refused (4xx) is none."""
    refusal = ("Failed to load resource", "Response Status Error Code 4")
    return said.type == "error" and not any(words in said.text for words in refusal)


def faults_of_access(page) -> list[str]:
    """What axe-core finds that keeps people from using the page."""
    found = Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {node['html']}"
        for fault in found
        if fault["impact"] in SERIOUS
        for node in fault["nodes"]
    ]


def is_too_wide(page) -> bool:
    """Whether the page must be moved to the side to be read."""
    return page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
