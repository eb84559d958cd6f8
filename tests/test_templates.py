"""The rules of templates, on both surfaces and both databases."""

import io
import json
import sys

import pytest

from caelus import yamltext
from caelus.models import Deployment
from tests.conftest import TEMPLATE

CHART = {"chart_ref": "oci://example.org/notes", "chart_version": "1.0.0"}
DIGEST = "sha256:" + "0123456789abcdef" * 4
NEW = {"user_id": 1, "desired_template_id": 1, "domainname": "a.example.org"}


@pytest.fixture
def product(surface):
    """The surface, with a product (1) to work on."""
    assert surface("create-product", name="Notes").document["id"] == 1
    return surface


def refused(answer, status: int) -> str:
    """The sentence of an answer that must be a refusal: REST's status or the CLI's 1."""
    assert answer.code in (status, 1)
    assert answer.document is None
    return answer.sentence


# Templates


def test_a_new_template_is_shown_with_what_was_asked_for(product):
    given = TEMPLATE | {
        "chart_digest": DIGEST,
        "version_label": "1 (stable)",
        "health_timeout_sec": 60,
    }
    document = product("create-template", product_id=1, **given).document
    assert document["id"] == 1
    assert document["product_id"] == 1
    assert document["created_at"].endswith("Z")
    assert {key: document[key] for key in given} == given
    parent = product("get-product", product_id=1).document
    del parent["template"], parent["icon"]
    assert document["product"] == parent
    assert product("get-template", product_id=1, template_id=1).document == document
    assert product("list-templates", product_id=1).document == [document]


def test_what_is_not_given_is_null(product):
    document = product("create-template", product_id=1, **CHART).document
    optional = document.keys() - {*CHART, "id", "product_id", "created_at", "product"}
    assert {document[name] for name in optional} == {None}
    assert len(optional) == 6


def test_documents_come_back_as_they_were_given(product):
    given = {
        "default_values_json": {"b": 1, "a": [1.0, 2**62, -0.5, "é😀", None, {}], "": {"x": []}},
        "values_schema_json": {"type": "object", "x-note": "\u2028"},
        "capabilities_json": {"colour": {"z": 1, "a": 2}},
    }
    product("create-template", product_id=1, **CHART, **given)
    document = product("get-template", product_id=1, template_id=1).document
    assert json.dumps({key: document[key] for key in given}) == json.dumps(given)


def test_chart_and_version_are_taken_until_the_template_is_deleted(product):
    assert product("create-template", product_id=1, **CHART).ok
    sentence = refused(product("create-template", product_id=1, **CHART), 409)
    assert sentence == "product 1 has a template of oci://example.org/notes 1.0.0 already"
    assert product("create-template", product_id=1, **CHART | {"chart_version": "1.0.1"}).ok
    assert product("create-template", product_id=1, **CHART | {"chart_ref": "oci://b.org/n"}).ok
    assert product("create-product", name="Other").ok
    assert product("create-template", product_id=2, **CHART).ok
    assert product("delete-template", product_id=1, template_id=1).ok
    assert product("create-template", product_id=1, **CHART).document["id"] > 4


def test_a_template_is_reached_only_through_its_product(shop, surface):
    surface("create-product", name="Other")
    assert surface("list-templates", product_id=2).document == []
    for command in ("get-template", "delete-template"):
        answer = surface(command, product_id=2, template_id=1)
        assert refused(answer, 404) == "template 1 not found"
        assert refused(surface(command, product_id=99, template_id=1), 404)
    assert surface("get-template", product_id=1, template_id=1).ok


def test_a_deleted_template_is_gone(shop, surface):
    assert surface("delete-template", product_id=1, template_id=1).ok
    for command in ("get-template", "delete-template"):
        answer = surface(command, product_id=1, template_id=1)
        assert refused(answer, 404) == "template 1 not found"
    assert [t["id"] for t in surface("list-templates", product_id=1).document] == [2]
    assert refused(surface("create-deployment", **NEW), 404) == "template 1 not found"


def test_a_template_that_is_desired_or_applied_is_not_deleted(shop, surface):
    shop("create-deployment", **NEW | {"desired_template_id": 2})
    Deployment.update(applied_template=1).execute()
    for template_id in (1, 2):
        answer = surface("delete-template", product_id=1, template_id=template_id)
        assert refused(answer, 409) == (
            f"cannot delete template {template_id}: 1 deployment uses it; delete those first"
        )
        assert surface("get-template", product_id=1, template_id=template_id).ok


