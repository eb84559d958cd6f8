"""Getting the schema, changing it, and what is in it."""

import os
import re
import sqlite3
import threading

import peewee
import pytest
from playhouse.schema_diff import diff_models

from caelus import database, migrate
from caelus.models import (
    MODELS,
    UNIQUE,
    Audit,
    ClusterMark,
    Deployment,
    Event,
    Icon,
    Job,
    LoginLink,
    Product,
    Session,
    Sweep,
    Tally,
    Template,
    Token,
    User,
    now,
)
from tests.old_schemas import add_migration as add_migration
from tests.old_schemas import console as console
from tests.program import Program


def create(model, **columns):
    """A row of `model` as bare as the schema allows, past all rules of the services."""
    parents = {
        User: {"email": "a", "email_key": "a"},
        Product: {"name": "Notes"},
        Icon: {"product": 1, "uri": "data:"},
        Template: {"product": 1, "chart_ref": "x", "chart_version": "1"},
        Deployment: {
            "user": 1,
            "desired_template": 1,
            "domainname": "a.example.org",
            "deployment_uid": f"uid-{os.urandom(8).hex()}",
            "status": "ready",
        },
        Job: {"deployment": 1, "reason": "create"},
        ClusterMark: {"is_simulated": False},
        Sweep: {"name": "drift", "started_at": now()},
        Tally: {
            **{"what": "drift", "reason": os.urandom(8).hex(), "cause": "none"},
            **{"upto": 0, "count": 1, "seconds": 0.5},
        },
        Event: {"deployment": 1, "type": "created", "actor": "a", "message": "m"},
        Audit: {},
        Token: {"user": 1, "name": "laptop", "hash": os.urandom(8).hex()},
        LoginLink: {"user": 1, "hash": os.urandom(8).hex(), "expires_at": now()},
        Session: {
            "user": 1,
            "hash": os.urandom(8).hex(),
            "expires_at": now(),
            "last_seen_at": now(),
        },
    }
    return model.create(**parents[model] | columns)


@pytest.fixture
def rows(settings):
    """One row in each table."""
    return {model: create(model) for model in MODELS}


# Getting the schema


@pytest.mark.parametrize("command", ["list-users", "reconcile", "migrate"])
def test_a_new_database_gets_its_schema_by_any_command(console, command):
    assert console.run(command).ok
    assert migrate.applied() == migrate.newest()


def test_migrate_says_what_it_applied_and_is_idempotent(console):
    names = migrate.newest()
    assert console.run("migrate").document == {"schema": names[-1], "applied": names}
    assert console.run("migrate").document == {"schema": names[-1], "applied": []}


def test_an_older_schema_is_refused_until_migrate_was_run(cli, add_migration):
    before = migrate.newest()[-1]
    add_migration("900_more", 'migrator.sql("CREATE TABLE more (id INTEGER)")')
    for command in ("list-users", "reconcile"):
        answer = cli.run(command)
        assert answer.code == 1
        assert answer.sentence == (
            f"the database has schema {before}, this Caelus needs 900_more; run: caelus migrate"
        )
    assert cli.run("migrate").document == {"schema": "900_more", "applied": ["900_more"]}
    assert cli.run("list-users").ok


NEWER = (
    "the database was made by a newer Caelus (schema 999_later); "
    "install that version or a newer one"
)


@pytest.fixture
def newer(settings):
    """A database that a later version has changed."""
    database.database.execute_sql(
        "INSERT INTO migratehistory (name, migrated_at) VALUES ('999_later', '2030-01-01')"
    )


@pytest.mark.parametrize("command", ["list-users", "reconcile", "migrate"])
def test_a_newer_schema_is_refused(newer, cli, command):
    answer = cli.run(command)
    assert (answer.code, answer.sentence) == (1, NEWER)


def test_a_newer_schema_is_not_served(newer):
    done = Program().run("serve", "--port=0", timeout=30)
    assert (done.returncode, done.stderr) == (1, NEWER + "\n")


def test_six_processes_may_start_at_once_on_a_new_database(database_url):
    program, ended = Program(), []
    commands = ["list-users", "migrate", "list-jobs"] * 2
    threads = [
        threading.Thread(target=lambda c=command: ended.append(program.run(c)))
        for command in commands
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(done.returncode, done.stderr) for done in ended if done.returncode] == []
    assert sum("applied migration 001_initial" in done.stderr for done in ended) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_new_file_that_another_process_has_begun_to_write_is_waited_for(console, tmp_path):
    """SQLite itself does not wait when it is to switch to WAL, whatever the busy timeout."""
    other = sqlite3.connect(tmp_path / "caelus.db", check_same_thread=False, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.2, other.close).start()
    assert console.run("list-users").ok


# What is in the schema


def columns_and_links():
    """All columns, foreign keys and primary keys, table by table."""
    ours = database.database
    kinds = {} if database.is_postgres() else {"boolean": "integer"}  # the same to SQLite
    return {
        model.__name__: (
            sorted(
                (column.name, kinds.get(kind, kind), column.null)
                for column in ours.get_columns(table)
                for kind in [column.data_type.lower()]
            ),
            sorted((k.column, k.dest_table, k.dest_column) for k in ours.get_foreign_keys(table)),
            ours.get_primary_keys(table),
        )
        for model in MODELS
        for table in [model._meta.table_name]
    }


def indexes() -> dict[str, tuple]:
    """(table, columns, unique, condition) of each index that has a name of our own."""
    found = {}
    for model in MODELS:
        table = model._meta.table_name
        for index in database.database.get_indexes(table):
            where = " ".join(index.sql.split()).partition(" WHERE ")[2].replace("::text", "")
            where = re.sub(r"= ANY \(ARRAY\[(.*)\]\)", r"IN (\1)", where)
            where = re.sub(r"^\((.*)\)$", r"\1", where)
            found[index.name] = (table, index.columns, index.unique, where)
    return found


