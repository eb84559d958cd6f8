"""Secrets: a column of their own for what is encrypted of values."""


def migrate(migrator, database, fake=False, **kwargs):
    migrator.sql("ALTER TABLE templates ADD COLUMN secrets TEXT")
    migrator.sql("ALTER TABLE deployments ADD COLUMN secrets TEXT")
