"""An admin whose pages a browser without JavaScript gets and posts."""

import html.parser
import re
import urllib.parse

import pytest

from caelus import credentials
from caelus.models import Session, now
from tests.test_logins import DAY, OWN, Browser

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
EDITOR = "/products/1/templates/new"


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
