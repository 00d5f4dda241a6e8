"""A round: everybody is asked about once, in as many turns as that takes; a question that fails is its person's own matter.

What was answered in a round is not asked again in it, whatever happens to the others. Who had no answer is asked about again a
few times, alone, and then with everybody.
"""

import hashlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from app.connections import polls
from app.connections.models import Poll, PollSubject, RoundKind
from app.intake import look_ups, receive
from app.intake.models import Channel
from app.intake.patience import IN_A_ROW, back_off, next_on_the_grid
from app.intake.receive import FETCHED, Arrival
from app.kit import clock
from app.kit.database import Transaction
from app.members.service import enrolled_who_agreed, still_agreed
from connectors.asking import (
    NotAPath,
    Page,
    PollPlan,
    ProviderError,
    Subject,
    UnexpectedAnswer,
    UnknownReference,
    may_be_one_questions,
)

if TYPE_CHECKING:
    from app.intake.polling import Asking

log = structlog.get_logger(__name__)

SAME_PAGE = 3
MOST_PAGES = 100_000
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Pages:
    """Notices a provider that gives the same page, or the same cursor, again and again."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._seen: Counter[bytes] = Counter()
        self._count = 0

    def check(self, page: Page) -> None:
        """Raises UnexpectedAnswer at the third time of one cursor with one subject's same page, or after far too many pages."""
        body = b"" if page.body is None else hashlib.sha256(page.body).digest()
        told = hashlib.sha256(repr((page.subject, page.cursor, body, sorted(page.asked.items()))).encode()).digest()
        self._count += 1
        self._seen[told] += 1
        if self._count > MOST_PAGES or self._seen[told] >= SAME_PAGE:
            raise UnexpectedAnswer("the provider gives the same page again and again")


