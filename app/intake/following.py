"""The look-ups of one turn: each on its own, so that one that the provider chokes on stands in the way of nothing else."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog

from app.connections import polls
from app.connections.models import Poll
from app.connections.polls import Fenced
from app.intake import look_ups, looking_up, receive
from app.intake import repository as intake
from app.intake.models import Channel, LookUp, LookUpState
from app.intake.patience import IN_A_ROW, back_off
from app.intake.receive import FETCHED, Arrival
from app.intake.sealing import open_event
from app.intake.understanding import as_raw
from app.kit import clock
from app.kit.database import Transaction
from app.members.service import still_agreed, who_agreed
from connectors.asking import CredentialsRefused, NotAPath, Page, ProviderError, may_be_one_questions
from connectors.contract import GoAndLook

if TYPE_CHECKING:
    from app.intake.polling import Asking

log = structlog.get_logger(__name__)

LOOK_UPS_A_TURN = 100
KNOWN_TO_FAIL = 3
"""Failures after which one look-up says nothing about the provider any more, only about itself."""


@dataclass
class Following:
    """What notices spoke of, looked up under the turn of `asking`. `answered`: whether anything was; `stopped`: why no more.

    `itself`: something fails so often that it says nothing about the provider.
    """

    asking: "Asking"
    answered: bool = False
    stopped: ProviderError | None = None
    itself: bool = False

    async def run(self, poll: Poll, until: datetime) -> None:
        """Look up what is due, proven notices first, until `until`. Raises Fenced; a provider's failure is in `stopped`."""
        asking, in_a_row = self.asking, 0
        if not asking.connector.looks_up or poll.look_ups_due_at is None or poll.look_ups_due_at > clock.now():
            return
        alone: ProviderError | None = None
        for row in await self._due():
            if clock.now() >= until:
                return
            if not row.trusted and await self._suspicious():
                continue
            try:
                await self._look_up(row)
            except ProviderError as error:
                in_a_row += 1
                if isinstance(error, CredentialsRefused) or not may_be_one_questions(error) or in_a_row >= IN_A_ROW:
                    self.stopped = error
                    return
                known = row.failures >= KNOWN_TO_FAIL
                alone, self.itself = (alone, True) if known else (error, self.itself)
            else:
                self.answered, in_a_row = True, 0
        if not self.answered:
            self.stopped = alone

    async def _due(self) -> list[LookUp]:
        context, connection = self.asking.context, self.asking.connection
        async with context.database.begin(read_only=True) as tx:
            trusted_only = await self._made_up(tx)
            rows = await look_ups.due(tx, connection.id, clock.now(), LOOK_UPS_A_TURN, trusted_only=trusted_only)
            return list(rows)

    async def _suspicious(self) -> bool:
        async with self.asking.context.database.begin(read_only=True) as tx:
            return await self._made_up(tx)

    async def _made_up(self, tx: Transaction) -> bool:
        """Whether so many unproven notices led to nothing that the rest of them wait for the provider's own list."""
        poll = await polls.poll_of(tx, self.asking.connection.id)
        if poll is None or poll.misses_since is None or poll.misses_since <= clock.now() - looking_up.MISSES_WITHIN:
            return False
        return poll.misses >= looking_up.MOST_MISSES

    async def _look_up(self, row: LookUp) -> None:
        asking = self.asking
        page = None
        try:
            look, agreed = await self._asked_by(row)
            if look is not None and agreed:
                page = await asking.connector.follow_up(asking.held, asking.config, look.asked)
        except NotAPath:
            log.warning("a notice names what cannot be asked for", connection=str(asking.connection.id))
        except Fenced:
            raise
        except Exception as error:  # whatever is wrong with this one, a mistake of the connector's own too, is not the others'
            await self._postpone(row)
            raise _told(error) from None
        async with asking.context.database.begin() as tx:
            missed = look is not None and agreed and page is None
            await asking.write(tx, **(await self._miss_counted(tx, row) if missed else {}))
            # Who has taken their consent back while the provider was answering is not read about.
            agreed = agreed and await still_agreed(tx, row.organization_id, row.connection_id, row.reference_index)
            await self._settle(tx, await look_ups.row(tx, row.connection_id, row.key), look, page, agreed=agreed)

    async def _settle(self, tx: Transaction, row: LookUp, look: GoAndLook | None, page: Page | None, *, agreed: bool) -> None:
        keyring = self.asking.context.keyring
        if not agreed:
            row.state, row.due_at = LookUpState.WAITING, None
            await looking_up.ask_or_let_go(tx, keyring, row)
        elif page is None or page.body is None or look is None:
            looking_up.after_a_miss(row)
        else:
            whose, why = row.reference_index, row.event_id
            arrival = Arrival(page.body, FETCHED, Channel.FOLLOW_UP, asked=look.asked, about_index=whose, answers_event=why)
            kept = await receive.keep(tx, keyring, self.asking.connection, arrival)
            row.state, row.due_at, row.asked_at, row.receipt_id = LookUpState.DONE, None, clock.now(), kept.receipt_id
            row.failures = 0
            self.asking.kept += 1

    async def _postpone(self, row: LookUp) -> None:
        """Let the others go first the next time: one thing that the provider chokes on must not hold them up."""
        async with self.asking.context.database.begin() as tx:
            await self.asking.write(tx)
            held = await look_ups.row(tx, row.connection_id, row.key)
            held.failures += 1
            held.due_at = clock.now() + back_off(held.failures, 0)

    async def _asked_by(self, row: LookUp) -> tuple[GoAndLook | None, bool]:
        """What the notice asks to look up, and whether whose it is still agrees."""
        context, organization_id = self.asking.context, row.organization_id
        async with context.database.begin(read_only=True) as tx:
            agreed = await who_agreed(tx, organization_id, row.connection_id, {row.reference_index})
            event = await intake.event(tx, row.connection_id, row.event_id)
            copy = await open_event(tx, context.keyring, event) if event else None
        raw = as_raw(copy) if copy else None
        look = self.asking.connector.normalise(raw) if raw else None
        return look if isinstance(look, GoAndLook) else None, bool(agreed)

    async def _miss_counted(self, tx: Transaction, row: LookUp) -> dict[str, Any]:
        if row.trusted:
            return {}
        poll, now = await polls.poll_of(tx, self.asking.connection.id), clock.now()
        over = poll is None or poll.misses_since is None or poll.misses_since <= now - looking_up.MISSES_WITHIN
        return {"misses": 1, "misses_since": now} if over else {"misses": Poll.misses + 1}

    async def next_due(self, tx: Transaction) -> datetime | None:
        """When the next look-up may be made."""
        connection_id = self.asking.connection.id
        if not await self._made_up(tx):
            return await look_ups.next_due(tx, connection_id, trusted_only=False)
        poll = await polls.poll_of(tx, connection_id)
        since = poll.misses_since if poll else None
        rested = since + looking_up.MISSES_WITHIN if since else None
        known = await look_ups.next_due(tx, connection_id, trusted_only=True)
        return min((moment for moment in (rested, known) if moment is not None), default=None)


def _told(error: Exception) -> ProviderError:
    if isinstance(error, ProviderError):
        return error
    log.error("connector failed", error=type(error).__name__)
    return ProviderError(f"connector failed: {type(error).__name__}")
