"""What a template's schema is made of: well formed it must be, and refer to nothing but itself.

A `$ref` is followed inside the schema and never fetched.
"""

from collections.abc import Callable
from typing import NamedTuple

from caelus.errors import Conflict
from caelus.naming import pointer, printable
from caelus.rule_words import worded
from caelus.validation import draft_of, formats_of_schemas

_TYPES = "must be string, integer, number, boolean, array, object or null, or a list of these"


def check_schema(schema: dict) -> None:
    """Refuse what is not valid JSON Schema, or has a `$ref` that leads out of it.

    Raises Conflict with the place named.
    """
    try:
        _check_form("values schema", schema, draft_of(schema))
        _check_references(schema, draft_of(schema))
    except RecursionError:
        raise Conflict("values schema: nested too deeply to be checked") from None
    except ValueError as e:
        raise Conflict(f"values schema: an $id or $ref is no address: {e}") from None


class Part(NamedTuple):
    """A schema inside a template's, and what looks references up in it; it never fetches any."""

    contents: object
    resolver: object
    resource: Callable  # makes referencing's view of a schema of this draft

    def inner(self, contents) -> "Part":
        """A schema inside this one."""
        resolver = self.resolver.in_subresource(self.resource(contents))
        return self._replace(contents=contents, resolver=resolver)

    def every_inner(self) -> list:
        """The contents of all schemas right inside this one."""
        return [sub.contents for sub in self.resource(self.contents).subresources()]

    def referred(self, keyword: str) -> "Part":
        """What the keyword's reference leads to. Raises Conflict where that is nowhere."""
        address = self.contents[keyword]
        found = _lookup(self.resolver, address, f"{keyword} {printable(str(address))!r}")
        return self._replace(contents=found.contents, resolver=found.resolver)


def opened(schema: dict) -> Part:
    from jsonschema_specifications import REGISTRY
    from referencing.jsonschema import specification_with

    draft = draft_of(schema)
    resource = specification_with(draft.ID_OF(draft.META_SCHEMA)).create_resource
    root = resource(schema)
    return Part(schema, REGISTRY.resolver_with_root(root).in_subresource(root), resource)


def _check_references(schema: dict, draft) -> None:
    """Follow every reference. What is a schema only because one leads to it is checked here."""
    root = opened(schema)
    checked = {}  # by identity: all parts of what is well formed
    targets = _walk(root.resource(schema), root.resolver, draft, checked)
    while targets:
        reference, target = targets.pop()
        if id(target.contents) not in checked:
            _check_form(f"values schema: {reference}", target.contents, draft)
            targets += _walk(root.resource(target.contents), target.resolver, draft, checked)


def _walk(part, resolver, draft, checked: dict) -> list[tuple]:
    """Note a schema with all its parts in `checked`; gives its references and what they lead to."""
    _refuse_other_draft(part.contents, draft)
    parts, targets = [(part, resolver)], []
    while parts:
        part, resolver = parts.pop()
        contents = part.contents
        if not isinstance(contents, dict) or id(contents) in checked:
            continue
        checked[id(contents)] = contents
        for keyword in {"$ref", "$dynamicRef"} & contents.keys() & draft.VALIDATORS.keys():
            reference = f"{keyword} {printable(str(contents[keyword]))!r}"
            targets.append((reference, _lookup(resolver, contents[keyword], reference)))
        for sub in part.subresources():
            _refuse_other_draft(sub.contents, draft)
            parts.append((sub, resolver.in_subresource(sub)))
    return targets


def _refuse_other_draft(schema, draft) -> None:
    if isinstance(schema, dict) and "$schema" in schema and draft_of(schema) is not draft:
        raise Conflict("values schema: $schema can't change below the top; say it there")


def _lookup(resolver, address, reference: str):
    from referencing.exceptions import NoSuchResource, Unresolvable

    # The others: no address, a way into a number, no text (which draft 4 does not forbid).
    nowhere = (NoSuchResource, Unresolvable, ValueError, TypeError, AttributeError)
    try:
        return resolver.lookup(address)
    except nowhere:
        hint = "only references inside the schema are followed"
        if str(address).startswith("#/"):
            hint = "it counts from the top of the whole schema, so what it means must be there"
        raise Conflict(f"values schema: {reference} leads nowhere; {hint}") from None


def _check_form(what: str, schema, draft) -> None:
    import jsonschema

    try:
        draft.check_schema(schema, format_checker=formats_of_schemas())
    except jsonschema.SchemaError as e:
        place = pointer(tuple(e.absolute_path)) or "the top"
        said = _TYPES if tuple(e.absolute_path)[-1:] == ("type",) else worded(e)
        raise Conflict(f"{what}: at {place}: {said}") from None
