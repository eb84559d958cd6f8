"""Several machines on one Postgres, each with a data directory of its own; upgrades one by one."""

import base64
import shutil
import sys

import peewee
import pytest

from caelus import migrate
from caelus.models import MODELS
from tests.program import ROOT, Program
from tests.test_serve import TEMPLATE, publish, stub

KEY = base64.b64encode(b"k" * 32).decode()
FIRST_WITH_THE_RULE = "005"  # of the migrations; what came before was never released
SECRET = {"type": "string", "writeOnly": True, "generate": {"length": 24}}
SCHEMA = {"properties": {"user": {"properties": {"password": SECRET}}}}
NEXT_RELEASE = """
def migrate(migrator, database, **kwargs):
    migrator.sql("CREATE TABLE novelties (id INTEGER PRIMARY KEY)")
    for table in {tables}:
        migrator.sql(f"ALTER TABLE {{table}} ADD COLUMN novelty VARCHAR(10)")
"""


def machine(tmp_path, url: str, name: str, *command: str) -> Program:
    directory = tmp_path / name
    directory.mkdir()
    return Program(
        *command,
        CAELUS_DATABASE_URL=url,
        CAELUS_DATA_DIR=str(directory / "data"),
        CAELUS_SECRET_KEY=KEY,
        CAELUS_HELM=stub(directory / "helm", "cat >/dev/null; echo '[]'"),
        CAELUS_KUBECTL=stub(directory / "kubectl", "cat >/dev/null"),
    )


def next_release(tmp_path, url: str) -> Program:
    """This program with one migration more, as the next release will have."""
    tree = tmp_path / "next"
    for part in ("caelus", "docs", "migrations"):
        shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
    tables = [model._meta.table_name for model in MODELS]
    (tree / "migrations" / "999_next.py").write_text(NEXT_RELEASE.format(tables=tables))
    # -P: not what is in the working directory.
    program = machine(tmp_path, url, "new", sys.executable, "-P", "-m", "caelus")
    program.env["PYTHONPATH"] = str(tree)
    return program


def deploy(server, number: int) -> str:
    """Ask for a deployment; gives its path."""
    new = {"desired_template_id": 1, "domainname": f"d{number}.example.org"}
    status, made = server.ask("POST", "/users/1/deployments", new)
    assert status == 201, made
    return f"/users/1/deployments/{made['id']}"


@pytest.mark.slow
def test_two_machines_share_work_tokens_and_secrets(tmp_path, postgres_url):
    one, two = (machine(tmp_path, postgres_url, name) for name in ("one", "two"))
    with one.serve() as first, two.serve("--workers=0") as second:
        first.ask("POST", "/users", {"email": "ada@example.org"})
        first.ask("POST", "/products", {"name": "Notes"})
        first.ask("POST", "/products/1/templates", TEMPLATE | {"values_schema_json": SCHEMA})
        path = deploy(second, 1)  # which has no worker of its own
        first.wait_for(path, "ready", seconds=30)
        shown = [server.ask("POST", f"{path}/reveal-secrets")[1] for server in (first, second)]
    assert shown[0]["secrets"] == shown[1]["secrets"] != {}
    assert not any((tmp_path / name / "data" / "secret.key").exists() for name in ("one", "two"))


@pytest.mark.slow
def test_old_machines_go_on_while_the_next_release_is_brought_to_one_after_the_other(
    tmp_path, postgres_url
):
    old = machine(tmp_path, postgres_url, "old")
    with old.serve() as before:
        publish(before)
        before.wait_for(deploy(before, 1), "ready", seconds=30)
        new = next_release(tmp_path, postgres_url)
        with new.serve("--workers=0") as after:
            assert before.ask("GET", "/readyz") == (200, {"status": "ready"})
            assert after.ask("GET", "/readyz") == (200, {"status": "ready"})
            before.wait_for(deploy(before, 2), "ready", seconds=30)
            before.wait_for(deploy(after, 3), "ready", seconds=30)  # done by the old worker
            assert before.ask("DELETE", "/users/1/deployments/1")[0] == 204
            after.wait_for("/users/1/deployments/1", "deleted", seconds=30)
        # What is started anew is refused: it can't know what the newer schema means.
        refused = old.run("list-users")
        assert (refused.returncode, refused.stderr.count("newer Caelus (schema 999_next)")) == (
            1,
            1,
        )
    with new.serve() as after:
        after.wait_for(deploy(after, 4), "ready", seconds=30)


def columns(own) -> dict[tuple[str, str], bool]:
    """All columns of the database, by table and name: whether an INSERT may leave it out."""
    return {
        (table, column.name): column.null or column.default is not None or column.primary_key
        for table in own.get_tables()
        for column in own.get_columns(table)
    }


def test_each_migration_leaves_what_the_release_before_it_needs(tmp_path):
    own = peewee.SqliteDatabase(tmp_path / "caelus.db")
    router = migrate._router(own)
    for name in migrate.newest():
        before = columns(own)
        router.run(name)
        after = columns(own)
        if before and name >= FIRST_WITH_THE_RULE:
            tables = {table for table, _ in before}
            assert before.keys() <= after.keys(), name
            new = {place for place in after.keys() - before.keys() if place[0] in tables}
            assert [place for place in new if not after[place]] == [], name
    own.close()
