"""Every page, for the people it is for, on both databases."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from html import unescape

import httpx
import pytest
from sqlalchemy import update

from app.access.roles import Role
from app.members.models import Consent
from app.web.labels import HOMES
from tests.support.world import World, alert
from tests.web.fill import answer, fill

CARD = "A credit card was opened in your name"


def text_of(html: str) -> str:
    """What a person reads."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


@pytest.fixture
async def filled(world: World) -> World:
    await fill(world)
    return world


@pytest.fixture
async def member(filled: World) -> AsyncIterator[httpx.AsyncClient]:
    async with await filled.sign_in(Role.MEMBER, "M-1") as browser:
        yield browser


async def incident_path(world: World, title: str = CARD) -> str:
    items = await world.timeline("M-1")
    return "/incidents/" + next(str(item["id"]) for item in items if item["title"] == title)


async def test_the_timeline_says_what_happened_in_plain_words(member: httpx.AsyncClient) -> None:
    answer = await member.get("/timeline")
    read = text_of(answer.text)
    assert answer.status_code == 200
    assert "5 of these wait for your answer" in read
    assert read.index("one of your bank accounts") < read.index("tax return") < read.index(CARD)
    assert "Westlake Invented Bank" in read
    assert "Between 1 and 7 April 2023" in read
    assert "Before 23 May 2023" in read
    assert "The service does not say when" in read
    assert "excluded" not in read
    assert "%" not in read


