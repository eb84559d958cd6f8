"""The index by which jobs are counted, such that SQLite takes not it but that of due jobs where it
looks for the next one: by the status alone it had to sort all that wait."""


def migrate(migrator, database, fake=False, **kwargs):
    migrator.sql("DROP INDEX jobs_counted")
    migrator.sql("CREATE INDEX jobs_counted ON jobs (reason, status, run_after)")
