"""The commands that back the database up."""

import pathlib
import sys

from caelus.startup import configure, keep_postgres_drivers_out

BACKUP = """Back the SQLite database up to a file, while Caelus is running or not.

Secrets are in it encrypted: without the key, the backup can't decrypt them. --with-key writes it to
FILE.key; keep the two apart.

Usage:
  caelus backup FILE [--with-key] [--force]

Options:
  --with-key  Write the keys of secrets to FILE.key, too.
  --force     Put it in the place of a FILE that exists.

Example:
  caelus backup /mnt/usb/caelus.db
"""


def backup(words: dict) -> int:
    config = configure()
    keep_postgres_drivers_out()
    from caelus import backups, yamltext

    file = pathlib.Path(words["FILE"]).absolute()
    yamltext.dump(backups.write(config, file, words["--with-key"], words["--force"]), sys.stdout)
    return 0


COMMANDS = {"backup": (BACKUP, backup)}
