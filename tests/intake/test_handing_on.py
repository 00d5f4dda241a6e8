"""A mail inside another, or handed in, becomes a receipt of its own with the DNS keys that prove it, whatever goes wrong."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from app.connections import managing
from app.incidents.models import MemberEvent
from app.intake import handing_in, handing_on, repository
from app.intake.models import Channel, HandedOn, Receipt
from app.intake.sealing import open_asked, open_body
from app.kit import clock, dns
from app.ledger.service import SYSTEM
from app.members import erasing
from connectors.mail.connector import Mail
from connectors.mail.sandbox import attached
from tests.intake.counting import books
from tests.intake.exports import hand_in_mail, mailbox
from tests.mail.signing import KEYS, NAME, OTHER, TO, plain_mail, record, sign
from tests.support.dns import Names, name_server
from tests.support.world import World


@pytest.fixture
async def names(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Names]:
    """A DNS server that the workers ask."""
    monkeypatch.setattr(dns, "IN_TIME", 0.3)
    async with name_server() as server:
        server.records = {name: [text] for name, text in KEYS.items()}
        monkeypatch.setattr(world.workers, "_resolver", dns.resolver(server.server))
        yield server


async def grades(world: World) -> list[str]:
    async with world.context.database.begin(read_only=True) as tx:
        return sorted((await tx.execute(select(MemberEvent.grade))).scalars())


async def receipts(world: World, channel: Channel) -> list[Receipt]:
    async with world.context.database.begin(read_only=True) as tx:
        query = select(Receipt).where(Receipt.channel == channel).order_by(Receipt.id)
        return list((await tx.execute(query)).scalars())


async def waiting(world: World) -> list[tuple[str | None, int]]:
    async with world.context.database.begin(read_only=True) as tx:
        query = select(HandedOn.reason, HandedOn.attempts).where(HandedOn.due_at.is_not(None))
        return [(reason, attempts) for reason, attempts in await tx.execute(query)]


async def test_a_signed_mail_is_proven_with_the_key_that_is_kept_beside_it(world: World, names: Names) -> None:
    connection_id, mail = await mailbox(world), sign(plain_mail())
    await hand_in_mail(world, connection_id, mail)
    assert await grades(world) == ["third_party"]
    assert names.asked == [NAME], "asked once"
    (kept,) = await receipts(world, Channel.HANDED_ON)
    async with world.context.database.begin(read_only=True) as tx:
        assert await open_body(tx, world.context.keyring, kept) == mail, "byte for byte"
        beside = await open_asked(tx, world.context.keyring, kept)
    assert NAME in beside["keys"]
    assert (kept.verification["scheme"], kept.verification["key_id"]) == ("dkim", NAME)


async def test_a_key_that_is_replaced_later_changes_nothing(world: World, names: Names) -> None:
    connection_id = await mailbox(world)
    await hand_in_mail(world, connection_id, sign(plain_mail()))
    names.records[NAME] = [record(OTHER)]
    (kept,) = await receipts(world, Channel.HANDED_ON)
    async with world.context.database.begin(read_only=True) as tx:
        body = await open_body(tx, world.context.keyring, kept)
        beside = await open_asked(tx, world.context.keyring, kept)
    assert body is not None
    found = handing_on.registry()["mail"].proof_of(body, beside)
    assert found.grade == "third_party", "what was kept still proves it"


@pytest.mark.long
@pytest.mark.parametrize("how", ["broken", "mute"])
async def test_the_dns_is_waited_for_and_then_done_without(world: World, names: Names, how: str) -> None:
    connection_id = await mailbox(world)
    setattr(names, how, True)
    await hand_in_mail(world, connection_id, sign(plain_mail()))
    assert await grades(world) == []
    for attempt, rest in enumerate(handing_on.AGAIN_AFTER, 1):
        assert await waiting(world) == [("the DNS does not answer", attempt)]
        clock.set_to(clock.now() + rest)
        await world.workers.drain()
    assert await grades(world) == ["unverifiable"], "it comes in, graded as what it proves"
    assert await waiting(world) == []


async def test_the_dns_that_comes_back_in_time_proves_it(world: World, names: Names) -> None:
    connection_id = await mailbox(world)
    names.broken = True
    await hand_in_mail(world, connection_id, sign(plain_mail()))
    names.broken = False
    clock.set_to(clock.now() + handing_on.AGAIN_AFTER[0])
    await world.workers.drain()
    assert await grades(world) == ["third_party"]


async def test_the_same_mail_by_two_ways_is_one_alert_with_two_sightings(world: World, names: Names) -> None:
    connection_id, mail = await mailbox(world), sign(plain_mail())
    await hand_in_mail(world, connection_id, mail)
    await hand_in_mail(world, connection_id, b"Received: from elsewhere; Mon, 2 Mar 2026 17:20:01 +0000\r\n" + mail)
    await hand_in_mail(world, connection_id, attached(mail, TO))
    found = await books(world)
    assert (found["new"], found["sightings"], found["alerts"], found["quarantined"]) == (1, 2, 1, 0)
    assert await grades(world) == ["third_party"] * 3
    assert names.asked


async def test_without_a_connection_for_it_a_mail_waits_and_is_not_lost(world: World, names: Names) -> None:
    """The connection is removed between the delivery and its handing on."""
    connection_id = await mailbox(world)
    opened = io.BytesIO(sign(plain_mail()))
    async with world.context.database.begin() as tx:
        where = (tx, world.context.keyring, world.union.id, connection_id)
        await handing_in.hand_in(*where, opened, handing_in.measured(opened), told={"to": TO}, actor=SYSTEM, at_once=None)
        await managing.close(*where)
    await world.workers.drain()
    assert await waiting(world) == [("no connection of mail", 0)]
    await mailbox(world)
    clock.set_to(clock.now() + handing_on.WITHOUT_CONNECTION)
    await world.workers.drain()
    assert await grades(world) == ["third_party"]
    assert names.asked


async def test_one_that_fails_stands_in_nobodys_way_and_is_never_given_up(
    world: World, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake in the reading of one mail: more such mails than are looked at at once, and a good one behind them."""
    monkeypatch.setattr(handing_on, "AT_ONCE", 2)
    connection_id, honest = await mailbox(world), Mail.names_to_ask

    def mistaken(connector: Mail, body: bytes) -> Sequence[str]:
        if b"X-Odd" in body:
            raise ZeroDivisionError
        return honest(connector, body)

    monkeypatch.setattr(Mail, "names_to_ask", mistaken)
    for number in range(3):
        await hand_in_mail(world, connection_id, b"X-Odd: %d\r\n" % number + sign(plain_mail()))
    await hand_in_mail(world, connection_id, sign(plain_mail()))
    assert await grades(world) == ["third_party"]
    for _ in range(len(handing_on.AGAIN_AFTER) + 2):
        clock.set_to(clock.now() + handing_on.AGAIN_AFTER[-1])
        await world.workers.drain()
    assert [reason for reason, _ in await waiting(world)] == ["handing on failed: ZeroDivisionError"] * 3
    monkeypatch.setattr(Mail, "names_to_ask", honest)
    clock.set_to(clock.now() + handing_on.AGAIN_AFTER[-1])
    await world.workers.drain()
    assert (len(await grades(world)), await waiting(world)) == (4, [])
    assert names.asked


