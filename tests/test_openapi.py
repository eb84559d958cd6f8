"""The OpenAPI document: valid, complete, and true of what the API answers."""

import json
import re

import falcon.testing
import jsonschema
import openapi_spec_validator
import pytest
import referencing
from referencing.jsonschema import DRAFT202012

from caelus import openapi
from caelus.api import create_app
from caelus.document_schemas import DOCUMENTS
from caelus.models import Deployment, Job, now
from caelus.operations import BY_COMMAND, OPERATIONS
from tests.conftest import TEMPLATE

DOCUMENT = json.loads(json.dumps(openapi.document()))
REGISTRY = referencing.Registry().with_resource(
    "urn:caelus", referencing.Resource(contents=DOCUMENT, specification=DRAFT202012)
)
NEW = {"desired_template_id": 1, "domainname": "a.example.org", "user_values_json": {"size": 3}}


@pytest.fixture
def client():
    """The app without a database."""
    return falcon.testing.TestClient(create_app(), headers={"Host": "localhost"})


BESIDE = {"GET /healthz", "GET /readyz", "GET /me", "GET /metrics"}


def described(operation) -> dict:
    return DOCUMENT["paths"][operation.path][operation.method.lower()]


def check(document, *place: str) -> None:
    """Check a document against the schema at a place of the OpenAPI document."""
    escaped = (part.replace("~", "~0").replace("/", "~1") for part in place)
    schema = {"$ref": "urn:caelus#/" + "/".join(escaped)}
    checker = jsonschema.FormatChecker()
    jsonschema.Draft202012Validator(schema, registry=REGISTRY, format_checker=checker).validate(
        document
    )


class Walker:
    """Asks the API as an operation says; every question and answer must be as documented."""

    def __init__(self, client):
        self.client = client

    def __call__(self, command: str, *ids, query="", body=None, raw=None, headers=None):
        """Status and document of the answer."""
        operation = BY_COMMAND[command]
        place = ("paths", operation.path, operation.method.lower())
        if body is not None:
            check(body, *place, "requestBody", "content", "application/json", "schema")
        result = self.client.simulate_request(
            operation.method,
            operation.path.format(**dict(zip(operation.ids, ids, strict=True))),
            query_string=query,
            body=json.dumps(body) if body is not None else raw,
            headers=({} if raw is body is None else {"Content-Type": "application/json"})
            | (headers or {}),
        )
        answer = described(operation)["responses"][str(result.status_code)]
        if "content" not in answer:
            assert result.content == b""
            return result.status_code, None
        kind = result.headers["content-type"].partition(";")[0]
        check(result.json, *place, "responses", str(result.status_code), "content", kind, "schema")
        return result.status_code, result.json


@pytest.fixture
def walk(rest):
    return Walker(rest.client)


# The document


def test_it_is_valid_openapi_3_1():
    assert DOCUMENT["openapi"] == "3.1.0"
    openapi_spec_validator.validate(DOCUMENT, cls=openapi_spec_validator.OpenAPIV31SpecValidator)


def test_it_has_every_operation_and_nothing_else_but_the_health_checks():
    found = {
        f"{method.upper()} {path}" for path, item in DOCUMENT["paths"].items() for method in item
    }
    assert found == {o.route for o in OPERATIONS} | BESIDE


def test_it_is_served_as_it_is(rest):
    result = rest.client.simulate_get("/openapi.json")
    assert result.status_code == 200
    assert result.headers["content-type"] == "application/json"
    assert result.json == DOCUMENT


def test_every_schema_in_it_is_valid():
    for operation in OPERATIONS:
        jsonschema.Draft202012Validator.check_schema(operation.input)
    for schema in DOCUMENTS.values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.command)
def test_an_operation_is_described_as_the_table_has_it(operation):
    told = described(operation)
    assert told["operationId"] == operation.command.replace("-", "_")
    assert told["summary"] == operation.summary
    assert f"caelus {operation.command}" in told["description"]
    names = {(p["name"], p["in"]) for p in told["parameters"]}
    properties = operation.input["properties"]
    query = set() if operation.changes else {(name, "query") for name in properties}
    header = {("Prefer", "header")} if operation.status == 204 else set()
    assert names == {(name, "path") for name in operation.ids} | query | header
    assert ("requestBody" in told) == (operation.changes and bool(properties))


