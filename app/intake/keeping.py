"""The SQL that keeps receipts, many at once: each with its ledger entry, the same bytes once, all in one transaction.

PostgreSQL gets one statement for the whole batch, SQLite two that are run for each row; both say which rows were new.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, select, text

from app.connections.models import Connection
from app.intake.models import Receipt, ReceiptState
from app.kit.at_once import AtOnce
from app.kit.database import Base, Transaction
from app.kit.keyring import Lane
from app.kit.rows import on_postgresql
from app.ledger.models import LedgerEntry

_BYTES = ("sealed", "wrapped_key", "headers_sealed", "asked_sealed", "about_index", "body_hash", "entry_commitment")
_TYPES = {
    **dict.fromkeys(("id", "connection_id", "organization_id", "answers_event", "entry_id"), "uuid"),
    **dict.fromkeys(("received_at", "last_received_at"), "timestamptz"),
    **dict.fromkeys(("repeats", "revision", "key_version", "large"), "int"),
    **dict.fromkeys(("verification", "entry_subjects"), "jsonb"),
}
"""What PostgreSQL reads out of the JSON; all else is text, and bytes are base64."""
_RECEIPT = (
    *("connection_id", "id", "organization_id", "body_hash", "sealed", "wrapped_key", "headers_sealed", "asked_sealed"),
    *("about_index", "answers_event", "channel", "verification", "grade", "received_at", "last_received_at", "repeats"),
    *("state", "reason"),
)
_ENTRY = ("id", "organization_id", "kind", "subjects", "commitment", "at")
_OF_THE_RECEIPT = {"organization_id": "organization_id", "at": "received_at"}
"""What an entry says that its receipt says too."""
_OF_THE_ENTRY = {name: f"entry_{name}" for name in _ENTRY if name not in _OF_THE_RECEIPT}
_DEFAULTS = {"repeats": "0", "last_received_at": "{}received_at"}
"""What stands where a row does not say it, if not NULL."""

LARGE = 256 * 1024
"""Bytes of a sealed body that goes over beside the text: as base64 in it, 64 MiB cost PostgreSQL a gigabyte of memory."""

_json = msgspec.json.Encoder().encode

_AGAIN = """
ON CONFLICT (connection_id, body_hash) DO UPDATE SET
  repeats = receipt.repeats + 1 + excluded.repeats,
  last_received_at = excluded.last_received_at,
  verification = CASE WHEN {in_time} THEN excluded.verification ELSE receipt.verification END,
  reason = CASE WHEN {in_time} THEN excluded.reason ELSE receipt.reason END,
  state = CASE WHEN {in_time} THEN excluded.state ELSE receipt.state END
