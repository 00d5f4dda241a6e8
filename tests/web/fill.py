"""A member's world as pages show it: reports from several senders, repeated and changed, delivered over the real webhook."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from app.access.roles import Role
from app.breaches.exposure import ExposureBasis
from app.breaches.service import record_evidence
from app.kit import clock
from app.statistics.build import build_release
from app.statistics.cubes import IncidentRow
from app.statistics.models import StatisticsRelease
from app.statistics.release import Release
from connectors.vocabulary import DataElement
from tests.support.world import World, alert

REPORTS: tuple[tuple[datetime, dict[str, Any]], ...] = (
    (
        datetime(2023, 3, 29, 9, 12, tzinfo=UTC),
        alert(
            id="r-1",
            summary="A new credit card account was reported to your Experian file.",
            institution="Westlake Invented Bank",
            last_four="4321",
            amount="4200.00",
            opened="2023-03-20",
        ),
    ),
    (
        datetime(2023, 4, 2, 18, 40, tzinfo=UTC),
        alert(
            id="r-2",
            summary="New revolving account found on TransUnion. Account 5500 0000 1234 4321.",
            bureau="transunion",
            institution="Westlake Invented Bank",
            last_four="4321",
            amount="4200.00",
            opened={"earliest": "2023-03-18", "latest": "2023-03-24"},
        ),
    ),
    (
        datetime(2023, 4, 20, 7, 5, tzinfo=UTC),
        alert(
            id="r-3",
            type="tax.fraud",
            summary="A federal tax return for 2022 was filed with your Social Security number.",
            institution=None,
            bureau=None,
            last_four=None,
            amount="6180.00",
            opened=None,
            occurred={"earliest": "2023-04-01", "latest": "2023-04-07"},
        ),
    ),
    (
        datetime(2023, 5, 9, 16, 30, tzinfo=UTC),
        alert(
            id="r-4",
            type="inquiry.hard",
            product="new_account.auto",
            summary="A lender asked for your credit file.",
            institution="Harborline Invented Auto Finance",
            bureau="equifax",
            last_four=None,
            amount=None,
            currency=None,
            opened=None,
            occurred="2023-05-08",
        ),
    ),
    (
        datetime(2023, 5, 24, 11, 0, tzinfo=UTC),
        alert(
            id="r-5",
            type="new_account.telecom_mobile",
            summary="A mobile phone account was opened.",
            institution="Invented Wireless",
            bureau="innovis",
            last_four="88",
            amount=None,
            currency=None,
            opened={"latest": "2023-05-22"},
        ),
    ),
    (
        datetime(2023, 5, 30, 8, 15, tzinfo=UTC),
        alert(
            id="r-6",
            type="takeover.bank",
            summary="The phone number of a checking account was changed.",
            institution="Lakeside Invented Credit Union",
            bureau=None,
            last_four="7700",
            amount=None,
            currency=None,
            opened=None,
        ),
    ),
)
"""Member M-1's reports, the first two of them about one card."""


def without_nothing(report: dict[str, Any]) -> dict[str, Any]:
    """The report without the fields that were not said."""
    return {name: value for name, value in report.items() if value is not None}


async def fill(world: World) -> None:
    """Deliver the reports, one of them again and one of them changed, and let the workers finish."""
    after = clock.now()
    async with world.context.database.begin() as tx:
        await record_evidence(
            tx,
            world.context.keyring,
            world.union.id,
            world.union.members["M-1"],
            "oakland-2023",
            "wave-1",
            ExposureBasis.NOTICE_LETTER,
            [DataElement.SSN, DataElement.ADDR],
        )
    for moment, report in REPORTS:
        clock.set_to(moment)
        answer = await world.deliver(without_nothing(report))
        assert answer.status_code == 202, answer.text
    clock.set_to(datetime(2023, 5, 31, 10, 0, tzinfo=UTC))
    changed = without_nothing(REPORTS[0][1]) | {"summary": "The card was used up to its limit.", "amount": "4950.00"}
    for body in (changed, {"alerts": [without_nothing(REPORTS[1][1])]}):
        answer = await world.deliver(body)
        assert answer.status_code == 202, answer.text
    clock.set_to(after)
    await world.workers.drain()


async def publish(world: World, rows: Sequence[IncidentRow], roster: int, as_of: datetime) -> Release:
    """Publish an edition made from invented incidents."""
    release = build_release(rows, population=roster, as_of=as_of)
    async with world.context.database.begin() as tx:
        tx.add(
            StatisticsRelease(
                organization_id=world.union.id,
                number=1,
                as_of=as_of,
                body=release.model_dump(mode="json"),
                published_at=as_of,
            )
        )
    return release


async def answer(world: World, title: str, said: str) -> None:
    """Let member M-1 answer one incident through its page."""
    items = await world.timeline("M-1")
    entry = next(item for item in items if item["title"] == title)
    async with await world.sign_in(Role.MEMBER, "M-1") as browser:
        detail = (await browser.get(f"/v1/incidents/{entry['id']}")).json()
        shown = [source["alert_id"] for source in detail["sources"]]
        done = await browser.post(f"/incidents/{entry['id']}/verdict", data={"answer": said, "shown": shown})
    assert done.status_code == 303, done.text
    await world.workers.drain()
