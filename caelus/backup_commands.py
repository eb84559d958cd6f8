"""The commands that back the database up, and bring it back."""

import contextlib
import pathlib
import sys

from caelus.startup import configure, keep_postgres_drivers_out, open_database

BACKUP = """Back the SQLite database up to a file, while Caelus is running or not.

Secrets are in it encrypted: without the key, the backup can't decrypt them. The
key goes to FILE.key, only when asked for; keep the two apart.

Usage:
  caelus backup FILE [--with-key] [--force]

Options:
  --with-key  Write the keys of secrets to FILE.key, too.
  --force     Put it in the place of a FILE that exists.

Example:
  caelus backup /mnt/usb/caelus.db
"""
RESTORE = """Put a backup in the place of the SQLite database, which is kept beside it.

Every Caelus must be stopped. What runs in the cluster is left alone: what was
changed there since the backup waits for your word. See: caelus help backup

Usage:
  caelus restore FILE [--with-key] [--yes]

Options:
  --with-key  Take the keys in FILE.key in, after those that are there.
  --yes       Do not ask.

Example:
  caelus restore /mnt/usb/caelus.db --with-key
"""
RESTORED = """Tell Caelus that its database is an older one: after pg_restore, or a copy by hand.

Every Caelus must be stopped. `caelus restore` does this by itself.

Usage:
  caelus restored
"""
QUESTION = """{database} becomes the backup {file}:
schema {schema}, {users} users, {deployments} deployments, newest event {newest}.
What is there now is kept beside it. Restore (yes/no)? """


def backup(words: dict) -> int:
    config = configure()
    keep_postgres_drivers_out()
    from caelus import backups, yamltext

    file = pathlib.Path(words["FILE"]).absolute()
    yamltext.dump(backups.write(config, file, words["--with-key"], words["--force"]), sys.stdout)
    return 0


def restore(words: dict) -> int:
    config = configure()
    keep_postgres_drivers_out()
    from caelus import restores, yamltext
    from caelus.models import now

    file = pathlib.Path(words["FILE"]).absolute()
    found = restores.looked_at(config, file).document()
    if not words["--yes"] and not _agreed(config, file, found):
        return 1
    yamltext.dump(restores.restore(config, file, words["--with-key"], now()), sys.stdout)
    return 0


def _agreed(config, file: pathlib.Path, found: dict) -> bool:
    from caelus import database
    from caelus.errors import UsageError

    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("nobody can be asked here whether to restore; say --yes")
    place, event = database.sqlite_path(config.database_url), found["newest_event"]
    newest = event["created_at"] if event else "none"
    sys.stderr.write(QUESTION.format(database=place, file=file, newest=newest, **found))
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def restored(words: dict) -> int:
    config = configure()
    open_database(config)
    from caelus import restored as marks
    from caelus import yamltext
    from caelus.database import session, transaction
    from caelus.events import by

    with _nobody_else(config), session(), transaction(), by("operator"):
        count = marks.mark("the database was restored, said the operator")
    yamltext.dump({"deployments_to_compare": count}, sys.stdout)
    return 0


def _nobody_else(config):
    """A worker of before would go on with what it has read. (Of Postgres, a person must see to
    it: its other connections may be anybody's.)"""
    from caelus import database, presence

    if config.is_sqlite:
        return presence.only(database.sqlite_path(config.database_url))
    return contextlib.nullcontext()


COMMANDS = {
    "backup": (BACKUP, backup),
    "restore": (RESTORE, restore),
    "restored": (RESTORED, restored),
}
