"""Gets checkpoints stamped and cosigned by others, again and again. No transaction is open while anybody is asked.

Whoever does not answer, or not as they should, is left alone for a while and holds up nobody: not the log, not the others.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from cryptography.x509 import Certificate

from app.kit import clock
from app.kit.attesters import Authority, Witness
from app.kit.context import Context
from app.kit.ids import uuid7
from app.kit.ticking import Work
from app.ledger import attestations, cosigning, reading, timestamping
from app.ledger.cosigning import NotCosigned
from app.ledger.models import Checkpoint
from app.ledger.notes import parse_note
from app.ledger.timestamping import NotStamped
from app.ledger.witnessing import write_request
from connectors.asking import ProviderError
from connectors.guarded import GuardedTransport, Posted, post

log = structlog.get_logger(__name__)

PATIENCE = 10.0
"""Seconds for one whole answer."""

TURN = timedelta(minutes=2)
"""How long one process may take with all of them, before another one may think it is dead."""

_OK, _CONFLICT = 200, 409
_COSIGNING, _STAMPING = "ledger.cosigning", "ledger.stamping"


class Rests:
    """Who is left alone until when: after a failure for `first`, after each further one for twice as long, `most` at last."""

    def __init__(self, first: timedelta, most: timedelta) -> None:
        """Nobody is left alone at first."""
        self._first, self._most = first, most
        self._until: dict[Hashable, tuple[datetime, timedelta]] = {}

    def over(self, whom: Hashable, now: datetime) -> bool:
        """Whether it may be asked again."""
        return whom not in self._until or self._until[whom][0] <= now

    def failed(self, whom: Hashable, now: datetime) -> None:
        """It did not do what it was asked."""
        before = self._until[whom][1] if whom in self._until else self._first / 2
        span = min(self._most, before * 2)
        self._until[whom] = (now + span, span)

    def did_well(self, whom: Hashable) -> None:
        """It did."""
        self._until.pop(whom, None)


class Attesting:
    """One process's dealings with witnesses and timestamp authorities; a turn in the database keeps processes apart."""

    def __init__(self, context: Context) -> None:
        """Raises ValueError when a setting names a file without certificates, or a key that is none."""
        settings = context.settings
        self._database = context.database
        self._owner = uuid7()
        self._authorities: Mapping[str, Authority] = settings.timestamp_authorities
        self._roots = {name: timestamping.roots_in(one.roots) for name, one in self._authorities.items()}
        self._every = timedelta(hours=settings.timestamp_every)
        self._witnesses: Mapping[str, Witness] = settings.ledger_witnesses
        self._keys = {name: cosigning.witness_key(name, one.key) for name, one in self._witnesses.items()}
        self._authorities_rest = Rests(timedelta(minutes=1), timedelta(hours=1))
        self._witnesses_rest = Rests(timedelta(seconds=5), timedelta(minutes=1))

    def ticks(self) -> dict[str, Work]:
        """What is done again and again, by name; nothing for whom nobody has set up."""
        both: dict[str, tuple[Mapping[str, object], Work]] = {
            "cosigning": (self._witnesses, self.cosign),
            "stamping": (self._authorities, self.stamp),
        }
        return {name: work for name, (names, work) in both.items() if names}

    async def cosign(self) -> int:
        """Send each log's newest checkpoint to each witness that has not cosigned it; how many cosignatures came."""
        return await self._in_turn(_COSIGNING, self._witnesses, self._cosigned_by)

    async def stamp(self) -> int:
        """Have each log's newest checkpoint stamped by each authority whose last one is old enough; how many stamps came."""
        return await self._in_turn(_STAMPING, self._authorities, self._stamped_by)

    async def _in_turn(self, turn: str, names: Mapping[str, object], ask: Callable[[str, float], Awaitable[int]]) -> int:
        """Ask all at once, as far as no other process does so now."""
        if not names:
            return 0
        async with self._database.begin() as tx:
            if not await attestations.take_turn(tx, turn, self._owner, clock.now(), TURN):
                return 0
        ends = time.monotonic() + TURN.total_seconds() / 2
        try:
            ended = await asyncio.gather(*(ask(name, ends) for name in names), return_exceptions=True)
        finally:
            async with self._database.begin() as tx:
                await attestations.end_turn(tx, turn, self._owner)
        for one in ended:
            if isinstance(one, BaseException):
                raise one
        return sum(one for one in ended if isinstance(one, int))

    async def _cosigned_by(self, name: str, ends: float) -> int:
        witness = self._witnesses[name]

        async def ask(organization_id: UUID) -> bool:
            return witness.follows(organization_id) and await self._cosigned(name, witness, organization_id)

        return await self._each_log(name, self._witnesses_rest, ask, ends)

    async def _stamped_by(self, name: str, ends: float) -> int:
        async def ask(organization_id: UUID) -> bool:
            return await self._stamped(name, organization_id)

        return await self._each_log(name, self._authorities_rest, ask, ends)

    async def _each_log(self, name: str, rests: Rests, ask: Callable[[UUID], Awaitable[bool]], ends: float) -> int:
        """Ask one of them about one log after another, until `ends` at most (monotonic seconds); how often it did well.

        Whoever cannot be reached is left alone, and where the answer is no good only this log is.
        """
        done = 0
        async with self._database.begin(read_only=True) as tx:
            logs = await attestations.logs(tx)
        for organization_id in logs:
            if time.monotonic() > ends or not rests.over(name, clock.now()):
                break
            if not rests.over((name, organization_id), clock.now()):
                continue
            try:
                done += await ask(organization_id)
            except (ProviderError, NotCosigned, NotStamped) as error:
                log.warning("not attested", by=name, organization=str(organization_id), reason=str(error))
                rests.failed(name if isinstance(error, ProviderError) else (name, organization_id), clock.now())
            else:
                rests.did_well(name)
                rests.did_well((name, organization_id))
        return done

    async def _cosigned(self, name: str, witness: Witness, organization_id: UUID) -> bool:
        key = self._keys[name]
        async with self._database.begin(read_only=True) as tx:
            newest = await reading.latest_checkpoint(tx, organization_id)
            known = (await attestations.cosigned_sizes(tx, organization_id, [key.name]))[key.name]
        if newest is None or known >= newest.size:
            return False
        async with GuardedTransport(total=PATIENCE, most=cosigning.MOST_BYTES) as transport:
            answer = await self._submitted(transport, witness, newest, known)
            if answer.status == _CONFLICT:
                size = cosigning.known_size(answer.media_type, answer.body)
                if size > newest.size or size == known:
                    log.error("a witness knows another log", witness=name, organization=str(organization_id), size=size)
                    raise NotCosigned("it knows a longer log, or another one of this size: was a backup restored?")
                answer = await self._submitted(transport, witness, newest, size)
        if answer.status != _OK:
            raise NotCosigned(f"it answered with status {answer.status}")
        line = cosigning.cosignature(parse_note(newest.note), answer.body, key).line.removesuffix("\n")
        async with self._database.begin() as tx:
            await attestations.keep_cosignature(tx, organization_id, newest.size, key.name, line, clock.now())
        return True

    async def _submitted(self, transport: GuardedTransport, witness: Witness, newest: Checkpoint, known: int) -> Posted:
        async with self._database.begin(read_only=True) as tx:
            proof = await reading.consistency(tx, newest.organization_id, known, newest.size)
        body = write_request(known, proof, newest.note)
        return await post(transport, witness.url + cosigning.ADD, body, media_type=cosigning.SENT_AS)

    async def _stamped(self, name: str, organization_id: UUID) -> bool:
        async with self._database.begin(read_only=True) as tx:
            newest = await reading.latest_checkpoint(tx, organization_id)
            last = (await attestations.last_stamps(tx, organization_id, [name])).get(name)
        if newest is None or (last and (last[0] >= newest.size or clock.now() - last[1] < self._every)):
            return False
        raw = await self._asked(self._authorities[name], parse_note(newest.note).text, self._roots[name])
        async with self._database.begin() as tx:
            await attestations.keep_timestamp(tx, organization_id, newest.size, name, raw, clock.now())
        return True

    async def _asked(self, authority: Authority, text: str, roots: Sequence[Certificate]) -> bytes:
        """An answer that is a proof, as it came. Raises ProviderError and NotStamped."""
        query = timestamping.query(text)
        async with GuardedTransport(total=PATIENCE, most=timestamping.MOST_BYTES) as transport:
            kinds = {"media_type": timestamping.QUERY, "accept": timestamping.REPLY}
            answer = await post(transport, authority.url, query.as_bytes(), **kinds)
        if answer.status != _OK:
            raise NotStamped(f"the authority answered with status {answer.status}")
        timestamping.verified(query, text, answer.body, roots, clock.now())
        return answer.body
