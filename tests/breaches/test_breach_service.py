"""Breaches in the database: catalogues, exposures kept right, evidence, matters and what counsel may see."""

from collections.abc import AsyncIterator
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import func, select

from app.access.repository import is_held
from app.access.roles import Principal, Role
from app.breaches import service
from app.breaches.endpoints import router
from app.breaches.exposure import ExposureBasis, ExposureStatus, OwnEvidence, derive_exposures
from app.breaches.models import Breach, ExposureRow, MemberEvidence
from app.breaches.service import EXPOSURE_CHANGED
from app.breaches.workers import consumer
from app.kit.errors import Problem
from app.kit.ids import uuid7
from app.kit.outbox import Message
from app.ledger.service import Act
from connectors.vocabulary import DataElement
from tests.support.rooms import WHOLE_TIME, Rooms, rooms

TOO_LATE = (date(2022, 6, 1), None)


@pytest.fixture
async def org(database_url: str) -> AsyncIterator[Rooms]:
    async with rooms(database_url) as opened:
        yield opened


async def load(org: Rooms) -> service.CatalogueReport:
    async with org.database.begin() as tx:
        return await service.load_catalogue(tx, org.keyring, org.organization_id, "oakland")


async def bases(org: Rooms, member_id: UUID) -> set[str]:
    async with org.database.begin(read_only=True) as tx:
        found = await service.exposures_of(tx, org.organization_id, member_id)
    return {exposure.basis.value for exposures in found.values() for exposure in exposures}


async def told(org: Rooms) -> list[UUID]:
    async with org.database.begin(read_only=True) as tx:
        rows = select(Message).where(Message.topic == EXPOSURE_CHANGED).order_by(Message.id)
        return [UUID(row.payload["member_id"]) for row in (await tx.execute(rows)).scalars()]


async def record(
    org: Rooms, member_id: UUID, basis: ExposureBasis, elements: set[DataElement] | None = None, wave: str = "wave-1"
) -> UUID:
    async with org.database.begin() as tx:
        return await service.record_evidence(
            tx, org.keyring, org.organization_id, member_id, "oakland-2023", wave, basis, elements
        )


async def test_a_catalogue_brings_breaches_exposures_held_domains_and_its_ledger_entries(org: Rooms) -> None:
    inside, outside, unknown = [await org.member(*jobs) for jobs in ([WHOLE_TIME], [TOO_LATE], [])]
    report = await load(org)
    assert (report.added, report.updated, report.members_changed) == (2, 0, 3)
    assert await bases(org, inside) == {"reported_population"}
    assert await bases(org, outside) == {"outside_reported_population"}
    assert await bases(org, unknown) == {"employment_unknown"}
    async with org.database.begin(read_only=True) as tx:
        stored = await service.breaches_of(tx, org.organization_id)
        assert await is_held(tx, org.organization_id, "mail.oaklandca.gov")
    assert [(s.spec.key, s.focal) for s in stored] == [("oakland-2023", True), ("oakland-2021", False)]
    assert len(await org.ledger(Act.BREACH)) == 2


async def test_stored_exposures_are_those_of_the_pure_rule(org: Rooms) -> None:
    member_id = await org.member(WHOLE_TIME)
    await load(org)
    await record(org, member_id, ExposureBasis.NOTICE_LETTER)
    async with org.database.begin(read_only=True) as tx:
        [focal, _] = await service.breaches_of(tx, org.organization_id)
        stored = (await service.exposures_of(tx, org.organization_id, member_id))[focal.breach_id]
        [row] = (await tx.execute(select(MemberEvidence))).scalars()
    letter = OwnEvidence(ExposureBasis.NOTICE_LETTER, "wave-1", None, f"evidence:{row.id}")
    job = service.EmploymentInterval(*WHOLE_TIME)
    assert set(stored) == set(derive_exposures([job], focal.spec, [letter]))


async def test_loading_the_same_again_changes_and_tells_nothing(org: Rooms) -> None:
    await org.member(WHOLE_TIME)
    await load(org)
    before = await told(org)
    report = await load(org)
    assert (report.added, report.updated, report.unchanged, report.members_changed) == (0, 0, 2, 0)
    assert await told(org) == before
    assert len(await org.ledger(Act.BREACH)) == 2


async def test_another_description_of_a_breach_is_told_for_everybody_even_where_no_exposure_changes(org: Rooms) -> None:
    member_id = await org.member(WHOLE_TIME)
    await load(org)
    async with org.database.begin() as tx:
        rows = (await tx.execute(select(Breach).where(Breach.key == "oakland-2021"))).scalars()
        [row] = rows
        row.spec = row.spec | {"name": "An older name"}
    report = await load(org)
    assert (report.updated, report.members_changed) == (1, 0)
    assert await told(org) == [member_id, member_id]