@dataclass
class Round:
    """What one turn does of a round. `partly`: for people, how many answers are missing; None: nobody's.

    `closed`: everybody was asked about.
    """

    asking: "Asking"
    poll: Poll
    until: datetime
    partly: str | None = None
    closed: bool = False
    _number: int = 0
    _kind: RoundKind = RoundKind.POLL
    _due: datetime = _LONG_AGO
    _indexes: Mapping[str, bytes] = field(default_factory=dict)
    _known: Mapping[bytes, PollSubject] = field(default_factory=dict)
    _pages: Pages = field(default_factory=Pages)
    _current: bytes | None = None
    _answered: set[bytes] = field(default_factory=set)
    _in_a_row: int = 0
    _began_at: str | None = None
    _heard: bool = False
    _to_the_end: bool = False
    _failed: dict[bytes, ProviderError] = field(default_factory=dict)

    async def run(self) -> bool:
        """Ask what is due; whether anything was. Raises Fenced, and ProviderError when nobody can be asked about for now."""
        plan = self.asking.connector.poll
        if plan is None or self.poll.poll_due_at is None or self.poll.poll_due_at > clock.now():
            return False
        started = clock.now()
        await self._begin(plan, self.poll.poll_due_at)
        subjects = await self._subjects()
        if self._kind is not RoundKind.AGAIN or subjects:
            cursor = None if self._is_new and self._kind is RoundKind.SWEEP else self.poll.cursor
            asked = self.asking.connector.pages(self.asking.held, self.asking.config, cursor, subjects)
            self._began_at = cursor
            try:
                if not await self._through(asked):
                    return True  # it goes on in its next turn: others are due too
            finally:
                if isinstance(asked, AsyncGenerator):  # so that what it holds open is closed now, and not some time
                    await asked.aclose()
        await self._close(plan, started)
        self.closed = True
        return True

    @property
    def _is_new(self) -> bool:
        return self._number != self.poll.round

    async def _begin(self, plan: PollPlan, due: datetime) -> None:
        """Go on with the round that is open, or begin one; a sweep begins where everything does, and with what was not found."""
        now, was = clock.now(), self.poll
        if was.round_kind is not None and was.round_due_at is not None:
            self._number, self._kind, self._due = was.round, RoundKind(was.round_kind), was.round_due_at
            if self._kind is not RoundKind.AGAIN or now < was.round_due_at + plan.every:
                return
            due = next_on_the_grid(was.round_due_at, plan.every, now) - plan.every
        sweep = was.sweep_due_at is not None and was.sweep_due_at <= now
        self._number, self._kind, self._due = was.round + 1, RoundKind.SWEEP if sweep else RoundKind.POLL, due
        begun: dict[str, Any] = {"round": self._number, "round_kind": self._kind, "round_due_at": due}
        async with self.asking.context.database.begin() as tx:
            await self.asking.write(tx, **begun, **({"cursor": None} if sweep else {}))
            if sweep:
                await look_ups.ask_for_unknown(tx, self.asking.connection.id, now)

    async def _subjects(self) -> Sequence[Subject]:
        """Whom this turn asks about: who has waited the longest first, and last who had no answer the last time."""
        context, connection = self.asking.context, self.asking.connection
        async with context.database.begin(read_only=True) as tx:
            enrolled = await enrolled_who_agreed(tx, context.keyring, connection.organization_id, connection.id)
            self._known = await polls.subjects(tx, connection.id)
        self._indexes = {one.reference: one.reference_index for one in enrolled}
        due = [(reference, self._known.get(index)) for reference, index in self._indexes.items() if self._is_due(index)]
        due.sort(key=lambda one: (one[1].failures > 0, one[1].asked_at) if one[1] else (False, _LONG_AGO))
        anew = self._kind is RoundKind.SWEEP
        return [Subject(reference, None if anew or known is None else known.cursor) for reference, known in due]

    def _is_due(self, index: bytes) -> bool:
        known = self._known.get(index)
        here = known is not None and known.round == self._number
        if self._kind is RoundKind.AGAIN:
            return here and known is not None and 0 < known.failures <= polls.RETRIES
        return not here or known is None or known.failures > 0

    async def _through(self, asked: AsyncIterator[Page]) -> bool:
        """Take every page; False: the turn had its time before the end."""
        async for page in asked:
            index = self._indexes[page.subject] if page.subject is not None else None
            if page.error is not None and index is not None:
                if await self._missed(index, page.error):
                    return True
                continue
            self._pages.check(page)
            done = await self._keep_page(page, index)
            if clock.now() >= self.until and done:
                return False
        self._to_the_end = True
        return True

    async def _missed(self, index: bytes, error: ProviderError) -> bool:
        """Note that the question about one person had no answer; True: enough for now, and everybody was asked about.

        Raises the error when it seems to be about more than this person, and there are others who were not asked about.
        """
        if not may_be_one_questions(error):
            raise error
        lasting = isinstance(error, NotAPath | UnknownReference)
        self._failed[index] = error
        self._in_a_row += not lasting
        async with self.asking.context.database.begin() as tx:
            await self.asking.write(tx)
            await self._end_of(tx, index)
            self._current = None
            anew = self._kind is RoundKind.SWEEP
            await polls.miss_subject(tx, self.asking.connection.id, index, self._number, clock.now(), lasting=lasting, anew=anew)
        if self._in_a_row < IN_A_ROW:
            return False
        if self._kind is not RoundKind.AGAIN and not all(self._was_asked(one) for one in self._indexes.values()):
            raise error
        return True

    def _was_asked(self, index: bytes) -> bool:
        known = self._known.get(index)
        return index in self._answered or index in self._failed or (known is not None and known.round == self._number)

    async def _keep_page(self, page: Page, about: bytes | None) -> bool:
        """Keep one page and move the cursor behind it, in one transaction; whether a turn may end here."""
        connection = self.asking.connection
        cursor = {"cursor": page.cursor} if page.subject is None and page.cursor is not None else {}
        async with self.asking.context.database.begin() as tx:
            await self.asking.write(tx, **cursor)
            ended = await self._end_of(tx, about) if about is not None else False
            if about is not None and not await still_agreed(tx, connection.organization_id, connection.id, about):
                log.warning("an answer came after its person took their consent back", connection=str(connection.id))
                self._current = None
                return ended
            if page.body is not None:
                arrival = Arrival(page.body, FETCHED, Channel.POLL, asked=page.asked, about_index=about)
                await receive.keep(tx, self.asking.context.keyring, connection, arrival)
                self.asking.kept += 1
            if about is not None:
                await polls.move_subject(tx, connection.id, about, page.cursor, clock.now())
                self._current, self._in_a_row, self._heard = about, 0, True
                if page.body is None:
                    ended = await self._end_of(tx, None)
        # A poll goes back by its overlap first: with the cursor where it was, nothing would be gained by the next turn.
        return ended or (bool(cursor) and page.cursor != self._began_at)

    async def _end_of(self, tx: Transaction, but: bytes | None) -> bool:
        """The provider has told all about whom it told of last, unless that is `but`."""
        if self._current is None or self._current == but:
            return False
        await polls.end_subject(tx, self.asking.connection.id, self._current, self._number)
        self._answered.add(self._current)
        self._current = None
        return True

    async def _close(self, plan: PollPlan, started: datetime) -> None:
        """Everybody was asked about: decide when the next round begins, or when who had no answer is asked about again."""
        before = any(one.round == self._number and not one.failures for one in self._known.values())
        if self._failed and not self._heard and not before and self._kind is not RoundKind.AGAIN:
            raise next(iter(self._failed.values()))
        now, connection_id = clock.now(), self.asking.connection.id
        async with self.asking.context.database.begin() as tx:
            await self._end_of(tx, None)
            mended = [index for index, one in self._known.items() if one.failures and index not in self._failed]
            if self._to_the_end and self._kind is not RoundKind.AGAIN:
                await polls.mend_subjects(tx, connection_id, mended)
            failing = await polls.failing(tx, connection_id, self._number)
            values = self._next(plan, [one for index, one in failing.items() if index in self._indexes.values()], now)
            if self._kind is not RoundKind.AGAIN:
                values["polls"] = Poll.polls + 1
                values |= {"sweep_due_at": started + plan.sweep_every} if self._kind is RoundKind.SWEEP else {}
            await self.asking.write(tx, **values)

    def _next(self, plan: PollPlan, failures: Sequence[int], now: datetime) -> dict[str, Any]:
        if failures:
            why = next(iter(self._failed.values()), None)
            of = f"{len(failures)} of {len(self._indexes)} people could not be asked about"
            self.partly = f"{of}: {why}" if why else of
        due = next_on_the_grid(self._due, plan.every, now)
        again = [one for one in failures if one <= polls.RETRIES]
        if again and (soon := now + back_off(min(again), 0)) < due:
            return {"round_kind": RoundKind.AGAIN, "poll_due_at": soon}
        return {"round_kind": None, "round_due_at": None, "poll_due_at": due}
