"""The editor of templates."""

import html.parser
import re

import pytest

from caelus.models import Event, Template
from caelus.web import editor
from tests.admins import EDITOR, Read, after, text_of
from tests.admins import admin as admin
from tests.conftest import TEMPLATE

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


CHECK = "/products/1/templates/check"
FILLED = {"chart_ref": "oci://registry.example.org/x", "chart_version": "1.0.0"}


def test_a_template_is_added_from_yaml_and_json(admin, shop):
    fields = FILLED | {
        "default_values_json": "size: 3\nlist:\n- 22:30\n",
        "values_schema_json": '{"properties":\t{"size": {"type": "integer"}}}',
        "capabilities_json": "bindings: {/host: '${domainname}'}",
        "health_timeout_sec": " 60 ",
        "version_label": "",
    }
    assert after(admin.post(EDITOR, **fields)) == "/ui/admin/products/1?done=template"
    made = shop("get-template", product_id=1, template_id=3).document
    assert made["default_values_json"] == {"size": 3, "list": ["22:30"]}
    assert made["values_schema_json"] == {"properties": {"size": {"type": "integer"}}}
    assert made["capabilities_json"] == {"bindings": {"/host": "${domainname}"}}
    assert (made["health_timeout_sec"], made["version_label"]) == (60, None)
    assert shop("get-product", product_id=1).document["template_id"] is None


WRONG = [
    ({"chart_ref": ""}, "chart_ref", "Chart: is missing"),
    ({"chart_version": "^1"}, "chart_version", "must be one version, not a range"),
    ({"chart_digest": "md5:1"}, "chart_digest", "Digest: must match the pattern"),
    ({"health_timeout_sec": "long"}, "health_timeout_sec", "must be of type integer"),
    ({"health_timeout_sec": "0"}, "health_timeout_sec", "must be at least 1"),
    ({"default_values_json": "a: [1"}, "default_values_json", "not YAML: "),
    ({"default_values_json": '{"a": 1,}x'}, "default_values_json", "not JSON: "),
    (
        {"values_schema_json": "type: object\nproperties: {a: {}}\nproperties: {b: {}}"},
        "values_schema_json",
        "the key 'properties' stands twice, again at line 3",
    ),
    (
        {"default_values_json": "a: &x {b: [{c: 1,\n c: 2}]}\nd: *x"},
        "default_values_json",
        "the key 'c' stands twice, again at line 2",
    ),
    ({"values_schema_json": "- 1"}, "values_schema_json", "must hold a YAML or JSON object"),
    (
        {"values_schema_json": "properties: {size: {type: int}}"},
        "values_schema_json",
        "values schema: at /properties/size/type",
    ),
    (
        {
            "values_schema_json": "properties: {size: {type: integer}}",
            "default_values_json": "size: big",
        },
        "default_values_json",
        "default values are not valid: /size must be of type integer",
    ),
    (
        {"capabilities_json": "bindings: {/host: '${domain}'}"},
        "capabilities_json",
        "binding /host refers to ${domain}, which is not known",
    ),
    ({"capabilities_json": "drift: off"}, "capabilities_json", 'put "off" in quotes'),
    ({"capabilities_json": "isolation: {network: x}"}, "capabilities_json", "/isolation/network"),
    (
        {"chart_ref": TEMPLATE["chart_ref"]},
        "chart_version",
        "product 1 has a template of oci://registry.example.org/notes 1.0.0 already",
    ),
]


@pytest.mark.parametrize(("changes", "field", "sentence"), WRONG)
def test_what_is_wrong_is_told_beside_its_field_and_nothing_is_lost(
    admin, changes, field, sentence
):
    fields = FILLED | {"version_label": "mine"} | changes
    answer = admin.post(EDITOR, **fields)
    assert answer.status_code in (409, 422)
    page = Read(answer)
    assert page.with_id(field)["aria-invalid"] == "true"
    assert "hidden" not in page.with_id(f"error-{field}")
    beside = re.search(rf'id="error-{field}">([^<]*)<', answer.text)[1]
    assert sentence in html.unescape(beside)
    assert f'href="#{field}"' in answer.text
    for name, typed in fields.items():
        assert page.texts[name] == typed
    assert Template.select().count() == 2


@pytest.mark.parametrize(("changes", "field", "sentence"), WRONG[3:9:2])
def test_a_check_finds_the_same_while_one_types(admin, changes, field, sentence):
    answer = admin.post(CHECK, **FILLED | changes)
    assert answer.status_code == 200
    slot = Read(answer).with_id(f"error-{field}")
    assert slot["hx-swap-oob"] == "true" and "hidden" not in slot
    assert sentence in html.unescape(answer.text)
    assert "<html" not in answer.text


def test_a_check_keeps_nothing_and_pulls_no_chart(admin):
    fields = FILLED | {"chart_ref": "/absent/chart.tgz", "resolve": "on", "offer": "on"}
    events = Event.select().count()
    for answer in (admin.post(CHECK, **fields), admin.post(EDITOR, action="check", **fields)):
        assert answer.status_code == 200
        assert "Schema, default values and capabilities go together" in answer.text
        assert "not known before it is pulled" in answer.text
    assert (Template.select().count(), Event.select().count()) == (2, events)
    created = admin.post(EDITOR, **fields)
    assert created.status_code == 409
    assert "there is no such file" in text_of(created)
    assert Read(created).texts["chart_ref"] == "/absent/chart.tgz"


