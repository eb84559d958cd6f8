"""What goes in: JSON Schemas of a request's body or query, one field a constant."""

from caelus.models import DEPLOYMENT_STATUSES, JOB_STATUSES

ID = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
OPTIONAL_ID = ID | {"type": ["integer", "null"]}
TEXT = {"type": "string", "maxLength": 10_000}
OPTIONAL_TEXT = TEXT | {"type": ["string", "null"]}
WORD = {"type": "string", "minLength": 1, "format": "word"}
OPTIONAL_OBJECT = {"type": ["object", "null"]}
EMAIL = {"type": "string", "format": "email"}
DOMAIN = {"type": "string", "format": "hostname"}
# At most 53 characters, which is Helm's limit for the release of the same name.
NAMESPACE = {"type": "string", "pattern": r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", "maxLength": 53}
NAME = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"\S", "format": "line"}
ICON = {
    "type": ["string", "null"],
    "description": "An image of at most 32 KiB as a URI, data:image/png;base64,..., or as jpeg, "
    "webp, gif or svg+xml; null or an empty text is no icon.",
}
DIGEST = {"type": ["string", "null"], "pattern": "^sha256:[0-9a-f]{64}$", "maxLength": 71}
DAYS = {"type": ["integer", "null"], "minimum": 1, "maximum": 3650}
LABEL = {"type": ["string", "null"], "minLength": 1, "maxLength": 100, "format": "line"}
SECONDS = {"type": ["integer", "null"], "minimum": 1, "maximum": 86_400}
STATUS = {"type": "string", "enum": list(DEPLOYMENT_STATUSES)}
JOB_STATUS = {"type": "string", "enum": list(JOB_STATUSES)}
LINES = {"type": "integer", "minimum": 1, "maximum": 5000}
MOMENT = {"type": "string", "format": "word", "maxLength": 40}
POD = {"type": "string", "format": "pod"}
FLAG = {"type": "boolean"}
SEARCH = {"type": "string", "minLength": 1, "maxLength": 254}
TYPE = {"type": "string", "format": "word", "maxLength": 100}
NEWEST_FIRST = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "before": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
}
PAGE = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "after": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
}


def fields(required: str = "", **properties) -> dict:
    """An input schema: an object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


ONLY_EMAIL = fields(email=EMAIL)