async def test_a_description_may_not_leave_out_a_wave_that_evidence_names(org: Rooms) -> None:
    member_id = await org.member(WHOLE_TIME)
    await load(org)
    async with org.database.begin() as tx:
        [row] = (await tx.execute(select(Breach).where(Breach.key == "oakland-2021"))).scalars()
        row.spec = row.spec | {"waves": [{"key": "other", "title": "another", "elements": []}]}
        tx.add(
            MemberEvidence(
                member_id=member_id,
                id=uuid7(),
                breach_id=row.id,
                wave="other",
                basis="notice_letter",
                elements=None,
                recorded_at=row.created_at,
            )
        )
    with pytest.raises(Problem) as refused:
        await load(org)
    assert refused.value.status == 409


async def test_a_change_of_employment_changes_the_exposures_once_and_says_so(org: Rooms) -> None:
    await load(org)
    member_id = await org.member(TOO_LATE, external_id="7")
    await org.run(consumer(org.context))
    assert await bases(org, member_id) == {"outside_reported_population"}
    assert await told(org) == [member_id]
    await org.member(WHOLE_TIME, external_id="7")
    await org.run(consumer(org.context))
    assert await bases(org, member_id) == {"reported_population"}
    assert await told(org) == [member_id, member_id]


async def test_employment_that_changes_no_exposure_is_not_told(org: Rooms) -> None:
    await load(org)
    member_id = await org.member((date(2012, 1, 1), None), external_id="7")
    await org.run(consumer(org.context))
    await org.member((date(2013, 1, 1), None), external_id="7")
    await org.run(consumer(org.context))
    assert await told(org) == [member_id]


async def test_an_exposure_that_no_description_gives_any_more_is_deleted(org: Rooms) -> None:
    member_id = await org.member(WHOLE_TIME)
    await load(org)
    async with org.database.begin() as tx:
        [row] = (await tx.execute(select(Breach).where(Breach.key == "oakland-2023"))).scalars()
        first, second = row.spec["waves"]
        listed = [*second["elements"], {"element": "PIN", "mark": "A", "source": "an earlier edition"}]
        row.spec = row.spec | {"waves": [first, second | {"elements": listed}]}
        await tx.flush()
        assert await service.recompute(tx, org.organization_id, [member_id]) == [member_id]
    rows = select(func.count()).select_from(ExposureRow)
    async with org.database.begin() as tx:
        before = (await tx.execute(rows)).scalar_one()
        await service.load_catalogue(tx, org.keyring, org.organization_id, "oakland")
        assert (await tx.execute(rows)).scalar_one() == before - 1
        assert (await tx.execute(select(ExposureRow).where(ExposureRow.element == "PIN"))).first() is None


async def test_own_evidence_outranks_the_population_and_a_repeat_is_one_row(org: Rooms) -> None:
    member_id = await org.member(TOO_LATE)
    await load(org)
    first = await record(org, member_id, ExposureBasis.OWN_RECORD_SEEN, {DataElement.SSN, DataElement.DOB})
    assert await record(org, member_id, ExposureBasis.OWN_RECORD_SEEN, {DataElement.DOB, DataElement.SSN}) == first
    async with org.database.begin(read_only=True) as tx:
        [exposures] = (await service.exposures_of(tx, org.organization_id, member_id)).values()
        assert (await tx.execute(select(func.count()).select_from(MemberEvidence))).scalar_one() == 1
    own = {(e.element, e.status) for e in exposures if e.basis is ExposureBasis.OWN_RECORD_SEEN}
    assert own == {(DataElement.SSN, ExposureStatus.PROVEN), (DataElement.DOB, ExposureStatus.PROVEN)}
    assert await told(org) == [member_id, member_id]
    assert len(await org.ledger(Act.BREACH)) == 3


async def test_evidence_needs_a_member_a_breach_and_a_wave_of_this_organization(org: Rooms) -> None:
    member_id = await org.member(WHOLE_TIME)
    await load(org)
    other = await org.another_organization()
    stranger = await other.member(WHOLE_TIME)
    for who, wave in ((stranger, "wave-1"), (uuid7(), "wave-1"), (member_id, "wave-9")):
        with pytest.raises(Problem) as refused:
            await record(org, who, ExposureBasis.HIBP, wave=wave)
        assert refused.value.status == 404
    with pytest.raises(Problem):
        await record(other, stranger, ExposureBasis.HIBP)
    with pytest.raises(ValueError, match="not evidence about one member"):
        await record(org, member_id, ExposureBasis.REPORTED_POPULATION)


async def test_erasure_deletes_evidence_and_exposures_and_they_do_not_come_back(org: Rooms) -> None:
    member_id, neighbour = await org.member(WHOLE_TIME), await org.member(WHOLE_TIME)
    await load(org)
    await record(org, member_id, ExposureBasis.NOTICE_LETTER)
    await record(org, neighbour, ExposureBasis.NOTICE_LETTER)
    await org.erase(member_id)
    await org.run(consumer(org.context))
    await load(org)
    async with org.database.begin(read_only=True) as tx:
        assert set((await tx.execute(select(ExposureRow.member_id))).scalars()) == {neighbour}
        assert set((await tx.execute(select(MemberEvidence.member_id))).scalars()) == {neighbour}
    with pytest.raises(Problem):
        await record(org, member_id, ExposureBasis.NOTICE_LETTER)


