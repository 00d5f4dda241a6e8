"""Keys are replaced while everything runs: keys of organizations by a new version, the top key by another.

Every step is a short transaction, and whatever is there at its end can be read; whoever is killed begins again and goes on.
What a step finds out about the state of things it finds out from the rows themselves, so there is nothing to get out of step.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, delete, func, insert, literal, or_, select, tuple_, update

from app.connections.models import Connection
from app.kit import clock, crypto
from app.kit.crypto import Unreadable
from app.kit.database import Database, Transaction
from app.kit.door_keys import take_back
from app.kit.keyring import NOBODY, SYSTEM_LANE, UNCHANGING, Keyring, Lane, OpenedKeys, OrganizationKey, place_of
from app.kit.keyring import while_nobody_makes_keys as nobody_makes_keys
from app.kit.rows import on_postgresql, update_rows
from app.kit.vault import KeyFile
from app.ledger.service import SYSTEM, Act, Actor, append
from app.sealed_places import PLACES, Place

log = structlog.get_logger(__name__)

BATCH = 500
PAUSE = 0.005
PAUSE_OF_ONE_WRITER = 0.15
"""Seconds between two batches, at least, in which others get their turn; otherwise as long as the batch took.

Whoever waits for the one writer of SQLite in another process looks for it every tenth of a second.
"""

TURNS = 5
SOON = 0.5
"""How often what others had in work is looked for once more, and after how many seconds."""


@dataclass(frozen=True)
class Progress:
    """How far it has come. `moved`: values of one place that were put under the newest version so far."""

    place: str
    moved: int


async def begin(
    database: Database, keyring: Keyring, organization_id: UUID, lane: Lane, actor: Actor = SYSTEM
) -> tuple[int, bool]:
    """Make a new version, which counts from the COMMIT; or find that one was made and not all is under it yet.

    Returns the newest version and whether it is new. Whoever takes deliveries in notices, for their connections have changed.
    """
    async with database.begin() as tx:
        await nobody_makes_keys(tx)
        live = await _live(tx, organization_id, lane)
        if len(live) > 1:
            return live[-1], False
        keys, version = await keyring.refreshed(tx, organization_id, lane), live[-1] + 1
        if not await _has_unchanging(tx, organization_id, lane):
            await keyring.make(tx, organization_id, lane, UNCHANGING, keys.unchanging.dumps())
        key = crypto.new_key()
        await keyring.make(tx, organization_id, lane, version, key)
        if lane is Lane.FACTUAL:
            await keyring.hand_over(tx, organization_id, OpenedKeys(organization_id, {version: key}, keys.unchanging))
        ours = update(Connection).where(Connection.organization_id == organization_id)
        await tx.execute(ours.values(revision=Connection.revision))  # any update raises it
        facts = {"change": "new version", "lane": lane, "version": version}
        await append(tx, keyring, organization_id, Act.KEY, facts=facts, actor=actor)
    return version, True


async def _live(tx: Transaction, organization_id: UUID, lane: str) -> list[int]:
    """The versions that are not destroyed, oldest first."""
    query = select(OrganizationKey.version).where(
        OrganizationKey.organization_id == organization_id,
        OrganizationKey.lane == lane,
        OrganizationKey.version > UNCHANGING,
        OrganizationKey.wrapped.is_not(None),
    )
    return sorted((await tx.execute(query)).scalars())


async def _has_unchanging(tx: Transaction, organization_id: UUID, lane: Lane) -> bool:
    return await tx.get(OrganizationKey, (organization_id, lane, UNCHANGING)) is not None


async def move(database: Database, keyring: Keyring, organization_id: UUID, lane: Lane) -> AsyncIterator[Progress]:
    """Put everything under the newest version, batch by batch, until nothing that can be opened is left under another."""
    for place in PLACES:
        if place.lane is lane:
            async for progress in move_place(database, keyring, organization_id, place):
                yield progress


async def move_place(database: Database, keyring: Keyring, organization_id: UUID, place: Place) -> AsyncIterator[Progress]:
    """`move`, of one place."""
    moved, more = 0, 1
    while more:  # who began before the new version was there may have written behind us
        more, after = 0, None
        while True:
            began = time.monotonic()
            done, after = await _move_batch(database, keyring, organization_id, place, after)
            took = time.monotonic() - began
            more += done
            if done:
                yield Progress(place.name, moved + more)
            if after is None:
                break
            await asyncio.sleep(max(took, PAUSE_OF_ONE_WRITER if database.is_sqlite else PAUSE))
        moved += more


async def _move_batch(
    database: Database, keyring: Keyring, organization_id: UUID, place: Place, after: Sequence[Any] | None
) -> tuple[int, Sequence[Any] | None]:
    """One transaction: how many were moved, and the key of the last row that was looked at (None: that was all)."""
    key = place.key()
    first = await _first_to_move(database, keyring, organization_id, place, after)
    if first is None:
        return 0, None
    async with database.begin() as tx:
        keys = await keyring.for_writing(tx, organization_id, place.lane)
        query = select(*key, place.value()).where(place.of(organization_id), place.not_under(keys.version))
        query = query.where(tuple_(*key) >= _bound(key, first)).order_by(*key).limit(BATCH)
        if on_postgresql(tx):  # what others work on is met at the next turn: nobody waits in a ring
            query = query.with_for_update(key_share=True, skip_locked=True, of=place.table)
        rows = [dict(row) for row in (await tx.execute(query)).mappings()]
        anew = []
        for row in rows:
            try:
                anew.append({**{one.name: row[one.name] for one in key}, place.column: place.again(keys, row)})
            except Unreadable:
                log.error("cannot be opened, left as it is", place=place.name, row=str(row[key[-1].name]))
        if anew:
            await update_rows(tx, place.table, anew)
    last = [rows[-1][one.name] for one in key] if len(rows) == BATCH else None
    return len(anew), last


async def _first_to_move(
    database: Database, keyring: Keyring, organization_id: UUID, place: Place, after: Sequence[Any] | None
) -> Sequence[Any] | None:
    """The key of the first row that is to be moved. It is looked for without holding up any writer: the way there may be long."""
    key = place.key()
    async with database.begin(read_only=True) as tx:
        keys = await keyring.refreshed(tx, organization_id, place.lane)
        query = select(*key).where(place.of(organization_id), place.not_under(keys.version))
        if after is not None:
            query = query.where(tuple_(*key) > _bound(key, after))
        return (await tx.execute(query.order_by(*key).limit(1))).one_or_none()


def _bound(key: Sequence[Any], values: Sequence[Any]) -> Any:
    return tuple_(*[literal(one, column.type) for one, column in zip(values, key, strict=True)])


async def left_over(tx: Transaction, organization_id: UUID, lane: Lane, version: int) -> dict[str, int]:
    """How many values are not under this version, by place; empty when all are."""
    found = {}
    for place in PLACES:
        if place.lane is lane:
            query = select(func.count()).select_from(place.table).where(place.of(organization_id), place.not_under(version))
            found[place.name] = (await tx.execute(query)).scalar_one()
    return {name: count for name, count in found.items() if count}


async def end(database: Database, keyring: Keyring, organization_id: UUID, lane: Lane, actor: Actor = SYSTEM) -> dict[str, int]:
    """Destroy the versions before the newest, if nothing is left under them and nobody is just writing under them.

    Returns what is left, by place: then nothing was destroyed.
    """
    async with database.begin(read_only=True) as tx:  # a look that holds up nobody, before the one that counts
        versions = await _live(tx, organization_id, lane)
        if left := await left_over(tx, organization_id, lane, versions[-1]):
            return left
    async with database.begin() as tx:
        *old, newest = await _live(tx, organization_id, lane)
        those = (
            OrganizationKey.organization_id == organization_id,
            OrganizationKey.lane == lane,
            OrganizationKey.version.in_(old),
        )
        if on_postgresql(tx):  # whoever writes under them has said so: wait for those, and see what they wrote
            await tx.execute(select(OrganizationKey.version).where(*those).with_for_update())
        left = await left_over(tx, organization_id, lane, newest)
        if left or not old:
            return left
        # Not an update: somebody who waits for the row must find it gone, not as it was.
        await tx.execute(delete(OrganizationKey).where(*those))
        ended = {"organization_id": organization_id, "lane": lane, "destroyed_at": clock.now()}
        await tx.execute(insert(OrganizationKey), [{**ended, "version": version} for version in old])
        if lane is Lane.FACTUAL:
            await take_back(tx, organization_id, old)
        facts = {"change": "versions destroyed", "lane": lane, "versions": old}
        await append(tx, keyring, organization_id, Act.KEY, facts=facts, actor=actor)
    return {}


async def replace(
    database: Database, keyring: Keyring, organization_id: UUID, lane: Lane, told: Callable[[str], None], actor: Actor = SYSTEM
) -> dict[str, int]:
    """Replace one key from end to end, or go on where somebody stopped; what could not be moved, by place.

    `told` hears how far it is.
    """
    version, is_new = await begin(database, keyring, organization_id, lane, actor)
    told(f"{lane}: version {version} {'made' if is_new else 'was made already, going on'}")
    for turn in range(TURNS):
        if turn:
            await asyncio.sleep(SOON)
        async for progress in move(database, keyring, organization_id, lane):
            told(f"{lane}: {progress.moved} in {progress.place}")
        left = await end(database, keyring, organization_id, lane, actor)
        if not left:
            told(f"{lane}: everything is under version {version}, the one before is destroyed")
            break
    return left


def prepare_top(vault: KeyFile) -> str:
    """Put a new top key into the file beside the one that is there; its name. Nothing is wrapped by it yet."""
    if len(vault.keys) == 1:
        vault.replace([crypto.new_key(), *vault.keys])
    return vault.newest


async def replace_top(database: Database, keyring: Keyring, vault: KeyFile, actor: Actor = SYSTEM) -> int:
    """Wrap every organization's keys by the newest top key of the file, then leave only that one in it; how many it were.

    `vault`: the keyring's own, with the new key in it (`prepare_top`). Other processes read the file again when they meet a name
    that they do not know.
    """
    async with database.begin() as tx:
        await _use_from_now_on(tx, keyring, vault)
    done = 0
    while (wrapped := await _wrap_one(database, keyring, vault, actor)) is not None:
        done += wrapped
    if len(vault.keys) > 1:
        vault.replace(vault.keys[:1])
    return done


async def _use_from_now_on(tx: Transaction, keyring: Keyring, vault: KeyFile) -> None:
    """The row of nobody says which top key is to be used: whoever makes a key looks at it (`Keyring.make`)."""
    await nobody_makes_keys(tx)
    unchanging = await keyring.unchanging_of_all(tx)
    row = await tx.get(OrganizationKey, (NOBODY, SYSTEM_LANE, UNCHANGING), populate_existing=True)
    if row is None:
        row = OrganizationKey(organization_id=NOBODY, lane=SYSTEM_LANE, version=UNCHANGING, created_at=clock.now())
        tx.add(row)
    if row.top != vault.newest:
        row.wrapped = await vault.wrap(unchanging.dumps(), place_of(NOBODY, SYSTEM_LANE, UNCHANGING))
        row.top = vault.newest
    await tx.flush()


async def _wrap_one(database: Database, keyring: Keyring, vault: KeyFile, actor: Actor) -> int | None:
    """One key, one transaction, so that nobody waits for two. How many it were; None: all are done."""
    async with database.begin() as tx:
        query = select(OrganizationKey).where(*_by_another(vault)).limit(1)
        if on_postgresql(tx):
            query = query.with_for_update(key_share=True)
        row = (await tx.execute(query)).scalar_one_or_none()
        if row is None:
            return 0 if await _any_by_another(tx, vault) else None
        where = place_of(row.organization_id, row.lane, row.version)
        key = await vault.unwrap(row.top, row.wrapped or b"", where)
        row.wrapped, row.top = await vault.wrap(key, where), vault.newest
        await tx.flush()
        facts = {"change": "wrapped by another top key", "lane": row.lane, "version": row.version, "top": vault.newest}
        if row.organization_id != NOBODY:
            await append(tx, keyring, row.organization_id, Act.KEY, facts=facts, actor=actor)
    return 1


async def _any_by_another(tx: Transaction, vault: KeyFile) -> bool:
    """Whether a key is left: a row that was waited for may have left the look in which another stands."""
    query = select(func.count()).select_from(OrganizationKey).where(*_by_another(vault))
    return bool((await tx.execute(query)).scalar_one())


def _by_another(vault: KeyFile) -> tuple[ColumnElement[bool], ...]:
    return OrganizationKey.wrapped.is_not(None), or_(OrganizationKey.top.is_(None), OrganizationKey.top != vault.newest)


async def status(tx: Transaction) -> dict[str, Any]:
    """Every organization's keys by lane: the versions that are not destroyed, and what is not under the newest, by place."""
    found: dict[str, Any] = {}
    for one in await organizations(tx):
        for lane in Lane:
            versions = await _live(tx, one, lane)
            left = await left_over(tx, one, lane, versions[-1])
            found.setdefault(str(one), {})[lane.value] = {"versions": versions, "left": left}
    return found


async def organizations(tx: Transaction) -> list[UUID]:
    """Every organization that has keys."""
    query = select(OrganizationKey.organization_id).where(OrganizationKey.organization_id != NOBODY).distinct()
    return sorted((await tx.execute(query)).scalars())
