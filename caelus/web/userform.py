"""The part of a form that holds what a user sets, by the schema of a template."""

from caelus.errors import Invalid
from caelus.models import KEEP
from caelus.web import forms
from caelus.web.posted import posted, takes_values


def filled(template: dict, user_values: dict | None, errors=()) -> forms.Field:
    """The form as it shows these values; secrets are masked in them."""
    schema = template["values_schema_json"]
    return forms.form(schema, user_values, errors, _defaults(template))


def again(template: dict, pairs: list, errors=()) -> forms.Field:
    """The form as it was sent, or as one of its own buttons wants it."""
    schema = template["values_schema_json"]
    shown = posted(schema, pairs).pairs if takes_values(schema) else pairs
    return forms.again(schema, shown, errors, _defaults(template))


def is_growing(template: dict, pairs: list) -> bool:
    """Whether a button of the form was pressed, for another row, say: nothing is to be done."""
    schema = template["values_schema_json"]
    return takes_values(schema) and posted(schema, pairs).again


def read(template: dict, pairs: list):
    """The values that were sent; KEEP where nothing can be set. Raises Invalid."""
    schema = template["values_schema_json"]
    if not takes_values(schema):
        return KEEP
    found = posted(schema, pairs)
    if found.errors:
        raise Invalid(*found.errors)
    return found.document


def _defaults(template: dict):
    return (template["default_values_json"] or {}).get("user")
