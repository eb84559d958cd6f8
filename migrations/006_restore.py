"""What a restored database has still to find out: whether the cluster has moved on since."""

INDEX = (
    "CREATE INDEX deployments_restored ON deployments (id) WHERE restored_generation IS NOT NULL"
)


def migrate(migrator, database, fake=False, **kwargs):
    migrator.sql("ALTER TABLE deployments ADD COLUMN restored_generation INTEGER")
    migrator.sql(INDEX)
