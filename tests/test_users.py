"""The rules of users, on both surfaces and both databases."""

import pytest

from tests.conftest import TEMPLATE


def test_a_new_user_is_shown_with_what_was_asked_for(surface):
    answer = surface("create-user", email="Ada@example.org", is_admin=True)
    assert answer.ok
    assert answer.document["email"] == "Ada@example.org"
    assert answer.document["is_admin"] is True
    assert answer.document["created_at"].endswith("Z")
    assert surface("get-user", user_id=answer.document["id"]).document == answer.document


@pytest.mark.parametrize("email", ["", "ada", "ada@", "@example.org", "a b@example.org", "a@b\n"])
def test_what_is_no_email_is_refused(surface, email):
    answer = surface("create-user", email=email)
    assert answer.code in (422, 1)
    assert "email" in answer.sentence


def test_an_email_is_taken_whatever_its_case(surface):
    assert surface("create-user", email="ada@example.org").ok
    answer = surface("create-user", email="ADA@Example.ORG")
    assert answer.code in (409, 1)
    assert answer.sentence == "a user with the e-mail ADA@Example.ORG exists already"


def test_a_deleted_user_is_gone_and_frees_the_email(surface):
    first = surface("create-user", email="ada@example.org").document
    assert surface("delete-user", user_id=first["id"]).ok
    assert surface("get-user", user_id=first["id"]).code in (404, 1)
    assert surface("delete-user", user_id=first["id"]).code in (404, 1)
    assert surface("list-users", after=0).document == []
    second = surface("create-user", email="ada@example.org").document
    assert second["id"] > first["id"]


def test_a_list_is_in_order_of_ids_and_comes_in_pages(surface):
    for name in ("c", "a", "b"):
        surface("create-user", email=f"{name}@example.org")
    assert [u["id"] for u in surface("list-users", after=0).document] == [1, 2, 3]
    assert [u["id"] for u in surface("list-users", limit=2, after=0).document] == [1, 2]
    assert [u["id"] for u in surface("list-users", limit=2, after=2).document] == [3]


@pytest.mark.parametrize("paging", [{"limit": 0}, {"limit": "x"}, {"after": -1}])
def test_a_page_of_no_size_is_refused(surface, paging):
    answer = surface("list-users", **paging)
    assert answer.code in (422, 1)
    assert next(iter(paging)) in answer.sentence


@pytest.mark.parametrize("user_id", ["abc", "0", "01", "1_0", "9" * 30, "１"])
def test_an_id_that_is_no_number_is_not_found(surface, user_id):
    assert surface("get-user", user_id=user_id).code in (404, 1)


def test_a_user_with_a_deployment_is_not_deleted(shop, surface):
    shop("create-deployment", user_id=1, desired_template_id=1, domainname="a.example.org")
    answer = surface("delete-user", user_id=1)
    assert answer.code in (409, 1)
    assert answer.sentence == "cannot delete user 1: 1 deployment uses it; delete those first"
    assert surface("get-user", user_id=1).ok


def test_ids_never_come_back(surface):
    for expected in (1, 2, 3):
        user = surface("create-user", email="ada@example.org").document
        assert user["id"] == expected
        surface("delete-user", user_id=user["id"])


def test_the_template_of_the_tests_is_accepted(surface):
    surface("create-product", name="Notes")
    assert surface("create-template", product_id=1, **TEMPLATE).ok
