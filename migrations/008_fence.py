"""What fences a namespace, so that it need not be looked at before each upgrade."""


def migrate(migrator, database, fake=False, **kwargs):
    migrator.sql("ALTER TABLE deployments ADD COLUMN fence TEXT")