async def test_handling_a_message_twice_changes_nothing(org: Rooms) -> None:
    await load(org)
    member_id = await org.member(WHOLE_TIME)
    worker = consumer(org.context)
    for _ in range(2):
        async with org.database.begin() as tx:
            rows = select(Message).where(Message.topic.in_(worker.topics))
            await worker.handle(tx, (await tx.execute(rows)).scalars().all())
    assert await told(org) == [member_id]


async def test_the_summary_counts_members_by_status(org: Rooms) -> None:
    first = await org.member(WHOLE_TIME)
    await org.member(TOO_LATE)
    await load(org)
    await record(org, first, ExposureBasis.NOTICE_LETTER)
    async with org.database.begin(read_only=True) as tx:
        focal, earlier = await service.breach_summary(tx, org.organization_id)
    assert (focal.key, focal.waves, focal.members) == ("oakland-2023", 2, {"proven": 1, "probable": 1, "unproven": 1})
    assert (earlier.key, earlier.members) == ("oakland-2021", {"proven": 0, "probable": 0, "unproven": 0})


async def open_matter(org: Rooms, counsel: Principal, key: str = "oakland-2023") -> UUID:
    async with org.database.begin() as tx:
        matter = await service.open_matter(tx, org.keyring, org.organization_id, key, "Privileged title", counsel.account_id)
        return matter.id


async def test_counsel_sees_only_the_members_of_a_breach_of_an_assigned_matter(org: Rooms) -> None:
    member_id = await org.member(WHOLE_TIME)
    await load(org)
    other = await org.another_organization()
    stranger = await other.member(WHOLE_TIME)
    await load(other)
    assigned, idle, earlier = [await org.counsel() for _ in range(3)]
    await open_matter(org, assigned)
    await open_matter(org, earlier, "oakland-2021")
    as_admin = Principal(assigned.organization_id, assigned.account_id, Role.ADMIN)
    async with org.database.begin(read_only=True) as tx:
        assert await service.counsel_may_see(tx, assigned, member_id)
        assert not await service.counsel_may_see(tx, assigned, stranger)
        assert not await service.counsel_may_see(tx, assigned, uuid7())
        for nobody in (idle, earlier, as_admin, standing_in(other, assigned)):
            assert not await service.counsel_may_see(tx, nobody, member_id)


def standing_in(other: Rooms, counsel: Principal) -> Principal:
    """The same account, as if it stood in the other organization."""
    return Principal(other.organization_id, counsel.account_id, Role.COUNSEL)


async def test_a_matter_is_for_its_counsel_alone_and_its_title_is_sealed(org: Rooms) -> None:
    await load(org)
    counsel, colleague = await org.counsel(), await org.counsel()
    matter_id = await open_matter(org, counsel)
    async with org.database.begin() as tx:
        [view] = await service.matters_of(tx, org.keyring, counsel)
        assert (view.id, view.title, view.breach_name) == (matter_id, "Privileged title", "City of Oakland, 2023")
        matter = await service.require_matter(tx, counsel, matter_id)
        assert b"Privileged" not in matter.title_sealed
        assert await service.matters_of(tx, org.keyring, colleague) == []
        with pytest.raises(Problem) as refused:
            await service.require_matter(tx, colleague, matter_id)
        assert refused.value.status == 404
        for _ in range(2):
            await service.assign_counsel(tx, org.keyring, org.organization_id, matter_id, colleague.account_id)
        assert len(await service.matters_of(tx, org.keyring, colleague)) == 1
    assert len([entry for entry in await org.ledger(Act.ROLE) if "matter" in entry.subjects]) == 2


async def test_a_matter_needs_a_known_breach_and_an_account_that_is_counsel_here(org: Rooms) -> None:
    member_id = await org.member(WHOLE_TIME)
    await load(org)
    other = await org.another_organization()
    for who, key in (
        (await org.counsel(), "nowhere-2020"),
        (await other.counsel(), "oakland-2023"),
        (await org.principal(member_id), "oakland-2023"),
    ):
        with pytest.raises(Problem) as refused:
            await open_matter(org, who, key)
        assert refused.value.status == 404


async def test_the_list_of_matters_over_http(org: Rooms) -> None:
    member_id = await org.member(WHOLE_TIME)
    await load(org)
    counsel = await org.counsel()
    matter_id = await open_matter(org, counsel)
    async with org.client(router, counsel) as client:
        answer = await client.get("/v1/matters")
    assert answer.status_code == 200
    assert [(item["id"], item["title"]) for item in answer.json()] == [(str(matter_id), "Privileged title")]
    async with org.client(router, await org.principal(member_id)) as client:
        assert (await client.get("/v1/matters")).status_code == 403
