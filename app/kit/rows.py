"""Many rows by one statement: a batch then costs one turn of the database, not one for each row.

On PostgreSQL the rows go over as one array for each column (`INSERT ... SELECT FROM unnest(...)`): neither the text of the
statement nor its plan depends on how many they are. In a large batch a column that is the same in all rows goes over once:
to encode its values one by one costs as much as to make them. On SQLite one statement is run again for each row, inside the
process.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    DateTime,
    Dialect,
    Executable,
    LargeBinary,
    Select,
    Table,
    Text,
    TextClause,
    any_,
    bindparam,
    func,
    literal,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA
from sqlalchemy.types import JSON, TupleType, TypeEngine

from app.kit.database import Base, Transaction, UtcDateTime

Row = Mapping[str, Any]

CHOSEN_AT_ONCE = 5_000
MANY = 64
"""From so many rows on it is looked which columns are the same in all of them: each such set is a statement of its own."""

_ENCODE = msgspec.json.Encoder().encode


def on_postgresql(tx: Transaction) -> bool:
    """Whether a transaction is PostgreSQL's."""
    return tx.get_bind().dialect.name == "postgresql"


def among(tx: Transaction, column: Any, values: Collection[Any]) -> ColumnElement[bool]:
    """That a column holds one of some values. The statement's text is the same for any number of them, where that matters."""
    if on_postgresql(tx):
        found: ColumnElement[bool] = column == any_(literal(list(values), ARRAY(column.type)))
        return found
    one_of: ColumnElement[bool] = column.in_(values)
    return one_of


async def chosen(
    tx: Transaction, query: Select[*tuple[Any, ...]], columns: Sequence[Any], wanted: Collection[tuple[Any, ...]]
) -> list[Any]:
    """The rows of a query in which some columns hold, together, one of the tuples that are wanted; their order is the query's.

    On SQLite large numbers of them go in parts, each ordered in itself: a statement takes only so many values there.
    """
    if not wanted:
        return []
    named = list(wanted)
    if on_postgresql(tx):
        by_column = zip(columns, zip(*named, strict=True), strict=True)
        arrays = [func.unnest(literal(list(values), ARRAY(column.type))) for column, values in by_column]
        return list((await tx.execute(query.where(tuple_(*columns).in_(select(*arrays))))).all())
    parts = [named[at : at + CHOSEN_AT_ONCE] for at in range(0, len(named), CHOSEN_AT_ONCE)]
    return [row for part in parts for row in (await tx.execute(query.where(_holding(columns, part)))).all()]


def _holding(columns: Sequence[Any], wanted: Collection[tuple[Any, ...]]) -> ColumnElement[bool]:
    """That some columns hold, together, one of some tuples, as SQLite looks it up in an index.

    For a plain list of tuples it reads the whole table; for what is selected from the same list it does not.
    """
    tuples = bindparam("tuples", list(wanted), expanding=True, unique=True, type_=TupleType(*(c.type for c in columns)))
    return tuple_(*columns).in_(text("SELECT * FROM :tuples").bindparams(tuples))


async def insert_rows(tx: Transaction, table: type[Base], rows: Sequence[Row], *, unless_there: bool = False) -> None:
    """Write rows that all have the same columns. `unless_there`: one whose key is there already is left out."""
    if not rows:
        return
    await tx.flush()
    into, columns = _table(table), tuple(rows[0])
    connection = await tx.connection()
    if on_postgresql(tx):
        values = _arrays(into, columns, rows)
        same = _taken_together(values, len(rows))
        await connection.execute(_unnested(into, columns, unless_there, same=same), values)
    else:
        await connection.execute(_one_by_one(into, columns, unless_there), rows)


async def insert_missing(tx: Transaction, table: type[Base], rows: Sequence[Row]) -> list[Row]:
    """Write those rows whose primary key is not there yet, and say which; of two that do so at once only one is told."""
    if not rows:
        return []
    await tx.flush()
    into, columns = _table(table), tuple(rows[0])
    connection, keys = await tx.connection(), list(into.primary_key)
    if on_postgresql(tx):
        values = _arrays(into, columns, rows)
        same = _taken_together(values, len(rows))
        written = await connection.execute(_unnested(into, columns, True, True, same), values)
        new = {tuple(row) for row in written.all()}
        return [row for row in rows if tuple(row[key.name] for key in keys) in new]
    named = [tuple(row[key.name] for key in keys) for row in rows]
    there = {tuple(row) for row in await chosen(tx, select(*keys), keys, named)}
    missing = [row for row, key in zip(rows, named, strict=True) if key not in there]
    await insert_rows(tx, table, missing)
    return missing


async def update_rows(tx: Transaction, table: type[Base], rows: Sequence[Row]) -> None:
    """Change rows found by their primary key; each holds its key and the new values, all with the same columns."""
    if not rows:
        return
    await tx.flush()
    into, columns = _table(table), tuple(rows[0])
    connection = await tx.connection()
    if on_postgresql(tx):
        await connection.execute(_updated(into, columns), _arrays(into, columns, rows))
    else:
        given = [{f"_{name}": row[name] for name in columns} for row in rows]
        await connection.execute(_updated_one_by_one(into, columns), given)


