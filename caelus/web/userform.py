"""The part of a form that holds what a user sets, by the schema of a template."""

from collections.abc import Iterator

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


def settings(deployment: dict) -> list[tuple]:
    """What the user has set, one a line, as the form names it: (title, value)."""
    template, user_values = deployment["desired_template"], deployment["user_values_json"]
    labels = dict(_labels(filled(template, user_values)))
    return list(_set(user_values or {}, (), labels))


def _labels(field: forms.Field) -> Iterator[tuple]:
    yield field.path, field.label
    for inner in field.fields:
        yield from _labels(inner)


def _set(document: dict, path: tuple, labels: dict, before: str = "") -> Iterator[tuple]:
    for name, value in document.items():
        place = (*path, name)
        label = before + (labels.get(place) or name)
        if isinstance(value, dict) and value:
            yield from _set(value, place, labels, f"{label} › ")
        else:
            yield label, value


def _defaults(template: dict):
    return (template["default_values_json"] or {}).get("user")
