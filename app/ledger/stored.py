"""Entries as the database holds them, read by the driver alone, and the leaf that such a row is; leaves written in the same way.

These are the bytes of `leaves.leaf_bytes`, at a tenth of its price for a whole log: a text out of the database goes into the
leaf as it is, so what was changed in any way, and were it only how it is written, is another leaf.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from app.kit import canonical
from app.kit.database import Transaction
from app.kit.rows import on_postgresql
from app.ledger.tree import leaf_hash

Stored = Sequence[Any]
"""The columns of `COLUMNS`, in their order. All are None where there is no such entry."""

_decode = msgspec.json.Decoder().decode
_decode_texts = msgspec.json.Decoder(dict[str, str]).decode
_ON_POSTGRESQL = (
    "e.id::text, e.organization_id::text, e.kind, e.member_id::text, e.actor_id::text, e.actor_role, e.subjects::text,"
    " encode(e.commitment, 'hex'), to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
)
_ON_SQLITE = (
    "e.id, e.organization_id, e.kind, e.member_id, e.actor_id, e.actor_role, e.subjects,"
    " lower(hex(e.commitment)), replace(e.at, ' ', 'T') || 'Z'"
)
_PLACE_ALL = (
    "INSERT INTO ledger_leaf (organization_id, position, entry_id, hash)"
    " SELECT $1::uuid, $2::bigint + given.number - 1, given.entry::uuid, given.hash"
    " FROM unnest($3::text[], $4::bytea[]) WITH ORDINALITY AS given(entry, hash, number)"
)
_PLACE_EACH = "INSERT INTO ledger_leaf (organization_id, position, entry_id, hash) VALUES (?, ?, ?, ?)"
WIDTH = 9
"""How many columns that are."""


def columns(tx: Transaction) -> str:
    """What to select of `ledger_entry AS e`."""
    return _ON_POSTGRESQL if on_postgresql(tx) else _ON_SQLITE


async def fetched(tx: Transaction, statement: str, *values: Any) -> Sequence[Sequence[Any]]:
    """The rows of one statement as the driver gives them. `?` stands for each value, on both databases; UUIDs are values."""
    connection = await tx.connection()
    if on_postgresql(tx):
        first, *rest = statement.split("?")
        statement = first + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))
    else:
        values = tuple(value.hex if isinstance(value, UUID) else value for value in values)
    return (await connection.exec_driver_sql(statement, values)).all()


async def write_leaves(tx: Transaction, organization_id: UUID, start: int, leaves: Sequence[tuple[str, bytes]]) -> None:
    """Give entries their places in a log, from `start` on. `leaves`: each one's id as the database holds it, and its hash."""
    connection = await tx.connection()
    if on_postgresql(tx):
        entries, hashes = [entry for entry, _ in leaves], [value for _, value in leaves]
        await connection.exec_driver_sql(_PLACE_ALL, (organization_id, start, entries, hashes))
    else:
        rows = [(organization_id.hex, place, entry, value) for place, (entry, value) in enumerate(leaves, start)]
        await connection.exec_driver_sql(_PLACE_EACH, rows)


@lru_cache(maxsize=1024)
def _written(word: str | None) -> str:
    return canonical.dumps(word).decode()


def hyphened(value: str | None) -> str | None:
    """An id as text has it, out of what the database holds: with hyphens (PostgreSQL) or without (SQLite)."""
    if value is None or len(value) != 32:
        return value
    return f"{value[:8]}-{value[8:12]}-{value[12:16]}-{value[16:20]}-{value[20:]}"


@lru_cache(maxsize=1024)
def _id(value: str | None) -> str:
    return "null" if value is None else f'"{hyphened(value)}"'


def _told(subjects: str) -> str:
    """Subjects in canonical form; of what every entry has, texts in plain ASCII, it is known that one encoder writes it."""
    if subjects.isascii() and "\\" not in subjects:
        try:
            return canonical.dumps_simple(_decode_texts(subjects)).decode()
        except msgspec.ValidationError:  # something else than texts
            pass
    return canonical.dumps(_decode(subjects)).decode()


def leaf_of(row: Stored) -> bytes | None:
    """The bytes of one entry's leaf; None for what cannot be an entry (somebody has been at it)."""
    entry, organization, kind, member, actor, role, subjects, commitment, at = row
    try:
        # an entry's own id is always another one, so that to remember it would only take time
        return (
            f'{{"actor_id":{_id(actor)},"actor_role":{_written(role)},"at":"{at}","commitment":"{commitment}"'
            f',"id":"{hyphened(entry)}","kind":{_written(kind)},"member_id":{_id(member)},"organization_id":{_id(organization)}'
            f',"subjects":{_told(subjects)}}}'
        ).encode()
    except (ValueError, TypeError, AttributeError):  # no JSON, no canonical form, or no text where one should be
        return None


def hash_of(row: Stored) -> bytes | None:
    """The hash of one entry's leaf, 32 bytes; None for what cannot be an entry."""
    leaf = leaf_of(row)
    return None if leaf is None else leaf_hash(leaf)


def hashes_of(rows: Sequence[Stored]) -> list[bytes | None]:
    """The hash of each row's leaf; of longer rows the first `WIDTH` columns are the entry's."""
    return [hash_of(row[:WIDTH]) for row in rows]
