"""The blind indexes of what came over a connection are put under a new key: all of one connection's in one transaction.

They equal one another across tables, and some stand under UNIQUE constraints that say what is the same. So there is no moment at
which some are of one version and some of another: beside this transaction no other writes, whoever reads sees what was before it
or what is after it, and deliveries, which are kept by single statements, wait for the connection's row and then find that it has
changed. Whoever is killed leaves each connection as it was, or moved.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, bindparam, func, literal, or_, select, tuple_
from sqlalchemy.exc import DBAPIError

from app.connections import repository as connections
from app.connections.models import Connection, PollSubject
from app.incidents.models import Unmatched
from app.index_rotation import keep, of_another, while_nobody_writes
from app.intake.models import AlertRow, Event, HandedIn, LookUp, Receipt
from app.kit import crypto
from app.kit.database import Base, Database, Transaction
from app.kit.indexes import OF_A_CONNECTION
from app.kit.keyring import Keyring, Unchanging
from app.kit.keyring import while_nobody_makes_keys as nobody_makes_keys
from app.kit.outbox import Message
from app.ledger.service import SYSTEM, Act, Actor, append
from app.members.models import Enrollment
from app.members.service import REFERENCE, REFERENCE_FORGOTTEN

BATCH = 5_000
TURNS = 20
SOON = 3.0
"""How often others are given time to come to an end who are in the middle of writing, and how many seconds each time."""

LARGE = 100_000
"""Receipts of a connection that is moved only if somebody says so: nobody else writes meanwhile, half a minute and more."""

NAME = "connections"
"""What these indexes are called beside the others."""

_NOT_IN_TIME = "55P03"

_TABLES: tuple[tuple[type[Base], Mapping[str, str]], ...] = (
    (Receipt, {"body_hash": "receipt.body", "about_index": REFERENCE}),
    (Event, {"content_hash": "event.content", "reference_index": REFERENCE}),
    (AlertRow, {"dedupe_key": "alert.identity", "reference_index": REFERENCE}),
    (LookUp, {"key": "look_up.identity", "reference_index": REFERENCE}),
    (HandedIn, {"file_index": "handed_in.file"}),
    (Unmatched, {"reference_index": REFERENCE}),
    (Enrollment, {"reference_index": REFERENCE}),
    (PollSubject, {"reference_index": REFERENCE}),
)
"""Every column of such an index, with the field by whose keys its later versions are made."""


def columns() -> set[str]:
    """Every column that is moved, with its table."""
    return {f"{table.__tablename__}.{column}" for table, fields in _TABLES for column in fields}


async def begin(database: Database, keyring: Keyring, organization_id: UUID, actor: Actor = SYSTEM) -> tuple[int, bool]:
    """Make the keys of a new version, which counts for no connection yet; or find that not all are of the one before.

    Returns the newest version and whether it is new. The door is handed its part.
    """
    async with database.begin() as tx:
        await nobody_makes_keys(tx)
        keys = await keyring.refreshed(tx, organization_id)
        version = keys.index_version(OF_A_CONNECTION[0])
        if await behind(tx, organization_id, version):
            return version, False
        await while_nobody_writes(tx, keyring, organization_id)
        later = keys.unchanging.later
        more = {field: [*later.get(field, ()), crypto.new_key()] for field in OF_A_CONNECTION}
        await keep(tx, keyring, organization_id, msgspec.structs.replace(keys.unchanging, later={**later, **more}))
        await keyring.hand_over(tx, organization_id, await keyring.refreshed(tx, organization_id))
        facts = {"change": "new version of an index", "index": NAME, "version": version + 1}
        await append(tx, keyring, organization_id, Act.KEY, facts=facts, actor=actor)
    return version + 1, True


async def behind(tx: Transaction, organization_id: UUID, version: int) -> Sequence[UUID]:
    """The connections whose indexes are not of this version yet, the oldest first."""
    query = select(Connection.id).where(Connection.organization_id == organization_id, Connection.index_version < version)
    return (await tx.execute(query.order_by(Connection.id))).scalars().all()


async def move(
    database: Database, keyring: Keyring, connection_id: UUID, told: Callable[[str], None], actor: Actor = SYSTEM
) -> None:
    """Put all of one connection's indexes under the newest version, in one transaction. `told` hears how far it is.

    Raises a DBAPIError (55P03) when others who write do not come to an end.
    """
    async with database.begin(alone=True) as tx:
        query = select(Connection).where(Connection.id == connection_id).with_for_update()  # deliveries wait for this row
        connection = (await tx.execute(query)).scalar_one()
        organization_id = connection.organization_id
        opened = await keyring.refreshed(tx, organization_id)
        keys, version = opened.unchanging, opened.index_version(OF_A_CONNECTION[0])
        if connection.index_version >= version:
            return
        for table, fields in _TABLES:
            of = table.metadata.tables[table.__tablename__].c.connection_id == connection_id
            moved = await move_rows(tx, keys, version, table, fields, of)
            told(f"connection {connection_id}: {moved} in {table.__tablename__}")
        of_here = (Message.organization_id == organization_id, Message.payload["connection_id"].as_string() == str(connection_id))
        await move_messages(tx, keys, REFERENCE_FORGOTTEN, "reference_index", REFERENCE, *of_here)
        await connections.end_turn(tx, connection_id)  # who asks just now remembers indexes as they were
        connection.index_version = version
        await tx.flush()
        facts = {"change": "indexes moved", "index": NAME, "version": version}
        await append(tx, keyring, organization_id, Act.KEY, facts=facts, actor=actor, connection=connection_id)


async def move_rows(
    tx: Transaction, keys: Unchanging, version: int, table: type[Base], fields: Mapping[str, str], of: ColumnElement[bool]
) -> int:
    """Put the indexes of some rows (`of`) under the newest version, which is `version`; how many rows there were.

    `fields`: by column, by whose keys its later versions are made.
    """
    into = table.metadata.tables[table.__tablename__]
    own, key = into.c, list(into.primary_key.columns)
    others = or_(*(of_another(own[name], version) for name in fields))
    query = select(*key, *(own[name].label(f"old_{name}") for name in fields)).where(of, others)
    change = into.update().where(*(one == bindparam(f"at_{one.name}", type_=one.type) for one in key))
    change = change.values({name: bindparam(f"new_{name}", type_=own[name].type) for name in fields})
    connection, moved, after = await tx.connection(), 0, None
    while True:
        further = query
        if after is not None:
            further = query.where(tuple_(*key) > tuple_(*[literal(v, c.type) for v, c in zip(after, key, strict=True)]))
        rows = [dict(row) for row in (await connection.execute(further.order_by(*key).limit(BATCH))).mappings()]
        if rows:
            await connection.execute(change, [_moved(keys, row, key, fields) for row in rows])
        moved += len(rows)
        if len(rows) < BATCH:
            return moved
        after = [rows[-1][one.name] for one in key]


def _moved(keys: Unchanging, row: Mapping[str, Any], key: Sequence[Any], fields: Mapping[str, str]) -> dict[str, Any]:
    at = {f"at_{one.name}": row[one.name] for one in key}
    new = {f"new_{name}": row[f"old_{name}"] and keys.raised(field, row[f"old_{name}"])[-1] for name, field in fields.items()}
    return {**at, **new}


async def move_messages(tx: Transaction, keys: Unchanging, topic: str, name: str, field: str, *of: ColumnElement[bool]) -> None:
    """What is on its way, or lies there still, and names an index in hex: `name` in its payload, of `field`."""
    for message in (await tx.execute(select(Message).where(Message.topic == topic, *of))).scalars():
        index = keys.raised(field, bytes.fromhex(message.payload[name]))[-1]
        message.payload = {**message.payload, name: index.hex()}
    await tx.flush()


async def replace(
    database: Database,
    keyring: Keyring,
    organization_id: UUID,
    told: Callable[[str], None],
    actor: Actor = SYSTEM,
    *,
    large: bool = False,
) -> dict[str, int]:
    """Put all connections of an organization under a new version, one by one, or go on where somebody stopped; what is left.

    `large`: also those with more receipts than `LARGE`.
    """
    version, is_new = await begin(database, keyring, organization_id, actor)
    told(f"{NAME}: version {version} {'made' if is_new else 'was made already, going on'}")
    async with database.begin(read_only=True) as tx:
        sizes = {one: await _receipts(tx, one) for one in await behind(tx, organization_id, version)}
    kept_back = {one: size for one, size in sizes.items() if size > LARGE and not large}
    for one, size in kept_back.items():
        told(f"connection {one}: {size} receipts, left as it is: run this with --large at a quiet hour")
    left = [one for one in sizes if one not in kept_back]
    for turn in range(TURNS):
        if turn and left:
            await asyncio.sleep(SOON)
        left = [one for one in left if not await in_time(move(database, keyring, one, told, actor))]
        if not left:
            break
        told(f"{NAME}: {len(left)} left, others are writing all the time")
    return {NAME: len(left) + len(kept_back)} if left or kept_back else {}


async def _receipts(tx: Transaction, connection_id: UUID) -> int:
    query = select(func.count()).select_from(Receipt).where(Receipt.connection_id == connection_id)
    return (await tx.execute(query)).scalar_one()


async def in_time(moving: Awaitable[None]) -> bool:
    """Whether something was done beside which no other writes; False when others did not come to an end."""
    try:
        await moving
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _NOT_IN_TIME:
            raise
        return False
    return True


async def status(tx: Transaction, keyring: Keyring, organization_id: UUID) -> dict[str, Any]:
    """The newest version, and how many connections are not of it."""
    version = (await keyring.refreshed(tx, organization_id)).index_version(OF_A_CONNECTION[0])
    query = select(func.count()).where(Connection.organization_id == organization_id, Connection.index_version < version)
    return {NAME: {"version": version, "left": (await tx.execute(query)).scalar_one()}}
