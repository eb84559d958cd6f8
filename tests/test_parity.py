"""REST, CLI and remote CLI are the same operations: the same documents, the same sentences."""

import re

import pytest

from caelus.models import Deployment, Job
from caelus.operations import OPERATIONS
from tests import orphan_stub
from tests.conftest import TEMPLATE, argv_of

DEPLOYMENT = {"user_id": 1, "desired_template_id": 1, "domainname": "a.example.org"}
SAME = [  # reads, and refusals, that change nothing: both surfaces can be asked one after the other
    ("list-users", {}),
    ("list-users", {"limit": 1, "after": 1}),
    ("list-users", {"limit": "many"}),
    ("list-users", {"search": "BÖB@"}),
    ("list-users", {"search": "x" * 300}),
    ("get-user", {"user_id": 1}),
    ("get-user", {"user_id": 99}),
    ("get-user", {"user_id": "x"}),
    ("create-user", {"email": "nobody"}),
    ("create-user", {"email": "ADA@example.org"}),
    ("delete-user", {"user_id": 1}),
    ("update-user", {"user_id": 99, "is_admin": True}),
    ("update-user", {"user_id": 1, "is_admin": "yes"}),
    ("create-token", {"user_id": 1, "expires_in_days": 0}),
    ("create-token", {"user_id": 99}),
    ("list-tokens", {"user_id": 1}),
    ("list-tokens", {"user_id": 1, "limit": 1, "after": 1}),
    ("delete-token", {"user_id": 2, "token_id": 1}),
    ("create-login-link", {"user_id": 99}),
    ("list-products", {}),
    ("get-product", {"product_id": 1}),
    ("create-product", {"name": "Notes"}),
    ("create-product", {"name": " "}),
    ("create-product", {"name": "X", "template_id": 1}),
    ("update-product", {"product_id": 1}),
    ("update-product", {"product_id": 1, "icon": "data:image/png;base64,AAAA"}),
    ("create-product", {"name": "X", "icon": "https://example.org/logo.png"}),
    ("update-product", {"product_id": 1, "template_id": 99}),
    ("update-product", {"product_id": 2, "template_id": 1}),
    ("delete-product", {"product_id": 1}),
    ("list-templates", {"product_id": 1}),
    ("list-templates", {"product_id": 99}),
    ("get-template", {"product_id": 1, "template_id": 1}),
    ("get-template", {"product_id": 2, "template_id": 1}),
    ("create-template", {"product_id": 1, **TEMPLATE}),
    ("create-template", {"product_id": 1, **TEMPLATE, "chart_digest": "md5:1"}),
    ("create-template", {"product_id": 1, **TEMPLATE, "health_timeout_sec": 0}),
    ("create-template", {"product_id": 1, **TEMPLATE, "chart_ref": "/absent", "resolve": True}),
    ("delete-template", {"product_id": 1, "template_id": 1}),
    ("reveal-secrets", {"user_id": 2, "deployment_id": 1}),
    ("list-deployments", {"user_id": 1}),
    ("list-deployments", {"user_id": 99}),
    ("list-deployments", {"user_id": 1, "search": "NOTES", "status": "provisioning"}),
    ("list-deployments", {"user_id": 1, "status": "odd"}),
    ("get-deployment", {"user_id": 1, "deployment_id": 1}),
    ("get-deployment", {"user_id": 2, "deployment_id": 1}),
    ("create-deployment", DEPLOYMENT),
    ("create-deployment", DEPLOYMENT | {"domainname": "_"}),
    ("create-deployment", DEPLOYMENT | {"user_values_json": {"size": "x"}}),
    ("update-deployment", {"user_id": 1, "deployment_id": 1}),
    ("update-deployment", {"user_id": 1, "deployment_id": 1, "desired_template_id": 2}),
    ("delete-deployment", {"user_id": 1, "deployment_id": 1}),
    ("retry-deployment", {"user_id": 1, "deployment_id": 1}),
    ("list-all-deployments", {}),
    ("list-all-deployments", {"status": "odd"}),
    ("list-all-deployments", {"status": "provisioning", "product_id": 1}),
    ("list-all-deployments", {"search": "A.Example"}),
    ("list-all-deployments", {"search": "_"}),
    ("list-events", {"user_id": 1, "deployment_id": 1}),
    ("list-events", {"user_id": 2, "deployment_id": 1}),
    ("list-all-events", {"limit": 1, "before": 6}),
    ("list-all-events", {"type": "created", "deployment_id": 1, "search": "FROM"}),
    ("list-all-events", {"type": "two words"}),
    ("list-events", {"user_id": 1, "deployment_id": 1, "type": "updated"}),
    ("list-events", {"user_id": 1, "deployment_id": 1, "search": "x" * 300}),
    ("resources", {"user_id": 1, "deployment_id": 1}),
    ("resources", {"user_id": 2, "deployment_id": 1}),
    ("logs", {"user_id": 1, "deployment_id": 1}),
    ("logs", {"user_id": 1, "deployment_id": 1, "tail": 3, "pod": "a-b.c", "previous": True}),
    ("logs", {"user_id": 1, "deployment_id": 1, "since": "2026-01-31T12:00:00+01:00"}),
    ("logs", {"user_id": 1, "deployment_id": 1, "since": "yesterday"}),
    ("logs", {"user_id": 1, "deployment_id": 1, "tail": 5001}),
    ("logs", {"user_id": 1, "deployment_id": 1, "pod": "--all-pods"}),
    ("adopt", {"namespace": "Upper", "user_id": 1, "template_id": 1}),
    ("list-jobs", {}),
    ("list-jobs", {"status": "queued", "deployment_id": 1}),
    ("list-jobs", {"before": 9, "after": 0, "limit": 1}),
]


