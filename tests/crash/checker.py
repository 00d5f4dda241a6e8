"""What must be true after every episode: acknowledged ⊆ stored ⊆ sent, none twice, the order-free model, closed accounts."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from app import operations
from app.incidents.models import Incident, IncidentAlert
from app.intake.models import AlertRow, Receipt, ReceiptState
from app.intake.sealing import open_body
from app.intake.understanding import identity_bytes
from app.kit import outbox
from app.kit.database import Transaction
from app.ledger.models import LedgerEntry
from app.ledger.service import Act
from app.main import consumers
from tests.crash.system import System
from tests.support.paged import PagedSandbox

PAGE = 500


@dataclass(frozen=True)
class Found:
    """The numbers of one episode. `lost`, `twice` and `invented` are nought, or the promise is broken."""

    sent: int
    acknowledged: int
    stored: int
    lost: int
    twice: int
    invented: int
    polled: int


async def settled(system: System, provider: PagedSandbox, seconds: float = 300.0) -> None:
    """Wait until nothing is left to do: every receipt handled, every message passed on, every row asked for."""
    deadline, quiet = time.monotonic() + seconds, 0
    left: object = None
    while quiet < 2:
        if time.monotonic() > deadline:
            raise AssertionError(f"it never comes to rest: {left}\n{system.log()}")
        system.start_the_dead()
        try:
            left = await _left(system, provider)
        except (DBAPIError, OSError) as error:  # the database was just killed
            left = error
        quiet = 0 if left else quiet + 1
        await asyncio.sleep(0.3)


async def _left(system: System, provider: PagedSandbox) -> dict[str, object]:
    """What is still to be done, by what it is; empty when nothing is."""
    database = system.context.database
    async with database.begin(read_only=True) as tx:
        asked = select(func.count()).where(AlertRow.connection_id == system.connections["asked"])
        failing = select(outbox.Failure.consumer, outbox.Failure.error, outbox.Failure.attempts)
        found: dict[str, object] = {
            "rows": len(provider.rows) - (await tx.execute(asked)).scalar_one(),
            "receipts": (await tx.execute(select(func.count()).where(Receipt.state == ReceiptState.STORED))).scalar_one(),
            "messages": (await tx.execute(select(func.count()).where(outbox.Message.position.is_(None)))).scalar_one(),
            "failures": [tuple(row) for row in (await tx.execute(failing)).all()],
        }
    found["behind"] = sorted(await outbox.behind(database, consumers(system.context)))
    return {name: value for name, value in found.items() if value}


async def check(system: System, provider: PagedSandbox, *, stopped: bool) -> Found:
    """Raises AssertionError with what is wrong, or returns the numbers. `stopped`: some process was, past its lease."""
    sent, acknowledged = system.numbers("s"), system.numbers("a")
    async with system.context.database.begin(read_only=True) as tx:
        bodies, ids = await _stored(tx, system)
        await _has_its_ledger_entry(tx, system, ids)
        incidents = await _incidents(tx, system)
        names = await _rows_of(tx, system.connections["asked"])
    number_of = {system.script.body(number): number for number in sent}
    stored = Counter(number_of.get(body, -1) for body in bodies)
    invented, twice = stored.pop(-1, 0), sum(count - 1 for count in stored.values())
    lost = acknowledged - set(stored)
    found = Found(len(sent), len(acknowledged), len(stored), len(lost), twice, invented, len(names))
    assert not lost, f"acknowledged and gone: {sorted(lost)[:10]} and more, {found}"
    assert not twice, f"stored twice: {found}"
    assert not invented, f"nobody sent it: {found}"
    assert sorted(names) == await _index_all(system, system.connections["asked"], (row[1] for row in provider.rows))
    await _fits_the_model(system, set(stored), incidents)
    await _accounts_close(system, set(stored), len(stored), len(provider.rows), may_refuse={"too_slow"} if stopped else set())
    return found


async def _stored(tx: Transaction, system: System) -> tuple[list[bytes], set[UUID]]:
    """Every body that was sent and is kept, opened; and the id of every receipt, asked ones too."""
    bodies, ids = [], set()
    async for receipt in _receipts(tx, system.organization_id):
        ids.add(receipt.id)
        body = await open_body(tx, system.context.keyring, receipt)
        assert body is not None
        if receipt.connection_id == system.connections["sent"]:
            bodies.append(body)
    return bodies, ids


async def _receipts(tx: Transaction, organization_id: UUID) -> AsyncIterator[Receipt]:
    after = UUID(int=0)
    while True:
        ours = (Receipt.organization_id == organization_id, Receipt.id > after)
        query = select(Receipt).where(*ours).order_by(Receipt.id).limit(PAGE)
        rows = (await tx.execute(query)).scalars().all()
        for row in rows:
            yield row
        if not rows:
            return
        after = rows[-1].id
        tx.expunge_all()


async def _has_its_ledger_entry(tx: Transaction, system: System, ids: set[UUID]) -> None:
    """Each receipt has exactly one entry, and no entry tells of a receipt that is not there."""
    query = select(LedgerEntry.subjects).where(
        LedgerEntry.kind == Act.RECEIPT, LedgerEntry.organization_id == system.organization_id
    )
    told = [UUID(subjects["receipt"]) for subjects in (await tx.execute(query)).scalars()]
    assert len(told) == len(set(told)), "a receipt has two entries in the ledger"
    assert set(told) == ids, "receipts and the ledger's entries do not tell of the same things"


async def _incidents(tx: Transaction, system: System) -> list[tuple[UUID, bytes]]:
    """Which alert of the sent ones stands in which incident."""
    query = (
        select(IncidentAlert.incident_id, AlertRow.dedupe_key)
        .join(AlertRow, AlertRow.id == IncidentAlert.alert_id)
        .join(Incident, (Incident.id == IncidentAlert.incident_id) & (Incident.member_id == IncidentAlert.member_id))
        .where(AlertRow.connection_id == system.connections["sent"], Incident.redirect_to.is_(None))
    )
    return [(row[0], row[1]) for row in (await tx.execute(query)).all()]


async def _rows_of(tx: Transaction, connection_id: UUID) -> list[bytes]:
    return list((await tx.execute(select(AlertRow.dedupe_key).where(AlertRow.connection_id == connection_id))).scalars())


async def _index_all(system: System, connection_id: UUID, names: object) -> list[bytes]:
    """The keys under which alerts of these names are known on one connection."""
    keyring, own = system.context.keyring, system.organization_id
    async with system.context.database.begin(read_only=True) as tx:
        return sorted(
            [
                await keyring.index(tx, own, "alert.identity", identity_bytes(connection_id.bytes, (name,)))
                for name in names  # type: ignore[attr-defined]
            ]
        )


async def _fits_the_model(system: System, stored: set[int], incidents: list[tuple[UUID, bytes]]) -> None:
    """The timeline is the one that follows from the set of what is stored, whatever the order in which it came."""
    expected = system.script.expected(stored)
    names = sorted({name for incident in expected.incidents for name in incident})
    keyring, own, bound = system.context.keyring, system.organization_id, system.connections["sent"].bytes
    async with system.context.database.begin(read_only=True) as tx:
        known = {await keyring.index(tx, own, "alert.identity", identity_bytes(bound, (name,))): name for name in names}
    shown: dict[UUID, set[str]] = {}
    for incident_id, key in incidents:
        assert key in known, "the timeline shows an alert that nobody sent"
        shown.setdefault(incident_id, set()).add(known[key])
    assert len(incidents) == len(known), "an alert is missing from the timeline, or there twice"
    assert frozenset(frozenset(group) for group in shown.values()) == expected.incidents


async def _accounts_close(system: System, stored: set[int], receipts: int, rows: int, *, may_refuse: set[str]) -> None:
    """deliveries = receipts + repeats + refused, and every event has the outcome that it must have.

    `may_refuse`: where a process was stopped between a head and its body, the body is too slow when it goes on.
    """
    found = await operations.accounts(system.context, system.organization_id, system.connections["sent"])
    whole = await operations.accounts(system.context, system.organization_id)
    asked = await operations.accounts(system.context, system.organization_id, system.connections["asked"])
    expected = system.script.expected(stored)
    assert found["deliveries"] == found["receipts"] + found["repeats"] + sum(found["refused"].values()), found
    assert (found["receipts"], found["stale"], found["unsplittable"]) == (receipts, 0, 0), found
    assert found["refused"].keys() <= may_refuse, found
    outcomes = tuple(
        found[name] for name in ("new", "revisions", "sightings", "non_alerts", "breach_records", "handed_on", "quarantined")
    )
    wanted = (expected.new, expected.revisions, expected.sightings, expected.non_alerts, 0, 0, 0)
    assert outcomes == wanted, f"{outcomes} is not {wanted}"
    assert found["events"] == sum(outcomes), found
    assert asked["new"] == asked["alerts"] == rows, asked
    assert whole["unmatched"] == ({"no_enrollment": rows} if rows else {}), json.dumps(whole, default=str)
