"""Secret values by both surfaces: masked, kept, generated, revealed, and told nowhere else."""

import json

import pytest

from caelus import deployments, redact
from caelus.database import database, session
from caelus.deployments import check_values, get_any
from caelus.models import Deployment, Event, Job, Template
from caelus.secretvalues import MASK

CANARY = "canary-Ω<&>\"'-hunter2"
SECRET = {"type": "string", "writeOnly": True}
MADE = SECRET | {"generate": {"length": 32}}


def schema(user: dict, **others) -> dict:
    return {"properties": {"user": {"type": "object", "properties": user}, **others}}


@pytest.fixture
def shop(rest):
    """shop(schema, defaults, capabilities) adds a template of product 1; user 1 is there."""
    rest("create-user", email="ada@example.org")
    rest("create-product", name="Notes")

    def add(
        values_schema: dict | None, defaults: dict | None = None, capabilities: dict | None = None
    ):
        number = Template.select().count() + 1
        return rest(
            "create-template",
            product_id=1,
            chart_ref="oci://registry.example.org/notes",
            chart_version=f"1.{number}.0",
            values_schema_json=values_schema,
            default_values_json=defaults,
            capabilities_json=capabilities,
        )

    return add


@pytest.fixture
def deploy(surface):
    """deploy(values) creates deployment 1 from template 1."""

    def create(values: dict | None = None, template: int = 1):
        given = {} if values is None else {"user_values_json": values}
        deployment = {"desired_template_id": template, "domainname": "a.example.org"}
        return surface("create-deployment", user_id=1, **deployment, **given)

    return create


@pytest.fixture
def change(surface):
    """change(values, template) updates deployment 1, whose job is done."""

    def update(*values, template: int | None = None, status: str = "ready"):
        Job.update(status="done").execute()
        Deployment.update(status=status).execute()
        fields = {"user_values_json": values[0]} if values else {"domainname": "b.example.org"}
        if template is not None:
            fields = {"desired_template_id": template} | (fields if values else {})
        return surface("update-deployment", user_id=1, deployment_id=1, **fields)

    return update


@pytest.fixture
def revealed(surface):
    def reveal() -> dict:
        answer = surface("reveal-secrets", user_id=1, deployment_id=1)
        assert answer.ok
        return answer.document["secrets"]

    return reveal


def final() -> dict:
    """The values that helm would get for deployment 1."""
    with session():
        return check_values(get_any(1))


def stored() -> str:
    """Everything in the tables, as text."""
    tables = ("templates", "deployments", "jobs", "events")
    rows = [database.execute_sql(f"SELECT * FROM {table}").fetchall() for table in tables]
    return repr(rows) + json.dumps(rows, default=str, ensure_ascii=False)


# Masks


def test_a_secret_is_masked_stored_encrypted_and_given_to_helm(shop, deploy, surface, caplog):
    assert shop(schema({"password": SECRET, "size": {}})).ok
    answer = deploy({"password": CANARY, "size": 3})
    assert answer.document["user_values_json"] == {"password": MASK, "size": 3}
    assert final() == {"user": {"password": CANARY, "size": 3}}
    for command in ("get-deployment", "list-deployments", "list-all-deployments", "list-events"):
        ids = {"user_id": 1} if "all" not in command else {}
        ids |= {"deployment_id": 1} if command in ("get-deployment", "list-events") else {}
        assert CANARY not in str(surface(command, **ids).document)
    assert "hunter2" not in stored()
    assert "hunter2" not in caplog.text


def test_default_values_are_masked_in_every_answer_and_given_to_helm(shop, deploy, surface):
    defaults = {"smtp": {"password": CANARY, "host": "mail"}, "list": [{"key": CANARY}]}
    keys = {"items": {"properties": {"key": SECRET}}}
    answer = shop(schema({}, smtp={"properties": {"password": SECRET}}, list=keys), defaults)
    masked = {"smtp": {"password": MASK, "host": "mail"}, "list": [{"key": MASK}]}
    assert answer.document["default_values_json"] == masked
    assert deploy().document["desired_template"]["default_values_json"] == masked
    surface("update-product", product_id=1, template_id=1)
    for command, ids in (
        ("get-product", {"product_id": 1}),
        ("list-products", {}),
        ("list-templates", {"product_id": 1}),
        ("get-template", {"product_id": 1, "template_id": 1}),
    ):
        document = str(surface(command, **ids).document)
        assert MASK in document
        assert "hunter2" not in document
    assert final() == defaults
    assert "hunter2" not in stored()