def test_what_is_not_filled_in_yet_does_not_hinder_a_check(admin):
    answer = admin.post(CHECK, capabilities_json="bindings: {/a: '${x}'}")
    assert "binding /a refers to ${x}" in answer.text
    assert "chart_ref" not in text_of(answer)


def test_a_check_without_javascript_shows_the_whole_page(admin):
    answer = admin.post(EDITOR, action="check", **FILLED | {"capabilities_json": "drift: no"})
    assert answer.status_code == 422
    assert "<html" in answer.text
    assert Read(answer).with_id("capabilities_json")["aria-invalid"] == "true"


def test_the_form_of_the_users_is_previewed(admin):
    answer = admin.post(CHECK, **editor.EXAMPLE)
    assert "What users will fill in" in answer.text
    assert "Greeting" in answer.text and "How many run side by side." in answer.text
    whole = admin.post(EDITOR, action="check", **editor.EXAMPLE)
    assert "Greeting" in whole.text


def test_a_template_that_keeps_the_domain_to_itself_is_told_of(admin):
    told = "No binding has ${domainname}"
    assert told in text_of(admin.post(CHECK, **FILLED))
    assert told in text_of(admin.post(EDITOR, action="check", **FILLED))
    assert told not in text_of(admin.post(CHECK, **editor.EXAMPLE))
    assert told not in text_of(admin.get("/products/1"))
    after(admin.post(EDITOR, **FILLED, offer="on"))
    assert told in text_of(admin.get("/products/1"))
    assert told in text_of(admin.get("/products/1/templates/3"))
    assert told not in text_of(admin.get("/products/1/templates/1"))


def test_the_example_can_be_added_as_it_stands(admin, shop):
    page = Read(admin.get(EDITOR, example="podinfo"))
    fields = {name: page.texts[name] for name in editor.EXAMPLE}
    assert fields == editor.EXAMPLE
    after(admin.post(EDITOR, **fields, offer="on"))
    values = {"replicas": 2, "message": "Hi"}
    new = {"desired_template_id": 3, "domainname": "a.example.org", "user_values_json": values}
    assert shop("create-deployment", user_id=1, **new).ok


def test_a_new_version_begins_with_what_the_old_one_has(admin, shop):
    page = Read(admin.get(EDITOR, **{"from": "1"}))
    assert page.texts["chart_ref"] == TEMPLATE["chart_ref"]
    fields = {name: page.texts[name] for name in (*editor.WORDS, *editor.DOCUMENTS)}
    after(admin.post(EDITOR, **fields | {"chart_version": "9.0.0"}))
    made = shop("get-template", product_id=1, template_id=3).document
    for name in editor.DOCUMENTS:
        assert made[name] == TEMPLATE[name]
    assert admin.get(EDITOR, **{"from": "99"}).status_code == 404


def test_masked_secrets_of_the_old_version_are_asked_for_again(admin, shop):
    secret = {"properties": {"key": {"type": "string", "writeOnly": True}}}
    given = {"values_schema_json": secret, "default_values_json": {"key": "hunter2"}}
    assert shop("create-template", product_id=1, **FILLED, **given).ok
    page = Read(admin.get(EDITOR, **{"from": "3"}))
    fields = {name: page.texts[name] for name in (*editor.WORDS, *editor.DOCUMENTS)}
    assert "hunter2" not in str(fields)
    answer = admin.post(EDITOR, **fields | {"chart_version": "2"})
    assert answer.status_code == 409
    assert "/key is the mask ********; send the value itself" in answer.text


def test_a_button_that_is_none_creates_nothing(admin, shop):
    before = shop("list-templates", product_id=1).document
    answer = admin.post(EDITOR, action="publish", **FILLED | {"chart_version": "9"})
    assert answer.status_code == 422
    assert "must be one of check, fill, create" in text_of(answer)
    assert shop("list-templates", product_id=1).document == before


@pytest.fixture
def archive(tmp_path):
    """A chart's archive that has default values, by its path."""
    from tests.chart_scenes import archive as archived

    path = tmp_path / "app-1.0.0.tgz"
    path.write_bytes(archived({"app/values.yaml": b"color: red\n"}))
    return str(path)


def test_what_the_chart_says_fills_in_what_is_empty(admin, archive):
    chart = {"chart_ref": archive, "chart_version": "1.0.0"}
    answer = admin.post(EDITOR, action="fill", version_label="mine", **chart)
    assert answer.status_code == 200
    page = Read(answer)
    assert page.texts["default_values_json"] == "color: red\n"
    assert page.texts["chart_digest"].startswith("sha256:")
    assert page.texts["version_label"] == "mine"
    assert Template.select().count() == 2


def test_a_chart_is_resolved_when_its_template_is_added(admin, shop, archive):
    chart = {"chart_ref": archive, "chart_version": "1.0.0", "resolve": "on", "offer": "on"}
    assert after(admin.post(EDITOR, **chart)).endswith("offered")
    product = shop("get-product", product_id=1).document
    assert product["template"]["default_values_json"] == {"color": "red"}
    assert product["template"]["chart_digest"].startswith("sha256:")
