"""A form made from a template's JSON Schema: a tree of fields for `templates/fields.html`.

Pure: `form` shows a document, `again` what was typed. What no field can hold is shown as JSON, so
nothing that a document has is lost.
"""

import collections
import re
from typing import NamedTuple

from caelus import jsontext, marks, naming
from caelus.web import inputs
from caelus.web.entries import (
    DEEPEST,
    MOST_FIELDS,
    ROOT,
    Entries,
    Pairs,
    below,
    option_text,
    settled,
    weight,
    written,
)
from caelus.web.fields import Field, Option, says, with_errors
from caelus.web.merging import Parts
from caelus.web.posted import as_json, pairs_of, takes_values
from caelus.web.shapes import Shape, is_secret, root, shape, shown

FEW = 4  # groups in a group: so many are shown open
_NOTHING = "This template takes no values: there is nothing to be set."
_UNTOLD = ("group", "choice")  # their parts tell their own defaults
_AGAIN = "It may hold more of its own kind."
_DEEP = "It lies deep inside others."
_MANY = f"The form would have more than {MOST_FIELDS} fields."
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^A-Z\W_]+|\d+")


def form(schema: dict | None, document: dict | None = None, errors=(), defaults=None) -> Field:
    """The form for the values that `schema`, a template's, lets users set.

    `errors` as `pairs_of` takes them; what fits no field is at the root's. `defaults` are the
    template's own values for users, shown where nothing is set.
    """
    if not takes_values(schema):
        return with_errors(Field(ROOT, "none", help=_NOTHING), pairs_of(errors))
    return _built(schema, written(schema, document), errors, defaults)


def again(schema: dict | None, pairs: Pairs, errors=(), defaults=None) -> Field:
    """The form as it was filled in; `pairs` are those that `posted` gives back."""
    if not takes_values(schema):
        return form(schema, None, errors)
    return _built(schema, Entries(pairs), errors, defaults)


def _built(schema: dict, entries: Entries, errors, defaults) -> Field:
    spot = _Spot(root(schema), ROOT, (), "", firm=True, must=True, default=defaults)
    made = _Builder(entries).field(spot)
    if made.kind == "json":  # nothing typed means {}
        made = made._replace(required=False, needed=False)
    return with_errors(made, pairs_of(errors))


def humanised(name: str) -> str:
    """A property's name as a label: `storageClass` is `Storage class`."""
    words = [w if w.isupper() and len(w) > 1 else w.lower() for w in _WORD.findall(name)]
    text = " ".join(words) if name.isascii() else name
    return text[:1].upper() + text[1:] or name or "(no name)"


def _labels(names) -> dict[str, str]:
    """A label for each property; where two would have the same, their names as they are."""
    labels = {name: humanised(name) for name in names}
    often = collections.Counter(labels.values())
    return {n: text if often[text] == 1 else n or text for n, text in labels.items()}


class _Spot(NamedTuple):
    """Where a field is about to be."""

    parts: Parts
    name: str
    path: tuple
    label: str
    firm: bool = False  # it must be there, as all around it is
    must: bool = False  # by what is right around it
    item: bool = False  # a row of a list
    default: object = None
    read_only: bool = False
    depth: int = 0
    above: frozenset = frozenset()  # ids of the schemas around it