def _table(table: type[Base]) -> Table:
    found = table.__table__
    if not isinstance(found, Table):
        raise TypeError("not a table")
    return found


def _is_json(table: Table, column: str) -> bool:
    return isinstance(table.c[column].type, JSON)


def _arrays(table: Table, columns: Sequence[str], rows: Sequence[Row]) -> dict[str, list[Any]]:
    """The values column by column. JSON goes over as text: an array of JSON and JSON that is an array look alike."""
    return {
        name: [_ENCODE(row[name]).decode() for row in rows] if _is_json(table, name) else list(map(itemgetter(name), rows))
        for name in columns
    }


def _taken_together(values: dict[str, Any], count: int) -> frozenset[str]:
    """The columns that are the same in all of many rows: of each, one value is left in `values`."""
    if count < MANY:
        return frozenset()
    ends_alike = {name: column for name, column in values.items() if column[0] is column[-1] or column[0] == column[-1]}
    same = {name: column[0] for name, column in ends_alike.items() if column.count(column[0]) == count}
    if len(same) == len(values):  # there is one array at least, which says how many rows there are
        same.popitem()
    values |= same
    return frozenset(same)


def _kind(table: Table, name: str) -> str:
    """How PostgreSQL calls what goes over for a column."""
    kind: str = "text" if _is_json(table, name) else table.c[name].type.compile(postgresql.dialect())  # type: ignore[no-untyped-call]
    return kind


def _unnest(table: Table, columns: Sequence[str]) -> str:
    """`unnest(...) AS given(...)`, every array with its type."""
    given = ", ".join(f"CAST(:{name} AS {_kind(table, name)}[])" for name in columns)
    return f"unnest({given}) AS given({', '.join(columns)})"


def _given(table: Table, name: str, same: Collection[str] = ()) -> str:
    given = f"CAST(:{name} AS {_kind(table, name)})" if name in same else f"given.{name}"
    return f"CAST({given} AS jsonb)" if _is_json(table, name) else given


def _bound(table: Table, columns: Sequence[str], statement: str, same: Collection[str] = ()) -> TextClause:
    kinds = {name: Text() if _is_json(table, name) else table.c[name].type for name in columns}
    values = {name: kind if name in same else ARRAY(_untouched(kind)) for name, kind in kinds.items()}
    return text(statement).bindparams(*(bindparam(name, type_=kind) for name, kind in values.items()))


class _Bytes(BYTEA):
    """Bytes that nobody looks at before the driver does."""

    def bind_processor(self, dialect: Dialect) -> None:
        """Nothing is done to them."""


def _untouched(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """A kind whose values go to the driver as they are, where what is done to each would change nothing (`kit/arrays`)."""
    if isinstance(kind, LargeBinary):
        return _Bytes()
    return DateTime(timezone=True) if isinstance(kind, UtcDateTime) else kind


@lru_cache(maxsize=256)
def _unnested(
    table: Table, columns: tuple[str, ...], unless_there: bool, returning: bool = False, same: frozenset[str] = frozenset()
) -> Executable:
    given = ", ".join(_given(table, name, same) for name in columns)
    arrays = [name for name in columns if name not in same]
    end = " ON CONFLICT DO NOTHING" if unless_there else ""
    if returning:
        end += f" RETURNING {', '.join(column.name for column in table.primary_key)}"
    into = f"INSERT INTO {table.name} ({', '.join(columns)})"
    statement = f"{into} SELECT {given} FROM {_unnest(table, arrays)}{end}"
    return _with_columns(_bound(table, columns, statement, same), table, returning)


def _with_columns(statement: TextClause, table: Table, returning: bool) -> Executable:
    return statement.columns(*table.primary_key) if returning else statement


@lru_cache(maxsize=256)
def _one_by_one(table: Table, columns: tuple[str, ...], unless_there: bool) -> Executable:
    insert = sqlite.insert(table).values({name: bindparam(name, type_=table.c[name].type) for name in columns})
    return insert.on_conflict_do_nothing() if unless_there else insert


@lru_cache(maxsize=256)
def _updated(table: Table, columns: tuple[str, ...]) -> Executable:
    keys = {column.name for column in table.primary_key}
    new = ", ".join(f"{name} = {_given(table, name)}" for name in columns if name not in keys)
    same = " AND ".join(f"{table.name}.{name} = given.{name}" for name in columns if name in keys)
    return _bound(table, columns, f"UPDATE {table.name} SET {new} FROM {_unnest(table, columns)} WHERE {same}")


@lru_cache(maxsize=256)
def _updated_one_by_one(table: Table, columns: tuple[str, ...]) -> Executable:
    keys = {column.name for column in table.primary_key}
    given = {name: bindparam(f"_{name}", type_=table.c[name].type) for name in columns}
    same = [table.c[name] == given[name] for name in columns if name in keys]
    return table.update().where(*same).values({name: given[name] for name in columns if name not in keys})
