"""The fields of a form as a tree, and the errors beside them."""

from typing import NamedTuple

from caelus.web.posted import Errors, api_name


class Option(NamedTuple):
    value: str
    label: str
    chosen: bool


class Field(NamedTuple):
    """What one value is shown with.

    `kind`: text, textarea, password, number, date, email, url, checkbox, select, json; group,
    list, map (its fields are of kind row, with the name as `value` and one field inside), choice;
    none where nothing can be set.
    """

    name: str
    kind: str
    label: str = ""
    help: str = ""
    path: tuple = ()
    value: str = ""
    fields: tuple["Field", ...] = ()
    options: tuple[Option, ...] = ()
    required: bool = False
    needed: bool = False  # required, and so is all around it: the browser may insist
    attributes: dict[str, str] = {}  # min, max, step, minlength, maxlength, pattern
    rule: str = ""  # the pattern, as the schema has it
    placeholder: str = ""
    default: str = ""  # in words; what counts where nothing is said
    unset: str = ""  # of a checkbox: the state that says nothing
    why: str = ""  # it is shown as JSON
    blank: bool | None = None  # empty on purpose, as a tick; None: not offered
    null: bool | None = None
    secret: bool = False
    length: str = ""  # of a secret, in words
    made_length: int | None = None  # of one that the browser makes; None: it can't
    generated: bool = False  # Caelus makes one where it is left empty
    read_only: bool = False
    deprecated: bool = False
    may_add: bool = False
    folded: bool = False  # nothing in it is said or must be said
    errors: tuple[str, ...] = ()


def says(field: Field) -> bool:
    """Whether anything is filled in."""
    if field.kind == "checkbox":
        return field.value != field.unset
    if field.kind == "select":
        return any(option.chosen and option.value for option in field.options)
    return bool(field.value or field.blank or field.null) or any(map(says, field.fields))


def with_errors(tree: Field, errors: Errors) -> Field:
    """The tree with each error at the field whose value it is about, or at the nearest around."""
    if not errors:
        return tree
    at: dict[str, list[str]] = {}
    owners = _by_name(tree)
    for where, message in errors:
        name, beyond = _owner(owners, where)
        at.setdefault(name or tree.name, []).append(f"{beyond} {message}".strip())
    return _with_errors(tree, at)


def _flat(field: Field) -> list[Field]:
    return [field, *(inner for part in field.fields for inner in _flat(part))]


def _by_name(tree: Field) -> dict[str, list[Field]]:
    found: dict[str, list[Field]] = {}
    for field in _flat(tree):
        if field.kind != "row":
            found.setdefault(api_name(field.path), []).append(field)
    return found


def _owner(owners: dict[str, list[Field]], where: str) -> tuple[str, str]:
    """The name of the innermost field that the error is about, and the place inside that.

    What a group has no field for is among its further properties, if those are shown.
    """
    if where in owners:
        return owners[where][0].name, ""
    words = where.split(".")
    outer = (".".join(words[:count]) for count in range(1, len(words)))
    around = [field for name in outer for field in owners.get(name, ())]
    if not around:
        return "", where
    found = max(around, key=lambda field: (len(field.path), ":rest" in field.name))
    return found.name, where.removeprefix(f"{api_name(found.path)}.")


def _with_errors(field: Field, at: dict) -> Field:
    errors = tuple(at.pop(field.name, ())) if field.kind != "row" else ()
    fields = tuple(_with_errors(inner, at) for inner in field.fields)
    folded = field.folded and not errors and not any(map(_wrong, fields))
    return field._replace(fields=fields, errors=errors, folded=folded)


def _wrong(field: Field) -> bool:
    return bool(field.errors) or any(map(_wrong, field.fields))
