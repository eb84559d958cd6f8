"""Rotating the key of secrets: a new one, everything encrypted by it, the old ones dropped.

Killed at any moment, it can be run again: no key goes before all that it encrypted is encrypted
anew, and committed.
"""

import contextlib
import logging

from caelus import events, keyring, secretvalues
from caelus.database import forget_what_was, lock_tables, session, transaction
from caelus.models import Deployment, Template

log = logging.getLogger("caelus.rotation")


def rotate() -> dict:
    """Encrypt all secrets by a new key, or by the first one of CAELUS_SECRET_KEY; gives what was
    done. Raises SecretKeyError, having changed nothing, where any secret can't be decrypted."""
    before = keyring.fingerprints()
    with contextlib.ExitStack() as lock, session():
        with transaction():
            # Before the file's lock: this order is also that of a process that makes the file.
            lock_tables(Deployment, Template, alone=True)
            lock.enter_context(keyring.locked())
            counts = _reencrypt_all()
            told = f"secrets are encrypted by key {keyring.fingerprints()[0]}"
            events.record(None, "key_rotated", told)  # where it can't be, no key is dropped
        keyring.drop_old()
    after = keyring.fingerprints()
    log.info("secrets are encrypted by key %s of %s", after[0], keyring.source())
    return {
        "key": after[0],
        "source": keyring.source(),
        "dropped": [key for key in before if key not in after],
        **counts,
    }


def _reencrypt_all() -> dict[str, int]:
    rows = [secretvalues.sealed_rows(model) for model in (Template, Deployment)]
    secrets = [(row, secretvalues.opened(row)) for row in (*rows[0], *rows[1])]
    keyring.add()
    for row, document in secrets:
        secretvalues.reencrypt(row, document)
    forget_what_was()
    return {"templates": len(rows[0]), "deployments": len(rows[1])}
