"""Which kind of cluster the database's states are about: one row, once anything was reconciled."""

from caelus.migrate import id_column

TABLE = """CREATE TABLE cluster_marks (
    id {id},
    created_at {time} NOT NULL,
    is_simulated BOOLEAN NOT NULL
)"""


def migrate(migrator, database, fake=False, **kwargs):
    migrator.sql(TABLE.format(**id_column(database)))
