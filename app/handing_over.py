"""What the door needs is handed over to it: where it was not yet, after a restore, and by another key of the door's.

Every step is a short transaction. What is missing is found out from the rows, so whoever is killed begins again and goes on.
"""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, select
from sqlalchemy.sql.selectable import Select

from app.connections.models import Connection, ConnectionSecret
from app.connections.settings import open_settings, seal_sources, sources_setting
from app.kit import crypto
from app.kit.crypto import KeysAway
from app.kit.database import Database, Transaction
from app.kit.door_keys import DoorKey
from app.kit.keyring import UNCHANGING, Keyring, Lane, OrganizationKey
from app.kit.rows import on_postgresql
from app.kit.vault import KeyFile
from app.ledger.service import SYSTEM, Act, Actor, append
from app.rotation import move_place
from app.sealed_places import PLACES, How
from connectors.registry import registry

_LIVE = (OrganizationKey.lane == Lane.FACTUAL, OrganizationKey.version > UNCHANGING, OrganizationKey.wrapped.is_not(None))


async def hand_over(database: Database, keyring: Keyring, *, anew: bool = False, actor: Actor = SYSTEM) -> int:
    """Hand over what the door needs and has not; of how many organizations that was.

    `anew`: also what was handed over to another key of the door's than the newest here. Without a key of the door's there is
    nothing to do. Raises KeysAway.
    """
    if keyring.door is None:
        return 0
    door = keyring.door.vault.newest if anew else None
    without_keys: set[UUID] = set()
    async with database.begin(read_only=True) as tx:
        if anew or await keyring.door.is_the_one(tx):
            without_keys = set((await tx.execute(_without_keys(door))).scalars())
        without_the_rest: set[UUID] = set((await tx.execute(_with_old_secrets())).scalars())
        without_the_rest |= set((await tx.execute(_without_sources())).scalars())
    for organization_id in sorted(without_keys):
        async with database.begin() as tx:
            await _hand_over_keys(tx, keyring, organization_id, anew, actor)
    for organization_id in sorted(without_the_rest):
        for place in PLACES:
            if place.how is How.FOR_DOOR:
                async for _ in move_place(database, keyring, organization_id, place):
                    pass
        async with database.begin() as tx:
            await _hand_over_sources(tx, keyring, organization_id)
    return len(without_keys | without_the_rest)


def _without_keys(door: str | None) -> Select[UUID]:
    """Organizations that have not handed over every version, or none to the door's key of this name."""
    handed = select(DoorKey.version).where(
        DoorKey.organization_id == OrganizationKey.organization_id, DoorKey.version == OrganizationKey.version
    )
    if door is not None:
        handed = handed.where(DoorKey.door == door)
    return select(OrganizationKey.organization_id).where(*_LIVE, ~handed.exists()).distinct()


def _with_old_secrets() -> Select[UUID]:
    """Organizations with secrets that were sealed before the door had a key; what was destroyed is empty."""
    form = func.substr(ConnectionSecret.sealed, 1, 1)
    mine = select(Connection.organization_id).join(ConnectionSecret, ConnectionSecret.connection_id == Connection.id)
    return mine.where(form != b"", form != crypto.FOR_DOOR).distinct()


def _without_sources() -> Select[UUID]:
    """Organizations with a connection that says where deliveries may come from, and has not said it to the door."""
    return select(Connection.organization_id).where(*_lacks_sources()).distinct()


def _lacks_sources() -> tuple[ColumnElement[bool], ...]:
    names: Collection[str] = [name for name, connector in registry().items() if sources_setting(connector) is not None]
    return and_(Connection.connector.in_(names)), Connection.closed_at.is_(None), Connection.sources_sealed.is_(None)


async def _hand_over_keys(tx: Transaction, keyring: Keyring, organization_id: UUID, anew: bool, actor: Actor) -> None:
    """All versions that live, which are held meanwhile: none is destroyed and handed over in the same moment."""
    live = select(OrganizationKey.version).where(OrganizationKey.organization_id == organization_id, *_LIVE)
    if on_postgresql(tx):
        live = live.with_for_update(read=True, key_share=True)
    await tx.execute(live)
    keys = await keyring.refreshed(tx, organization_id)
    await keyring.hand_over(tx, organization_id, keys, anew=anew)
    gone = DoorKey.version.not_in(keys.handed())
    await tx.execute(delete(DoorKey).where(DoorKey.organization_id == organization_id, gone))
    facts = {"change": "handed over to the door", "door": keyring.door.vault.newest if keyring.door else None}
    await append(tx, keyring, organization_id, Act.KEY, facts=facts, actor=actor)


async def _hand_over_sources(tx: Transaction, keyring: Keyring, organization_id: UUID) -> None:
    query = (
        select(Connection).where(Connection.organization_id == organization_id, *_lacks_sources()).with_for_update(key_share=True)
    )
    for connection in (await tx.execute(query)).scalars():
        connector = registry()[connection.connector]
        config = await open_settings(tx, keyring, connection, connector)
        await seal_sources(tx, keyring, connection, connector, config)


def door_file(keyring: Keyring) -> KeyFile:
    """The file of the door's key. Raises KeysAway where there is none."""
    vault = keyring.door.vault if keyring.door is not None else None
    if not isinstance(vault, KeyFile):
        raise KeysAway("the door's key is not in a file of this service")
    return vault


async def replace_door(database: Database, keyring: Keyring, actor: Actor = SYSTEM) -> int:
    """Another key of the door's in the place of the one there is, or go on where somebody stopped; see `hand_over`.

    Other processes read the file again when they meet a name that they do not know.
    """
    vault = door_file(keyring)
    if len(vault.keys) == 1:
        vault.replace([crypto.new_key(), *vault.keys])
    done = await hand_over(database, keyring, anew=True, actor=actor)
    vault.replace(vault.keys[:1])
    return done
