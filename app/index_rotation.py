"""Blind indexes are put under a new key while everything runs, version by version of kit/indexes.

A new version counts from a COMMIT that waits for whoever is writing an index, and that whoever writes one later cannot miss:
writers hold the newest version of their organization's key, and this wraps it anew. Whoever only looks, looks for every version
that they know, and once more when nothing was found. Rows are moved in short transactions; whoever is killed begins again and
goes on.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, LargeBinary, and_, func, literal, or_, select, tuple_

from app.kit import crypto, indexes
from app.kit.database import Base, Database, Transaction
from app.kit.keyring import UNCHANGING, Keyring, Lane, OrganizationKey, Unchanging, place_of
from app.kit.keyring import while_nobody_makes_keys as nobody_makes_keys
from app.kit.rows import on_postgresql, update_rows
from app.ledger.service import SYSTEM, Act, Actor, append
from app.members.models import Member
from app.members.service import EXTERNAL

BATCH = 500
TURNS = 5
SOON = 0.5
"""How often what others had in work is looked for once more, and after how many seconds."""


@dataclass(frozen=True)
class Indexed:
    """A column of blind indexes that no other must equal, so that it can be moved row by row. `field`: what it is an index of."""

    table: type[Base]
    column: str
    field: str

    @property
    def name(self) -> str:
        """The column with its table."""
        return f"{self.table.__tablename__}.{self.column}"

    def value(self) -> Any:
        """The column, to select by."""
        return getattr(self.table, self.column)

    def key(self) -> list[Any]:
        """The columns of the primary key."""
        return list(self.table.__table__.primary_key.columns)  # type: ignore[attr-defined]

    def not_under(self, organization_id: UUID, version: int) -> ColumnElement[bool]:
        """The rows of an organization whose index is of another version."""
        organization = self.table.organization_id  # type: ignore[attr-defined]
        return and_(organization == organization_id, of_another(self.value(), version))


def of_another(column: Any, version: int) -> ColumnElement[bool]:
    """That a column holds an index of another version than this one."""
    header = indexes.header(version)
    other = func.length(column) != len(header) + indexes.HASH_BYTES
    if header:
        other = or_(other, func.substr(column, 1, len(header)) != literal(header, LargeBinary))
    return and_(column.is_not(None), func.length(column) > 0, other)


LOOKED_UP = (Indexed(Member, "external_index", EXTERNAL),)
"""Those of this kind. What came over a connection has others: app/connection_indexes."""


async def begin(
    database: Database, keyring: Keyring, organization_id: UUID, place: Indexed, actor: Actor = SYSTEM
) -> tuple[int, bool]:
    """Make a new version of one index, which counts from the COMMIT; or find that one was made and not all is under it yet.

    Returns the newest version and whether it is new.
    """
    async with database.begin() as tx:
        await nobody_makes_keys(tx)
        # Read before they are wrapped anew: this process, too, is to find other keys than it knows as soon as it writes.
        keys = await keyring.refreshed(tx, organization_id)
        await while_nobody_writes(tx, keyring, organization_id)
        version = keys.index_version(place.field)
        if await left_over(tx, organization_id, place, version):
            return version, False
        later = {**keys.unchanging.later, place.field: [*keys.unchanging.later.get(place.field, ()), crypto.new_key()]}
        await keep(tx, keyring, organization_id, msgspec.structs.replace(keys.unchanging, later=later))
        facts = {"change": "new version of an index", "index": place.field, "version": version + 1}
        await append(tx, keyring, organization_id, Act.KEY, facts=facts, actor=actor)
    return version + 1, True


async def while_nobody_writes(tx: Transaction, keyring: Keyring, organization_id: UUID) -> None:
    """Wait for whoever holds a version of the key, and let whoever waits for one find it other than they know it."""
    query = select(OrganizationKey).where(
        OrganizationKey.organization_id == organization_id,
        OrganizationKey.lane == Lane.FACTUAL,
        OrganizationKey.version > UNCHANGING,
        OrganizationKey.wrapped.is_not(None),
    )
    if on_postgresql(tx):
        query = query.with_for_update()
    for row in (await tx.execute(query.order_by(OrganizationKey.version))).scalars():
        where = place_of(organization_id, Lane.FACTUAL, row.version)
        key = await keyring.vault.unwrap(row.top, row.wrapped or b"", where)
        row.wrapped, row.top = await keyring.vault.wrap(key, where), keyring.vault.newest
    await tx.flush()


async def keep(tx: Transaction, keyring: Keyring, organization_id: UUID, unchanging: Unchanging) -> None:
    """Wrap what stays the same in the place of what is there, or for the first time."""
    row = await tx.get(OrganizationKey, (organization_id, Lane.FACTUAL, UNCHANGING), with_for_update=True)
    if row is None:
        await keyring.make(tx, organization_id, Lane.FACTUAL, UNCHANGING, unchanging.dumps())
        return
    where = place_of(organization_id, Lane.FACTUAL, UNCHANGING)
    row.wrapped, row.top = await keyring.vault.wrap(unchanging.dumps(), where), keyring.vault.newest
    await tx.flush()


async def left_over(tx: Transaction, organization_id: UUID, place: Indexed, version: int) -> int:
    """How many indexes are not under this version."""
    query = select(func.count()).select_from(place.table).where(place.not_under(organization_id, version))
    return (await tx.execute(query)).scalar_one()


async def move(database: Database, keyring: Keyring, organization_id: UUID, place: Indexed) -> int:
    """Put every index under the newest version, batch by batch; how many were moved. What others have in work is left."""
    moved, after = 0, None
    while True:
        async with database.begin() as tx:
            keys = await keyring.for_writing(tx, organization_id)
            key = place.key()
            query = select(*key, place.value()).where(place.not_under(organization_id, keys.index_version(place.field)))
            if after is not None:
                query = query.where(tuple_(*key) > tuple_(*[literal(v, c.type) for v, c in zip(after, key, strict=True)]))
            query = query.order_by(*key).limit(BATCH)
            if on_postgresql(tx):
                query = query.with_for_update(skip_locked=True)
            rows = [dict(row) for row in (await tx.execute(query)).mappings()]
            anew = [{**row, place.column: keys.unchanging.raised(place.field, row[place.column])[-1]} for row in rows]
            if anew:
                await update_rows(tx, place.table, anew)
        moved += len(rows)
        if len(rows) < BATCH:
            return moved
        after = [rows[-1][one.name] for one in key]


async def replace(
    database: Database, keyring: Keyring, organization_id: UUID, told: Callable[[str], None], actor: Actor = SYSTEM
) -> dict[str, int]:
    """Put an organization's look-up indexes under a new version each, or go on where somebody stopped; what is left, by place."""
    left: dict[str, int] = {}
    for place in LOOKED_UP:
        version, is_new = await begin(database, keyring, organization_id, place, actor)
        told(f"{place.name}: version {version} {'made' if is_new else 'was made already, going on'}")
        for turn in range(TURNS):
            if turn:
                await asyncio.sleep(SOON)
            told(f"{place.name}: {await move(database, keyring, organization_id, place)} moved")
            async with database.begin(read_only=True) as tx:
                rest = await left_over(tx, organization_id, place, version)
            if not rest:
                break
        if rest:
            left[place.name] = rest
    return left


async def status(tx: Transaction, keyring: Keyring, organization_id: UUID) -> dict[str, Any]:
    """The version of each look-up index of an organization, and how many are not under it."""
    keys = await keyring.refreshed(tx, organization_id)
    found = {}
    for place in LOOKED_UP:
        version = keys.index_version(place.field)
        found[place.name] = {"version": version, "left": await left_over(tx, organization_id, place, version)}
    return found
