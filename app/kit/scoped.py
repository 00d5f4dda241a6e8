"""Blind indexes of what came over a connection, in the version that all of the connection's are of (kit/indexes).

They equal one another across tables, so they are put under a new key all at once (app/connection_indexes), by a transaction
beside which no other writes. So what was found out here stays so until the transaction ends.
"""

from uuid import UUID

from sqlalchemy import Integer, Uuid, column, select, table

from app.kit.database import Transaction
from app.kit.indexes import OF_A_CONNECTION
from app.kit.indexes import version_of as version_of_index
from app.kit.keyring import Keyring, OpenedKeys

_KNOWN = "index versions"
_CONNECTION = table("connection", column("id", Uuid()), column("index_version", Integer()))


async def version_of(tx: Transaction, connection_id: UUID) -> int:
    """The version of a connection's indexes. It costs one look for each transaction and connection."""
    known: dict[UUID, int] = tx.info.setdefault(_KNOWN, {})
    if connection_id not in known:
        query = select(_CONNECTION.c.index_version).where(_CONNECTION.c.id == connection_id)
        known[connection_id] = (await tx.execute(query)).scalar_one()
    return known[connection_id]


async def keys_for(tx: Transaction, keyring: Keyring, organization_id: UUID, version: int) -> OpenedKeys:
    """The organization's keys, of which a process may know fewer versions than a connection's indexes are of."""
    keys = await keyring.opened(tx, organization_id)
    known = keys.index_version(OF_A_CONNECTION[0])
    return keys if known >= version else await keyring.refreshed(tx, organization_id)


async def scoped_index(
    tx: Transaction, keyring: Keyring, organization_id: UUID, connection_id: UUID, field: str, value: bytes
) -> bytes:
    """The index of a value as it stands in the connection's rows. `field`: one of `OF_A_CONNECTION`."""
    version = await version_of(tx, connection_id)
    return (await keys_for(tx, keyring, organization_id, version)).index(field, value, version)


async def as_it_stands(
    tx: Transaction, keyring: Keyring, organization_id: UUID, connection_id: UUID, field: str, index: bytes
) -> bytes:
    """An index that was written down some time ago, as it stands in the connection's rows now."""
    version = await version_of(tx, connection_id)
    keys = await keys_for(tx, keyring, organization_id, version)
    return next((one for one in keys.unchanging.raised(field, index) if version_of_index(one) == version), index)
