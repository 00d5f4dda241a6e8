"""A new alert regroups what it can be part of and nothing else; what comes out is as if everything had been regrouped."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from app.breaches import workers as breach_workers
from app.breaches.service import load_catalogue
from app.incidents import repository, service
from app.incidents.identity import Answer
from app.incidents.models import Incident
from app.ledger.service import SYSTEM
from app.linkage.models import Link
from app.linkage.service import relink
from app.linkage.workers import consumer
from connectors.vocabulary import AlertKind as K
from tests.support.rooms import Rooms, at, rooms

KINDS = (K.NEW_ACCOUNT_CREDIT_CARD, K.NEW_ACCOUNT_BANK, K.INQUIRY_HARD, K.TAKEOVER_CARD)
INSTITUTIONS = ("A", "B", "C", None)
STEPS = 25


@pytest.fixture
async def org(database_url: str) -> AsyncIterator[Rooms]:
    async with rooms(database_url) as opened:
        async with opened.database.begin() as tx:
            await load_catalogue(tx, opened.keyring, opened.organization_id, "oakland", SYSTEM)
        yield opened


async def settle(org: Rooms) -> None:
    await org.run(breach_workers.consumer(org.context), consumer(org.context))


async def a_story(org: Rooms, members: list[UUID], chance: random.Random) -> None:
    """Alerts and revisions of them at few places in a short time, so that incidents join, and answers in between."""
    told: list[tuple[UUID, UUID]] = []
    for _ in range(STEPS):
        member_id, happened = chance.choice(members), at(2023, 1, 1) + timedelta(days=chance.randrange(400))
        again = [one for one in told if one[0] == member_id]
        if again and chance.random() < 0.15:
            await org.answer(*chance.choice(again), chance.choice((Answer.NOT_ME, Answer.WAS_ME)))
            continue
        alert_id = chance.choice(again)[1] if again and chance.random() < 0.3 else None
        place = chance.choice(INSTITUTIONS)
        more = chance.choice(again)[1] if again and chance.random() < 0.15 else None
        known = await org.alert(member_id, chance.choice(KINDS), happened, institution=place, alert_id=alert_id, completes=more)
        told.append((member_id, known))
        if chance.random() < 0.3:
            await settle(org)
    await settle(org)


@pytest.mark.parametrize("seed", range(6))
async def test_to_regroup_and_link_everything_afterwards_changes_nothing(org: Rooms, seed: int) -> None:
    members = [await org.member((at(2012, 1, 1).date(), None)) for _ in range(2)]
    await a_story(org, members, random.Random(seed))
    for member_id in members:
        async with org.database.begin() as tx:
            linked = select(Link.incident_id).where(Link.member_id == member_id, Link.superseded_at.is_(None))
            present = select(Incident.id).where(Incident.member_id == member_id, Incident.redirect_to.is_(None))
            shown = set((await tx.execute(present)).scalars())
            assert shown
            assert set((await tx.execute(linked)).scalars()) == shown
            assert not await service.recompute(tx, org.keyring, org.organization_id, member_id)
            assert await relink(tx, org.keyring, org.organization_id, [member_id]) == 0


async def test_the_neighbourhood_of_an_alert_is_all_that_can_be_one_incident_with_it_and_nothing_more(org: Rooms) -> None:
    member_id, other = await org.member(), await org.member()
    moment = at(2023, 1, 1)
    near = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, moment, institution="A")
    far = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, moment + timedelta(days=300), institution="A")
    both = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, moment, institution="B")
    # A revision that names another place.
    await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, moment, institution="A", alert_id=both)
    elsewhere = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, moment, institution="B")
    await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, moment, institution="C")
    nowhere = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, moment)
    await org.alert(other, K.NEW_ACCOUNT_CREDIT_CARD, moment, institution="A")
    async with org.database.begin() as tx:
        events, held = await service.neighbourhood(tx, {(member_id, near)})
        alone, _ = await service.neighbourhood(tx, {(member_id, nowhere)})
        stored = await repository.alerts_by_incident(tx, member_id)
    assert {event.alert_id for event in events[member_id]} == {near, far, both, elsewhere}
    assert len(events) == len(alone) == 1
    assert len(events[member_id]) == 5
    assert {event.alert_id for event in alone[member_id]} == {nowhere}
    assert held == {member_id: {i: alerts for i, alerts in stored.items() if alerts & {near, far, both, elsewhere}}}


async def test_what_tells_more_of_an_alert_is_reached_from_both_sides_and_joins_whatever_it_says(org: Rooms) -> None:
    member_id, other = await org.member(), await org.member()
    hint = await org.alert(member_id, K.OTHER_UNCLASSIFIED, None, received=at(2023, 5, 1), details_requested=True)
    first_home = await org.incident_of(member_id, hint)
    card = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 1, 1), institution="A")
    told = await org.alert(member_id, K.TAX_FRAUD, at(2024, 1, 1), completes=hint)
    more = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 1, 3), institution="A", completes=told)
    foreign = await org.alert(other, K.TAX_FRAUD, at(2023, 1, 1), completes=hint)
    assert {await org.incident_of(member_id, one) for one in (hint, card, told, more)} == {first_home}
    assert await org.incident_of(other, foreign) != first_home
    async with org.database.begin() as tx:
        for one in (hint, told, card):
            events, _ = await service.neighbourhood(tx, {(member_id, one)})
            assert {event.alert_id for event in events[member_id]} == {hint, card, told, more}
        row = await repository.find_incident(tx, org.organization_id, first_home, member_id)
        assert row is not None
        assert row.kind == K.NEW_ACCOUNT_CREDIT_CARD, "whatever says what it is comes before what does not"
        alone, _ = await service.neighbourhood(tx, {(other, foreign)})
        assert {event.alert_id for event in alone[other]} == {foreign}


async def test_an_alert_may_be_told_more_of_before_it_comes(org: Rooms) -> None:
    member_id, hint = await org.member(), UUID(int=7)
    told = await org.alert(member_id, K.TAX_FRAUD, at(2023, 1, 1), completes=hint)
    async with org.database.begin() as tx:
        tx.add(org._match(member_id, hint, at(2023, 2, 1)))
    await org.alert(member_id, K.OTHER_UNCLASSIFIED, None, received=at(2023, 2, 1), alert_id=hint, details_requested=True)
    assert await org.incident_of(member_id, told) == await org.incident_of(member_id, hint)
