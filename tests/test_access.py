"""Who may do what: every route, asked by everybody."""

import datetime

import falcon
import falcon.testing
import pytest

from caelus import credentials, openapi
from caelus.actors import Actor
from caelus.api import create_app
from caelus.cli import main
from caelus.dispatch import dispatch
from caelus.errors import CaelusError
from caelus.guard import is_open, is_page
from caelus.models import Deployment, Event, Job, Session, Token, User, now
from caelus.operation import Access
from caelus.operations import BY_COMMAND, OPERATIONS
from caelus.web import routes as web
from caelus.web.pages import PREFIX
from tests import orphan_stub
from tests.conftest import TEMPLATE

DAY = datetime.timedelta(days=1)
SEEN, UNSEEN = 403, 404  # what a plain user may see but not do, and may not even see
RULES = {  # what a plain user gets: True if they may. {user_id} is the user's own.
    "POST /users": UNSEEN,
    "GET /users": UNSEEN,
    "GET /users/{user_id}": True,
    "PUT /users/{user_id}": SEEN,
    "DELETE /users/{user_id}": SEEN,
    "POST /users/{user_id}/tokens": True,
    "GET /users/{user_id}/tokens": True,
    "DELETE /users/{user_id}/tokens/{token_id}": True,
    "POST /users/{user_id}/login-links": SEEN,
    "POST /products": SEEN,
    "GET /products": True,
    "GET /products/{product_id}": True,
    "PUT /products/{product_id}": SEEN,
    "DELETE /products/{product_id}": SEEN,
    "POST /products/{product_id}/templates": SEEN,
    "GET /products/{product_id}/templates": True,
    "GET /products/{product_id}/templates/{template_id}": True,
    "DELETE /products/{product_id}/templates/{template_id}": SEEN,
    "POST /users/{user_id}/deployments": True,
    "GET /users/{user_id}/deployments": True,
    "GET /users/{user_id}/deployments/{deployment_id}": True,
    "PUT /users/{user_id}/deployments/{deployment_id}": True,
    "DELETE /users/{user_id}/deployments/{deployment_id}": True,
    "POST /users/{user_id}/deployments/{deployment_id}/retry": True,
    "POST /users/{user_id}/deployments/{deployment_id}/forget": SEEN,
    "POST /users/{user_id}/deployments/{deployment_id}/reveal-secrets": True,
    "GET /users/{user_id}/deployments/{deployment_id}/events": True,
    "GET /users/{user_id}/deployments/{deployment_id}/resources": True,
    "GET /users/{user_id}/deployments/{deployment_id}/logs": True,
    "GET /events": UNSEEN,
    "GET /deployments": UNSEEN,
    "GET /jobs": UNSEEN,
    "GET /overview": UNSEEN,
    "GET /orphans": UNSEEN,
    "POST /orphans": UNSEEN,
}
BESIDE = {  # the routes that are not of the table; True for those that are open to everybody
    "/": True,
    "/healthz": True,
    "/readyz": True,
    "/docs": True,
    "/docs/start.js": True,
    "/docs/assets/swagger_bundle.js": True,
    "/docs/assets/swagger_style.css": True,
    "/login/{code}": True,
    "/logout": True,
    "/openapi.json": False,
    "/me": False,
    "/metrics": False,
}
BODIES = {
    "create-user": {"email": "new@example.org"},
    "update-user": {"is_admin": True},
    "create-product": {"name": "Other"},
    "update-product": {"icon": None},
    "create-template": TEMPLATE | {"chart_version": "9"},
    "create-deployment": {"desired_template_id": 1, "domainname": "b.example.org"},
    "update-deployment": {"domainname": "c.example.org"},
    "adopt": {"namespace": orphan_stub.UID, "user_id": 1, "template_id": 2},
}
IDS = {"user_id": 1, "product_id": 1, "template_id": 2, "deployment_id": 1, "token_id": 1}
UNUSED = {"delete-user": {"user_id": 4}, "delete-product": {"product_id": 2}}
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.command)


