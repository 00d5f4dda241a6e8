"""Ask one provider: look up what its notices spoke of, then ask for what is new. Each answer is one transaction.

A turn holds the connection's lease. Whatever is written under it is written with the fence, so that a holder who slept past
the lease changes nothing; a page and the cursor behind it are committed together, so that the cursor is never ahead.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from app.connections import polls
from app.connections.models import Connection, Poll, PollState
from app.connections.polls import Fenced, Turn
from app.intake import look_ups, looking_up, receive
from app.intake import repository as intake
from app.intake.models import Channel, LookUp, LookUpState
from app.intake.receive import FETCHED, Arrival
from app.intake.sealing import open_event
from app.intake.understanding import as_raw
from app.kit import clock
from app.kit.context import Context
from app.kit.database import Transaction
from app.members.service import enrolled_who_agreed, who_agreed
from connectors.asking import (
    Answer,
    CredentialsRefused,
    Http,
    Login,
    NotAPath,
    Page,
    PollPlan,
    ProviderError,
    Subject,
    TryLater,
    UnexpectedAnswer,
)
from connectors.contract import Connector, ConnectorConfig, GoAndLook

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=4)
LONGEST_REQUEST = timedelta(seconds=100)
LOOK_UPS_A_TURN = 100
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
SAME_PAGE = 3
MOST_PAGES = 100_000


def back_off(failures: int, chance: float) -> timedelta:
    """How long to leave a provider alone after its nth failure in a row; `chance` in [0, 1) spreads it over half to whole."""
    doubled: timedelta = FIRST_WAIT * 2 ** min(failures - 1, 20)
    return min(LONGEST_WAIT, doubled) * (0.5 + chance / 2)


def next_on_the_grid(due: datetime, every: timedelta, now: datetime) -> datetime:
    """The next time that is due after `now`, in steps of `every` from `due`: what was missed runs once, and late, never twice."""
    steps = max(1, (now - due) // every + 1)
    return due + steps * every


def waits_until(error: ProviderError, failures: int, now: datetime, chance: float) -> datetime:
    """Before when nobody asks again. What the provider asked for is never cut short; refused credentials rest the longest."""
    wait = LONGEST_WAIT if isinstance(error, CredentialsRefused) else back_off(failures, chance)
    if isinstance(error, TryLater) and error.seconds is not None:
        wait = max(wait, timedelta(seconds=error.seconds))
    return now + wait


class Pages:
    """Notices a provider that gives the same page, or the same cursor, again and again."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._seen: Counter[tuple[object, ...]] = Counter()
        self._count = 0

    def check(self, page: Page) -> None:
        """Raises UnexpectedAnswer at the third time of one cursor with one subject's same page, or after far too many pages."""
        self._count += 1
        self._seen[page.subject, page.cursor, page.body, tuple(sorted(page.asked.items()))] += 1
        if self._count > MOST_PAGES or self._seen.most_common(1)[0][1] >= SAME_PAGE:
            raise UnexpectedAnswer("the provider gives the same page again and again")


class _Held:
    """The client, as long as the turn is held: before each request the lease is looked at, and made longer in good time."""

    def __init__(self, asking: "Asking") -> None:
        self._asking = asking

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
        async with asyncio.timeout(LONGEST_REQUEST.total_seconds()):
            return await self._asking.http.get(path, params=params, headers=headers, login=login, may_miss=may_miss)

    async def post(self, path: str, *, json: Any, headers: Mapping[str, str] | None = None, login: Login | None = None) -> Answer:
        await self._asking.hold()
        async with asyncio.timeout(LONGEST_REQUEST.total_seconds()):
            return await self._asking.http.post(path, json=json, headers=headers, login=login)

    def pace(self, requests_per_minute: float) -> None:
        self._asking.http.pace(requests_per_minute)


