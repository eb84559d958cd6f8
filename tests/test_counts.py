"""How many statements each request makes: as many as ever, however many rows there are."""

import pytest

from caelus import jobs
from caelus.database import is_postgres, session, transaction
from tests.conftest import TEMPLATE, counted

# Without BEGIN and COMMIT. The first is that of the token; the last three of a change are the
# event's: the end of the chain, the event, its new end.
STATEMENTS = {
    "get-user": 2,
    "list-users": 2,
    "list-products": 2,
    "list-templates": 3,
    "get-deployment": 2,
    "list-deployments": 3,
    "list-all-deployments": 2,
    "list-jobs": 2,
    "create-user": 5,
    "create-deployment": 8,
    "update-deployment": 10,
    "delete-deployment": 10,
}
# On Postgres the last two are one; for a new deployment the product is locked besides.
FEWER_ON_POSTGRES = {"create-user": 1, "update-deployment": 1, "delete-deployment": 1}
ARGUMENTS = {
    "get-user": {"user_id": 1},
    "list-templates": {"product_id": 1},
    "get-deployment": {"user_id": 1, "deployment_id": 1},
    "list-deployments": {"user_id": 1},
    "create-user": {"email": "new@example.org"},
    "create-deployment": {
        "user_id": 1,
        "desired_template_id": 1,
        "domainname": "new.example.org",
        "user_values_json": {"size": 3},
    },
    "update-deployment": {"user_id": 1, "deployment_id": 1, "domainname": "other.example.org"},
    "delete-deployment": {"user_id": 1, "deployment_id": 1},
}


def finish_all() -> None:
    while True:
        with session():
            job = jobs.claim("test")
            if job is None:
                return
            with transaction():
                jobs.finish(job)


def fill(shop, first: int, last: int) -> None:
    for n in range(first, last + 1):
        shop("create-user", email=f"u{n}@example.org")
        shop("create-product", name=f"Product {n}")
        shop("create-template", product_id=1, **TEMPLATE | {"chart_version": f"2.{n}.0"})
        place = {"desired_template_id": 1, "domainname": f"d{n}.example.org"}
        assert shop("create-deployment", user_id=1, **place).ok
    finish_all()


def number_of(shop, command: str) -> int:
    with counted() as made:
        assert shop(command, **ARGUMENTS.get(command, {})).ok
    return len(made)


@pytest.mark.parametrize("command", STATEMENTS)
def test_a_request_makes_so_many_statements_and_no_more(shop, command):
    fill(shop, 1, 1)
    wanted = STATEMENTS[command] - (FEWER_ON_POSTGRES.get(command, 0) if is_postgres() else 0)
    shop("get-user", user_id=1)  # once a minute the use of a token is noted
    assert number_of(shop, command) == wanted


@pytest.mark.parametrize("command", [c for c in STATEMENTS if c.startswith("list")])
def test_a_list_makes_no_more_statements_for_more_rows(shop, command):
    fill(shop, 1, 2)
    few = number_of(shop, command)
    fill(shop, 3, 12)
    assert number_of(shop, command) == few


def test_a_claim_is_one_statement_and_a_look_where_looking_is_free(shop):
    fill(shop, 1, 2)
    shop("update-deployment", user_id=1, deployment_id=1, domainname="new.example.org")
    with session(), counted() as claim:
        job = jobs.claim("test")
    assert len(claim) == (1 if is_postgres() else 2)
    with session(), transaction(), counted() as finish:
        assert jobs.finish(job)
    assert len(finish) == 1
    with session(), counted() as nothing:
        assert jobs.claim("test") is None
    assert len(nothing) == 1
