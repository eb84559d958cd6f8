"""Names that are made up, the same ones each time."""

import hashlib
import json


def digest(value) -> str:
    """A short name for a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:10]