class _Builder:
    def __init__(self, entries: Entries):
        self._entries = entries
        self._count = 1

    def field(self, spot: _Spot) -> Field:
        found = settled(spot.parts, spot.name)
        rules = found.rules
        if spot.default is None and "default" in rules and not spot.item:
            spot = spot._replace(default=rules["default"])
        spot = spot._replace(read_only=spot.read_only or rules.get("readOnly") is True)
        made = self._of_kind(spot, found)
        return made._replace(
            path=spot.path,
            label=str(rules.get("title") or spot.label),
            help=str(rules.get("description", "")),
            required=spot.must,
            default="" if made.kind in _UNTOLD or is_secret(rules) else self._default(spot),
            secret=is_secret(rules),
            generated="generate" in rules,
            read_only=spot.read_only,
            deprecated=rules.get("deprecated") is True,
            needed=spot.firm and spot.must and "generate" not in rules,
            null=self._said(spot, "null") if found.nullable and made.kind != "json" else None,
            blank=self._blank(spot, made),
        )

    def _of_kind(self, spot: _Spot, found: Shape) -> Field:
        text = self._entries.text(f"{spot.name}:json")
        if text is not None:
            return self._json(spot, found, text)
        if found.kind in ("json", "never"):
            return self._json(spot, found, "")
        if found.kind in ("group", "map", "list", "choice"):
            if self._too_many(spot, found):
                text = as_json(self._entries, spot.parts, spot.name)
                return self._json(spot, found._replace(why=_MANY), text)
            if why := self._too_much(spot, found):
                return self._json(spot, found._replace(why=why), "")
            inside = spot._replace(above=spot.above | found.ids, depth=spot.depth + 1)
            return getattr(self, f"_{found.kind}")(inside, found)
        if found.kind == "select":
            return self._select(spot, found)
        return self._boolean(spot) if found.kind == "boolean" else self._typed(spot, found)

    def _too_many(self, spot: _Spot, found: Shape) -> bool:
        """Whether its parts are beyond what a page can show; references can multiply them."""
        name = spot.name
        rows = len(self._entries.rows(name)) + len(self._entries.rows(f"{name}:rest"))
        parts = rows * weight(found) if rows else 0
        parts += max((len(s.properties) for s in (found, *_branches(found))))
        if self._count + parts > MOST_FIELDS:
            return True
        self._count += parts
        return False

    def _too_much(self, spot: _Spot, found: Shape) -> str:
        """Why nothing is made of it but JSON; what is said already is shown in any case."""
        if self._entries.has(spot.name) or spot.item:
            return ""
        if found.ids & spot.above:
            return _AGAIN
        return _DEEP if spot.depth > DEEPEST else ""

    def _said(self, spot: _Spot, word: str) -> bool:
        return self._entries.text(f"{spot.name}:{word}") is not None

    def _blank(self, spot: _Spot, made: Field) -> bool | None:
        """Whether to offer a tick for what is empty on purpose: where it is, or has a default."""
        if made.kind in ("json", "checkbox", "select", "number", "choice", "row"):
            return None
        if spot.firm and (spot.item or made.kind in ("group", "list", "map")):
            return None  # it is there, empty or not
        offered = self._said(spot, "blank") or spot.default not in (None, "", [], {}, marks.MASK)
        return self._said(spot, "blank") if offered else None

    def _default(self, spot: _Spot) -> str:
        if spot.default in (None, "", [], {}, marks.MASK):
            return ""
        return naming.printable(shown(spot.default), 200)

    # Kinds

    def _json(self, spot: _Spot, found: Shape, text: str) -> Field:
        why = found.why or "Its value is not what the schema wants, or no field can hold it."
        return Field(f"{spot.name}:json", "json", value=text, why=why)

    def _typed(self, spot: _Spot, found: Shape) -> Field:
        value = self._prefilled(spot, found)
        kind = inputs.kind_of(found, value)
        options = tuple(Option(o.value, o.label, False) for o in found.options)
        attributes = inputs.attributes(found, kind, value)
        secret = is_secret(found.rules)
        examples = [] if secret else found.rules.get("examples", [])
        default = "" if secret else self._text_of_default(spot, found)
        placeholder = default or (shown(examples[0]) if examples else inputs.sample(found))
        rule = " and ".join(found.rules.get("patterns", ()))
        return Field(
            *(spot.name, kind),
            value=value,
            options=options,
            attributes=attributes,
            rule=naming.printable(rule, 200),
            placeholder=naming.printable(placeholder),
            length=inputs.length_told(found) if secret else "",
            made_length=inputs.made_length(found) if secret else None,
        )

    def _prefilled(self, spot: _Spot, found: Shape) -> str:
        """What is said; else the default, where something must be said."""
        said = self._entries.text(spot.name)
        if said is not None or self._said(spot, "null") or self._said(spot, "blank"):
            return said or ""
        return self._text_of_default(spot, found) if spot.firm else ""

    def _text_of_default(self, spot: _Spot, found: Shape) -> str:
        fits = isinstance(spot.default, (str, int, float)) and spot.default != marks.MASK
        return inputs.text_of_default(found, spot.default) if fits else ""

    def _boolean(self, spot: _Spot) -> Field:
        said = self._entries.text(spot.name)
        default = spot.default if isinstance(spot.default, bool) else None
        if not spot.firm and (default is None or spot.item):
            options = (("true", "yes"), ("false", "no"))
            made = (Option(value, label, value == said) for value, label in options)
            return Field(spot.name, "select", options=(_unset(spot, not said), *made))
        unset = self._entries.text(f"{spot.name}:unset") or ""
        if said is None and default is not None and not spot.firm:
            unset = jsontext.compact(default)
        value = said or ("true" if default else "false")
        return Field(spot.name, "checkbox", value=value, unset=unset)

    def _select(self, spot: _Spot, found: Shape) -> Field:
        said = self._entries.text(spot.name) or ""
        # Each is another value: none is to be looked for among the others.
        texts = {jsontext.compact(option.value): option.label for option in found.options}
        if not said and not self._entries.has(spot.name) and spot.firm:
            said = option_text(found, spot.default) if spot.default is not None else said
            said = said if said in texts else ""
        if len(texts) == 1 and spot.firm and not said:
            said = next(iter(texts))
        made = [Option(value, label, value == said) for value, label in texts.items()]
        if said and said not in texts:
            label = naming.printable(said) + " (no longer among them)"
            made.append(Option(said, "as it is (********)" if marks.MASK in said else label, True))
        default = "" if is_secret(found.rules) else self._default(spot)
        return Field(spot.name, "select", options=(_unset(spot, not said, default), *made))

    def _group(self, spot: _Spot, found: Shape) -> Field:
        firm = spot.firm and not found.nullable
        fields, labels = [], _labels(found.properties)
        for key, parts in found.properties.items():
            inner = below(spot.name, key)
            must = key in found.required
            made = spot._replace(
                parts=parts,
                name=inner,
                path=(*spot.path, key),
                label=labels[key],
                firm=firm and must,
                must=must,
                item=False,
                default=spot.default.get(key) if isinstance(spot.default, dict) else None,
            )
            if shape(parts).kind != "never" or self._entries.has(inner):
                fields.append(self.field(made))
        fields += self._rest(spot, found)
        return Field(spot.name, "group", fields=_folded(fields))

    def _rest(self, spot: _Spot, found: Shape) -> list[Field]:
        name, label = f"{spot.name}:rest", "Further properties"
        text = self._entries.text(f"{name}:json")
        if text is None and found.rest:
            made = self._rows(spot._replace(name=name, default=None), found, label)
            return [made._replace(label=label, path=spot.path)]
        if text is None and not found.more:
            return []
        why = found.more or "No other field can hold them."
        return [Field(f"{name}:json", "json", label, path=spot.path, value=text or "", why=why)]

    def _map(self, spot: _Spot, found: Shape) -> Field:
        return self._rows(spot, found, "")

    def _rows(self, spot: _Spot, found: Shape, label: str) -> Field:
        rows = []
        for row in self._entries.rows(spot.name):
            key = self._entries.text(f"{row}:key") or ""
            path = (*spot.path, key)
            inner = _Spot(
                *(found.rest, row, path, "Value"),
                firm=bool(key),
                item=True,
                read_only=spot.read_only,
                depth=spot.depth,
                above=spot.above,
            )
            field = self.field(inner)
            rows.append(Field(row, "row", key or "New", path=path, value=key, fields=(field,)))
        add = not spot.read_only and _room(found, rows, "maxProperties")
        return Field(spot.name, "map", fields=tuple(rows), may_add=add)

    def _list(self, spot: _Spot, found: Shape) -> Field:
        rows = []
        for number, row in enumerate(self._entries.rows(spot.name)):
            inner = spot._replace(
                parts=found.items,
                name=row,
                path=(*spot.path, number),
                label=f"{spot.label} {number + 1}",
                firm=False,
                must=False,
                item=True,
                default=None,
            )
            rows.append(self.field(inner))
        add = not spot.read_only and _room(found, rows, "maxItems")
        return Field(spot.name, "list", fields=tuple(rows), may_add=add)

    def _choice(self, spot: _Spot, found: Shape) -> Field:
        chosen = self._entries.text(f"{spot.name}:choice") or ""
        labels = {str(number): branch.label for number, branch in enumerate(found.branches)}
        options = [Option(value, label, value == chosen) for value, label in labels.items()]
        made = Field(spot.name, "choice", options=(_unset(spot, chosen not in labels), *options))
        if chosen not in labels:
            return made
        branch = found.branches[int(chosen)]
        inside = shape(branch.parts, branch.read)
        if inside.kind == "map":
            return made._replace(fields=(self._rows(spot, inside, ""),), value=chosen)
        fields = self._group(spot._replace(firm=True), inside).fields
        return made._replace(fields=fields, value=chosen)


def _branches(found: Shape) -> list[Shape]:
    return [shape(branch.parts, branch.read) for branch in found.branches]


def _unset(spot: _Spot, chosen: bool, default: str = "") -> Option:
    unset = f"default ({default})" if default else "not set"
    return Option("", "choose one" if spot.must else unset, chosen)


def _room(found: Shape, rows: list, keyword: str) -> bool:
    most = found.rules.get(keyword)
    return most is None or len(rows) < most


def _folded(fields: list[Field]) -> tuple[Field, ...]:
    """Groups of which nothing is said are folded, if there are more than a few."""
    groups = [f for f in fields if f.kind in ("group", "list", "map", "choice")]
    if len(groups) <= FEW:
        return tuple(fields)
    return tuple(f._replace(folded=f in groups and not f.required and not says(f)) for f in fields)
