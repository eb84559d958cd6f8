"""Queries whose SQL is built once: peewee takes ten times as long to build it as SQLite to answer.

A function that builds a query becomes one that runs it. What it is called with goes into the kept
SQL, so nothing else may differ from call to call: no clock, no setting, no branch on a value.
"""

import functools
from typing import NamedTuple

import peewee

from caelus.database import database, is_postgres


class _Bound(NamedTuple):
    """A parameter of kept SQL: whose value it is, and how its column writes that."""

    name: str
    converter: object


class Slot(peewee.Node):
    """Stands for the value of an argument while the query is built."""

    def __init__(self, name: str):
        self.name = name
        self.column: peewee.Field | None = None  # that it is written to

    def __sql__(self, ctx):
        converter = self.column.db_value if self.column else ctx.state.converter
        return ctx.value(_Bound(self.name, converter), False)


class _Plan:
    """The SQL of one query, and how its rows become objects."""

    def __init__(self, query: peewee.BaseQuery):
        written = getattr(query, "_update", None) or getattr(query, "_insert", None) or {}
        for column, value in written.items():
            if isinstance(value, Slot):
                value.column = column
        self._query = query
        self._sql, self._parameters = query.sql()
        self._row = None

    def execute(self, values: dict):
        return database.execute_sql(self._sql, [_given(p, values) for p in self._parameters])

    def rows(self, cursor, most: int | None = None) -> list:
        fetched = cursor.fetchall() if most is None else cursor.fetchmany(most)
        if self._row is None:
            shape = self._query._get_cursor_wrapper(cursor)
            shape.initialize()
            self._row = shape.process_row
        return [self._row(row) for row in fetched]


def _given(parameter, values: dict):
    if not isinstance(parameter, _Bound):
        return parameter  # a constant of the query
    value = values[parameter.name]
    return parameter.converter(value) if parameter.converter else value


class Prepared:
    """A query with slots; an argument that is None is no slot: that makes another query.

    `query` builds it, for use in another one.
    """

    def __init__(self, build):
        self.query = build
        self._plans: dict[tuple, _Plan] = {}
        functools.update_wrapper(self, build)

    def all(self, **values) -> list:
        plan = self._plan(values)
        return plan.rows(plan.execute(values))

    def first(self, **values):
        """The first row, None where there is none."""
        plan = self._plan(values)
        return next(iter(plan.rows(plan.execute(values))), None)

    def run(self, **values) -> int:
        """How many rows were written."""
        return self._plan(values).execute(values).rowcount

    def _plan(self, values: dict) -> _Plan:
        key = (is_postgres(), *((name, value is None) for name, value in values.items()))
        plan = self._plans.get(key)
        if plan is None:
            slots = {n: None if v is None else Slot(n) for n, v in values.items()}
            plan = self._plans[key] = _Plan(self.query(**slots))
        return plan


prepared = Prepared  # as a decorator


def insert(row: peewee.Model) -> None:
    """Add `row`, every column as it has it, and give it its id. Raises peewee.IntegrityError."""
    # All columns: peewee would put a default of now into the kept SQL for one that is left out.
    values = {name: row.__data__.get(name) for name in row._meta.sorted_field_names}
    if values["id"] is None:
        del values["id"]
    ((row.id,),) = _insertion(type(row)).all(**values)
    row._dirty.clear()


@functools.cache
def _insertion(model: type[peewee.Model]) -> Prepared:
    return Prepared(lambda **values: model.insert(values).returning(model.id).tuples())