async def test_two_workers_hand_it_on_once(world: World, names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    connection_id, mail = await mailbox(world), sign(plain_mail())
    known = handing_on._message

    async def slower(*arguments: object, **more: object) -> object:
        found = await known(*arguments, **more)  # type: ignore[arg-type]
        if not other:
            other.append(True)
            await handing_on.hand_on(world.context, world.workers._resolver)  # another process was quicker
        return found

    other: list[bool] = []
    monkeypatch.setattr(handing_on, "_message", slower)
    await hand_in_mail(world, connection_id, mail)
    found = await books(world)
    assert (found["handed_on"], found["receipts"], found["repeats"], found["alerts"]) == (1, 2, 0, 1)
    assert names.asked


async def test_an_erasure_reaches_what_a_mail_was_handed_on_from(world: World, names: Names) -> None:
    """Two hops: the file that was handed in, the mail in it, and the one that is attached to that."""
    connection_id = await mailbox(world)
    await hand_in_mail(world, connection_id, attached(sign(plain_mail()), TO))
    async with world.context.database.begin() as tx:
        who = world.union.members["M-1"]
        await erasing.erase(tx, world.context.keyring, world.union.id, who, SYSTEM)
    await world.workers.drain()
    async with world.context.database.begin(read_only=True) as tx:
        left = select(Receipt.channel).where(Receipt.connection_id == connection_id, Receipt.wrapped_key.is_not(None))
        assert list((await tx.execute(left)).scalars()) == []
    assert names.asked


async def test_what_is_not_handed_on_yet_is_no_old_raw_data(world: World, names: Names) -> None:
    connection_id = await mailbox(world)
    names.broken = True
    await hand_in_mail(world, connection_id, sign(plain_mail()))
    clock.set_to(clock.now() + timedelta(days=400))
    async with world.context.database.begin() as tx:
        assert await repository.raw_older_than(tx, connection_id, clock.now(), UUID(int=0), 10) == []


async def test_what_was_destroyed_meanwhile_is_not_handed_on(world: World, names: Names) -> None:
    connection_id = await mailbox(world)
    names.broken = True
    await hand_in_mail(world, connection_id, sign(plain_mail()))
    (came,) = await receipts(world, Channel.HANDED_IN)
    async with world.context.database.begin() as tx:
        await repository.destroy_keys(tx, world.union.id, connection_id, {came.id}, set(), "a test")
    clock.set_to(clock.now() + timedelta(hours=1))
    await world.workers.drain()
    async with world.context.database.begin(read_only=True) as tx:
        row = (await tx.execute(select(HandedOn))).scalar_one()
    assert (row.due_at, row.reason, row.receipt_id) == (None, handing_on.GONE, None)