class World:
    """Users 1 (Ada, whose deployment 1 it is), 2 (Eve), 3 (deleted) and 4, and their tokens."""

    def __init__(self, shop):
        self.app = create_app()
        for name in ("eve", "gone", "idle"):
            shop("create-user", email=f"{name}@example.org")
        shop("create-product", name="Unused")
        self.tokens = {
            name: shop("create-token", user_id=number, name=name).document["token"]
            for number, name in ((1, "ada"), (2, "eve"), (3, "gone"), (1, "expired"))
        }
        Token.update(expires_at=now() - DAY).where(Token.name == "expired").execute()
        assert shop("delete-user", user_id=3).ok
        new = {"desired_template_id": 1, "domainname": "a.example.org"}
        assert shop("create-deployment", user_id=1, **new).ok
        Job.update(status="done").execute()
        Deployment.update(status="error").execute()
        self.tokens["root"] = "caelus_tests"

    def ask(self, operation, headers: dict, **ids):
        """The answer to a request that is right but for who asks."""
        client = falcon.testing.TestClient(self.app, headers={"Host": "localhost"})
        path = operation.path.format(**IDS | ids)
        body = BODIES.get(operation.command)
        extra = {"headers": headers, "json": body, "remote_addr": "192.0.2.7"}
        return client.simulate_request(operation.method, path, **extra)

    def ask_as(self, name: str, operation, **ids):
        return self.ask(operation, {"Authorization": f"Bearer {self.tokens[name]}"}, **ids)


@pytest.fixture
def world(shop, tmp_path, monkeypatch):
    for name, value in orphan_stub.settings(tmp_path).items():
        monkeypatch.setenv(name, value)
    return World(shop)


def strangers(tokens: dict) -> dict[str, dict]:
    """Headers of those who are nobody."""
    return {
        "nobody": {},
        "an expired token": {"Authorization": f"Bearer {tokens['expired']}"},
        "a deleted user's token": {"Authorization": f"Bearer {tokens['gone']}"},
        "a token that never was": {"Authorization": f"Bearer {credentials.new('caelus_')}"},
        "a token with more behind it": {"Authorization": f"Bearer {tokens['ada']}x"},
        "two tokens": {"Authorization": f"Bearer {tokens['ada']}, Bearer {tokens['ada']}"},
        "another scheme": {"Authorization": f"Basic {tokens['ada']}"},
        "no token": {"Authorization": "Bearer"},
        "a forged header": {"X-Auth-Request-Email": "root@example.org"},
        "another forged header": {"Remote-User": "root@example.org", "X-Forwarded-For": "10.0.0.1"},
        "a forged cookie": {"Cookie": f"caelus_session={credentials.new()}"},
        "a token as a cookie": {"Cookie": f"caelus_session={tokens['ada']}"},
        "an empty cookie": {"Cookie": "caelus_session="},
    }


def test_the_rules_are_of_every_route():
    assert {operation.route for operation in OPERATIONS} == set(RULES)


def test_every_route_of_the_app_is_of_the_table_or_listed_here():
    of_the_table = {operation.path for operation in OPERATIONS}
    beside = routes(create_app()) - of_the_table
    pages = {path for path in beside if is_page(path)}
    assert pages == set(PAGES)
    assert {path for path in pages if is_open(path)} == {
        f"/ui/assets/{name}" for name in web.ASSETS
    }
    assert beside - pages == set(BESIDE)
    for path, is_free in BESIDE.items():
        assert is_open(path) == is_free
    assert not any(is_open(path) for path in of_the_table)


PAGES = [PREFIX + path for path in ("/", *web.PAGES, *(f"/assets/{name}" for name in web.ASSETS))]


def routes(app: falcon.App) -> set[str]:
    found, nodes = set(), list(app._router._roots)
    while nodes:
        node = nodes.pop()
        nodes += node.children
        if node.resource is not None:
            found.add(node.uri_template)
    return found


