"""API tokens, login links and sessions; events say from where, and become a chain."""

import json

from caelus import audit
from caelus.migrate import id_column
from caelus.models import Event, Utc, now

TABLES = """
ALTER TABLE events ADD COLUMN token TEXT;
ALTER TABLE events ADD COLUMN address TEXT;
ALTER TABLE events ADD COLUMN hash TEXT;

CREATE TABLE audit (
    id {id},
    created_at {time} NOT NULL,
    pruned_id INTEGER NOT NULL,
    pruned_hash TEXT NOT NULL,
    newest_id INTEGER NOT NULL,
    newest_hash TEXT NOT NULL
);

CREATE TABLE tokens (
    id {id},
    created_at {time} NOT NULL,
    user_id INTEGER NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    last_used_at {time},
    expires_at {time},
    deleted_at {time}
);
CREATE INDEX token_user_id ON tokens (user_id);
CREATE UNIQUE INDEX tokens_hash ON tokens (hash);

CREATE TABLE login_links (
    id {id},
    created_at {time} NOT NULL,
    user_id INTEGER REFERENCES users (id),
    hash TEXT NOT NULL,
    expires_at {time} NOT NULL,
    used_at {time}
);
CREATE INDEX loginlink_user_id ON login_links (user_id);
CREATE UNIQUE INDEX login_links_hash ON login_links (hash);

CREATE TABLE sessions (
    id {id},
    created_at {time} NOT NULL,
    user_id INTEGER NOT NULL REFERENCES users (id),
    hash TEXT NOT NULL,
    expires_at {time} NOT NULL,
    last_seen_at {time} NOT NULL
);
CREATE INDEX session_user_id ON sessions (user_id);
CREATE UNIQUE INDEX sessions_hash ON sessions (hash)
"""
COLUMNS = "id, created_at, deployment_id, type, actor, message, cause"


def migrate(migrator, database, fake=False, **kwargs):
    for statement in TABLES.format(**id_column(database)).split(";"):
        migrator.sql(statement)
    migrator.run(chain, database)


def chain(database) -> None:
    """Give the events that there are their hashes, and the chain its ends."""
    newest_id, newest_hash, mark = 0, "", database.param
    rows = database.execute_sql(f"SELECT {COLUMNS} FROM events ORDER BY id").fetchall()
    for row in rows:
        event = Event(**dict(zip(COLUMNS.split(", "), row, strict=True)))
        event.created_at = Utc().python_value(event.created_at)
        event.cause = event.cause and json.loads(event.cause)
        newest_id, newest_hash = event.id, audit.digest(newest_hash, event)
        update = f"UPDATE events SET hash = {mark} WHERE id = {mark}"
        database.execute_sql(update, (newest_hash, newest_id))
    database.execute_sql(
        "INSERT INTO audit (created_at, pruned_id, pruned_hash, newest_id, newest_hash) "
        f"VALUES ({mark}, 0, '', {mark}, {mark})",
        (Utc().db_value(now()), newest_id, newest_hash),
    )
