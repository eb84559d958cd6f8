"""The part of a form that holds what a user sets, by the schema of a template."""

import json
from typing import NamedTuple

from caelus import validation, values
from caelus.errors import CaelusError, Invalid
from caelus.models import KEEP

JSON = "user:json"


class UserForm(NamedTuple):
    """`text` is shown; `error` is about it."""

    takes: bool
    text: str = ""
    error: str | None = None


def filled(template: dict, user_values: dict | None) -> UserForm:
    """The form as it shows these values; secrets are masked in them."""
    text = "" if user_values is None else json.dumps(user_values, indent=2, ensure_ascii=False)
    return UserForm(_takes(template), text)


def again(template: dict, pairs: list, error: CaelusError | None = None) -> UserForm:
    """The form as it was sent."""
    return UserForm(_takes(template), dict(pairs).get(JSON, ""), _about_values(error))


def read(template: dict, pairs: list):
    """The values that were sent, KEEP where there is nothing to set. Raises Invalid."""
    text = dict(pairs).get(JSON, "").strip()
    if not _takes(template):
        return KEEP
    try:
        return validation.parse_json(text) if text else None
    except ValueError as e:
        raise Invalid(("user_values_json", f"is {e}")) from None


def _takes(template: dict) -> bool:
    return values.takes_user_values(template["values_schema_json"])


def _about_values(error: CaelusError | None) -> str | None:
    if error is None or not error.detail.startswith(("user", "values")):
        return None
    return error.detail