def test_a_row_can_not_be_made_without_saying_who_may():
    assert "access" in type(OPERATIONS[0])._fields
    assert "access" not in type(OPERATIONS[0])._field_defaults


@each_operation
def test_only_rows_with_a_user_in_the_path_are_an_owners(operation):
    assert (operation.access is Access.OWNER) <= ("user_id" in operation.ids)
    assert (operation.access is Access.USER) <= ("user_id" not in operation.ids)


@on_sqlite
@each_operation
def test_who_is_nobody_gets_401_and_changes_nothing(world, operation):
    before = Event.select().where(Event.type != "refused").count()
    for who, headers in strangers(world.tokens).items():
        for ids in ({}, dict.fromkeys(IDS, 99), dict.fromkeys(IDS, "x")):
            answer = world.ask(operation, headers, **ids)
            assert answer.status_code == 401, who
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json["title"] == "Unauthorized"
    assert Event.select().where(Event.type != "refused").count() == before


@on_sqlite
@each_operation
def test_a_user_gets_what_the_rules_say(world, operation):
    rule = RULES[operation.route]
    ids = {"token_id": 4} if operation.command == "delete-token" else {}
    before = Event.select().where(Event.type != "refused").count()
    answer = world.ask_as("ada", operation, **ids)
    assert answer.status_code == (operation.status if rule is True else rule), answer.text
    if rule is not True:
        assert Event.select().where(Event.type != "refused").count() == before


@on_sqlite
@pytest.mark.parametrize(
    "operation", [o for o in OPERATIONS if "user_id" in o.ids], ids=lambda o: o.command
)
def test_another_user_gets_404_as_of_a_user_who_does_not_exist(world, operation):
    answer = world.ask_as("eve", operation)
    unknown = world.ask_as("eve", operation, user_id=99)
    assert answer.status_code == unknown.status_code == 404
    assert answer.text == unknown.text.replace("99", "1")
    assert answer.json["detail"] == "user 1 not found"


@on_sqlite
@each_operation
def test_an_admin_may_do_all(world, operation):
    ids = UNUSED.get(operation.command, {})
    assert world.ask_as("root", operation, **ids).status_code == operation.status


@on_sqlite
@each_operation
def test_the_operator_may_do_all(world, operation, capsys):
    ids = IDS | UNUSED.get(operation.command, {})
    path_ids = {name: str(ids[name]) for name in operation.ids}
    dispatch(operation, Actor("operator"), path_ids | BODIES.get(operation.command, {}))


@on_sqlite
def test_what_may_not_be_done_is_not_looked_at(world):
    """Neither the body nor the ids: the same answer, whatever they are."""
    create = BY_COMMAND["create-product"]
    client = falcon.testing.TestClient(world.app, headers={"Host": "localhost"})
    headers = {"Authorization": f"Bearer {world.tokens['ada']}", "Content-Type": "text/plain"}
    for body in ("", "{", "x" * 2_000_000):
        answer = client.simulate_post("/products", headers=headers, body=body)
        assert (answer.status_code, answer.json["detail"]) == (
            403,
            "POST /products is for admins only",
        )
    forget = BY_COMMAND["forget-deployment"]
    assert world.ask_as("ada", forget, deployment_id=99).status_code == 403
    assert world.ask_as("ada", create).status_code == 403


@on_sqlite
def test_what_a_user_may_not_see_is_like_a_path_that_does_not_exist(world):
    client = falcon.testing.TestClient(world.app, headers={"Host": "localhost"})
    headers = {"Authorization": f"Bearer {world.tokens['ada']}"}
    hidden, nothing = (client.simulate_get(p, headers=headers) for p in ("/jobs", "/nothing"))
    assert hidden.status_code == nothing.status_code == 404
    assert hidden.text == nothing.text.replace("nothing", "jobs")