def test_a_template_whose_deployments_are_deleted_can_be_deleted(shop, surface):
    shop("create-deployment", **NEW)
    Deployment.update(status="deleted").execute()
    assert surface("delete-template", product_id=1, template_id=1).ok


def test_templates_are_listed_in_order_of_ids_and_in_pages(shop, surface):
    def listed(**paging):
        return [t["id"] for t in surface("list-templates", product_id=1, **paging).document]

    assert listed() == [1, 2]
    assert listed(limit=1) == [1]
    assert listed(limit=5, after=1) == [2]
    assert listed(after=2) == []


def test_a_template_can_not_be_changed(shop):
    before = shop("get-template", product_id=1, template_id=1).document
    for method in ("PUT", "PATCH", "POST"):
        result = shop.client.simulate_request(
            method, "/products/1/templates/1", json={"version_label": "x"}
        )
        assert result.status_code == 405
    assert shop("get-template", product_id=1, template_id=1).document == before


def test_an_id_that_is_no_number_is_not_found(shop, surface):
    for odd in ("abc", "0", "01", "1.0", "9" * 30, "１", " 1", "-1"):
        for command, ids in (
            ("get-product", {"product_id": odd}),
            ("update-product", {"product_id": odd, "description": "x"}),
            ("delete-product", {"product_id": odd}),
            ("list-templates", {"product_id": odd}),
            ("create-template", {"product_id": odd, **CHART}),
            ("get-template", {"product_id": 1, "template_id": odd}),
            ("delete-template", {"product_id": 1, "template_id": odd}),
            ("get-template", {"product_id": odd, "template_id": 1}),
        ):
            assert f"{odd} not found" in refused(surface(command, **ids), 404)


WRONG = [
    ("chart_ref", ""),
    ("chart_ref", "-x"),
    ("chart_ref", "a b"),
    ("chart_ref", "oci://ada:secret@example.org/notes"),
    ("chart_version", ""),
    ("chart_version", "--set=x"),
    ("chart_version", "x" * 1001),
    ("chart_digest", ""),
    ("chart_digest", "sha256:abc"),
    ("chart_digest", DIGEST.upper()),
    ("chart_digest", DIGEST + "\n"),
    ("chart_digest", "md5:" + "0" * 32),
    ("health_timeout_sec", 0),
    ("health_timeout_sec", -1),
    ("health_timeout_sec", 86_401),
    ("health_timeout_sec", "1m"),
    ("version_label", "x" * 10_001),
]


def test_a_field_of_the_wrong_shape_is_refused_with_its_name(product):
    for field, value in WRONG:
        answer = product("create-template", product_id=1, **CHART | {field: value})
        sentence = refused(answer, 422)
        assert sentence.startswith(f"{field} "), value
        assert "secret" not in sentence
    assert product("list-templates", product_id=1).document == []


def test_chart_and_version_must_be_given(shop):
    for field in CHART:
        given = {key: value for key, value in CHART.items() if key != field}
        sentence = refused(shop("create-template", product_id=1, **given), 422)
        assert sentence == f"{field} is missing"


def test_documents_must_be_objects(product):
    for field in ("default_values_json", "values_schema_json", "capabilities_json"):
        option = "--" + field.replace("_", "-")
        for value in ([], "x", 5, 1.5):
            answer = product("create-template", product_id=1, **CHART | {field: value})
            assert refused(answer, 422) in (
                f"{field} must be of type object or null",
                f"{option} must hold a JSON object",
            )


HOPELESS = [
    (
        {"values_schema_json": {"properties": {"a": {"type": "text"}}}},
        "values schema: at /properties/a/type: must be string, integer, number, boolean, array, "
        "object or null, or a list of these",
    ),
    (
        {
            "values_schema_json": {"properties": {"a": {"type": "integer"}}},
            "default_values_json": {"a": "x"},
        },
        "default values are not valid: /a must be of type integer",
    ),
    (
        {"capabilities_json": {"bindings": []}},
        "capabilities: /bindings must be an object of pointer: template",
    ),
    (
        {"capabilities_json": {"plain_http": "true"}},
        "capabilities: /plain_http must be true or false",
    ),
    (
        {"capabilities_json": {"bindings": {"/a/b": "x"}}, "default_values_json": {"a": 1}},
        "binding /a/b can never resolve: there is a plain value in its way",
    ),
    (
        {"capabilities_json": {"bindings": {"/a": "${values.user.x}"}}},
        "binding /a refers to ${values.user.x}, which can never resolve: "
        "neither the default values nor the schema's properties.user have it",
    ),
]