@pytest.mark.parametrize("secret", [CANARY, "", 12345, None, True, ["a", {"b": 1}], {"c": "d"}])
def test_a_secret_of_any_type_is_masked_as_a_whole_and_kept(shop, deploy, change, revealed, secret):
    shop(schema({"x": {"writeOnly": True}}))
    assert deploy({"x": secret}).document["user_values_json"] == {"x": MASK}
    assert change({"x": MASK, "y": 1}).document["user_values_json"] == {"x": MASK, "y": 1}
    assert change().document["user_values_json"] == {"x": MASK, "y": 1}
    assert final()["user"]["x"] == secret
    assert revealed() == {"/user/x": secret}


def test_a_secret_can_be_replaced_and_taken_away(shop, deploy, change, revealed):
    shop(schema({"a": SECRET, "b": SECRET}))
    deploy({"a": "first-a", "b": "first-b"})
    change({"a": "second-a", "b": MASK})
    assert revealed() == {"/user/a": "second-a", "/user/b": "first-b"}
    change({"b": MASK})
    assert revealed() == {"/user/b": "first-b"}
    assert change({"a": MASK}).sentence.startswith(f"user values: /a is the mask {MASK}, and no")
    change({})
    assert revealed() == {}
    assert final() == {"user": {}}
    assert Deployment.get().secrets is not None, "what was replaced is still to be redacted"
    change({})
    assert Deployment.get().secrets is None


def test_a_mask_that_stands_for_nothing_is_refused(shop, deploy, rest):
    shop(schema({"a": SECRET, "deep": {"writeOnly": True}}))
    for values, place in (
        ({"a": MASK}, "/a"),
        ({"plain": MASK}, "/plain"),
        ({"deep": {"x": [MASK]}}, "/deep/x/0"),
    ):
        answer = deploy(values)
        assert answer.sentence.startswith(f"user values: {place} is the mask {MASK}, and no stored")
    assert rest("list-all-deployments").document == []
    for defaults in ({"db": MASK}, {"db": {"x": MASK}}):
        answer = shop(schema({}, db={"writeOnly": True}), defaults)
        assert answer.sentence == f"default values: /db is the mask {MASK}; send the value itself"


def test_in_a_list_a_mask_counts_only_while_the_list_is_as_it_was(shop, deploy, change, revealed):
    accounts = {"items": {"properties": {"password": SECRET}}}
    shop(schema({"accounts": accounts}))
    deploy({"accounts": [{"n": "a", "password": "of-a"}, {"n": "b", "password": "of-b"}]})
    a, b = ({"n": n, "password": MASK} for n in "ab")
    assert change({"accounts": [a, b], "other": 1}).ok
    for moved in ([b], [b, a], [a], [a, b, {"n": "c", "password": "of-c"}], [a, b | {"n": "c"}]):
        answer = change({"accounts": moved})
        assert answer.code in (1, 409)
        assert "for all of a list that changes" in answer.sentence
    assert change({"accounts": [{"n": "b", "password": "of-b"}]}).ok
    assert revealed() == {"/user/accounts/0/password": "of-b"}


# A newer template


def test_what_a_newer_template_newly_marks_becomes_a_secret(shop, deploy, change, revealed):
    shop(schema({"password": {"type": "string"}}))
    shop(schema({"password": SECRET}))
    assert deploy({"password": CANARY, "n": 1}).document["user_values_json"]["password"] == CANARY
    answer = change(template=2)
    assert answer.document["user_values_json"] == {"password": MASK, "n": 1}
    assert final() == {"user": {"password": CANARY, "n": 1}}
    assert revealed() == {"/user/password": CANARY}
    assert "hunter2" not in stored()


def test_what_a_newer_template_no_longer_marks_stays_a_secret_until_it_is_sent_anew(
    shop, deploy, change, revealed
):
    shop(schema({"password": SECRET}))
    shop(schema({"password": {"type": "string"}}))
    deploy({"password": CANARY})
    assert change(template=2).document["user_values_json"] == {"password": MASK}
    assert change({"password": MASK}).document["user_values_json"] == {"password": MASK}
    assert revealed() == {"/user/password": CANARY}
    assert change({"password": "plain"}).document["user_values_json"] == {"password": "plain"}
    assert revealed() == {}