@on_sqlite
@pytest.mark.parametrize(
    "path",
    ["/nothing", "/users/1/nothing", "/login", "/docs/", "//users", "/docs/assets/scalar.js"],
)
def test_who_is_nobody_is_not_even_told_what_does_not_exist(world, path):
    client = falcon.testing.TestClient(world.app, headers={"Host": "localhost"})
    for method in ("GET", "POST", "PATCH", "OPTIONS", "HEAD"):
        assert client.simulate_request(method, path).status_code == 401


@on_sqlite
def test_what_needs_no_login_needs_none(settings):
    client = falcon.testing.TestClient(create_app(), headers={"Host": "localhost"})
    pages = ("/docs", "/docs/start.js", "/docs/assets/swagger_style.css")
    for path in ("/healthz", "/readyz", *pages):
        assert client.simulate_get(path).status_code == 200
    assert client.simulate_get("/").status_code == 302
    assert client.simulate_get("/openapi.json").status_code == 401


@on_sqlite
def test_a_user_may_read_the_description_of_the_api(world):
    client = falcon.testing.TestClient(world.app, headers={"Host": "localhost"})
    headers = {"Authorization": f"Bearer {world.tokens['ada']}"}
    assert client.simulate_get("/openapi.json", headers=headers).json == openapi.document()


@pytest.mark.parametrize(("name", "number"), [("ada", 1), ("eve", 2)])
@on_sqlite
def test_me_is_who_asks(world, name, number):
    client = falcon.testing.TestClient(world.app, headers={"Host": "localhost"})
    headers = {"Authorization": f"Bearer {world.tokens[name]}"}
    answer = client.simulate_get("/me", headers=headers)
    assert answer.json["id"] == number
    assert answer.json["email"] == f"{name}@example.org"
    assert client.simulate_get("/me").status_code == 401


@on_sqlite
def test_a_session_is_as_good_as_a_token(world):
    text = credentials.new()
    for user_id, digest in ((1, credentials.digest(text)), (3, "x")):
        Session.create(user=user_id, hash=digest, expires_at=now() + DAY, last_seen_at=now())
    cookie = {"Cookie": f"caelus_session={text}"}
    client = falcon.testing.TestClient(world.app, headers={"Host": "localhost"} | cookie)
    assert client.simulate_get("/me").json["email"] == "ada@example.org"
    assert client.simulate_get("/users").status_code == 404
    assert client.simulate_get("/users/2").status_code == 404


# The last admin


def test_the_last_admin_stays(surface, rest):
    """The tests' own admin is taken away by the side door first."""
    ada = rest("create-user", email="ada@example.org", is_admin=True).document
    eve = rest("create-user", email="eve@example.org").document
    if surface.name == "rest":
        assert surface("update-user", user_id=eve["id"], is_admin=True).document["is_admin"]
        assert surface("update-user", user_id=eve["id"], is_admin=False).ok
    User.update(is_admin=False).where(User.id == 0).execute()
    assert main(["update-user", str(ada["id"]), "--is-admin=false"]) == 1
    assert main(["delete-user", str(ada["id"])]) == 1
    assert main(["update-user", str(eve["id"]), "--is-admin=true"]) == 0
    assert main(["update-user", str(ada["id"]), "--is-admin=false"]) == 0
    assert main(["delete-user", str(eve["id"])]) == 1
    assert User.get_by_id(eve["id"]).is_admin


def test_two_admins_who_are_demoted_at_once_leave_one(cli, settings):
    from concurrent.futures import ThreadPoolExecutor

    for name in ("ada", "eve"):
        assert cli("create-user", email=f"{name}@example.org", is_admin=True).ok

    def demote(number: int) -> str:
        ids = {"user_id": str(number), "is_admin": False}
        try:
            dispatch(BY_COMMAND["update-user"], Actor("operator"), ids)
            return "done"
        except CaelusError as e:
            return e.detail

    for _ in range(10):
        User.update(is_admin=True).execute()
        with ThreadPoolExecutor(2) as pool:
            outcomes = sorted(pool.map(demote, (1, 2)))
        assert outcomes[0] == "done"
        assert "is the last admin" in outcomes[1]
        assert User.select().where(User.is_admin).count() == 1