def test_a_template_that_could_never_work_is_refused_with_the_place(product):
    for given, sentence in HOPELESS:
        answer = product("create-template", product_id=1, **CHART, **given)
        assert refused(answer, 409) == sentence
    assert product("list-templates", product_id=1).document == []


# Files and standard input, on the command line alone


@pytest.fixture
def create(cli, tmp_path, monkeypatch):
    """create(*options, stdin=...): create-template for a product (1)."""
    cli("create-product", name="Notes")

    def run(*options: str, stdin: bytes = b""):
        (tmp_path / "stdin").write_bytes(stdin)
        with open(tmp_path / "stdin") as file:
            monkeypatch.setattr(sys, "stdin", file)
            chart = ["--chart-ref=oci://example.org/notes", "--chart-version=1.0.0"]
            return cli.run("create-template", "--product-id=1", *chart, *options)

    return run


AS_YAML = b"""
# what every deployment gets
replicas: 2
host: &host example.org
started: 2026-01-01
at: 22:30
ports:
  80: *host
"""
AS_VALUES = {
    "replicas": 2,
    "host": "example.org",
    "started": "2026-01-01",
    "at": "22:30",
    "ports": {"80": "example.org"},
}


def test_a_document_can_come_from_a_yaml_file(create, tmp_path):
    (tmp_path / "values.yaml").write_bytes(AS_YAML)
    answer = create(f"--default-values-file={tmp_path / 'values.yaml'}")
    assert answer.document["default_values_json"] == AS_VALUES


def test_a_document_can_come_from_a_json_file(create, tmp_path):
    (tmp_path / "values.json").write_text(json.dumps(AS_VALUES, indent=2))
    answer = create(f"--default-values-file={tmp_path / 'values.json'}")
    assert answer.document["default_values_json"] == AS_VALUES


def test_a_document_can_come_from_standard_input(create):
    answer = create("--default-values-file=-", stdin=AS_YAML)
    assert answer.document["default_values_json"] == AS_VALUES


def test_every_document_can_come_from_its_own_file(create, tmp_path):
    (tmp_path / "schema").write_text("properties: {user: {type: object}}")
    (tmp_path / "capabilities").write_text("bindings: {/host: '${domainname}'}")
    answer = create(
        f"--values-schema-file={tmp_path / 'schema'}",
        f"--capabilities-file={tmp_path / 'capabilities'}",
        "--default-values-file=-",
        stdin=b"{}",
    )
    assert answer.document["values_schema_json"] == {"properties": {"user": {"type": "object"}}}
    assert answer.document["capabilities_json"] == {"bindings": {"/host": "${domainname}"}}
    assert answer.document["default_values_json"] == {}


def test_what_the_cli_prints_can_be_given_to_it_again(create, cli, tmp_path):
    tricky = {"a": "1e3", "b": "0x1", "c": "2026-01-01", "d": "yes", "e": "22:30", "f": 1e16}
    create(f"--default-values-json={json.dumps(tricky)}")
    printed = io.StringIO()
    document = cli("get-template", product_id=1, template_id=1).document["default_values_json"]
    assert document == tricky
    yamltext.dump(document, printed)
    cli("delete-template", product_id=1, template_id=1)
    again = create("--default-values-file=-", stdin=printed.getvalue().encode())
    assert again.document["default_values_json"] == tricky


def test_an_option_can_not_come_as_text_and_as_a_file(create, tmp_path):
    (tmp_path / "x").write_text("{}")
    answer = create("--capabilities-json={}", f"--capabilities-file={tmp_path / 'x'}")
    assert answer.code == 2


def test_a_file_that_is_missing_or_wrong_is_refused_and_nothing_is_made(create, cli, tmp_path):
    (tmp_path / "list").write_text("- a")
    missing = tmp_path / "missing"
    assert create(f"--capabilities-file={missing}").sentence == (
        f"cannot read {missing}: No such file or directory"
    )
    answer = create(f"--capabilities-file={tmp_path / 'list'}")
    assert (answer.code, answer.sentence) == (
        1,
        "--capabilities-file must hold a YAML or JSON object",
    )
    assert create("--capabilities-json=- a").sentence.startswith("--capabilities-json: not JSON: ")
    assert cli("list-templates", product_id=1).document == []


def test_user_values_can_come_from_a_file_too(shop, cli, tmp_path):
    (tmp_path / "user.yaml").write_text("size: 7")
    made = cli.run(
        "create-deployment",
        "--user-id=1",
        "--desired-template-id=1",
        "--domainname=a.example.org",
        f"--user-values-file={tmp_path / 'user.yaml'}",
    )
    assert made.document["user_values_json"] == {"size": 7}