def test_a_secret_grows_and_shrinks_with_the_mark(shop, deploy, change, revealed):
    shop(schema({"db": {"properties": {"password": SECRET}}}))
    shop(schema({"db": {"writeOnly": True}}))
    shop(schema({"db": {"properties": {"password": SECRET}}}))
    deploy({"db": {"password": CANARY, "host": "h"}})
    assert change(template=2).document["user_values_json"] == {"db": MASK}
    assert change(template=3).document["user_values_json"] == {"db": MASK}
    assert revealed() == {"/user/db": {"password": CANARY, "host": "h"}}


# Generated


def test_a_secret_is_generated_once(shop, deploy, change, revealed):
    shop(schema({"password": MADE}, db={"properties": {"password": MADE}}), {"db": {"host": "h"}})
    assert deploy().document["user_values_json"] is None
    made = revealed()
    assert made.keys() == {"/user/password", "/db/password"}
    assert len(set(made.values())) == 2
    assert all(len(value) == 32 and value.isalnum() and value.isascii() for value in made.values())
    values = {"user": {"password": made["/user/password"]}}
    values["db"] = {"host": "h", "password": made["/db/password"]}
    assert final() == values
    for sent in ([], [{}], [{"n": 1}]):
        assert change(*sent).ok
        assert revealed() == made
    assert final() == values | {"user": values["user"] | {"n": 1}}
    assert all(value not in stored() for value in made.values())


def test_a_user_may_set_what_would_be_generated(shop, deploy, change, revealed):
    shop(schema({"password": MADE}))
    deploy({"password": "my-own"})
    assert revealed() == {"/user/password": "my-own"}
    assert change({}).ok
    made = revealed()["/user/password"]
    assert len(made) == 32
    change({"password": "my-own-2"})
    assert final() == {"user": {"password": "my-own-2"}}
    change({})
    assert revealed() == {"/user/password": made}
    assert change({"password": MASK}).document["user_values_json"] == {"password": MASK}
    assert revealed() == {"/user/password": made}


def test_a_required_value_may_be_generated(shop, deploy):
    required = schema({"password": MADE})
    required["properties"]["user"]["required"] = ["password"]
    required["required"] = ["user"]
    shop(required)
    assert deploy({}).ok
    assert len(final()["user"]["password"]) == 32


def test_a_generated_secret_can_be_bound_where_a_chart_looks_for_it(shop, deploy, revealed):
    bindings = {"/postgresql/url": "postgres://app:${values.db.password}@db"}
    answer = shop(schema({}, db={"properties": {"password": MADE}}), None, {"bindings": bindings})
    assert answer.ok, answer.sentence
    deploy()
    assert final()["postgresql"]["url"] == f"postgres://app:{revealed()['/db/password']}@db"


def test_a_newer_template_generates_what_is_new_and_passes_on_what_was(
    shop, deploy, change, revealed
):
    shop(schema({}, a=MADE))
    shop(schema({}, a=SECRET, b=MADE))
    closed = schema({}, b=MADE)
    shop(closed | {"additionalProperties": False})
    deploy()
    a = revealed()["/a"]
    change(template=2)
    b = revealed()["/b"]
    assert final() == {"a": a, "b": b}
    change(template=3)
    assert final() == {"b": b}, "the newest has no room for a"


@pytest.mark.parametrize("newer", [{}, None, {"properties": {"user": {"maxProperties": 1}}}])
def test_a_newer_template_need_not_know_what_was_generated(shop, deploy, change, newer):
    shop(schema({"password": MADE}, db=MADE))
    shop(newer)
    deploy({})
    before = final()
    assert change(template=2).ok
    kept = before if newer and newer.get("properties") else {"db": before["db"]}
    assert final() == kept


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        ({"generate": {"length": 8}}, "what is generated must be a secret"),
        (MADE | {"type": "integer"}, "what is generated must be of type integer"),
        (MADE | {"maxLength": 31}, "what is generated must have at most 31 characters"),
        (MADE | {"minLength": 33}, "what is generated must have at least 33 characters"),
        (MADE | {"allOf": [{"maxLength": 9}]}, "what is generated must have at most 9 char"),
        (MADE | {"generate": {"length": 7}}, 'generate must be {"length": N}, N from 8 to 256'),
    ],
)
def test_what_can_never_be_generated_is_refused_with_its_place(shop, made, sentence):
    answer = shop(schema({}, db={"properties": {"password": made}}))
    assert answer.code == 409
    assert answer.sentence.startswith(f"values schema: at /db/password: {sentence}")


