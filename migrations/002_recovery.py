"""What recovery must know: whose lock a release may have, and how often an attempt was futile."""

from caelus.migrate import id_column

CHANGES = """
ALTER TABLE deployments ADD COLUMN acting_revision INTEGER;
ALTER TABLE deployments ADD COLUMN acting_since {time};
ALTER TABLE deployments ADD COLUMN acting_until {time};
ALTER TABLE jobs ADD COLUMN futile INTEGER NOT NULL DEFAULT 0
"""


def migrate(migrator, database, fake=False, **kwargs):
    for statement in CHANGES.format(**id_column(database)).split(";"):
        migrator.sql(statement)
