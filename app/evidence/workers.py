"""Builds the packets that counsel ordered, one at a time; takes back those that hold what nobody may read any more.

Who works on a packet holds it by a lease with a fence and says so every second. Killed anywhere, it is gone on with by whoever
looks next: finished exhibits lie sealed in the packet's folder, and its key in its row.
"""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from app.evidence import noting, packet_rows
from app.evidence.building import PACKET, RECORDS, begin, write
from app.evidence.chapters import Progress
from app.evidence.exhibits import Variant
from app.evidence.folder import Folder, Sealed
from app.evidence.models import Packet, State
from app.evidence.outlining import outline
from app.evidence.packets import GONE, KEPT_FOR, order_of, parcel_of, place_of, wrapped_at
from app.evidence.planning import Plan, look, number
from app.intake.retention import RAW_ERASED
from app.kit import clock, metrics
from app.kit.context import Context
from app.kit.crypto import KeysAway, Unreadable
from app.kit.database import Transaction
from app.kit.errors import Problem
from app.kit.outbox import Consumer, Heard
from app.kit.pulling import Fenced
from app.ledger.deletions import Gone, note_deletion
from app.members.service import ENROLLMENT_CHANGED, MEMBER_ERASED

log = structlog.get_logger(__name__)

EVERY = 1.0
"""Seconds between two looks for something to build, and between two words of how far a build is."""

LEASE = timedelta(seconds=30)
NEXT_TRY = timedelta(minutes=1)
MOST_TRIES = 3
MOST_CUT_SHORT = 5
DRAFT_FOR = timedelta(days=1)
NO_ROOM = "It could not be written to the disk of the service. Tell whoever runs it, then order the packet again."
OUR_MISTAKE = "Something went wrong on our side, several times. Tell whoever runs the service, then order the packet again."


@dataclass(frozen=True, slots=True)
class _Job:
    id: UUID
    fence: int


class Builder:
    """Goes on with packets; any number of processes may have one."""

    def __init__(self, context: Context) -> None:
        """`context`: the service's own."""
        self._context = context

    async def look_up(self) -> int:
        """Look up what packets would hold, until none waits for that; how many."""
        return await self._all(State.LOOKING)

    async def build(self) -> int:
        """Build what was ordered, until nothing is due, and delete the files of packets that are no more; how many were built."""
        await self._clear()
        return await self._all(State.BUILDING, State.ORDERED)

    async def _all(self, *states: State) -> int:
        done = 0
        while (row := await self._claim(states)) is not None:
            await self._go_on(row)
            done += 1
        return done

    async def sweep(self) -> None:
        """Delete the packets whose time is over or whose members' consent is, and what was asked for and never ordered."""
        now = clock.now()
        async with self._context.database.begin() as tx:
            for row in await packet_rows.all_ready(tx):
                if row.ready_at is None or row.ready_at < now - KEPT_FOR:
                    _expire(tx, row, "age")
                elif not await noting.agree(tx, row.id):  # what runs out is announced by nobody
                    _expire(tx, row, "consent")
            for organization_id, count in (await packet_rows.forget_drafts(tx, now - DRAFT_FOR)).items():
                note_deletion(tx, organization_id, Gone.PACKET, count, f"asked for, and not ordered in {DRAFT_FOR.days} day")
        await self._clear()

    async def _claim(self, states: Sequence[State]) -> Packet | None:
        async with self._context.database.begin(read_only=True) as tx:
            if not await packet_rows.anything_due(tx, states, clock.now()):
                return None
        async with self._context.database.begin() as tx:
            return await packet_rows.claim(tx, states, clock.now(), LEASE)

    async def _clear(self) -> None:
        async with self._context.database.begin(read_only=True) as tx:
            ids = await packet_rows.litter(tx)
        for one in ids:
            await asyncio.to_thread(shutil.rmtree, place_of(self._context.settings, one), ignore_errors=True)
        if ids:
            async with self._context.database.begin() as tx:
                await packet_rows.cleared(tx, ids)

    async def _go_on(self, row: Packet) -> None:
        job = _Job(row.id, row.fence)
        if row.cut_short >= MOST_CUT_SHORT:  # whatever kills those who work on it kills all else that they do
            log.error("whoever builds this packet is never heard of again", packet=str(job.id), times=row.cut_short)
            await self._put_off(job, OUR_MISTAKE, last=True)
            return
        try:
            if row.state == State.LOOKING:
                await self._look(job, row)
            else:
                await self._build_watched(job)
        except Fenced:
            metrics.LEASE_LOSSES.labels("packets").inc()
            log.warning("another worker has taken over", packet=str(job.id))
        except KeysAway as error:
            log.warning("a key is away, packets wait", packet=str(job.id), reason=str(error))
            await self._put_off(job, None, last=False)
        except Problem as problem:
            await self._put_off(job, problem.detail, last=True)
        except Exception as error:  # whatever it is, it is this packet's: the others are built, and this one is tried again
            log.error("a packet could not be built", packet=str(job.id), error=type(error).__name__)
            if isinstance(error, Unreadable):
                await asyncio.to_thread(shutil.rmtree, place_of(self._context.settings, job.id), ignore_errors=True)
            await self._put_off(job, NO_ROOM if isinstance(error, OSError) else OUR_MISTAKE, last=row.attempts + 1 >= MOST_TRIES)

    async def _put_off(self, job: _Job, why: str | None, *, last: bool) -> None:
        """Let a packet wait, or give it up. `why`: in plain words; None: it is nobody's fault."""
        async with self._context.database.begin() as tx:
            row = await packet_rows.held(tx, job.id, job.fence)
            if row is None:
                return
            row.lease_until, row.next_attempt_at = None, clock.now() + NEXT_TRY
            row.attempts += why is not None
            if last:
                row.state, row.error, row.wrapped_key = State.FAILED, why, None

    async def _look(self, job: _Job, row: Packet) -> None:
        async with self._context.database.begin(read_only=True) as tx:
            said = outline(await look(tx, await order_of(tx, self._context.keyring, row)))
        async with self._context.database.begin() as tx:
            mine = await self._mine(tx, job)
            mine.state, mine.outline, mine.lease_until = State.SHOWN, said.stored(), None
            mine.of_all = said.exhibits

    async def _mine(self, tx: Transaction, job: _Job) -> Packet:
        row = await packet_rows.held(tx, job.id, job.fence)
        if row is None:
            raise Fenced
        return row

    async def _build_watched(self, job: _Job) -> None:
        """Build one, and say every second how far it is; whoever is no longer the one to do it stops."""
        progress = Progress()
        work = asyncio.create_task(self._build(job, progress))
        try:
            while not (await asyncio.wait({work}, timeout=EVERY))[0]:
                async with self._context.database.begin() as tx:
                    told = (progress.done, progress.of_all)
                    if not await packet_rows.beat(tx, job.id, job.fence, clock.now() + LEASE, told):
                        raise Fenced
            work.result()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _build(self, job: _Job, progress: Progress) -> None:
        made, work = await self._start(job, progress)
        begin(made, work, job.id)
        found, said = await write(self._context, made, work, progress)
        parcel = await asyncio.to_thread(parcel_of, noting.wanted(made.order), found, work.within(PACKET))
        await asyncio.to_thread(work.within(PACKET).settle)
        async with self._context.database.begin() as tx:
            row = await self._mine(tx, job)
            row.lease_until = None
            if not await noting.is_readable(tx, row.id):
                _build_anew(row)
                return
            await noting.number_given(tx, self._context.keyring, row.id, found, said)
            row.state, row.zip_size = State.READY, parcel.size
        await asyncio.to_thread(shutil.rmtree, work.root / RECORDS, ignore_errors=True)

    async def _start(self, job: _Job, progress: Progress) -> tuple[Plan, Folder]:
        """What will be in a packet, written down as seen, and the folder in which it grows, with the packet's own key."""
        context = self._context
        async with context.database.begin(read_only=True) as tx:
            row = await tx.get_one(Packet, job.id)
            found = await look(tx, await order_of(tx, context.keyring, row))
        async with context.database.begin() as tx:
            row, made = await self._mine(tx, job), await number(tx, found)
            where = wrapped_at(row.id)
            place = place_of(context.settings, row.id)
            if row.wrapped_key is None:
                await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
                key, row.wrapped_key = await context.keyring.wrap_new(tx, row.organization_id, *where)
            else:
                key = await context.keyring.unwrap(tx, row.organization_id, row.wrapped_key, *where)
            await noting.members_seen(tx, context.keyring, made, row.id, noting.actor_of(row))
            row.state, row.stored = State.BUILDING, True
        for folder in (place.parent, place):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return made, Folder(place, Sealed(key, job.id))


