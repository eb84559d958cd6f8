"""What somebody who publishes a first chart gets wrong, and the next step that they are told."""

import pytest

from tests.admins import EDITOR, Read, text_of
from tests.admins import admin as admin  # the fixture
from tests.test_web_editor import FILLED

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SCHEMA = "properties: {user: %s}"


def beside(answer, field: str) -> bool:
    return "hidden" not in Read(answer).with_id(f"error-{field}")


@pytest.mark.parametrize("reference", ["ghcr.io/example/charts/app", "example/app"])
def test_a_reference_without_its_scheme_is_told_how_one_begins(admin, reference):
    answer = admin.post(EDITOR, **FILLED | {"chart_ref": reference, "resolve": "on"})
    assert "it begins with oci://, in a repository with https://" in text_of(answer)
    assert beside(answer, "chart_ref")


def test_a_path_is_not_taken_for_one(admin):
    answer = admin.post(EDITOR, **FILLED | {"chart_ref": "/absent.tgz", "resolve": "on"})
    assert text_of(answer).count("there is no such file") == 2
    assert "oci://," not in text_of(answer).partition("no such file")[2][:80]
    assert beside(answer, "chart_ref")


@pytest.mark.parametrize(
    "user, sentence",
    [
        ("{properties: {a: {type: text}}}", "must be string, integer, number, boolean, array"),
        (
            "{$schema: 'http://json-schema.org/draft-07/schema#', type: object}",
            "$schema can't change below the top; say it there",
        ),
        (
            "{definitions: {a: {}}, properties: {a: {$ref: '#/definitions/a'}}}",
            "it counts from the top of the whole schema, so what it means must be there",
        ),
    ],
)
def test_a_schema_that_was_pasted_in_is_told_what_to_move(admin, user, sentence):
    answer = admin.post(EDITOR, **FILLED | {"values_schema_json": SCHEMA % user})
    assert sentence in text_of(answer)
    assert beside(answer, "values_schema_json")


@pytest.mark.parametrize("schema", ["properties: {replicas: {type: integer}}", SCHEMA % "false"])
def test_a_schema_without_anything_for_users_is_told_where_that_belongs(admin, schema):
    answer = admin.post(EDITOR, action="check", **FILLED | {"values_schema_json": schema})
    assert "the schema has nothing under properties.user" in text_of(answer)
    assert "What users will fill in" not in text_of(answer)


def test_a_phone_shows_digits_for_the_seconds(admin):
    assert Read(admin.get(EDITOR)).with_id("health_timeout_sec")["inputmode"] == "numeric"
