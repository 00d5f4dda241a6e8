"""Listed breaches: stored as the service's word, for those whom it lists and nobody else, whatever comes first."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from app.breaches import listings
from app.breaches.catalogue import MilestoneKind
from app.breaches.exposure import ExposureBasis, ExposureStatus
from app.breaches.listings import WAVE, Description, MemberListing, breach_key, listed_spec, supersedes, take
from app.breaches.models import Breach, ExposureRow, MemberEvidence
from app.breaches.service import EXPOSURE_CHANGED, exposures_of, load_catalogue
from app.breaches.sources import Mark
from app.kit.outbox import Message
from app.ledger.service import Act
from connectors.contract import BreachRecord, Interval
from connectors.vocabulary import DataElement
from tests.support.rooms import WHOLE_TIME, Rooms, at, rooms

SAID = at(2024, 5, 1)
NAMES = st.text(min_size=1, max_size=80).filter(lambda name: name.strip() != "" and "\x00" not in name)
MOMENTS = st.none() | st.datetimes(timezones=st.just(UTC))


def intervals() -> st.SearchStrategy[Interval]:
    ends = st.tuples(MOMENTS, MOMENTS).map(lambda pair: sorted(pair, key=str) if None not in pair else list(pair))
    return ends.map(lambda pair: Interval(earliest=pair[0], latest=pair[1]))


def described(name: str, elements: set[DataElement] | None, said: datetime = SAID, **more: Any) -> Description:
    chosen = None if elements is None else frozenset(elements)
    return Description("hibp", BreachRecord(identity=("breach", name), breach_name=name, elements=chosen, **more), said)


@pytest.fixture
async def org(database_url: str) -> AsyncIterator[Rooms]:
    async with rooms(database_url) as opened:
        yield opened


async def said(org: Rooms, descriptions: Sequence[Description], listed: Sequence[MemberListing] = ()) -> None:
    async with org.database.begin() as tx:
        await take(tx, org.keyring, org.organization_id, descriptions, set(listed))


async def told(org: Rooms) -> list[UUID]:
    async with org.database.begin(read_only=True) as tx:
        rows = select(Message).where(Message.topic == EXPOSURE_CHANGED).order_by(Message.id)
        return [UUID(row.payload["member_id"]) for row in (await tx.execute(rows)).scalars()]


async def shape(org: Rooms) -> tuple[Any, ...]:
    """Everything that is stored of listed breaches, without ids of our own."""
    async with org.database.begin(read_only=True) as tx:
        breaches = {row.id: row for row in (await tx.execute(select(Breach))).scalars()}
        evidence = (await tx.execute(select(MemberEvidence))).scalars().all()
        exposures = (await tx.execute(select(ExposureRow))).scalars().all()
    return (
        {row.key: (row.spec, row.focal) for row in breaches.values()},
        sorted((str(e.member_id), breaches[e.breach_id].key, e.wave, e.basis, str(e.elements)) for e in evidence),
        sorted((str(e.member_id), breaches[e.breach_id].key, e.element, e.basis, e.status, e.mark) for e in exposures),
    )


@given(name=NAMES, title=st.none() | NAMES, breached=st.none() | intervals(), published=st.none() | intervals())
def test_whatever_a_service_says_becomes_a_breach_that_can_be_reckoned_with(
    name: str, title: str | None, breached: Interval | None, published: Interval | None
) -> None:
    spec = listed_spec("hibp", name, described(name, {DataElement.SSN}, title=title, breached=breached, published=published))
    assert re.fullmatch(r"listed-hibp-[a-z0-9-]*[0-9a-f]{10}", spec.key)
    assert len(spec.key) <= listings.LONGEST_KEY
    assert spec.name == spec.name.strip()
    assert spec.name.isprintable()
    for kind, wave, claim in ((MilestoneKind.INTRUSION, None, breached), (MilestoneKind.PUBLISHED, WAVE, published)):
        stored = spec.interval(kind, wave)
        if claim is not None and stored is not None:
            for end in ("earliest", "latest"):
                kept, given_end = getattr(stored, end), getattr(claim, end)
                assert kept is None or given_end is not None, "an end that nobody named"
                assert kept is None or (kept <= given_end if end == "earliest" else kept >= given_end), "narrower than said"


def test_names_that_look_alike_are_breaches_of_their_own() -> None:
    names = ["Adobe", "adobe", "A.dobe", "A dobe", "Ädobe", "x" * 200, "x" * 201]
    keys = {breach_key(connector, name) for name in names for connector in ("hibp", "a_b", "a__b")}
    assert len(keys) == 3 * len(names)


def test_the_later_word_counts_and_any_counts_more_than_none() -> None:
    stub, early = listed_spec("hibp", "X"), listed_spec("hibp", "X", described("X", {DataElement.SSN}))
    late = listed_spec("hibp", "X", described("X", set(), SAID + timedelta(seconds=1)))
    order = [None, stub, early, late]
    for place, spec in enumerate(order):
        assert spec is None or all(supersedes(spec, older) for older in order[:place])
        assert spec is None or not any(supersedes(spec, other) for other in order[place:])
    twin = listed_spec("hibp", "X", described("X", {DataElement.DL}))
    assert supersedes(twin, early) != supersedes(early, twin), "two words of one moment: one of them counts, in any order"


async def test_only_whom_it_lists_is_exposed_and_no_element_is_proven(org: Rooms) -> None:
    listed, other = await org.member(WHOLE_TIME), await org.member(WHOLE_TIME)
    await said(org, [described("Shop", {DataElement.SSN, DataElement.EMAIL})], [MemberListing(listed, "hibp", "Shop")])
    async with org.database.begin() as tx:
        await load_catalogue(tx, org.keyring, org.organization_id, "oakland")
        found = await exposures_of(tx, org.organization_id, listed)
        others = await exposures_of(tx, org.organization_id, other)
        row = (await tx.execute(select(Breach).where(Breach.key == breach_key("hibp", "Shop")))).scalar_one()
    assert row.focal is False
    assert {e.element for e in found[row.id]} == {DataElement.SSN, DataElement.EMAIL}
    assert {(e.basis, e.status, e.mark) for e in found[row.id]} == {(ExposureBasis.HIBP, ExposureStatus.PROBABLE, Mark.VERIFIED)}
    assert row.id not in others
    assert others, "the other member still has what the catalogue says"


async def test_a_listing_that_is_not_described_yet_is_known_all_the_same(org: Rooms) -> None:
    member_id = await org.member(WHOLE_TIME)
    await said(org, [], [MemberListing(member_id, "hibp", "Shop")])
    async with org.database.begin(read_only=True) as tx:
        found = await exposures_of(tx, org.organization_id, member_id)
    assert list(found.values()) == [()], "a breach of which nothing is known but that it names this member"
    assert await told(org) == [member_id]


async def test_the_same_again_writes_and_tells_nothing(org: Rooms) -> None:
    member_id = await org.member(WHOLE_TIME)
    words = [described("Shop", {DataElement.SSN})], [MemberListing(member_id, "hibp", "Shop")]
    await said(org, *words)
    before = await shape(org), await told(org), len(await org.ledger(Act.BREACH))
    await said(org, *words)
    assert (await shape(org), await told(org), len(await org.ledger(Act.BREACH))) == before


async def test_a_new_name_is_told_although_no_exposure_changes(org: Rooms) -> None:
    member_id = await org.member(WHOLE_TIME)
    await said(org, [described("Shop", {DataElement.SSN})], [MemberListing(member_id, "hibp", "Shop")])
    before = await told(org)
    await said(org, [described("Shop", {DataElement.SSN}, SAID + timedelta(days=1), title="The Shop")])
    assert await told(org) == [*before, member_id]


async def test_an_erased_member_is_left_out_and_the_others_are_kept(org: Rooms) -> None:
    gone, stays = await org.member(WHOLE_TIME), await org.member(WHOLE_TIME)
    await org.erase(gone)
    await said(org, [], [MemberListing(gone, "hibp", "Shop"), MemberListing(stays, "hibp", "Shop")])
    async with org.database.begin(read_only=True) as tx:
        assert set((await tx.execute(select(MemberEvidence.member_id))).scalars()) == {stays}


WORDS = st.lists(
    st.one_of(
        st.builds(
            described,
            st.sampled_from(["Shop", "shop"]),
            st.none() | st.sets(st.sampled_from([DataElement.SSN, DataElement.EMAIL, DataElement.DL])),
            st.sampled_from([SAID + timedelta(days=n) for n in range(3)]),
        ),
        st.tuples(st.integers(0, 1), st.sampled_from(["Shop", "shop"])),
    ),
    min_size=2,
    max_size=7,
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=WORDS, data=st.data())
async def test_any_order_and_any_repetition_end_in_the_same(org: Rooms, words: list[Any], data: st.DataObject) -> None:
    members = [await org.member(WHOLE_TIME, external_id=number) for number in ("A", "B")]

    async def played(sequence: list[Any], cuts: set[int]) -> tuple[Any, ...]:
        async with org.database.begin() as tx:
            for table in (ExposureRow, MemberEvidence, Breach):
                await tx.execute(delete(table))
        ends = sorted({*cuts, len(sequence)})
        for first, last in zip([0, *ends], ends, strict=False):
            batch = sequence[first:last]
            listed = [MemberListing(members[word[0]], "hibp", word[1]) for word in batch if isinstance(word, tuple)]
            await said(org, [word for word in batch if isinstance(word, Description)], listed)
        return await shape(org)

    plain = await played(words, set(range(1, len(words))))
    mixed = data.draw(st.permutations([*words, *data.draw(st.lists(st.sampled_from(words), max_size=4))]))
    assert await played(mixed, data.draw(st.sets(st.integers(1, len(mixed)), max_size=4))) == plain
