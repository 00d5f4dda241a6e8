"""Migrations: one head, the same tables as the code, and up, down and up again over tables that are full."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import insert, select, text

from app.access.models import IdentityProvider, ProviderLink
from app.access.roles import Role
from app.breaches.models import Breach, Matter, MemberEvidence
from app.connections.models import DisputedRange, Poll, PollSubject, ReadingDocument
from app.evidence.models import BatesNumber, Packet, PacketMember, PacketTaken
from app.intake.gateway import NOBODY
from app.intake.models import HandedIn, HandedOn, LookUp
from app.kit.database import Database, Transaction
from app.kit.escrow import KeyRecovery
from app.kit.ids import uuid7
from app.kit.migrate import alembic_config, head, upgrade
from app.kit.outbox import LAST_ATTEMPT, Failure
from app.ledger.deletions import Gone, note_deletion
from app.ledger.models import Cosignature, Pending, Subtree, Timestamp
from app.notices.models import Alarm, ConsentRequest
from app.operations import accounts
from app.statistics.models import StatisticsRelease
from app.tables import metadata
from tests.access.entering import first_passkey, first_password, sign, type_in
from tests.support.rows import counts
from tests.support.world import NOW, World, alert

REVISIONS = [revision.revision for revision in ScriptDirectory.from_config(alembic_config("")).walk_revisions()][::-1]


async def fill(world: World) -> None:
    """Make the world busy until every table has rows."""
    await world.deliver({"alerts": [alert(), alert(id="a-2", member="ref-nobody"), {**alert(id="a-3"), "amount": 7}]})
    await world.deliver(b"junk", secret=world.other.connection.secret)
    (incident,) = await world.timeline()
    async with await world.sign_in(Role.MEMBER) as browser:
        detail = (await browser.get(f"/v1/incidents/{incident['id']}")).json()
        shown = [source["alert_id"] for source in detail["sources"]]
        verdict = {"answer": "not_me", "shown": shown}
        assert (await browser.post(f"/v1/incidents/{incident['id']}/verdict", json=verdict)).status_code == 200
        back = [{"payer": "bank", "amount": "1.00", "paid_on": "2023-05-02"}]
        loss = {"amount": "12.50", "head": "oop", "incurred_on": "2023-05-01", "reimbursements": back}
        entered = await browser.post(f"/v1/incidents/{incident['id']}/losses", json=loss)
        assert entered.status_code == 201, entered.text
        token = {"label": "x", "scopes": ["timeline:read"], "days": 1}
        assert (await browser.post("/v1/tokens", json=token)).status_code == 201
    async with await world.sign_in(Role.COUNSEL) as counsel:
        assert (await counsel.post("/v1/holds", json={"reason": "r"})).status_code == 201
    await fill_ways_in(world)
    await world.workers.drain()
    async with world.context.database.begin() as tx:
        row = {"organization_id": world.union.id, "number": 1, "as_of": NOW, "body": {}, "published_at": NOW}
        await tx.execute(insert(StatisticsRelease).values(id=world.union.id, **row))
        wave = {"breach_id": (await tx.execute(select(Breach.id).limit(1))).scalar_one(), "wave": "one", "basis": "notice_letter"}
        await tx.execute(insert(MemberEvidence).values(member_id=world.union.members["M-2"], recorded_at=NOW, **wave))
        failed = {"consumer": "x", "message_id": world.union.id, "attempts": LAST_ATTEMPT, "next_attempt_at": None, "error": "x"}
        await tx.execute(insert(Failure).values(**failed))
        note_deletion(tx, None, Gone.LETTER, 1, "a test")
        own = {"connection_id": world.union.connection.connection.id, "organization_id": world.union.id}
        index = {"connection_id": own["connection_id"], "reference_index": b"x"}
        since = {"received_from": NOW, "reason_sealed": b"x", "created_at": NOW}
        await tx.execute(insert(DisputedRange).values(id=world.union.id, **own, **since))
        await tx.execute(insert(Poll).values(**own, state="ok", failures=0, polls=0, misses=0, fence=0))
        await tx.execute(insert(PollSubject).values(**index, asked_at=NOW))
        look = {"reference_index": b"x", "key": b"x", "event_id": NOBODY, "state": "due", "trusted": True, "attempts": 0}
        await tx.execute(insert(LookUp).values(**own, **look))
        await fill_what_is_handed(tx, own)
        await fill_ledger(tx, world.union.id)
        await fill_packets(tx, world)
        await tx.execute(insert(KeyRecovery).values(top=world.union.id.hex[-16:], confirmed_at=NOW, shares=2))
        own_sign_in = {"organization_id": world.union.id, "issuer": "https://login.example.org", "client_id": "harmline"}
        since_now = {"domains": [], "accounts": [], "created_at": NOW, "checked_at": NOW}
        await tx.execute(insert(IdentityProvider).values(id=world.union.id, **own_sign_in, **since_now))
        linked = {"account_id": world.union.accounts[Role.STAFF], "provider_id": world.union.id, "subject_index": b"x"}
        await tx.execute(insert(ProviderLink).values(**linked, by_person=True, created_at=NOW))
        asked = {"member_id": world.union.members["M-1"], "connection_id": own["connection_id"], "asked_at": NOW}
        await tx.execute(insert(ConsentRequest).values(organization_id=world.union.id, **asked))
        await tx.execute(insert(Alarm).values(**own, kind="silent", opened_at=NOW, last_seen_at=NOW))


async def fill_what_is_handed(tx: Transaction, own: dict[str, UUID]) -> None:
    """A message that was handed on, a file that somebody hands in, a document that a connection is read by."""
    handed = {"event_id": NOBODY, "due_at": None, "attempts": 0}
    await tx.execute(insert(HandedOn).values(**own, **handed))
    come = {"file_index": b"x", "size": 1, "place": 0, "rows": 0, "started_at": NOW}
    await tx.execute(insert(HandedIn).values(**own, **come))
    document = {"name": "x", "version": 1, "text": "x", "written_at": NOW}
    await tx.execute(insert(ReadingDocument).values(**own, **document))


async def fill_packets(tx: Transaction, world: World) -> None:
    """A numbered exhibit; a packet with somebody in it, whom somebody took along."""
    own = {"organization_id": world.union.id}
    matter = (await tx.execute(select(Matter.id).where(Matter.organization_id == world.union.id))).scalars().first()
    number = {"matter_id": matter, "exhibit": "event:x", "prefix": "OPOA", "number": 1, "given_at": NOW}
    await tx.execute(insert(BatesNumber).values(**own, **number))
    packet = {"id": uuid7(), "matter_id": matter, "wanted": {}, "state": "ready", "asked_at": NOW}
    await tx.execute(insert(Packet).values(**own, **packet, done=1, of_all=1, stored=True, attempts=0, fence=1))
    await tx.execute(
        insert(PacketMember).values(**own, member_id=world.union.members["M-1"], packet_id=packet["id"], connections=[])
    )
    taken = {"id": uuid7(), "packet_id": packet["id"], "account_id": world.union.accounts[Role.COUNSEL], "at": NOW}
    await tx.execute(insert(PacketTaken).values(**own, **taken))


async def fill_ledger(tx: Transaction, organization_id: UUID) -> None:
    """What a log has only when it is large, or from outside; the entry that waits is none."""
    own, at = {"organization_id": organization_id}, {"at": NOW}
    await tx.execute(insert(Pending).values(**own, entry_id=uuid7()))
    await tx.execute(insert(Subtree).values(**own, level=1, position=0, hash=b"x"))
    await tx.execute(insert(Cosignature).values(**own, **at, size=1, witness="w.example", line="x"))
    await tx.execute(insert(Timestamp).values(**own, **at, size=1, authority="a.example", response=b"x"))


async def fill_ways_in(world: World) -> None:
    """A passkey, a password, a wrong guess, a recovery code, and a recovery of somebody."""
    await first_password(world)
    key = await first_passkey(world, "M-2")
    async with world.browser() as browser:
        await sign(browser, key)
        assert (await browser.post("/ways-in/recovery-code", data={})).status_code == 200
        await type_in(browser, "nobody@example.org", "wrong", "000000")
    async with await world.sign_in(Role.CASEWORKER) as caseworker:
        asked = {"external_id": "M-2", "reason": "They cannot be reached."}
        assert (await caseworker.post("/v1/break-glass", json=asked)).status_code == 201
    async with await world.sign_in(Role.ADMIN) as admin:
        assert (await admin.post(f"/v1/members/{world.union.members['M-2']}/recovery")).status_code == 202


async def tables(database: Database) -> set[str]:
    """The tables that are really there."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    if not database.is_sqlite:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    async with database.begin(read_only=True) as tx:
        return {str(name) for (name,) in (await tx.execute(text(query))).all()} - {"alembic_version"}


