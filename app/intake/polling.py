"""Ask one provider: look up what its notices spoke of, then ask for what is new. Each answer is one transaction.

A turn holds the connection's lease. Whatever is written under it is written with the fence, so that a holder who slept past
the lease changes nothing; a page and the cursor behind it are committed together, so that the cursor is never ahead.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from app.connections import polls
from app.connections.models import Connection, Poll, PollState
from app.connections.polls import Fenced, Turn
from app.intake import look_ups
from app.intake.following import Following
from app.intake.patience import waits_until
from app.intake.rounds import Round
from app.kit import clock
from app.kit.context import Context
from app.kit.database import Transaction
from connectors.asking import Answer, Http, Login, ProviderError, TryLater
from connectors.contract import Connector, ConnectorConfig
from connectors.http import ProviderClient
from connectors.mailbox import MailboxClient

log = structlog.get_logger(__name__)

Client = ProviderClient | MailboxClient

LEASE = timedelta(minutes=4)
LONGEST_REQUEST = timedelta(seconds=100)
SHARE = timedelta(minutes=2)
"""So long a turn looks things up, and so long it asks a round; what is left over waits for the next, behind the others."""


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(LONGEST_REQUEST.total_seconds()):
            yield
    except TimeoutError:
        raise TryLater("no answer in time") from None


class _Held:
    """The client, as long as the turn is held: before each request the lease is looked at, and made longer in good time."""

    def __init__(self, asking: "Asking", http: ProviderClient) -> None:
        self._asking, self._http = asking, http

    async def get(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        login: Login | None = None,
        may_miss: bool = False,
    ) -> Answer:
        await self._asking.hold()
        async with _in_time():
            return await self._http.get(path, params=params, headers=headers, login=login, may_miss=may_miss)

    async def post(self, path: str, *, json: Any, headers: Mapping[str, str] | None = None, login: Login | None = None) -> Answer:
        await self._asking.hold()
        async with _in_time():
            return await self._http.post(path, json=json, headers=headers, login=login)

    async def download(
        self,
        path: str,
        *,
        media_type: str,
        most: int,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        await self._asking.hold()
        async with _in_time():
            return await self._http.download(path, media_type=media_type, most=most, params=params, headers=headers)

    def pace(self, requests_per_minute: float) -> None:
        self._http.pace(requests_per_minute)


@dataclass
class Asking:
    """One turn with one provider. `kept` counts the pages that brought something new or were seen again."""

    context: Context
    connection: Connection
    connector: Connector
    config: ConnectorConfig
    http: Client
    turn: Turn
    kept: int = 0

    async def run(self, poll: Poll) -> None:
        """Do what is due. Raises Fenced; a provider's failure is written down and decides when it is asked again."""
        following, rounding = Following(self), Round(self, poll, clock.now() + SHARE)
        try:
            if self.connector.poll is None and poll.sweep_due_at is not None and poll.sweep_due_at <= clock.now():
                await self._revive()
            await following.run(poll, clock.now() + SHARE)
            rounding.until = clock.now() + SHARE
            polled = await rounding.run()
            if following.stopped is not None:
                raise following.stopped
        except ProviderError as error:
            await self._failed(poll, following, error)
        except Fenced:
            raise
        except Exception as error:  # a connector's own mistake stops its own connection, is shown, and is tried again
            log.error("connector failed", connection=str(self.connection.id), error=type(error).__name__)
            await self._failed(poll, following, ProviderError(f"connector failed: {type(error).__name__}"))
        else:
            await self._finished(poll, following, rounding, asked=following.answered or polled)

    async def _revive(self) -> None:
        """What a sweep asks for where there is no list: things of which the provider told us, and then knew nothing."""
        async with self.context.database.begin() as tx:
            await self.write(tx)
            await look_ups.ask_for_unknown(tx, self.connection.id, clock.now())

    @property
    def held(self) -> Any:
        """The client, as long as the turn is ours: an `Http`, or a `Mailbox` where the plan says so."""
        if isinstance(self.http, MailboxClient):
            return self.http.held(self.hold)
        http: Http = _Held(self, self.http)
        return http

    def follow(self, poll: Poll) -> None:
        """Go on at the pace of whoever asked last, which may have been another process."""
        if poll.paced_until is not None:
            self.http.follow((poll.paced_until - clock.now()).total_seconds())
        if self.turn.inherited:
            self.http.follow(None)

    @property
    def paced_until(self) -> datetime:
        """Before then nobody may ask, whoever has the next turn."""
        return clock.now() + timedelta(seconds=self.http.rest)

    async def hold(self) -> None:
        """Before each question: make the lease longer when half of it is over. Raises Fenced when the turn is not ours any more.

        It is taken from us by another process, and also when somebody takes their consent back or is erased.
        """
        if clock.now() >= self.turn.until - LEASE / 2:
            async with self.context.database.begin() as tx:
                await self.write(tx)
            return
        async with self.context.database.begin(read_only=True) as tx:
            if not await polls.is_held(tx, self.turn):
                raise Fenced

    async def write(self, tx: Transaction, **values: Any) -> None:
        """Write under the fence, make the lease longer, and say how far the pace is used up."""
        until = clock.now() + LEASE
        await polls.write(tx, self.turn, lease_until=until, paced_until=self.paced_until, **values)
        self.turn = replace(self.turn, until=until)

    async def _finished(self, poll: Poll, following: Following, rounding: Round, *, asked: bool) -> None:
        now = clock.now()
        done: dict[str, Any] = {"lease_owner": None, "lease_until": None, "waits_until": None, "last_attempt_at": now}
        done["paced_until"] = self.paced_until
        if self.connector.poll is None:
            done |= {"poll_due_at": None, "sweep_due_at": None}
        if asked or following.itself:
            done |= {"state": PollState.OK, "failures": 0, **({"last_success_at": now} if asked else {})}
            if rounding.closed or poll.state != PollState.OK:
                done["error"] = rounding.partly
        async with self.context.database.begin() as tx:
            await polls.write(tx, self.turn)
            await polls.write(tx, self.turn, look_ups_due_at=await following.next_due(tx), **done)

    async def _failed(self, poll: Poll, following: Following, error: ProviderError) -> None:
        async with self.context.database.begin(read_only=True) as tx:
            due = await following.next_due(tx)
        await write_failure(self.context, self.turn, poll, error, look_ups_due_at=due, paced_until=self.paced_until)


async def write_failure(context: Context, turn: Turn, poll: Poll, error: ProviderError, **values: Any) -> None:
    """Write down why a provider could not be asked, and when it is asked again; the turn ends. Raises Fenced."""
    now, failures = clock.now(), poll.failures + 1
    until = waits_until(error, failures, now, random.random())  # noqa: S311 - to spread load, no secret
    log.warning("provider not asked in full", connection=str(turn.connection_id), state=error.state, failures=failures)
    async with context.database.begin() as tx:
        await polls.write(
            tx,
            turn,
            state=error.state,
            error=str(error)[:200],
            failures=failures,
            waits_until=until,
            last_attempt_at=now,
            lease_owner=None,
            lease_until=None,
            **values,
        )