""".format(in_time=f"receipt.state = '{ReceiptState.STALE}' AND excluded.state = '{ReceiptState.STORED}'")
"""The same bytes again: counted, and one that is in time wakes a receipt that was set aside as stale."""


@dataclass(slots=True)
class Row:
    """A receipt to be kept with the ledger entry for the case that it is new: of the same organization, at the same moment.

    What is missing in `receipt` is NULL; `repeats` is 0, and `last_received_at` is when it was received.
    `revision`: the state of the connection that it was checked against; None: kept whatever the state is. `key_version`: the
    version of the organization's key that wraps the receipt's; it is kept only while that one lives.
    """

    receipt: Mapping[str, Any]
    entry: Mapping[str, Any]
    revision: int | None
    key_version: int = 1

    @property
    def key(self) -> tuple[UUID, bytes]:
        """What makes two deliveries the same."""
        return self.receipt["connection_id"], self.receipt["body_hash"]


async def keep(tx: Transaction, rows: Sequence[Row]) -> dict[tuple[UUID, bytes], UUID]:
    """Keep each row once or count it as a repeat; the id of the receipt that holds it, by key.

    A key is missing when its connection is no longer in the state that it was checked against, or the organization's key was
    replaced and is gone: nothing of it is kept.
    No two rows may have the same key.
    """
    if on_postgresql(tx):
        return _found(await (await tx.connection()).exec_driver_sql(_AT_ONCE, _told(rows)))
    return await _keep_each(tx, rows)


async def keep_at_once(store: AtOnce, rows: Sequence[Row]) -> dict[tuple[UUID, bytes], UUID]:
    """`keep`, as a transaction of its own: it returns after the COMMIT."""
    return _found(await store.fetch(_AT_ONCE, *_told(rows)))


_SENT = (*_RECEIPT, *_OF_THE_ENTRY.values(), "revision", "key_version", "large")
"""What the statement for PostgreSQL reads of each row."""


def _read(names: Iterable[str]) -> str:
    values = {name: f"decode(given.{name}, 'base64')" if name in _BYTES else f"given.{name}" for name in names}
    if "sealed" in values:
        values["sealed"] = f"coalesce(($2::bytea[])[given.large], {values['sealed']})"
    return ", ".join(_or_else(name, value, "given.") for name, value in values.items())


def _or_else(name: str, value: str, prefix: str) -> str:
    return f"coalesce({value}, {_DEFAULTS[name].format(prefix)})" if name in _DEFAULTS else value


_AT_ONCE = f"""
WITH given AS (
  SELECT * FROM json_to_recordset($1::text::json)
    AS sent({", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in _SENT)})),
kept AS (
  INSERT INTO receipt ({", ".join(_RECEIPT)})
  SELECT {_read(_RECEIPT)} FROM given JOIN connection ON connection.id = given.connection_id
  JOIN organization_key AS held
    ON (held.organization_id, held.lane, held.version) = (given.organization_id, '{Lane.FACTUAL}', given.key_version)
  WHERE (given.revision IS NULL OR given.revision = connection.revision) AND held.destroyed_at IS NULL
  ORDER BY given.connection_id, given.body_hash
  FOR KEY SHARE OF held, connection
  {_AGAIN}
  RETURNING receipt.connection_id, receipt.body_hash, receipt.id),
noted AS (
  INSERT INTO ledger_entry ({", ".join(_ENTRY)})
  SELECT {_read({**_OF_THE_ENTRY, **_OF_THE_RECEIPT}[name] for name in _ENTRY)}
  FROM given JOIN kept ON kept.id = given.id)
SELECT connection_id, body_hash, id FROM kept
"""


def _told(rows: Sequence[Row]) -> tuple[str, list[bytes]]:
    """The rows as the statement takes them, and what is large beside them: the driver looks twice at values in arrays.

    The statement puts them in order, so that two processes that keep the same rows never wait for each other in a ring.
    """
    sent, large = [_as_sent(row) for row in rows], list[bytes]()
    for one in sent:
        if len(one["sealed"]) >= LARGE:
            large.append(one["sealed"])
            one |= {"sealed": None, "large": len(large)}
    return _json(sent).decode(), large


def _as_sent(row: Row) -> dict[str, Any]:
    of_the_entry = {sent: row.entry[name] for name, sent in _OF_THE_ENTRY.items()}
    return {**row.receipt, **of_the_entry, "revision": row.revision, "key_version": row.key_version}


def _found(kept: Iterable[Any]) -> dict[tuple[UUID, bytes], UUID]:
    return {(connection_id, body_hash): receipt_id for connection_id, body_hash, receipt_id in kept}


def _typed(statement: str, table: type[Base], names: Sequence[str], prefix: str) -> Any:
    own = table.__table__.columns
    return text(statement).bindparams(*(bindparam(f"{prefix}_{name}", type_=own[name].type) for name in names))


def _binds(prefix: str, names: Sequence[str]) -> str:
    return ", ".join(_or_else(name, f":{prefix}_{name}", f":{prefix}_") for name in names)


_EACH = _typed(
    f"INSERT INTO receipt ({', '.join(_RECEIPT)}) SELECT {_binds('receipt', _RECEIPT)} WHERE EXISTS (SELECT 1 FROM connection"
    f" WHERE id = :receipt_connection_id AND (:revision IS NULL OR revision = :revision)) {_AGAIN}",
    Receipt,
    _RECEIPT,
    "receipt",
)
_EACH_ENTRY = _typed(
    f"INSERT INTO ledger_entry ({', '.join(_ENTRY)}) SELECT {_binds('entry', _ENTRY)} WHERE EXISTS"
    " (SELECT 1 FROM receipt WHERE connection_id = :receipt_connection_id AND id = :receipt_id)",
    LedgerEntry,
    _ENTRY,
    "entry",
).bindparams(*(bindparam(f"receipt_{name}", type_=Receipt.__table__.columns[name].type) for name in ("connection_id", "id")))
_HELD = select(Receipt.connection_id, Receipt.body_hash, Receipt.id, Connection.revision).join(
    Connection, Connection.id == Receipt.connection_id
)


async def _keep_each(tx: Transaction, rows: Sequence[Row]) -> dict[tuple[UUID, bytes], UUID]:
    values = [
        {
            "revision": row.revision,
            **{f"receipt_{name}": row.receipt.get(name) for name in _RECEIPT},
            **{f"entry_{name}": row.entry[name] for name in _ENTRY},
        }
        for row in rows
    ]
    await tx.execute(_EACH, values)
    await tx.execute(_EACH_ENTRY, values)
    asked = {row.key: row.revision for row in rows}
    # For a list of pairs SQLite would read all of the connection's receipts.
    connections, hashes = {connection_id for connection_id, _ in asked}, [body_hash for _, body_hash in asked]
    held = await tx.execute(_HELD.where(Receipt.connection_id.in_(connections), Receipt.body_hash.in_(hashes)))
    return {
        (connection_id, body_hash): receipt_id
        for connection_id, body_hash, receipt_id, revision in held
        if (connection_id, body_hash) in asked and asked[connection_id, body_hash] in (None, revision)
    }


def merged(rows: Sequence[Row]) -> list[Row]:
    """One row for each key: the first that is in time, or the first; with how often the same bytes came besides."""
    if len({row.key for row in rows}) == len(rows):
        return list(rows)
    by_key: dict[tuple[UUID, bytes], list[Row]] = {}
    for row in rows:
        by_key.setdefault(row.key, []).append(row)
    return [_one_of(same) for same in by_key.values()]


def _one_of(same: Sequence[Row]) -> Row:
    chosen = next((row for row in same if row.receipt["state"] == ReceiptState.STORED), same[0])
    if len(same) == 1:
        return chosen
    last: datetime = max(row.receipt["received_at"] for row in same)
    counted = {**chosen.receipt, "repeats": len(same) - 1, "last_received_at": last}
    return Row(counted, chosen.entry, chosen.revision, chosen.key_version)
