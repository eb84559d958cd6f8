"""Databases of older schemas."""

import shutil

import pytest

from caelus import migrate
from tests.conftest import Cli


@pytest.fixture
def console(database_url, capsys):
    """`caelus`, on a database without a schema."""
    return Cli(capsys)


@pytest.fixture
def add_migration(tmp_path, monkeypatch):
    """add_migration(name, body) gives the program one more migration."""
    directory = tmp_path / "migrations"
    shutil.copytree(migrate.MIGRATIONS, directory)
    monkeypatch.setattr(migrate, "MIGRATIONS", directory)

    def add(name: str, body: str) -> None:
        lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
        text = f"import peewee as pw\n\ndef migrate(migrator, database, **kwargs):\n{lines}\n"
        (directory / f"{name}.py").write_text(text)

    return add