async def test_a_timeline_goes_on_to_what_is_older(member: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.incident_pages.PAGE", 2)
    seen: list[str] = []
    path: str | None = "/timeline"
    while path:
        html = (await member.get(path)).text
        seen += re.findall(r'<h2><a href="(/incidents/[^"]+)"', html)
        older = re.search(r'href="(/timeline\?cursor=[^"]+)" rel="next"', html)
        path = unescape(older.group(1)) if older else None
    assert len(seen) == len(set(seen)) == 5
    assert (await member.get("/timeline?cursor=nonsense")).status_code == 422


async def test_an_incident_shows_reports_reasons_and_fingerprints(filled: World, member: httpx.AsyncClient) -> None:
    path = await incident_path(filled)
    html = (await member.get(path)).text
    read = text_of(html)
    for words in (
        "Was this you?",
        "No, this was not me",
        "The card was used up to its limit.",
        "Said it again in other words",
        "Said the same again",
        "A new credit card account was reported",
        "received 29 March 2023, 09:12 UTC",
        "What speaks for a link",
        "What speaks against it",
        "What is not known",
        "A notice letter says that your data was there",
        "KRON4",
        "[V]",
        "our assumption",
        "City of Oakland, 2023",
    ):
        assert words in read, words
    assert "5500 0000 1234" not in html
    assert "excluded" not in read
    assert "caused by" not in read
    assert len(set(re.findall(r"[0-9a-f]{16}(?:<wbr>[0-9a-f]{16}){3}", html))) == 4


async def test_the_original_is_masked_and_comes_with_its_fingerprint(filled: World, member: httpx.AsyncClient) -> None:
    html = (await member.get(await incident_path(filled))).text
    originals = sorted(set(re.findall(r'href="(/incidents/[^"]+/originals/[^"]+)"', html)))
    assert len(originals) == 4
    texts = [(await member.get(path)).text for path in originals]
    assert all("Fingerprint (SHA-256)" in text and re.search(r"[0-9a-f]{16}<wbr>", text) for text in texts)
    assert any("•••• •••• •••• 4321" in text for text in texts)
    assert not any("5500 0000" in text for text in texts)


async def test_an_answer_is_taken_and_can_be_changed(filled: World, member: httpx.AsyncClient) -> None:
    await answer(filled, CARD, "not_me")
    path = await incident_path(filled)
    assert "You said: this was not me." in text_of((await member.get(path)).text)
    await answer(filled, CARD, "unsure")
    read = text_of((await member.get(path)).text)
    assert "You are not sure." in read
    assert "Every answer so far (2)" in read


async def test_an_answer_to_other_alerts_than_are_there_shows_the_page_anew(filled: World, member: httpx.AsyncClient) -> None:
    path = await incident_path(filled)
    tax = await incident_path(filled, "A tax return was filed in your name")
    foreign = re.findall(r'name="shown" value="([^"]+)"', (await member.get(tax)).text)
    refused = await member.post(f"{path}/verdict", data={"answer": "not_me", "shown": foreign})
    assert refused.status_code == 409
    assert "has changed since you opened it" in text_of(refused.text)
    assert "Westlake Invented Bank" in refused.text
    assert (await member.post(f"{path}/verdict", data={"answer": "maybe", "shown": foreign})).status_code == 422


async def test_a_loss_is_entered_with_what_was_paid_back(filled: World, member: httpx.AsyncClient) -> None:
    path = await incident_path(filled)
    fields = {
        "head": "fraud_loss",
        "amount": "$1,250.50",
        "incurred_on": "2023-03-22",
        "note": "They <b>charged</b> it.\r\nTwice.",
        "payer": "bank",
        "back_amount": "1000",
        "back_on": "",
    }
    done = await member.post(f"{path}/losses", data=fields)
    assert (done.status_code, done.headers["location"]) == (303, f"{path}#losses")
    html = (await member.get(path)).text
    read = text_of(html)
    assert "<b>charged" not in html
    assert "They <b>charged</b> it." in unescape(html)
    assert "$1,250.50 $1,000.00 The bank $250.50" in read
    assert "counts only once you have answered" in read
    await answer(filled, CARD, "not_me")
    assert "counts only once" not in (await member.get(path)).text


WRONG_LOSSES: tuple[tuple[dict[str, str], str], ...] = (
    ({"amount": "12.345"}, "Write an amount above zero"),
    ({"amount": "-5"}, "Write an amount above zero"),
    ({"head": "statutory"}, "Choose what sort of loss"),
    ({"incurred_on": "22.3.2023"}, "Write the day as year-month-day"),
    ({"incurred_on": "2023-06-02"}, "This day lies in the future."),
    ({"note": "a\x01b"}, "ordinary characters"),
    ({"back_amount": "300", "payer": "bank"}, "More was paid back than the amount itself"),
    ({"back_amount": "30"}, "Choose who paid it back."),
    ({"payer": "bank", "back_amount": "30", "back_on": "2024-01-01"}, "This day lies in the future."),
)


async def test_a_loss_that_is_not_right_stays_on_the_page(filled: World, member: httpx.AsyncClient) -> None:
    path = await incident_path(filled)
    good = {"head": "oop", "amount": "200.25", "incurred_on": "2023-03-22", "note": "My own words"}
    for change, words in WRONG_LOSSES:
        refused = await member.post(f"{path}/losses", data=good | change)
        assert refused.status_code == 422, change
        assert words in text_of(refused.text), change
        assert 'aria-invalid="true"' in refused.text
        for name in ("amount", "incurred_on", "back_amount"):
            typed = (good | change).get(name, "")
            assert re.search(rf'name="{name}"[^>]* value="{re.escape(typed)}"', refused.text), (change, name)
    assert "Nothing has been entered." in (await member.get(path)).text


async def test_consent_is_asked_without_content_and_the_answer_counts(world: World) -> None:
    async with await world.sign_in(Role.ADMIN) as admin:
        await _withdraw(world)
        assert (await admin.get("/admin")).status_code == 200
    await fill(world)
    async with await world.sign_in(Role.MEMBER, "M-1") as member:
        before = (await member.get("/timeline")).text
        assert "Union Monitor has something for you. May we keep it?" in text_of(before)
        assert "Westlake" not in before
        connection = re.findall(r'name="connection_id" value="([^"]+)"', before)[0]
        done = await member.post("/consents", data={"connection_id": connection, "given": "yes"})
        assert done.status_code == 303
        await world.workers.drain()
        after = (await member.get("/timeline")).text
        assert "has something for you" not in after
        assert "Westlake" in after
        assert (await member.post("/consents", data={"connection_id": connection, "given": "perhaps"})).status_code == 422


async def _withdraw(world: World) -> None:
    """Take the seeded consent out of force, so that the member is asked."""
    async with world.context.database.begin() as tx:
        await tx.execute(update(Consent).values(expires_at=datetime(2020, 1, 1, tzinfo=UTC)))


async def test_everybody_begins_on_a_page_of_their_own(world: World) -> None:
    for role in Role:
        async with await world.sign_in(role) as browser:
            home = await browser.get("/")
            assert (home.status_code, home.headers["location"]) == (303, HOMES[role])
            first = await browser.get(HOMES[role])
            assert first.status_code == 200
            assert "<h1>" in first.text
            assert (await browser.get("/sign-in")).headers["location"] == HOMES[role]
            refused = await browser.get("/matters" if role is not Role.COUNSEL else "/timeline")
            assert refused.status_code == 403
            assert refused.headers["content-type"].startswith("text/html")


async def test_counsel_reads_a_matter_and_its_incidents_and_changes_nothing(filled: World) -> None:
    path = await incident_path(filled)
    async with await filled.sign_in(Role.COUNSEL) as counsel:
        matter = re.findall(r'href="(/matters/[^"]+)"', (await counsel.get("/matters")).text)[0]
        listed = await counsel.get(matter)
        assert path in listed.text
        page = await counsel.get(path)
        read = text_of(page.text)
        assert "Counsel only. Time rule: not excluded by time." in read
        assert "Was this you?" not in read
        assert "<form" not in page.text.split("<main")[1].split("</main>")[0]
        assert (await counsel.post(f"{path}/verdict", data={"answer": "not_me"})).status_code == 403
    async with await filled.sign_in(Role.COUNSEL, tenant=filled.other) as stranger:
        assert (await stranger.get(path)).status_code == 404
        assert (await stranger.get(matter)).status_code == 404


async def test_nobody_sees_another_members_pages(filled: World) -> None:
    path = await incident_path(filled)
    async with await filled.sign_in(Role.MEMBER, "M-2") as other:
        for tried in (path, f"{path}/originals/{path[-36:]}"):
            assert (await other.get(tried)).status_code == 404
        for form in ("verdict", "losses"):
            fields = {"answer": "not_me", "shown": path[-36:], "head": "oop", "amount": "1", "incurred_on": "2023-03-22"}
            assert (await other.post(f"{path}/{form}", data=fields)).status_code == 404
    async with filled.browser() as nobody:
        away = await nobody.get(path)
        assert (away.status_code, away.headers["location"]) == (303, "/sign-in")


async def test_the_queues_say_where_the_trouble_is_and_not_what_is_said(world: World) -> None:
    await fill(world)
    await world.deliver(alert(id="n-1", member="ref-nobody", institution="Secret Invented Bank"))
    await world.deliver(alert(id="n-2", type="unheard.of", institution="Secret Invented Bank"))
    await world.workers.drain()
    async with await world.sign_in(Role.CASEWORKER) as caseworker:
        read = text_of((await caseworker.get("/queues")).text)
    assert "Nobody on the roster has this number" in read
    assert "Alerts that we could not understand" in read
    assert "Secret Invented Bank" not in read


async def test_the_ledger_holds_ids_and_no_names(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.office_pages.PAGE", 20)
    async with await filled.sign_in(Role.AUDITOR) as auditor:
        html = (await auditor.get("/ledger")).text
    assert "Commitment (SHA-256)" in html
    assert "Avery" not in html
    assert 'rel="next"' in html