def test_the_models_and_the_schema_do_not_differ(settings):
    difference = diff_models(database.database.obj, MODELS)
    assert [str(part) for part in difference[:-1]] == ["[]"] * 4
    assert {index.name for index in difference.drop_indexes} == {
        "users_email_alive",
        "products_name_alive",
        "templates_chart_alive",
        "deployments_uid",
        "deployments_domain_alive",
        "deployments_restored",
        "jobs_due",
        "jobs_one_open",
        "jobs_running",
        "jobs_counted",
        "events_age",
        "sweeps_name",
        "tallies_row",
        "tokens_hash",
        "login_links_hash",
        "sessions_hash",
    }
    migrated = columns_and_links()
    database.database.drop_tables(MODELS)
    database.database.create_tables(MODELS)
    assert migrated == columns_and_links()


def test_all_unique_indexes_are_those_that_are_looked_for(settings):
    primary = {name for name in indexes() if name.endswith("_pkey")}
    assert {name for name, index in indexes().items() if index[2]} - primary == UNIQUE


def test_the_indexes_have_the_conditions_of_the_rules(settings):
    alive = "deleted_at IS NULL"
    expected = {
        "users_email_alive": ("users", ["email_key"], True, alive),
        "products_name_alive": ("products", ["name"], True, alive),
        "templates_chart_alive": (
            "templates",
            ["product_id", "chart_ref", "chart_version"],
            True,
            alive,
        ),
        "deployments_domain_alive": ("deployments", ["domainname"], True, "status <> 'deleted'"),
        "deployments_uid": ("deployments", ["deployment_uid"], True, ""),
        "jobs_one_open": ("jobs", ["deployment_id"], True, "status IN ('queued', 'running')"),
        "jobs_due": ("jobs", ["run_after", "id"], False, "status = 'queued'"),
    }
    assert {name: index for name, index in indexes().items() if name in expected} == expected


@pytest.mark.parametrize("model", [User, Product, Template])
def test_what_is_deleted_frees_its_name_in_the_database_itself(rows, model):
    with pytest.raises(peewee.IntegrityError), database.transaction():
        create(model)
    model.update(deleted_at=now()).execute()
    assert create(model).id > 1


def test_a_template_of_another_version_or_product_is_another(rows):
    create(Product, name="Other")
    assert [create(Template, chart_version="2").id, create(Template, product=2).id] == [2, 3]


@pytest.mark.parametrize("status", ["provisioning", "ready", "error", "deleting"])
def test_a_domain_is_taken_in_the_database_itself_until_it_is_deleted(rows, status):
    Deployment.update(status=status, deleted_at=now()).execute()
    with pytest.raises(peewee.IntegrityError), database.transaction():
        create(Deployment)
    Deployment.update(status="deleted").execute()
    assert create(Deployment).domainname == "a.example.org"


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_deployment_has_one_open_job_in_the_database_itself(rows, status):
    Job.update(status=status).execute()
    for other in ("queued", "running"):
        with pytest.raises(peewee.IntegrityError), database.transaction():
            create(Job, status=other)
    for closed in ("done", "failed"):
        create(Job, status=closed)
        Job.update(status=closed).execute()
    assert create(Job, status=status).status == status


@pytest.mark.parametrize("model", MODELS)
def test_an_id_does_not_come_back_after_its_row_was_removed_by_hand(settings, model):
    for parent in MODELS[: MODELS.index(model)]:
        create(parent)
    first = create(model)
    first.delete_instance()
    assert create(model).id > first.id


# Changing the schema


REBUILD = """
class User(pw.Model):
    email = pw.TextField()
    deleted_at = pw.DateTimeField(null=True)

    class Meta:
        table_name = "users"

migrator.orm.add(User)
"""


@pytest.mark.parametrize(
    "change",
    [
        'migrator.sql("UPDATE users SET deleted_at = created_at")\n'
        'migrator.add_not_null("users", "deleted_at")',
        'migrator.change_fields("users", email=pw.CharField(max_length=254))',
        'migrator.add_fields("users", name=pw.TextField(default="nobody"))',
    ],
    ids=["add_not_null", "change_fields", "add_fields"],
)
def test_changing_a_table_keeps_the_rows_that_refer_to_it(rows, cli, add_migration, change):
    add_migration("900_rebuild", REBUILD + change)
    assert cli.run("migrate").ok
    assert {model: model.select().count() for model in MODELS} == (
        dict.fromkeys(MODELS, 1) | {Audit: 2}  # the migration makes one
    )
    assert indexes()["users_email_alive"][1:3] == (["email_key"], True)
    with pytest.raises(peewee.IntegrityError), database.transaction():
        create(Deployment, user=99, domainname="b.example.org")


def everything():
    """All table definitions that there are, and how many rows."""
    ours = database.database
    tables = {table: ours.get_columns(table) for table in ours.get_tables()}
    return tables, [model.select().count() for model in MODELS], migrate.applied()


def test_a_migration_that_fails_leaves_the_database_as_it_was(rows, cli, add_migration):
    before = everything()
    add_migration("900_fine", 'migrator.sql("CREATE TABLE fine (id INTEGER)")')
    add_migration(
        "901_broken", 'migrator.sql("DELETE FROM jobs")\nmigrator.sql("DROP TABLE nowhere")'
    )
    assert cli.run("migrate").code == 1
    assert everything() == before


def test_a_migration_that_leaves_orphans_is_refused(rows, cli, add_migration):
    before = everything()
    add_migration("900_orphans", 'migrator.sql("DELETE FROM users")')
    assert cli.run("migrate").code == 1
    assert everything() == before
