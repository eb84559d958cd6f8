"""Which request a job comes from; what was done, counted for /metrics."""

from caelus.migrate import id_column

CHANGES = """
ALTER TABLE jobs ADD COLUMN request_id TEXT;

CREATE TABLE tallies (
    id {id},
    created_at {time} NOT NULL,
    what TEXT NOT NULL,
    reason TEXT NOT NULL,
    cause TEXT NOT NULL,
    upto INTEGER NOT NULL,
    count INTEGER NOT NULL,
    seconds {float} NOT NULL
);
CREATE UNIQUE INDEX tallies_row ON tallies (what, reason, cause, upto);
CREATE INDEX jobs_counted ON jobs (status, reason, run_after)
"""


def migrate(migrator, database, fake=False, **kwargs):
    kinds = id_column(database)
    # Eight bytes on both.
    kinds["float"] = "REAL" if kinds["time"] == "DATETIME" else "DOUBLE PRECISION"
    for statement in CHANGES.format(**kinds).split(";"):
        migrator.sql(statement)
