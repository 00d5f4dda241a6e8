"""Asks whichever provider is due, each on its own: a slow one holds up nobody else. Leases keep several processes apart."""

import asyncio
from contextlib import suppress
from uuid import UUID

import structlog

from app.connections import polls
from app.connections import repository as connections
from app.connections.models import Connection
from app.connections.polls import Fenced, Turn
from app.connections.settings import open_settings
from app.intake.polling import LEASE, Asking, Client, write_failure
from app.kit import clock, metrics
from app.kit.context import Context
from app.kit.crypto import KeysAway
from app.kit.errors import Problem
from app.kit.ids import uuid7
from connectors.asking import ProviderError, Speaks
from connectors.contract import Connector, ConnectorConfig
from connectors.http import ProviderClient
from connectors.mailbox import MailboxClient
from connectors.registry import registry

log = structlog.get_logger(__name__)

AT_ONCE = 8
LOOK_UP_PACE = 60.0
"""Requests a minute for a connector that only looks things up, where its settings name no `requests_per_minute`."""

SLOWEST = 1.0
"""Requests a minute: what is slower would never be asked, as a turn waits no longer than that for its next question."""


class Asker:
    """One process's asking. The clients live as long as it does, so that pace and tokens outlast a turn."""

    def __init__(self, context: Context) -> None:
        """Nothing is asked before `tick` or `run_due`."""
        self._context = context
        self._owner = uuid7()
        self._clients: dict[UUID, tuple[bytes | None, Client]] = {}
        self._running: set[asyncio.Task[bool]] = set()

    async def tick(self) -> None:
        """Begin to ask whoever is due, as far as hands are free; comes back at once."""
        while len(self._running) < AT_ONCE:
            turn = await self._claim()
            if turn is None:
                return
            task = asyncio.create_task(self._take(turn))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def run_due(self) -> int:
        """Ask everybody who is due now, and come back when all have answered; how many turns that took."""
        turns = 0
        while True:
            taken = [turn for _ in range(AT_ONCE) if (turn := await self._claim()) is not None]
            if not taken:
                return turns
            await asyncio.gather(*(self._take(turn) for turn in taken))
            turns += len(taken)

    async def ask(self, connection_id: UUID) -> bool:
        """Ask one connection now, due or not; False when somebody else is asking it."""
        turn = await self._claim(connection_id)
        return turn is not None and await self._take(turn)

    async def close(self) -> None:
        """Let running questions stop, and close every connection. What was committed stays, the rest is asked again."""
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for _, client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def _claim(self, only: UUID | None = None) -> Turn | None:
        now = clock.now()
        if only is None:
            async with self._context.database.begin(read_only=True) as tx:
                if not await polls.anything_due(tx, now):
                    return None
        async with self._context.database.begin() as tx:
            return await polls.claim(tx, self._owner, now, now + LEASE, only)

    async def _take(self, turn: Turn) -> bool:
        async with self._context.database.begin(read_only=True) as tx:
            connection = await connections.connection(tx, turn.connection_id)
            poll = await polls.poll_of(tx, turn.connection_id)
        if connection is None or poll is None:
            return False
        if connection.paused_at is not None or connection.closed_at is not None:
            return await self._give_back(turn)
        try:
            try:
                asking = await self._asking(turn, connection)
                asking.follow(poll)
            except (ProviderError, Problem) as error:
                told = error if isinstance(error, ProviderError) else ProviderError("the settings do not fit the connector")
                await write_failure(self._context, turn, poll, told)
            else:
                await asking.run(poll)
        except KeysAway:
            log.warning("a key is away, nobody is asked", connection=str(turn.connection_id))
            return False  # the lease stays until it is over: so nobody tries again at once
        except Fenced:
            metrics.LEASE_LOSSES.labels("poll").inc()
            log.warning("another process asks now", connection=str(turn.connection_id))
            return False
        return True

    async def _give_back(self, turn: Turn) -> bool:
        """Somebody paused or removed the connection in the moment after it was claimed: nobody is asked."""
        async with self._context.database.begin() as tx:
            with suppress(Fenced):
                await polls.write(tx, turn, lease_owner=None, lease_until=None)
        return False

    async def _asking(self, turn: Turn, connection: Connection) -> Asking:
        connector = registry().get(connection.connector)
        if connector is None:
            raise ProviderError("its connector is not installed")
        async with self._context.database.begin(read_only=True) as tx:
            config = await open_settings(tx, self._context.keyring, connection, connector)
        client = await self._client(connection, connector, config)
        return Asking(self._context, connection, connector, config, client, turn)

    async def _client(self, connection: Connection, connector: Connector, config: ConnectorConfig) -> Client:
        """The connection's client; a new one when its settings are others."""
        known = self._clients.get(connection.id)
        if known is not None and known[0] == connection.config_sealed:
            return known[1]
        if known is not None:
            await known[1].aclose()
        usual = connector.poll.requests_per_minute if connector.poll else LOOK_UP_PACE
        pace = getattr(config, "requests_per_minute", usual)
        if pace < SLOWEST:
            raise ProviderError("the settings ask for less than one question a minute, which no turn could wait for")
        client = _opened(connector, str(getattr(config, "base_url", "")), pace)
        self._clients[connection.id] = (connection.config_sealed, client)
        return client


def _opened(connector: Connector, address: str, pace: float) -> Client:
    if connector.poll is not None and connector.poll.speaks is Speaks.IMAP:
        return MailboxClient(address, requests_per_minute=pace)
    return ProviderClient(address, requests_per_minute=pace, now=clock.now)
