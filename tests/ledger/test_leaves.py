"""The bytes of a leaf: written quickly, and always as the canonical form of the whole row has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, insert

from app.kit import canonical
from app.ledger.leaves import leaf_bytes
from app.ledger.models import LedgerEntry
from app.ledger.service import Act
from app.ledger.stored import _ON_SQLITE, leaf_of
from app.tables import metadata

IDS = {"id", "organization_id", "member_id", "actor_id"}
ROW: dict[str, Any] = {
    "id": UUID("01981234-5678-7abc-8def-0123456789AB"),
    "organization_id": UUID(int=0),
    "kind": "receipt",
    "member_id": None,
    "actor_id": UUID(int=7),
    "actor_role": "admin",
    "subjects": {"receipt": "01981234-5678-7abc-8def-000000000001", "connection": "01981234-5678-7abc-8def-000000000002"},
    "commitment": bytes(range(32)),
    "at": datetime(2026, 11, 27, 4, 5, 6, tzinfo=UTC),
}
TEXTS = st.text(st.characters(), max_size=20)
ZONES = [UTC, timezone(timedelta(hours=-8)), timezone(timedelta(hours=13, minutes=45))]
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.sampled_from(ZONES))  # noqa: DTZ001 - bounds
WHOLE = st.datetimes(timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=0))
VALUES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
ROWS = st.fixed_dictionaries(
    {
        "id": st.uuids(),
        "organization_id": st.uuids(),
        "kind": TEXTS | st.sampled_from(Act),
        "member_id": st.none() | st.uuids(),
        "actor_id": st.none() | st.uuids(),
        "actor_role": st.none() | TEXTS,
        "subjects": st.dictionaries(TEXTS, VALUES, max_size=4) | st.dictionaries(TEXTS, TEXTS, max_size=4),
        "commitment": st.binary(max_size=40),
        "at": MOMENTS | WHOLE,
    }
)


def written_out(row: dict[str, Any]) -> dict[str, Any]:
    """The row as the module's docstring says that it is told."""
    at = row["at"].astimezone(UTC)
    return {
        **{name: None if row[name] is None else str(row[name]) for name in IDS},
        "kind": row["kind"].value if isinstance(row["kind"], Act) else row["kind"],
        "actor_role": row["actor_role"],
        "subjects": row["subjects"],
        "commitment": row["commitment"].hex(),
        "at": f"{at.year:04}-{at:%m-%dT%H:%M:%S}.{at.microsecond:06}Z",
    }


def test_one_leaf_as_anybody_would_write_it() -> None:
    assert leaf_bytes(ROW).decode() == (
        '{"actor_id":"00000000-0000-0000-0000-000000000007","actor_role":"admin","at":"2026-11-27T04:05:06.000000Z",'
        '"commitment":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",'
        '"id":"01981234-5678-7abc-8def-0123456789ab","kind":"receipt","member_id":null,'
        '"organization_id":"00000000-0000-0000-0000-000000000000",'
        '"subjects":{"connection":"01981234-5678-7abc-8def-000000000002","receipt":"01981234-5678-7abc-8def-000000000001"}}'
    )


@given(ROWS)
def test_any_row_has_its_canonical_form(row: dict[str, Any]) -> None:
    expected = written_out(row)
    try:
        canon = rfc8785.dumps(expected)
    except ValueError:  # half a surrogate pair
        with pytest.raises(ValueError):  # noqa: PT011 - of two libraries
            leaf_bytes(row)
        return
    assert leaf_bytes(row) == canon == canonical.dumps(expected)


def test_every_column_of_an_entry_is_in_its_leaf() -> None:
    assert set(json.loads(leaf_bytes(ROW))) == {column.name for column in LedgerEntry.__table__.columns}


def test_a_moment_of_no_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        leaf_bytes(ROW | {"at": datetime(2026, 11, 27)})  # noqa: DTZ001 - that is the point


@pytest.fixture(scope="module")
def entries() -> Iterator[Connection]:
    """A real SQLite with the table of entries and nothing else."""
    engine = create_engine("sqlite://")
    metadata.create_all(engine, tables=[LedgerEntry.__table__])  # type: ignore[list-item]
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@given(row=ROWS)
def test_a_leaf_out_of_the_stored_row_is_the_same(entries: Connection, row: dict[str, Any]) -> None:
    try:
        expected = leaf_bytes(row)
        (row["kind"] + (row["actor_role"] or "")).encode()
    except ValueError:  # half a surrogate pair, which is refused and which no database keeps
        return
    entries.execute(insert(LedgerEntry).values(**row | {"at": row["at"].astimezone(UTC), "kind": str(row["kind"])}))
    (stored,) = entries.exec_driver_sql(f"SELECT {_ON_SQLITE} FROM ledger_entry AS e").all()
    entries.rollback()
    assert leaf_of(stored) == expected