def test_operation_ids_are_unique():
    ids = [o["operationId"] for item in DOCUMENT["paths"].values() for o in item.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("name", "command", "ids"),
    [
        ("User", "list-users", []),
        ("ListedProduct", "list-products", []),
        ("Template", "list-templates", [1]),
        ("Deployment", "list-deployments", [1]),
        ("Job", "list-jobs", []),
    ],
)
def test_the_schema_of_a_document_has_its_fields_and_misses_each(shop, walk, name, command, ids):
    shop("create-deployment", user_id=1, **NEW)
    _, (document, *_) = walk(command, *ids)
    assert document.keys() == DOCUMENTS[name]["properties"].keys()
    for field in document:
        less = {key: value for key, value in document.items() if key != field}
        with pytest.raises(jsonschema.ValidationError):
            check(less, "components", "schemas", name)


# What is answered is what is documented


def test_a_walk_through_the_api_is_as_documented(walk):
    assert walk("create-user", body={"email": "ada@example.org", "is_admin": True})[0] == 201
    assert walk("create-product", body={"name": "Notes", "description": None})[0] == 201
    assert walk("create-template", 1, body=TEMPLATE)[0] == 201
    assert walk("create-template", 1, body=TEMPLATE | {"chart_version": "1.1.0"})[0] == 201
    bare = {"chart_ref": "oci://example.org/bare", "chart_version": "1"}
    assert walk("create-template", 1, body=bare)[0] == 201
    assert walk("update-product", 1, body={"template_id": 1})[0] == 200
    status, deployment = walk("create-deployment", 1, body=NEW)
    assert (status, deployment["status"]) == (201, "provisioning")
    for command, ids in (
        ("get-user", [1]),
        ("get-product", [1]),
        ("get-template", [1, 3]),
        ("get-deployment", [1, 1]),
        ("list-users", []),
        ("list-products", []),
        ("list-templates", [1]),
        ("list-deployments", [1]),
        ("list-all-deployments", []),
        ("list-jobs", []),
    ):
        status, document = walk(command, *ids)
        assert status == 200
        assert document


def test_lists_with_every_parameter_are_as_documented(shop, walk):
    shop("create-deployment", user_id=1, **NEW)
    for command, ids, query in (
        ("list-users", [], "search=ada&limit=1&after=0"),
        ("list-products", [], "limit=1&after=0"),
        ("list-templates", [1], "limit=1&after=1"),
        ("list-deployments", [1], "status=provisioning&search=notes&limit=5&after=0"),
        ("list-events", [1, 1], "type=created&search=TEMPLATE&limit=1&before=99"),
        ("list-all-events", [], "type=created&deployment_id=1&search=from&limit=1&before=99"),
        ("list-all-deployments", [], "status=provisioning&product_id=1&search=a&limit=1&after=0"),
        ("list-jobs", [], "status=queued&deployment_id=1&limit=1&after=0&before=9"),
    ):
        told = {p["name"] for p in described(BY_COMMAND[command])["parameters"]}
        assert {part.partition("=")[0] for part in query.split("&")} == told - {
            *BY_COMMAND[command].ids
        }
        status, documents = walk(command, *ids, query=query)
        assert (status, len(documents)) == (200, 1)


def test_refusals_are_as_documented(shop, walk):
    shop("create-deployment", user_id=1, **NEW)
    assert walk("retry-deployment", 1, 1)[0] == 409
    assert walk("update-deployment", 1, 1, body={"domainname": "b.example.org"})[0] == 409
    assert walk("delete-deployment", 1, 1)[0] == 409
    assert walk("delete-user", 1)[0] == 409
    assert walk("delete-product", 1)[0] == 409
    assert walk("create-user", body={"email": "ada@example.org"})[0] == 409
    assert walk("get-user", 99)[0] == 404
    assert walk("get-user", "x")[0] == 404
    assert walk("get-user", 1, query="x=1")[0] == 422
    assert walk("list-templates", 99)[0] == 404
    assert walk("list-users", query="limit=x")[0] == 422
    assert walk("create-user", raw='{"email": 5}')[0] == 422
    assert walk("create-user", raw="{")[0] == 400
    assert walk("create-product", raw=" " * (1024 * 1024 + 1))[0] == 413


def test_changes_at_the_end_of_the_walk_are_as_documented(shop, walk):
    assert walk("update-product", 1, body={"description": "x"})[0] == 200
    assert walk("delete-template", 1, 2) == (204, None)
    assert walk("delete-product", 1) == (204, None)
    assert walk("delete-user", 1) == (204, None)


@pytest.mark.parametrize(
    "prefer",
    [
        "return=representation",
        'wait=5, Return="representation"; x=y',
        "respond-async,return = representation",
    ],
)
def test_what_is_deleted_is_shown_to_who_prefers_it(shop, walk, prefer):
    _, template = walk("get-template", 1, 2)
    assert walk("delete-template", 1, 2, headers={"Prefer": prefer}) == (200, template)