@dataclass
class Asking:
    """One turn with one provider. `kept` counts the pages that brought something new or were seen again."""

    context: Context
    connection: Connection
    connector: Connector
    config: ConnectorConfig
    http: Http
    turn: Turn
    kept: int = 0
    _pages: Pages = field(default_factory=Pages)

    async def run(self, poll: Poll) -> None:
        """Do what is due. Raises Fenced; a provider's failure is written down and decides when it is asked again."""
        try:
            if self.connector.poll is None and poll.sweep_due_at is not None and poll.sweep_due_at <= clock.now():
                await self._revive()
            looked = await self._look_up(poll)
            polled = await self._poll(poll)
        except (ProviderError, TimeoutError) as error:
            await self._failed(poll, error if isinstance(error, ProviderError) else TryLater("no answer in time"))
        except Fenced:
            raise
        except Exception as error:  # a connector's own mistake stops its own connection, is shown, and is tried again
            log.error("connector failed", connection=str(self.connection.id), error=type(error).__name__)
            await self._failed(poll, ProviderError(f"connector failed: {type(error).__name__}"))
        else:
            await self._finished(asked=looked or polled)

    async def hold(self) -> None:
        """Make the lease longer when half of it is over. Raises Fenced when it is somebody else's."""
        if clock.now() >= self.turn.until - LEASE / 2:
            async with self.context.database.begin() as tx:
                await self._write(tx)

    async def _write(self, tx: Transaction, **values: Any) -> None:
        """Write under the fence, and make the lease longer."""
        until = clock.now() + LEASE
        await polls.write(tx, self.turn, lease_until=until, **values)
        self.turn = replace(self.turn, until=until)

    async def _subjects(self, *, anew: bool) -> tuple[list[Subject], dict[str, bytes]]:
        connection = self.connection
        async with self.context.database.begin(read_only=True) as tx:
            enrolled = await enrolled_who_agreed(tx, self.context.keyring, connection.organization_id, connection.id)
            cursors = {} if anew else await polls.cursors(tx, connection.id)
        indexes = {one.reference: one.reference_index for one in enrolled}
        return [Subject(reference, cursors.get(index)) for reference, index in indexes.items()], indexes

    async def _poll(self, poll: Poll) -> bool:
        """Ask for what is new, or in a sweep for everything; whether it was due."""
        now, plan = clock.now(), self.connector.poll
        if plan is None or poll.poll_due_at is None or poll.poll_due_at > now:
            return False
        sweep = poll.sweep_due_at is not None and poll.sweep_due_at <= now
        if sweep:
            await self._revive()
        subjects, indexes = await self._subjects(anew=sweep)
        asked = self.connector.pages(_Held(self), self.config, None if sweep else poll.cursor, subjects)
        async for page in asked:
            self._pages.check(page)
            await self._keep_page(page, indexes)
        await self._polled(poll, plan, now, sweep=sweep)
        return True

    async def _revive(self) -> None:
        """What a sweep asks for beside the lists: things of which the provider told us, and then knew nothing."""
        async with self.context.database.begin() as tx:
            await self._write(tx)
            await look_ups.ask_for_unknown(tx, self.connection.id, clock.now())

    async def _polled(self, poll: Poll, plan: PollPlan, started: datetime, *, sweep: bool) -> None:
        due = next_on_the_grid(poll.poll_due_at or started, plan.every, clock.now())
        values: dict[str, Any] = {"poll_due_at": due, "polls": Poll.polls + 1}
        if sweep:
            values["sweep_due_at"] = started + plan.sweep_every
        async with self.context.database.begin() as tx:
            await self._write(tx, **values)

    async def _keep_page(self, page: Page, indexes: Mapping[str, bytes]) -> None:
        """Keep one page and move the cursor behind it, in one transaction."""
        about = indexes[page.subject] if page.subject is not None else None
        cursor = {"cursor": page.cursor} if page.subject is None and page.cursor is not None else {}
        async with self.context.database.begin() as tx:
            await self._write(tx, **cursor)
            if page.body is not None:
                arrival = Arrival(page.body, FETCHED, Channel.POLL, asked=page.asked, about_index=about)
                await receive.keep(tx, self.context.keyring, self.connection, arrival)
                self.kept += 1
            if about is not None:
                await polls.move_subject(tx, self.connection.id, about, page.cursor, clock.now())

    async def _look_up(self, poll: Poll) -> bool:
        """Look up what is due, proven notices first; whether anything was."""
        if not self.connector.looks_up or poll.look_ups_due_at is None or poll.look_ups_due_at > clock.now():
            return False
        async with self.context.database.begin(read_only=True) as tx:
            trusted_only = await self._made_up(tx)
            due = await look_ups.due(tx, self.connection.id, clock.now(), LOOK_UPS_A_TURN, trusted_only=trusted_only)
        for row in due:
            if not row.trusted and await self._suspicious():
                continue
            await self._look_up_one(row)
        return bool(due)

    async def _suspicious(self) -> bool:
        async with self.context.database.begin(read_only=True) as tx:
            return await self._made_up(tx)

    async def _made_up(self, tx: Transaction) -> bool:
        """Whether so many unproven notices led to nothing that the rest of them wait for the provider's own list."""
        poll = await polls.poll_of(tx, self.connection.id)
        if poll is None or poll.misses_since is None or poll.misses_since <= clock.now() - looking_up.MISSES_WITHIN:
            return False
        return poll.misses >= looking_up.MOST_MISSES

    async def _look_up_one(self, row: LookUp) -> None:
        look, agreed = await self._asked_by(row)
        page = None
        if look is not None and agreed:
            try:
                page = await self.connector.follow_up(_Held(self), self.config, look.asked)
            except NotAPath:
                log.warning("a notice names what cannot be asked for", connection=str(self.connection.id))
            except ProviderError:
                await self._postpone(row)
                raise
        async with self.context.database.begin() as tx:
            missed = look is not None and agreed and page is None
            await self._write(tx, **(await self._miss_counted(tx, row) if missed else {}))
            held = await look_ups.row(tx, row.connection_id, row.key)
            if not agreed:
                held.state, held.due_at = LookUpState.WAITING, None
                await looking_up.ask_or_let_go(tx, self.context.keyring, held)
            elif page is None or page.body is None or look is None:
                looking_up.after_a_miss(held)
            else:
                whose, why = row.reference_index, row.event_id
                arrival = Arrival(page.body, FETCHED, Channel.FOLLOW_UP, asked=look.asked, about_index=whose, answers_event=why)
                kept = await receive.keep(tx, self.context.keyring, self.connection, arrival)
                held.state, held.due_at, held.asked_at, held.receipt_id = LookUpState.DONE, None, clock.now(), kept.receipt_id
                self.kept += 1

    async def _postpone(self, row: LookUp) -> None:
        """Let the others go first the next time: one thing that the provider chokes on must not hold them up."""
        async with self.context.database.begin() as tx:
            await self._write(tx)
            held = await look_ups.row(tx, row.connection_id, row.key)
            held.failures += 1
            held.due_at = clock.now() + back_off(held.failures, 0)

    async def _asked_by(self, row: LookUp) -> tuple[GoAndLook | None, bool]:
        """What the notice asks to look up, and whose it is if they still agree."""
        keyring, organization_id = self.context.keyring, row.organization_id
        async with self.context.database.begin(read_only=True) as tx:
            agreed = await who_agreed(tx, organization_id, row.connection_id, {row.reference_index})
            event = await intake.event(tx, row.connection_id, row.event_id)
            copy = await open_event(tx, keyring, event) if event else None
        raw = as_raw(copy) if copy else None
        look = self.connector.normalise(raw) if raw else None
        return look if isinstance(look, GoAndLook) else None, bool(agreed)

    async def _miss_counted(self, tx: Transaction, row: LookUp) -> dict[str, Any]:
        if row.trusted:
            return {}
        poll, now = await polls.poll_of(tx, self.connection.id), clock.now()
        over = poll is None or poll.misses_since is None or poll.misses_since <= now - looking_up.MISSES_WITHIN
        return {"misses": 1, "misses_since": now} if over else {"misses": Poll.misses + 1}

    async def _next_look_up(self, tx: Transaction) -> datetime | None:
        if not await self._made_up(tx):
            return await look_ups.next_due(tx, self.connection.id, trusted_only=False)
        poll = await polls.poll_of(tx, self.connection.id)
        since = poll.misses_since if poll else None
        rested = since + looking_up.MISSES_WITHIN if since else None
        known = await look_ups.next_due(tx, self.connection.id, trusted_only=True)
        return min((moment for moment in (rested, known) if moment is not None), default=None)

    async def _finished(self, *, asked: bool) -> None:
        now = clock.now()
        done: dict[str, Any] = {"lease_owner": None, "lease_until": None, "waits_until": None}
        if self.connector.poll is None:
            done |= {"poll_due_at": None, "sweep_due_at": None}
        if asked:
            done |= {"state": PollState.OK, "error": None, "failures": 0, "last_attempt_at": now, "last_success_at": now}
        async with self.context.database.begin() as tx:
            await polls.write(tx, self.turn)
            await polls.write(tx, self.turn, look_ups_due_at=await self._next_look_up(tx), **done)

    async def _failed(self, poll: Poll, error: ProviderError) -> None:
        await write_failure(self.context, self.turn, poll, error)


async def write_failure(context: Context, turn: Turn, poll: Poll, error: ProviderError) -> None:
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
        )
