"""Queries whose SQL is built once: peewee takes ten times as long to build it as SQLite to answer.

A function that builds a query becomes one that runs it. What it is called with goes into the kept
SQL, so nothing else may differ from call to call: no clock, no setting, no branch on a value. What
never differs is written out in it, so it must not be a boolean, which databases write differently.
"""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import peewee

from caelus.database import database, is_postgres

_PLAIN = (peewee.TextField, peewee.IntegerField, peewee.ForeignKeyField)


class Prepared:
    """A query of keyword arguments; one that is None stays None, which makes another query.

    `query` builds it, for use as a part of another one.
    """

    def __init__(self, build):
        self.query = build
        self._plans: dict[tuple, _Plan] = {}
        functools.update_wrapper(self, build)

    def all(self, **values) -> list:
        """Model instances. Rows that were joined with one and the same row share its instance."""
        plan = self._plan(values)
        return plan.objects(plan.execute(values))

    def first(self, **values):
        """The first row, None where there is none."""
        return next(iter(self.all(**values)), None)

    def run(self, **values) -> int:
        """How many rows were written."""
        return self._plan(values).execute(values).rowcount

    def returned(self, **values) -> tuple:
        """The one row that was written, as the statement returns it."""
        return self._plan(values).execute(values).fetchone()

    def _plan(self, values: dict) -> "_Plan":
        missing = [name for name, value in values.items() if value is None]
        key = is_postgres(), tuple(values), tuple(missing)
        if key not in self._plans:
            slots = {n: None if v is None else _Slot(n) for n, v in values.items()}
            self._plans[key] = _Plan(self.query(**slots))
        return self._plans[key]


prepared = Prepared  # as a decorator


def insert(row: peewee.Model) -> None:
    """Add `row`, every column as it has it, and give it its id. Raises peewee.IntegrityError."""
    # All columns: peewee would put a default of now into the kept SQL for one that is left out.
    values = {name: row.__data__.get(name) for name in row._meta.sorted_field_names}
    if values["id"] is None:
        del values["id"]
    (row.id,) = _insertion(type(row)).returned(**values)
    row._dirty.clear()


@functools.cache
def _insertion(model: type[peewee.Model]) -> Prepared:
    return Prepared(lambda **values: model.insert(values).returning(model.id))


# From arguments to parameters


class _Bound(NamedTuple):
    """A parameter of kept SQL: which argument it is, and how its column writes that, if otherwise
    than it is."""

    name: str
    converter: Callable | None


class _Slot(peewee.Node):
    """Stands for an argument while the query is built."""

    def __init__(self, name: str):
        self._name = name
        self.column: peewee.Field | None = None  # that it is written to

    def __sql__(self, ctx):
        converter = self.column.db_value if self.column else ctx.state.converter
        field = getattr(converter, "__self__", None)
        # A row may stand for its id.
        is_plain = _is_plain(field) and not isinstance(field, peewee.ForeignKeyField)
        with ctx(value_literals=False):
            return ctx.value(_Bound(self._name, None if is_plain else converter), False)


class _Plan:
    """The SQL of one query, and how its rows become objects."""

    def __init__(self, query: peewee.BaseQuery):
        for column, value in _written(query):
            if isinstance(value, _Slot):
                value.column = column
        self._query = query
        # Not parameters: planners must know the constants, or they take no partial index.
        context = database.obj.get_sql_context(value_literals=True)
        self._sql, self._parameters = context.parse(query)
        self._parts: list[_Part] = []

    def execute(self, values: dict):
        given = [
            converter(values[name]) if converter else values[name]
            for name, converter in self._parameters
        ]
        return database.obj.execute_kept(self._sql, given)

    def objects(self, cursor) -> list:
        self._parts = self._parts or _parts(self._query, cursor)
        known: dict = {}
        return [self._object(row, known) for row in cursor.fetchall()]

    def _object(self, row: tuple, known: dict):
        made = []
        for part in self._parts:
            one = part.made(row, known)
            if part.owner is not None and made[part.owner] is not None:
                part.attach(made[part.owner], one)
            made.append(one)
        return made[0]


def _written(query: peewee.BaseQuery) -> Iterator[tuple]:
    """The columns that it writes, and what to them; those of its own parts first."""
    for part in getattr(query, "_cte_list", None) or ():
        yield from _written(part._query)
    yield from (getattr(query, "_update", None) or getattr(query, "_insert", None) or {}).items()


# From rows to objects: what peewee does itself, but looked up once instead of for each row


class _Part(NamedTuple):
    """The columns of one object in a row, and whose attribute it is: the root's owner is None."""

    number: int
    model: type[peewee.Model]
    places: list[int]  # of its columns in the row
    names: list[str]
    converters: list[tuple]  # (name, converter) of those that the drivers do not give as wanted
    others: list[str]  # names that are no fields of the model
    owner: int | None = None
    attribute: str = ""

    def made(self, row: tuple, known: dict):
        """The object, None where an outer join has found none."""
        if self.names[0] != "id":
            return self._new(row)
        key = self.number, row[self.places[0]]
        if key not in known:
            known[key] = self._new(row)
        return known[key]

    def _new(self, row: tuple):
        found = dict(zip(self.names, [row[place] for place in self.places], strict=True))
        if self.owner is not None and all(value is None for value in found.values()):
            return None
        for name, converter in self.converters:
            if found[name] is not None:
                found[name] = converter(found[name])
        one = object.__new__(self.model)  # and what peewee's own __init__ would do
        one.__data__, one._dirty, one.__rel__ = found, set(), {}
        for name in self.others:
            setattr(one, name, found.pop(name))
        return one

    def attach(self, owner: peewee.Model, one) -> None:
        if self.attribute in owner._meta.fields:
            owner.__rel__[self.attribute] = one
        else:
            setattr(owner, self.attribute, one)


def _is_plain(field: peewee.Field | None) -> bool:
    """Whether both drivers give its values, and take them, as they are."""
    return type(field) in _PLAIN or isinstance(field, peewee.AutoField)


def _parts(query: peewee.BaseQuery, cursor) -> list[_Part]:
    """By what peewee says of the query: an object's owner comes before it."""
    shape = query._get_cursor_wrapper(cursor)
    shape.initialize()
    keys = getattr(shape, "column_keys", [shape.model] * shape.ncols)  # without joins: one model
    columns: dict[object, list[int]] = {}
    for place, key in enumerate(keys):
        columns.setdefault(key, []).append(place)
    found = {shape.model: _part(0, shape.model, shape, columns[shape.model])}
    joins = list(getattr(shape, "src_to_dest", ()))
    while joins:
        source, attribute, key, *_ = join = next(j for j in joins if j[0] in found)
        joins.remove(join)
        model, owner = shape.key_to_constructor[key][0], found[source].number
        found[key] = _part(len(found), model, shape, columns[key], owner, attribute)
    return list(found.values())


def _part(number: int, model, shape, places: list[int], *above) -> _Part:
    names = [shape.columns[place] for place in places]
    converters = [
        (shape.columns[place], shape.converters[place])
        for place in places
        if shape.converters[place] and not _is_plain(shape.fields[place])
    ]
    others = [name for name in names if name not in model._meta.fields]
    return _Part(number, model, places, names, converters, others, *above)
