"""The admin's pages of users and products."""

import urllib.parse

import pytest

from caelus import patience
from caelus.models import User
from tests.admins import Pages, Read, after, text_of
from tests.admins import admin as admin
from tests.test_database import foreign_lock
from tests.test_logins import Browser
from tests.test_overview import deploy

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


# Users


def test_users_are_found(admin, shop):
    shop("create-user", email="eve@example.org")
    assert "ada@example.org" in admin.get("/users").text
    found = admin.get("/users", search="EVE").text
    assert "eve@example.org" in found and "ada@example.org" not in found
    assert "Nobody is like that" in admin.get("/users", search="zoe").text


def test_a_user_is_made_and_gets_a_link_once(admin):
    place = after(admin.post("/users/new", email=" eve@example.org ", is_admin="on"))
    assert place == "/ui/admin/users/2?done=user"
    assert User.get_by_id(2).is_admin
    answer = admin.post("/users/2", action="link")
    url = Read(answer).with_id("link")["value"]
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers
    assert url not in admin.get("/users/2").text
    assert Browser().send("POST", urllib.parse.urlsplit(url).path).status_code == 303


@pytest.mark.parametrize(
    ("email", "status"), [("ADA@example.org", 409), ("nobody", 422), ("", 422)]
)
def test_a_refused_user_is_not_lost(admin, email, status):
    answer = admin.post("/users/new", email=email, is_admin="on")
    assert answer.status_code == status
    assert Read(answer).with_id("email")["value"] == email
    assert "checked" in answer.text
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize(
    ("path", "field", "fields"),
    [
        ("/users/new", "email", {"email": "eve@example.org"}),
        ("/products/new", "name", {"name": "Wiki"}),
    ],
)
def test_a_database_that_is_locked_is_no_fault_of_a_field(admin, path, field, fields, monkeypatch):
    monkeypatch.setattr(patience, "REQUEST_WAIT_SECONDS", 0.1)
    with foreign_lock():
        answer = admin.post(path, **fields)
    assert (answer.status_code, 'role="alert"' in answer.text) == (503, True)
    assert "aria-invalid" not in answer.text
    assert Read(answer).with_id(field)["value"] == fields[field]
    refused = admin.post(path, **dict.fromkeys(fields, ""))
    assert Read(refused).with_id(field)["aria-invalid"] == "true"


def test_a_role_is_given_and_taken(admin):
    assert after(admin.post("/users/1", action="make-admin")) == "/ui/admin/users/1?done=admin"
    assert after(admin.post("/users/1", action="make-plain")) == "/ui/admin/users/1?done=plain"
    last = admin.post("/users/0", action="make-plain")
    assert last.status_code == 404  # an id is at least 1: the tests' admin is out of reach


def test_the_last_admin_stays(admin, shop):
    User.update(is_admin=True).where(User.id == 1).execute()
    User.update(is_admin=False).where(User.id == 0).execute()
    ada = Pages(1)
    answer = ada.post("/users/1", action="make-plain")
    assert answer.status_code == 409
    assert "is the last admin" in text_of(answer)


def test_who_is_no_admin_any_more_is_led_to_their_own_apps(admin):
    User.update(is_admin=True).where(User.id == 1).execute()
    assert after(Pages(1).post("/users/1", action="make-plain")) == "/ui"


def test_tokens_are_made_and_deleted_for_a_user(admin):
    answer = admin.post("/users/1", action="token", name="laptop", expires_in_days="9")
    token = Read(answer).with_id("token")["value"]
    assert answer.headers["cache-control"] == "no-store"
    headers = {"Authorization": f"Bearer {token}"}
    assert Browser().send("GET", "/me", headers).json["email"] == "ada@example.org"
    page = admin.get("/users/1").text
    assert "laptop" in page and token not in page
    place = after(admin.post("/users/1", action="drop-token", token_id="1"))
    assert place == "/ui/admin/users/1?done=token-deleted"
    assert Browser().send("GET", "/me", headers).status_code == 401


def test_a_refused_token_is_not_lost(admin):
    answer = admin.post("/users/1", action="token", name="laptop", expires_in_days="soon")
    assert answer.status_code == 422
    assert "must be a whole number from 1 to 3650" in text_of(answer)
    page = Read(answer)
    assert page.with_id("name")["value"] == "laptop"
    assert page.with_id("expires_in_days")["value"] == "soon"


def test_a_token_of_no_days_is_refused_not_made_for_ever(admin, shop):
    answer = admin.post("/users/1", action="token", name="laptop", expires_in_days="0")
    assert answer.status_code == 422
    assert "must be a whole number from 1 to 3650" in text_of(answer)
    assert shop("list-tokens", user_id=1).document == []


def test_a_user_with_deployments_is_not_deleted(admin):
    deploy(2)
    answer = admin.post("/users/1", action="delete")
    assert answer.status_code == 409
    assert "Cannot delete user 1: 2 deployments use it" in text_of(answer)
    assert "d0.example.org" in answer.text


def test_a_user_without_deployments_is_deleted(admin):
    assert after(admin.post("/users/1", action="delete")) == "/ui/admin/users?done=deleted"
    assert admin.get("/users/1").status_code == 404


# Products


def test_a_refused_product_is_not_lost(admin):
    answer = admin.post("/products/new", name="Notes", description="For <b>")
    assert answer.status_code == 409
    assert "A product named 'Notes' exists already" in text_of(answer)
    assert Read(answer).with_id("description")["value"] == "For <b>"


def test_a_product_is_described_offered_and_withdrawn(admin, shop):
    assert "Users can't have it yet" in admin.get("/products/1").text.replace("&#39;", "'")
    assert after(admin.post("/products/1", action="offer", template_id="1")).endswith("offered")
    save = {"action": "save", "description": "Short texts"}
    assert after(admin.post("/products/1", **save, template_id="2")).endswith("saved")
    product = shop("get-product", product_id=1).document
    assert (product["template_id"], product["description"]) == (2, "Short texts")
    after(admin.post("/products/1", **save, template_id=""))
    assert shop("get-product", product_id=1).document["template_id"] is None


def test_a_form_of_before_the_first_template_withdraws_none(admin, shop):
    after(admin.post("/products/1", action="offer", template_id="1"))
    after(admin.post("/products/1", action="save", description="Short texts"))
    assert shop("get-product", product_id=1).document["template_id"] == 1


def test_what_was_typed_of_a_product_is_not_lost(admin):
    answer = admin.post("/products/1", action="save", description="Kept", template_id="99")
    assert answer.status_code == 404
    assert "Template 99 not found" in text_of(answer)
    assert Read(answer).texts["description"] == "Kept"


def test_products_and_templates_that_are_used_are_not_deleted(admin):
    deploy(1)
    for path in ("/products/1", "/products/1/templates/1"):
        answer = admin.post(path, action="delete")
        assert answer.status_code == 409
        assert "1 deployment uses it; delete those first" in text_of(answer)
    place = after(admin.post("/products/1/templates/2", action="delete"))
    assert place == "/ui/admin/products/1?done=deleted"


def test_a_product_is_deleted(admin):
    assert after(admin.post("/products/1", action="delete")) == "/ui/admin/products?done=deleted"
    assert "There is no product yet" in admin.get("/products").text


def test_a_template_is_shown_as_people_read_it(admin):
    page = admin.get("/products/1/templates/1")
    assert "bindings:\n  /host: ${domainname}" in page.text
    assert "from=1" in page.text
