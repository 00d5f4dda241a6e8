"""The doors of all connections, remembered from one delivery to the next, so that a delivery costs no look-up.

What is remembered may be old. So nothing is refused by it: before a refusal the door is read again. And nothing is kept by
it either, unless the database still has the same `connection.revision` in the very statement that keeps the delivery.
"""

import asyncio

import structlog

from app.connections.service import Door, door_of
from app.kit.acting import DOOR
from app.kit.crypto import KeysAway, Unreadable
from app.kit.database import Database
from app.kit.errors import Problem
from app.kit.keyring import Keyring

log = structlog.get_logger(__name__)

_Asked = tuple[str, asyncio.Future[Door | None]]

AT_ONCE = 50
MOST_MISSING = 10_000
"""Of how many ids it is remembered that they are nobody's."""


class Doors:
    """One set for each process. Those who ask while a read is under way share the next one."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        """Nothing is read before it is asked for."""
        self._database = database
        self._keyring = keyring
        self._known: dict[str, Door] = {}
        self._missing: dict[str, None] = {}
        self._asked: dict[str, asyncio.Future[Door | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    def known(self, connection_id: str) -> Door | None:
        """The door as it was when it was last read, if it ever was."""
        return self._known.get(connection_id)

    def was_missing(self, connection_id: str) -> bool:
        """Whether there was no such connection when it was last looked for, as far as that is remembered."""
        return connection_id in self._missing

    def is_asked(self, connection_id: str) -> bool:
        """Whether somebody waits for this door already."""
        return connection_id in self._asked

    async def read(self, connection_id: str) -> Door | None:
        """The door as it is now; None when there is no such connection. Raises what the database raises, and 503 Problems."""
        waiting = self._asked.get(connection_id)
        if waiting is None:
            waiting = self._asked[connection_id] = asyncio.get_running_loop().create_future()
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._read_all())
        return await asyncio.shield(waiting)

    async def _read_all(self) -> None:
        while self._asked:
            now = [(name, self._asked.pop(name)) for name in list(self._asked)[:AT_ONCE]]
            try:
                await self._read(now)
            except Exception as error:  # whatever it was, it is raised again where the door was asked for
                for name, waiting in now:
                    if not waiting.done():
                        self._fail(name, waiting, error)

    async def _read(self, now: list[_Asked]) -> None:
        """By the door's own key, as whom the database shows what the door needs; what that does not open, by the top key.

        Until it is told anew, a door is known as it was. One that cannot be opened leaves the others as they are.
        """
        not_handed_over: list[_Asked] = []
        async with self._database.begin(read_only=True, acting=DOOR) as tx:
            for name, waiting in now:
                try:
                    self._tell(name, waiting, await door_of(tx, self._keyring, name))
                except KeysAway:
                    not_handed_over.append((name, waiting))
                except Unreadable:
                    log.error("what was handed over to the door is not what it was", connection=name)
                    not_handed_over.append((name, waiting))
                except Problem as problem:
                    self._fail(name, waiting, problem)
        if not not_handed_over:
            return
        async with self._database.begin(read_only=True) as tx:
            for name, waiting in not_handed_over:
                try:
                    self._tell(name, waiting, await door_of(tx, self._keyring, name, by_top_key=True))
                except (KeysAway, Unreadable, Problem) as error:
                    self._fail(name, waiting, error)

    def _fail(self, name: str, waiting: asyncio.Future[Door | None], error: Exception) -> None:
        self._known.pop(name, None)
        waiting.set_exception(error)
        waiting.exception()  # whoever asked may have gone meanwhile: nobody need hear of it

    def _tell(self, name: str, waiting: asyncio.Future[Door | None], found: Door | None) -> None:
        if found is not None:
            self._known[name] = found
            self._missing.pop(name, None)
        else:
            self._known.pop(name, None)
            self._remember_missing(name)
        waiting.set_result(found)

    def _remember_missing(self, name: str) -> None:
        if name not in self._missing and len(self._missing) >= MOST_MISSING:
            del self._missing[next(iter(self._missing))]
        self._missing[name] = None
