"""Every blind index that can be put under a new key: in which order that is done, and how far it is."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from app import connection_indexes, index_rotation, sign_in_indexes
from app.connection_indexes import SOON, TURNS, in_time
from app.kit.database import Database, Transaction
from app.kit.keyring import Keyring


async def replace_all(
    database: Database,
    keyring: Keyring,
    organizations: Sequence[UUID],
    told: Callable[[str], None],
    *,
    of_all: bool,
    large: bool = False,
) -> dict[str, Any]:
    """Put the indexes of these organizations under new keys; how many are left, by organization and place.

    `of_all`: also those over all organizations; `large`: also of large connections.
    """
    left: dict[str, Any] = {}
    for one in organizations:
        told(f"organization {one}")
        found = await index_rotation.replace(database, keyring, one, told)
        found |= await connection_indexes.replace(database, keyring, one, told, large=large)
        if not await _patiently(partial(sign_in_indexes.move_subjects, database, keyring, one, told)):
            found[sign_in_indexes.SUBJECTS] = 1
        if found:
            left[str(one)] = found
    if of_all and not await _patiently(partial(sign_in_indexes.move_addresses, database, keyring, organizations, told)):
        left["all"] = {sign_in_indexes.ADDRESSES: 1}
    return left


async def _patiently(moving: Callable[[], Awaitable[None]]) -> bool:
    """Whether it was done: tried again while others are in the middle of writing."""
    for turn in range(TURNS):
        if turn:
            await asyncio.sleep(SOON)
        if await in_time(moving()):
            return True
    return False


async def status(tx: Transaction, keyring: Keyring, organizations: Sequence[UUID]) -> dict[str, Any]:
    """The newest version of each index, and how many (of `connections`: how many connections) are not of it."""
    found: dict[str, Any] = {"all": await sign_in_indexes.status_of_all(tx, keyring)}
    for one in organizations:
        found[str(one)] = {
            **await index_rotation.status(tx, keyring, one),
            **await connection_indexes.status(tx, keyring, one),
            **await sign_in_indexes.status(tx, keyring, one),
        }
    return found
