"""A browser without JavaScript, and an owner whose pages it gets and posts."""

import html.parser
import re
import urllib.parse

import falcon.testing
import pytest

from caelus import events, sessions
from caelus.api import create_app
from caelus.database import session, transaction
from caelus.models import Deployment, Job, User, now
from tests.conftest import TEMPLATE

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
        self.cookie = f"caelus_session={cookie}"
        headers = {"Host": "localhost", "Cookie": self.cookie}
        self._client = falcon.testing.TestClient(app, headers=headers)

    def get(self, path: str, **extra):
        return self._client.simulate_get(path, **extra)

    def page(self, path: str, **extra) -> str:
        answer = self.get(path, **extra)
        assert answer.status_code == 200, answer.text
        return answer.text

    def follow(self, answer) -> str:
        """The page that an answer leads on to, which is given the cookies that it has set."""
        new = [f"{cookie.name}={cookie.value}" for cookie in answer.cookies.values()]
        headers = {"Cookie": "; ".join([self.cookie, *new])}
        return self.page(answer.headers["location"], headers=headers)

    def post(self, path: str, pairs=(), **typed):
        fields = [*(pairs.items() if isinstance(pairs, dict) else pairs), *typed.items()]
        return self.send(path, urllib.parse.urlencode(fields))

    def send(self, path: str, body: str | bytes):
        return self._client.simulate_post(
            path,
            body=body,
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


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", "", page))


def creation(ada) -> Form:
    return Form(ada.page("/ui/products/1/create"), "/create")


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