@pytest.mark.parametrize("mark", [{"user": SECRET}, {"user": {"allOf": [{"writeOnly": True}]}}])
def test_all_values_as_one_secret_are_refused(shop, mark):
    assert "mark the secrets among the values" in shop({"properties": mark}).sentence
    assert "mark the secrets among the values" in shop({"writeOnly": True}).sentence


# What is told


@pytest.mark.parametrize(
    "rule",
    [
        {"minLength": 999},
        {"maxLength": 1},
        {"pattern": "^x$"},
        {"type": "integer"},
        {"enum": ["other"]},
        {"not": {"type": "string"}},
        {"format": "ipv4"},
        {"anyOf": [{"type": "null"}, {"maxLength": 1}]},
        {"$ref": "#/$defs/short"},
    ],
    ids=lambda rule: next(iter(rule)),
)
def test_an_error_never_repeats_a_secret(shop, deploy, rule):
    rules = {"writeOnly": True} | rule
    values_schema = schema({"password": rules}) | {"$defs": {"short": {"maxLength": 1}}}
    assert shop(values_schema).ok
    answer = deploy({"password": CANARY})
    assert answer.sentence.startswith("user values are not valid: /password ")
    assert "hunter2" not in answer.sentence
    answer = shop(schema({}, db={"writeOnly": True, "type": "integer"}), {"db": CANARY})
    assert answer.sentence == "default values are not valid: /db must be of type integer"


def test_an_error_does_not_repeat_the_keys_in_a_secret(shop, deploy):
    creds = {"writeOnly": True, "additionalProperties": False, "properties": {"known": {}}}
    for parent in ({}, {"maxProperties": 0}, {"additionalProperties": {"type": "integer"}}):
        shop(schema({"creds": creds | parent}))
        answer = deploy({"creds": {CANARY: "x"}}, template=Template.select().count())
        assert "/creds " in answer.sentence
        assert "hunter2" not in answer.sentence


@pytest.mark.parametrize("secret", [CANARY, 123456789, {"a": [CANARY]}])
def test_what_programs_say_is_redacted(shop, deploy, change, secret):
    shop(schema({"x": {"writeOnly": True}}, db=MADE), None)
    deploy({"x": secret})
    generated = final()["db"]
    change({"x": "another-secret"})
    with session():
        deployment = get_any(1)
    leaf = secret["a"][0] if isinstance(secret, dict) else str(secret)
    said = f"bad {json.dumps(leaf)} and {leaf} and another-secret, {generated}, {generated[:20]}..."
    told = redact.scrub(said, deployment)
    assert told.replace('"', "") == "bad *** and *** and ***, ***, ***..."


def test_secrets_in_default_values_are_redacted(shop, deploy):
    shop(schema({}, smtp=SECRET), {"smtp": CANARY})
    deploy()
    with session():
        assert redact.scrub(f"said {CANARY}", get_any(1)) == "said ***"


def test_revealing_is_recorded_without_the_values(shop, deploy, surface):
    shop(schema({"password": SECRET}))
    deploy({"password": CANARY})
    answer = surface("reveal-secrets", user_id=1, deployment_id=1)
    assert answer.document == {
        "id": 1,
        "deployment_id": 1,
        "secrets": {"/user/password": CANARY},
    }
    event = Event.select().order_by(Event.id.desc()).get()
    assert (event.type, event.deployment_id) == ("secrets_revealed", 1)
    assert event.actor in ("operator", "root@example.org")
    assert "hunter2" not in event.message
    assert surface("reveal-secrets", user_id=2, deployment_id=1).code in (1, 404)


def test_a_deployment_without_secrets_needs_no_key(shop, deploy, revealed, tmp_path):
    shop(schema({"size": {}}))
    deploy({"size": 1})
    assert revealed() == {}
    assert list((tmp_path / "data").glob("secret*")) == []


def test_a_secret_goes_by_the_service_too(shop, settings):
    """Nothing of the surface is needed: whoever calls the services gets the same."""
    shop(schema({"password": SECRET}))
    from caelus.database import transaction

    with session(), transaction():
        made = deployments.create(
            user_id=1,
            desired_template_id=1,
            domainname="a.example.org",
            user_values_json={"password": CANARY},
        )
    assert made.user_values_json == {"password": MASK}
