"""Schemas, and the form that is made of them."""

from caelus.web.fields import Field
from caelus.web.forms import form
from caelus.web.posted import posted
from tests.markup import Page, rendered

TEXT = {"type": "string"}


def of(*required, **properties) -> dict:
    """A template's schema with these properties for users."""
    user = {"type": "object", "properties": properties, "required": list(required)}
    return {"properties": {"user": user}}


def field(root: Field, name: str) -> Field:
    if root.name == name:
        return root
    inner = (field(part, name) for part in root.fields)
    return next((found for found in inner if found), None)


def page(schema, document=None, **more) -> Page:
    return Page(rendered(form(schema, document, **more)))


def typed(schema, document=None, **texts):
    """What is posted of the form once these texts are in the fields of these properties."""
    texts = {f"user/{name}": text for name, text in texts.items()}
    return posted(schema, page(schema, document).pairs(**texts))
