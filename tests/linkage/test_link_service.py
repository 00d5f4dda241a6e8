"""Links in the database: found again when something changes, never edited, shown with the facts on both sides."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from app.breaches import workers as breach_workers
from app.breaches.catalogue import load_breaches
from app.breaches.exposure import EmploymentInterval, ExposureBasis, derive_exposures
from app.breaches.service import load_catalogue, record_evidence
from app.incidents.identity import Answer
from app.incidents.models import Incident
from app.kit.ids import uuid7
from app.kit.outbox import Message
from app.ledger.service import Act
from app.linkage import service
from app.linkage.alike import Found, find
from app.linkage.attribution import attribute
from app.linkage.findings import (
    AlertView,
    BreachView,
    CompetingBreach,
    IncidentView,
    LinkFinding,
    TimeOrder,
)
from app.linkage.models import Link
from app.linkage.schemas import CounselLinkView, LinkView
from app.linkage.stored import digest, from_json, to_json
from app.linkage.workers import consumer, renew
from connectors.contract import Interval
from connectors.vocabulary import AlertKind as K
from tests.support.rooms import WHOLE_TIME, Rooms, at, rooms

OAKLAND, EARLIER = load_breaches("oakland")


@pytest.fixture
async def org(database_url: str) -> AsyncIterator[Rooms]:
    async with rooms(database_url) as opened:
        async with opened.database.begin() as tx:
            await load_catalogue(tx, opened.keyring, opened.organization_id, "oakland")
        yield opened


async def settle(org: Rooms) -> None:
    await org.run(breach_workers.consumer(org.context), consumer(org.context))


async def links(org: Rooms, member_id: UUID) -> list[Link]:
    async with org.database.begin(read_only=True) as tx:
        rows = select(Link).where(Link.member_id == member_id).order_by(Link.id)
        return list((await tx.execute(rows)).scalars())


async def views(org: Rooms, member_id: UUID, *incidents: UUID) -> list[LinkView]:
    async with org.database.begin(read_only=True) as tx:
        return await service.present_links(tx, org.organization_id, member_id, incidents)


def codes(view: LinkView) -> set[str]:
    return {fact.code for fact in view.facts}


async def test_an_incident_is_linked_with_its_reasons_to_the_breach_that_exposed_the_member(org: Rooms) -> None:
    member_id = await org.member(WHOLE_TIME)
    alert_id = await org.alert(member_id, K.PAYROLL_DIVERSION, at(2023, 3, 20))
    await settle(org)
    incident_id = await org.incident_of(member_id, alert_id)
    [view] = await views(org, member_id, incident_id)
    assert (view.incident_id, view.breach_name) == (incident_id, "City of Oakland, 2023")
    one, two = view.waves
    assert (one.time_order, two.time_order) == (TimeOrder.AFTER_PUBLICATION, TimeOrder.BETWEEN)
    assert (one.nexus.status, two.nexus.status) == ("partly", "enabled")
    assert {"time.stolen_not_yet_published", "competing.contents_unknown_same_defendant"} <= codes(view)
    assert f"alert:{alert_id}" in {rest for fact in view.facts for rest in fact.rests_on}
    [row] = await links(org, member_id)
    assert (row.excluded_by_time, row.superseded_at, row.time_order) == (False, None, "after_publication")


async def test_an_alert_before_the_theft_is_excluded_for_counsel_and_a_plain_fact_for_the_member(org: Rooms) -> None:
    member_id = await org.member(WHOLE_TIME)
    alert_id = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2022, 5, 1))
    await settle(org)
    incident_id = await org.incident_of(member_id, alert_id)
    [view] = await views(org, member_id, incident_id)
    async with org.database.begin(read_only=True) as tx:
        [counsel] = await service.counsel_links(tx, org.organization_id, member_id, [incident_id])
    assert "time.before_theft" in codes(view)
    assert counsel.excluded_by_time
    assert counsel.model_dump(exclude={"excluded_by_time", "rules_version"}) == view.model_dump()
    assert "exclud" not in view.model_dump_json().lower()


def test_what_members_read_has_no_field_of_exclusion_and_no_percentage() -> None:
    shape = json.dumps(LinkView.model_json_schema()).lower()
    assert "exclud" not in shape
    assert "fraction" not in shape
    assert "excluded_by_time" in CounselLinkView.model_fields


async def test_the_same_again_writes_nothing(org: Rooms) -> None:
    member_id = await org.member(WHOLE_TIME)
    await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 5, 1))
    await settle(org)
    before = [link.id for link in await links(org, member_id)]
    async with org.database.begin() as tx:
        assert await service.relink(tx, org.keyring, org.organization_id, [member_id, member_id]) == 0
        topics = consumer(org.context).topics
        messages = (await tx.execute(select(Message).where(Message.topic.in_(topics)))).scalars().all()
        await consumer(org.context).handle(tx, messages)
    assert [link.id for link in await links(org, member_id)] == before
    assert len(await org.ledger(Act.LINK)) == len(before) == 1


async def test_a_new_incident_leaves_the_links_of_the_others_alone_also_where_it_speaks_for_or_against_them(
    org: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    member_id = await org.member(WHOLE_TIME)
    await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 5, 1), institution="one")
    await settle(org)
    found: list[UUID] = []

    def noted(incident: IncidentView, *others: Any) -> Found:
        found.append(incident.incident_id)
        return find(incident, *others)

    monkeypatch.setattr(service, "find", noted)
    later = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2024, 5, 1), institution="two")
    await settle(org)
    assert found == [await org.incident_of(member_id, later)]
    found.clear()
    earlier = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2020, 5, 1), institution="three")
    await settle(org)
    assert found == [await org.incident_of(member_id, earlier)]
    [view] = await views(org, member_id, await org.incident_of(member_id, later))
    assert "prior.same_kind_before" in codes(view)
    assert len([link for link in await links(org, member_id) if link.superseded_at is None]) == 3


async def test_new_evidence_makes_a_new_row_and_keeps_the_old_one(org: Rooms) -> None:
    member_id = await org.member((date(2022, 6, 1), None))
    alert_id = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 5, 1))
    await settle(org)
    incident_id = await org.incident_of(member_id, alert_id)
    [before] = await views(org, member_id, incident_id)
    assert "exposure.outside_reported_population" in codes(before)
    async with org.database.begin() as tx:
        await record_evidence(
            tx,
            org.keyring,
            org.organization_id,
            member_id,
            "oakland-2023",
            "wave-1",
            ExposureBasis.NOTICE_LETTER,
        )
    await settle(org)
    old, new = await links(org, member_id)
    assert (old.id, old.superseded_at is not None, new.superseded_at) == (before.id, True, None)
    [after] = await views(org, member_id, incident_id)
    assert after.id == new.id
    assert "exposure.notice_letter" in codes(after)
    assert len(await org.ledger(Act.LINK)) == 2


async def test_links_of_an_incident_that_was_merged_away_are_superseded(org: Rooms) -> None:
    member_id = await org.member(WHOLE_TIME)
    first = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 5, 1), institution="A")
    second = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 7, 20), institution="A")
    await settle(org)
    gone = await org.incident_of(member_id, second)
    assert len(await views(org, member_id, gone)) == 1
    await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 6, 10), institution="A")
    await settle(org)
    assert await org.incident_of(member_id, second) == await org.incident_of(member_id, first)
    assert await views(org, member_id, gone) == []
    assert len(await views(org, member_id, await org.incident_of(member_id, first))) == 1
    withdrawn = [link for link in await links(org, member_id) if link.incident_id == gone]
    assert all(link.superseded_at is not None for link in withdrawn)
    async with org.database.begin(read_only=True) as tx:
        assert (await tx.get_one(Incident, (member_id, gone))).redirect_to is not None


async def test_an_earlier_incident_speaks_against_until_the_member_says_that_it_was_their_own_doing(org: Rooms) -> None:
    member_id = await org.member(WHOLE_TIME)
    earlier = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2021, 5, 1), institution="A")
    later = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 5, 1), institution="B")
    await settle(org)
    incident_id = await org.incident_of(member_id, later)
    [view] = await views(org, member_id, incident_id)
    assert "prior.same_kind_before" in codes(view)
    await org.answer(member_id, earlier, Answer.WAS_ME)
    await settle(org)
    [view] = await views(org, member_id, incident_id)
    assert "prior.same_kind_before" not in codes(view)
    assert "prior.no_look_back" in codes(view)


async def test_of_a_revised_alert_the_last_version_received_counts_whatever_came_first(org: Rooms) -> None:
    found = []
    for order in ((0, 1), (1, 0)):
        member_id = await org.member(WHOLE_TIME)
        versions = (
            {"kind": K.INQUIRY_HARD, "product": None, "received": at(2023, 6, 1)},
            {"kind": K.INQUIRY_HARD, "product": K.NEW_ACCOUNT_CREDIT_CARD, "received": at(2023, 6, 9)},
        )
        alert_id = None
        for place in order:
            alert_id = await org.alert(member_id, happened=at(2023, 5, 1), alert_id=alert_id, **versions[place])
        assert alert_id is not None
        await settle(org)
        [view] = await views(org, member_id, await org.incident_of(member_id, alert_id))
        assert "elements.not_assessable" not in codes(view)
        found.append([wave.nexus for wave in view.waves])
    assert found[0] == found[1]


async def test_what_earlier_rules_found_is_found_again_once(org: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "RENEWED_AT_ONCE", 2)
    people = [await org.member(WHOLE_TIME) for _ in range(5)]
    for member_id in people:
        await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 5, 1))
    await settle(org)
    monkeypatch.setattr(service, "RULES", "links-of-later")
    before = [link.id for member_id in people for link in await links(org, member_id)]
    assert await renew(org.database) == 5
    assert [link.id for member_id in people for link in await links(org, member_id)] == before, "only the worker writes links"
    await settle(org)
    for member_id in people:
        old, new = await links(org, member_id)
        assert old.superseded_at is not None
        assert (new.superseded_at, new.rules_version.partition("/")[0]) == (None, "links-of-later")
    assert await renew(org.database) == 0


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
async def test_two_that_find_links_of_one_incident_at_the_same_moment_write_them_once(org: Rooms) -> None:
    member_id = await org.member(WHOLE_TIME)
    await org.run(breach_workers.consumer(org.context))
    alert_id = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 5, 1))
    only = {member_id: [await org.incident_of(member_id, alert_id)]}
    found: list[int] = []

    async def find_again() -> None:
        async with org.database.begin() as tx:
            found.append(await service.relink(tx, org.keyring, org.organization_id, only, only))
            await asyncio.sleep(0.2)  # as long as the other needs to come there too

    await asyncio.gather(find_again(), find_again())
    assert sorted(found) == [0, 1]
    assert len(await links(org, member_id)) == 1


async def test_erasure_deletes_every_link_of_the_member_and_no_other(org: Rooms) -> None:
    member_id, neighbour = await org.member(WHOLE_TIME), await org.member(WHOLE_TIME)
    for who in (member_id, neighbour):
        await org.alert(who, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 5, 1))
    await settle(org)
    await org.erase(member_id)
    await settle(org)
    async with org.database.begin() as tx:
        await service.relink(tx, org.keyring, org.organization_id, [member_id])
    assert await links(org, member_id) == []
    assert len(await links(org, neighbour)) == 1


async def test_links_are_of_one_organization_and_one_member_only(org: Rooms) -> None:
    member_id, neighbour = await org.member(WHOLE_TIME), await org.member(WHOLE_TIME)
    alert_id = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 5, 1))
    await settle(org)
    incident_id = await org.incident_of(member_id, alert_id)
    other = await org.another_organization()
    assert len(await views(org, member_id, incident_id)) == 1
    assert await views(org, neighbour, incident_id) == []
    assert await views(other, member_id, incident_id) == []
    async with org.database.begin() as tx:
        assert await service.relink(tx, org.keyring, other.organization_id, [member_id]) == 0
    assert len(await views(org, member_id, incident_id)) == 1


async def test_counsels_list_of_a_breach_is_paged_and_holds_what_speaks_against_too(org: Rooms) -> None:
    expected = []
    for _ in range(3):
        member_id = await org.member(WHOLE_TIME)
        for happened in (at(2021, 5, 1), at(2023, 5, 1)):
            alert_id = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, happened)
            expected.append((member_id, await org.incident_of(member_id, alert_id)))
    await settle(org)
    [breach_id] = {link.breach_id for link in await links(org, expected[0][0])}
    other = await org.another_organization()
    paged: list[tuple[UUID, UUID]] = []
    async with org.database.begin(read_only=True) as tx:
        while page := await service.incidents_of_breach(tx, org.organization_id, breach_id, paged[-1] if paged else None, 4):
            paged += page
        assert await service.incidents_of_breach(tx, other.organization_id, breach_id, None, 10) == []
        assert await service.incidents_of_breach(tx, org.organization_id, uuid7(), None, 10) == []
    assert paged == sorted(expected)


moments = st.datetimes(at(2020, 1, 1).replace(tzinfo=None), at(2024, 6, 1).replace(tzinfo=None)).map(
    lambda moment: moment.replace(tzinfo=at(2020, 1, 1).tzinfo)
)


@st.composite
def findings(draw: st.DrawFn) -> LinkFinding:
    alerts = tuple(
        AlertView(UUID(int=place), draw(st.sampled_from(K)), draw(st.none() | st.sampled_from(K)))
        for place in range(1, draw(st.integers(2, 4)))
    )
    happened = draw(st.none() | moments)
    incident = IncidentView(UUID(int=50), alerts, Interval(earliest=happened, latest=happened), at(2024, 7, 1))
    start = draw(st.dates(date(1995, 1, 1), date(2023, 1, 1)))
    exposures = derive_exposures([EmploymentInterval(start)], OAKLAND)
    rival = CompetingBreach(BreachView(UUID(int=2), EARLIER), ())
    breach = BreachView(UUID(int=1), OAKLAND)
    return attribute(incident, breach, exposures, draw(st.sampled_from([(), (rival,)])))


@given(findings())
def test_a_finding_goes_to_json_and_back_unchanged(finding: LinkFinding) -> None:
    data = to_json(finding)
    through_a_database = json.loads(json.dumps(data))
    assert through_a_database == data
    assert from_json(through_a_database) == finding
    assert digest(through_a_database) == digest(to_json(from_json(data)))


def test_only_what_a_finding_may_hold_is_written() -> None:
    with pytest.raises(TypeError, match="float"):
        to_json(0.5)  # type: ignore[arg-type]


async def test_what_only_says_that_there_is_something_speaks_for_no_breach_until_more_is_told(org: Rooms) -> None:
    member_id = await org.member(WHOLE_TIME)
    hint = await org.alert(member_id, K.OTHER_UNCLASSIFIED, None, received=at(2023, 5, 1), details_requested=True)
    await settle(org)
    incident_id = await org.incident_of(member_id, hint)
    [view] = await views(org, member_id, incident_id)
    assert {wave.nexus.status for wave in view.waves} == {"not_assessable"}
    assert {code for code in codes(view) if code.startswith("elements.")} == {"elements.not_assessable"}
    await org.alert(member_id, K.PAYROLL_DIVERSION, at(2023, 3, 20), completes=hint)
    await settle(org)
    [view] = await views(org, member_id, incident_id)
    assert [wave.nexus.status for wave in view.waves] == ["partly", "enabled"]
