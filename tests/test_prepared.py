"""Queries whose SQL is kept: they give what peewee's own would, call after call."""

import datetime

import peewee
import pytest

from caelus.database import database, is_postgres, session, transaction
from caelus.errors import Unavailable
from caelus.models import Job, Product, Template, User, now
from caelus.prepared import insert, prepared
from tests.conftest import counted

AT = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC)


@prepared
def by(email, at):
    query = User.select()
    if email is not None:
        query = query.where(User.email == email)
    if at is not None:
        query = query.where(User.created_at <= at)
    return query.order_by(User.id)


@prepared
def of_product(name):
    return Template.select(Template, Product).join(Product).where(Product.name == name)


@prepared
def renamed(id, **changes):
    return User.update(**changes).where(User.id == id)


@prepared
def returned(email, is_admin):
    return User.update(is_admin=is_admin).where(User.email == email).returning(User)


@prepared
def named(id):
    return User.select().where(User.id == id, User.email.in_(("it's", "eve@example.org")))


@pytest.fixture
def people(settings):
    with session(), transaction():
        for name in ("ada", "eve"):
            insert(User(email=f"{name}@example.org", email_key=name, created_at=AT))
    with session():
        yield


def emails(rows) -> list[str]:
    return [row.email.partition("@")[0] for row in rows]


def test_each_call_has_its_own_values(people):
    assert emails(by.all(email="ada@example.org", at=None)) == ["ada"]
    assert emails(by.all(email="eve@example.org", at=None)) == ["eve"]
    assert by.first(email="nobody", at=None) is None


def test_none_makes_another_query(people):
    assert emails(by.all(email=None, at=None)) == ["ada", "eve"]
    assert emails(by.all(email="eve@example.org", at=None)) == ["eve"]


def test_values_are_converted_as_their_columns_do(people):
    zone = datetime.timezone(datetime.timedelta(hours=5))
    assert emails(by.all(email=None, at=AT.astimezone(zone))) == ["ada", "eve"]
    assert by.all(email=None, at=AT - datetime.timedelta(microseconds=1)) == []


def test_rows_are_what_peewee_makes_of_them(people):
    kept = by.first(email="ada@example.org", at=None)
    fresh = User.select().where(User.email == "ada@example.org").get()
    assert kept.__data__ == fresh.__data__
    assert (kept.created_at, kept.is_admin, kept.dirty_fields) == (AT, False, [])


def test_what_a_join_loads_is_loaded(people):
    product = Product.create(name="App")
    insert(Template(product=product, chart_ref="r", chart_version="1", capabilities_json={"a": 1}))
    template = of_product.first(name="App")
    with counted() as made:
        assert (template.product.name, template.capabilities_json) == ("App", {"a": 1})
    assert made == []


def test_written_columns_are_converted_and_null_is_a_value(people):
    assert renamed.run(id=1, created_at=AT, deleted_at=AT) == 1
    assert User.get_by_id(1).deleted_at == AT
    assert renamed.run(id=1, created_at=AT, deleted_at=None) == 1
    assert User.get_by_id(1).deleted_at is None
    assert renamed.run(id=99, created_at=AT, deleted_at=None) == 0


def test_an_update_can_give_its_rows(people):
    found = returned.all(email="eve@example.org", is_admin=True)
    assert [(row.id, row.is_admin) for row in found] == [(2, True)]


def test_constants_are_written_out_for_the_planner(people):
    with counted() as made:
        assert [row.id for row in named.all(id=2)] == [2]
        assert not named.all(id=1)
    sql, again = made
    assert sql.endswith("""IN ('it''s', 'eve@example.org')))""") and sql == again


def test_postgres_plans_a_statement_once(people):
    if not is_postgres():
        pytest.skip("SQLite's plans know no values")
    for _ in range(8):
        named.all(id=2)
    asked = "SELECT generic_plans, custom_plans FROM pg_prepared_statements"
    plans = database.execute_sql(f"{asked} WHERE position(%s in statement) > 0", ("eve@",))
    assert plans.fetchall() == [(8, 0)]


def test_an_inserted_row_has_its_id_and_its_own_time(people):
    before = now()
    one, other = User(email="a", email_key="a"), User(email="b", email_key="b")
    for row in (one, other):
        insert(row)
    assert (one.id, other.id) == (3, 4)
    assert before <= User.get_by_id(3).created_at <= User.get_by_id(4).created_at
    assert User.get_by_id(4).__data__ == other.__data__ | {"deleted_at": None}


def test_a_missing_default_is_not_that_of_the_first_row(people):
    """What a row lacks is null: a default of now, kept in the SQL, would be the first one's."""
    row = User(__no_default__=True, email="a", email_key="a", is_admin=False)
    with pytest.raises(peewee.IntegrityError, match="(?i)null"), transaction():
        insert(row)


@prepared
def moved(id, product):
    return Template.update(product=product).where(Template.id == id)


def test_a_row_stands_for_its_id(people):
    first, second = Product.create(name="First"), Product.create(name="Second")
    insert(Template(product=first, chart_ref="r", chart_version="1"))
    assert moved.run(id=1, product=second) == 1
    assert Template.get_by_id(1).product_id == second.id


def test_a_foreign_key_is_written_as_its_id(shop):
    from tests.test_deployments import NEW

    assert shop("create-deployment", **NEW).ok
    assert Job.get_by_id(1).deployment_id == 1


@pytest.fixture
def on_postgres(settings):
    if not is_postgres():
        pytest.skip("only Postgres is asked to keep statements")
    with session():
        yield database.obj


def test_postgres_prepares_a_statement_once_for_a_connection(on_postgres):
    with session():
        for email in ("ada", "eve", "ada"):
            by.all(email=email, at=None)
        kept = "SELECT statement FROM pg_prepared_statements WHERE statement LIKE '%%users%%'"
        (one,) = database.execute_sql(kept).fetchall()
    assert "= $1" in one[0]


def test_a_statement_is_good_after_a_transaction_that_failed(on_postgres):
    with session():
        with pytest.raises(peewee.IntegrityError, match="unique"), transaction():
            for _ in range(2):
                insert(User(email="ada", email_key="ada"))
        insert(User(email="eve", email_key="eve"))
        assert emails(by.all(email=None, at=None)) == ["eve"]


def test_a_per_cent_sign_in_kept_sql_is_itself(on_postgres):
    with session():
        answer = on_postgres.execute_kept("SELECT 7 %% 4, %s || '%%'", ["5"])
        assert answer.fetchone() == (3, "5%")


def test_a_statement_is_prepared_anew_where_the_connection_was_lost(on_postgres):
    def backend() -> int:
        return on_postgres.execute_kept("SELECT pg_backend_pid()", []).fetchone()[0]

    with session():
        before = backend()
    with pytest.raises(Unavailable), session():
        on_postgres.execute_kept("SELECT pg_terminate_backend(pg_backend_pid())", [])
    with session():
        assert backend() != before
