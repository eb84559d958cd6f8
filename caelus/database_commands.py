"""The commands about the database as a whole: its schema, its secrets' key, its audit."""

import sys

from caelus.startup import configure, open_database, upgrade_database

MIGRATE = """Bring the database's schema up to date.

Usage:
  caelus migrate
"""
ROTATE_KEY = """Encrypt all secrets by a new key, and drop the old one.

With CAELUS_SECRET_KEY=NEW,OLD no key is made: all is encrypted by the first one, after which the
others can be taken out. Killed at any moment, it can be run again.

Usage:
  caelus rotate-key
"""
VERIFY_AUDIT = """Check that no event was changed or removed: each one is chained to the one before.

Exit code 1 if the chain is broken; `fault` then says where.

Usage:
  caelus verify-audit
"""


def migrate(words: dict) -> int:
    from caelus import yamltext

    applied = upgrade_database(configure())
    from caelus.migrate import newest

    yamltext.dump({"schema": newest()[-1], "applied": applied}, sys.stdout)
    return 0


def rotate_key(words: dict) -> int:
    open_database(configure())
    from caelus import rotation, yamltext

    yamltext.dump(rotation.rotate(), sys.stdout)
    return 0


def verify_audit(words: dict) -> int:
    open_database(configure())
    from caelus import audit, yamltext
    from caelus.database import session, transaction

    with session(), transaction():
        found = audit.verify()
    yamltext.dump(found, sys.stdout)
    return 0 if found["ok"] else 1


COMMANDS = {
    "migrate": (MIGRATE, migrate),
    "rotate-key": (ROTATE_KEY, rotate_key),
    "verify-audit": (VERIFY_AUDIT, verify_audit),
}