@pytest.mark.parametrize(
    "prefer", ["return=minimal", "return=representations", "x;return=representation", ""]
)
def test_what_is_deleted_is_not_shown_to_others(shop, walk, prefer):
    assert walk("delete-template", 1, 2, headers={"Prefer": prefer}) == (204, None)


def test_a_deployment_with_all_its_fields_is_as_documented(shop, walk):
    shop("create-deployment", user_id=1, **NEW)
    Job.update(status="failed", last_error="x", locked_by="w", locked_at=now()).execute()
    Deployment.update(
        status="error", applied_template=1, last_error="x", last_reconcile_at=now()
    ).execute()
    assert walk("get-deployment", 1, 1)[0] == 200
    assert walk("reveal-secrets", 1, 1)[0] == 200
    assert walk("list-jobs")[0] == 200
    assert walk("retry-deployment", 1, 1)[0] == 202
    Job.update(status="done").execute()
    assert walk("update-deployment", 1, 1, body={"desired_template_id": 2})[0] == 200
    Job.update(status="done").execute()
    assert walk("delete-deployment", 1, 1) == (204, None)
    assert walk("get-deployment", 1, 1)[1]["deleted_at"]


def test_the_health_checks_are_as_documented(rest):
    for path in ("/healthz", "/readyz"):
        result = rest.client.simulate_get(path)
        assert result.status_code == 200
        place = ("paths", path, "get", "responses", "200", "content", "application/json", "schema")
        check(result.json, *place)


# The pages


def test_the_root_leads_to_the_documentation(client):
    result = client.simulate_get("/")
    assert result.status_code in (302, 303, 307, 308)
    assert result.headers["location"] == "/docs"


def test_the_documentation_comes_from_this_program_alone(client):
    page = client.simulate_get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    addresses = re.findall(r"""(?:src|href)=["']?([^"'\s>]+)""", page.text)
    own = [address for address in addresses if not address.startswith("data:")]
    assert len(own) >= 3
    for address in own:
        assert re.match(r"/[^/]", address)
        result = client.simulate_get(address)
        assert result.status_code == 200
        assert result.content
        assert result.headers["x-content-type-options"] == "nosniff"
        ending = address.rpartition(".")[2]
        kind = {"css": "text/css", "js": "text/javascript"}[ending]
        assert result.headers["content-type"].startswith(kind)
        if ending == "css":
            assert re.findall(r"(?:@import\s|url\()(?!\s*[\"']?data:)", result.text) == []
    assert "//" not in page.text.replace("<!doctype html>", "")
    assert "/openapi.json" in client.simulate_get("/docs/start.js").text


def test_the_browser_is_told_to_load_nothing_from_elsewhere(client):
    policy = client.simulate_get("/docs").headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    sources = {word for rule in policy.split(";") for word in rule.split()[1:]}
    assert sources <= {"'self'", "'none'", "'unsafe-inline'", "data:"}
    assert "script-src" not in policy


# What is served beside the operations

ASSETS = ("/docs/assets/swagger_bundle.js", "/docs/assets/swagger_style.css")
PAGES = ("/", "/docs", "/docs/start.js", *ASSETS, "/openapi.json", "/me", "/healthz", "/readyz")


@pytest.mark.parametrize("path", PAGES)
def test_head_is_get_without_a_body_and_nothing_else_is_answered(rest, path):
    got, head = rest.client.simulate_get(path), rest.client.simulate_head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers.pop("x-request-id") != got.headers.pop("x-request-id")
    assert head.headers == got.headers
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = rest.client.simulate_request(method, path)
        assert (answer.status_code, answer.json["title"]) == (405, "Method not allowed")


@pytest.mark.parametrize("path", ASSETS)
def test_a_browser_is_told_that_it_has_an_asset_already(rest, path):
    got = rest.client.simulate_get(path)
    assert got.headers["cache-control"] == "no-cache"
    assert int(got.headers["content-length"]) == len(got.content) > 10_000
    for known, status in ((got.headers["etag"], 304), ("*", 304), ('"x"', 200)):
        for method in ("GET", "HEAD"):
            again = rest.client.simulate_request(method, path, headers={"If-None-Match": known})
            assert again.status_code == status
            assert again.headers["etag"] == got.headers["etag"]


@pytest.mark.parametrize("name", ["", "scalar.js", "url.json", "__init__.py", "swagger_bundle.js/"])
def test_nothing_else_of_the_assets_package_is_served(rest, name):
    assert rest.client.simulate_get(f"/docs/assets/{name}").status_code == 404