def fill(rest) -> None:
    rest("create-user", email="ada@example.org", is_admin=True)
    rest("create-user", email="böb@example.org")
    rest("create-product", name="Notes", description="yes: [no]\n'~' 🌍 2026-01-01")
    rest("create-product", name="123")
    rest("create-template", product_id=1, **TEMPLATE, version_label="1e3")
    rest("create-template", product_id=1, **TEMPLATE | {"chart_version": "1.1.0"})
    rest("update-product", product_id=1, template_id=1)
    assert rest("create-deployment", **DEPLOYMENT, user_values_json={"size": 3}).ok
    rest("create-token", user_id=1, name="one")
    rest("create-token", user_id=1, name="two", expires_in_days=1)


@pytest.mark.parametrize(("command", "arguments"), SAME)
@pytest.mark.usefixtures("empty_cluster")
def test_all_surfaces_answer_the_same(settings, rest, cli, remote_cli, command, arguments):
    fill(rest)
    by_rest = rest(command, **arguments)
    by_cli = cli(command, **arguments)
    assert remote_cli(command, **arguments) == by_cli
    assert by_cli.document == by_rest.document
    assert by_cli.sentence == by_rest.sentence
    assert by_cli.code == (0 if by_rest.ok else 1)
    assert by_rest.ok or by_rest.sentence


@pytest.fixture
def orphan(tmp_path, monkeypatch):
    """A cluster that has some."""
    for name, value in orphan_stub.settings(tmp_path).items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("orphan")