def _build_anew(row: Packet) -> None:
    """What was built so far is not to be read any more: its key goes, and it is begun again, by whoever looks next."""
    row.state, row.wrapped_key, row.lease_until, row.fence = State.ORDERED, None, None, row.fence + 1


def _expire(tx: Transaction, row: Packet, why: str) -> None:
    """A finished packet is no more: its key goes with this transaction, its files soon after."""
    row.state, row.wrapped_key, row.gone_at, row.why_gone = State.EXPIRED, None, clock.now(), why
    if why == "erased":  # counsel's reference may name them
        row.claim_sealed = None
    note_deletion(tx, row.organization_id, Gone.PACKET, 1, GONE[why], {"packet": row.id})


def taker_back() -> Consumer:
    """Takes back the packets with what must not be read any more: an erased member's, without consent, past its term."""

    async def handle(tx: Transaction, messages: Sequence[Heard]) -> None:
        if not await packet_rows.any_live(tx, {message.organization_id for message in messages}):
            return
        for message in messages:
            for row, why in await _touched(tx, message):
                if row.state == State.READY:
                    _expire(tx, row, why)
                elif row.state == State.BUILDING:
                    _build_anew(row)

    return Consumer("evidence.packets", frozenset({MEMBER_ERASED, ENROLLMENT_CHANGED, RAW_ERASED}), handle)


async def _touched(tx: Transaction, message: Heard) -> list[tuple[Packet, str]]:
    told = message.payload
    if message.topic == RAW_ERASED:
        rows = await packet_rows.live_with_exhibit(tx, message.organization_id, f"event:{told['event_id']}")
        return [(row, "term") for row in rows if row.wanted["variant"] == Variant.SEALED]
    member_id = UUID(str(told["member_id"]))
    rows = await packet_rows.live_with_member(tx, member_id)
    if message.topic == MEMBER_ERASED:
        return [(row, "erased") for row in rows]
    return [(row, "consent") for row in rows if not await noting.agree(tx, row.id, member_id)]