async def revise(world: World, to: str) -> None:
    """Migrate up or down, with nobody else connected."""
    await world.context.database.engine.dispose()
    direction = command.downgrade if to in {"base", *REVISIONS[:-1]} else command.upgrade
    await asyncio.to_thread(direction, alembic_config(world.owner_url), to)


def test_there_is_one_head_and_one_line_to_it() -> None:
    script = ScriptDirectory.from_config(alembic_config(""))
    assert script.get_heads() == [head()] == REVISIONS[-1:]
    assert all(isinstance(revision.down_revision, str | None) for revision in script.walk_revisions())


def test_the_tables_are_those_of_the_code(database_url: str) -> None:
    command.check(alembic_config(database_url))


@pytest.mark.long
async def test_up_down_and_up_over_full_tables(world: World) -> None:
    await fill(world)
    database = world.context.database
    full = await counts(database)
    assert [name for name, rows in full.items() if rows == 0] == []
    for revision in [*REVISIONS[-2::-1], "base"]:
        await revise(world, revision)
    assert await tables(database) == set()
    await revise(world, "head")
    assert await tables(database) == set(metadata.tables)
    assert set((await counts(database)).values()) == {0}


@pytest.mark.long
async def test_one_step_down_and_up_leaves_the_other_tables_full(world: World) -> None:
    await fill(world)
    database = world.context.database
    before = await counts(database)
    await revise(world, REVISIONS[-2])
    left = await tables(database)
    assert left <= set(metadata.tables)
    await revise(world, "head")
    after = await counts(database)
    assert {name: after[name] for name in left} == {name: before[name] for name in left}
    assert (await accounts(world.context, world.union.id))["receipts"] == 1


@pytest.mark.long
async def test_the_walls_stand_again_after_down_and_up(world: World) -> None:
    """Triggers and grants come with the migrations, not with the first set-up."""
    database = world.context.database
    await fill(world)
    await revise(world, REVISIONS[-2])
    await revise(world, "head")
    for table in ("ledger_entry", "statistics_release"):
        with pytest.raises(Exception, match=r"never changed|permission denied"):
            await _run(database, f"DELETE FROM {table}")


async def _run(database: Database, statement: str) -> None:
    async with database.begin() as tx:
        await tx.execute(text(statement))


async def test_a_database_of_another_schema_is_not_ready(world: World) -> None:
    assert (await world.client.get("/readyz")).status_code == 200
    await revise(world, REVISIONS[-2])
    answer = await world.client.get("/readyz")
    assert answer.status_code == 503
    assert "harmline migrate" in answer.json()["detail"]


def test_migrating_what_is_migrated_changes_nothing(database_url: str) -> None:
    upgrade(database_url)
    command.check(alembic_config(database_url))
