"""Templates and values to check and to merge."""

import pytest

from caelus import values
from caelus.errors import Conflict

FACTS = {
    "domainname": "ada.example.org",
    "deployment_uid": "notes-ada-abc123",
    "user": {"email": "ada@example.org", "id": 7},
    "product": {"name": "Notes"},
}
USER_TAKES_ANYTHING = {"properties": {"user": {"type": "object"}}}
SECRET = "hunter2-very-secret"


def final(bindings=None, user_values=None, defaults=None, schema=None):
    capabilities = None if bindings is None else {"bindings": bindings}
    return values.final_values(defaults, schema, capabilities, user_values, FACTS)


def refused(bindings=None, *, defaults=None, schema=None, capabilities=None):
    """The sentence with which a template is refused."""
    if bindings is not None:
        capabilities = {"bindings": bindings}
    with pytest.raises(Conflict) as caught:
        values.check_template(defaults, schema, capabilities)
    return caught.value.detail


def accepted(bindings=None, *, defaults=None, schema=None):
    values.check_template(defaults, schema, {"bindings": bindings or {}})


def user_values_refused(schema, user_values):
    with pytest.raises(Conflict) as caught:
        values.check_user_values(schema, user_values)
    return caught.value.detail