@pytest.mark.parametrize("way", ["cli", "remote_cli"])
@pytest.mark.parametrize("command", [o.command for o in OPERATIONS if o.changes])
def test_a_change_by_any_surface_makes_the_same_document(settings, rest, request, command, way):
    """The first change by REST, a like one by a CLI: alike but for ids, names and times."""
    cli = request.getfixturevalue(way)
    rows = {
        "create-user": [{"email": "c1@example.org"}, {"email": "c2@example.org"}],
        "update-user": [{"user_id": 2, "is_admin": True}] * 2,
        "create-token": [{"user_id": 1, "name": f"a{n}", "expires_in_days": 3} for n in (1, 2)],
        "delete-token": [{"user_id": 1, "token_id": n} for n in (1, 2)],
        "create-login-link": [{"user_id": n} for n in (1, 2)],
        "delete-user": [{"user_id": 2}, {"user_id": 3}],
        "create-product": [{"name": "C1"}, {"name": "C2"}],
        "update-product": [{"product_id": 1, "description": "x1"}] * 2,
        "delete-product": [{"product_id": 2}, {"product_id": 3}],
        "create-template": [
            {"product_id": 1, **TEMPLATE, "chart_version": version} for version in ("8.1", "8.2")
        ],
        "delete-template": [{"product_id": 1, "template_id": n} for n in (3, 4)],
        "create-deployment": [
            DEPLOYMENT | {"domainname": f"c{n}.example.org", "user_values_json": {"size": 3}}
            for n in (1, 2)
        ],
        "update-deployment": [
            {"user_id": 1, "deployment_id": n, "user_values_json": {"size": 9}} for n in (1, 2)
        ],
        "delete-deployment": [{"user_id": 1, "deployment_id": n} for n in (1, 2)],
        "forget-deployment": [{"user_id": 1, "deployment_id": n} for n in (1, 2)],
        "retry-deployment": [{"user_id": 1, "deployment_id": n} for n in (1, 2)],
        "reveal-secrets": [{"user_id": 1, "deployment_id": n} for n in (1, 2)],
        "adopt": [
            {
                "namespace": f"lost-{n}",
                "user_id": 1,
                "template_id": 2,
                "domainname": f"c{n}.example.org",
            }
            for n in (1, 2)
        ],
    }[command]
    fill(rest)
    rest("create-user", email="third@example.org")
    rest("create-product", name="Third")
    for version in ("7.1", "7.2"):
        rest("create-template", product_id=1, **TEMPLATE | {"chart_version": version})
    second = DEPLOYMENT | {"domainname": "b.example.org", "user_values_json": {"size": 3}}
    assert rest("create-deployment", **second).ok
    Job.update(status="done").execute()
    status = "error" if command == "retry-deployment" else "ready"
    Deployment.update(status=status).execute()
    by_rest, by_cli = rest(command, **dict(rows[0])), cli(command, **dict(rows[1]))
    assert by_rest.ok and by_cli.ok, (by_rest, by_cli)
    if command.startswith("delete-"):
        assert by_rest.code == 204
        assert by_cli.document["id"]
    else:
        assert shape(by_rest.document) == shape(by_cli.document)


def shape(document):
    """A document with ids, times and what the two rows name differently taken out."""
    if isinstance(document, dict):
        return {key: None if "id" in key else shape(value) for key, value in document.items()}
    if isinstance(document, str):
        return re.sub(r"[0-9A-Za-z]{43}|\d+|[abc](?=\d|\.example)", "#", document)
    return document


def test_each_command_has_a_usage_with_its_own_name():
    for operation in OPERATIONS:
        assert f"caelus {operation.command}" in operation.usage
        assert operation.summary.endswith(".")


def test_each_argument_can_be_given_on_the_command_line():
    """No field of a request body is out of the CLI's reach, and no option out of REST's."""
    for operation in OPERATIONS:
        names = {*operation.ids, *operation.input["properties"]}
        words = {name: word for word, name in operation.words.items()}
        for name in names:
            if words.get(name, name.upper()) in re.findall(r"[A-Z_]+", operation.usage):
                continue
            (option,) = argv_of(operation.command, {name: "x"})[1:]
            assert option.partition("=")[0] in operation.usage
        beside = {"--wait", "--timeout"} if operation.waits else set()
        beside |= {"--follow"} if operation.follows else set()
        for option in set(re.findall(r"--[a-z-]+", operation.usage)) - beside:
            name = operation.words.get(option, option[2:].replace("-", "_"))
            meant = {name.replace("_file", "_json"), name.removesuffix("_file")}
            assert meant & names, (operation.command, option)
