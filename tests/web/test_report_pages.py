"""The page on which a member reports something themselves, and what asks them to: plain words, no script, errors named."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import httpx
import pytest

from app.access.roles import Role
from app.timeline.wording import DETAILS
from connectors.vocabulary import AlertKind
from tests.incidents.reports import FOUND, PDF, hinted, incident_with, reported
from tests.support.world import World, alert
from tests.web.test_pages import text_of

NONE = {"document": ("", b"", "application/octet-stream")}


async def send(browser: httpx.AsyncClient, fields: dict[str, str], document: bytes | None = None) -> httpx.Response:
    files: Any = NONE if document is None else {"document": ("letter.pdf", document, "application/pdf")}
    return await browser.post("/report", data=fields, files=files)


def typed(html: str, name: str) -> str:
    """What stands in a field of the form."""
    found = re.search(rf'name="{name}"[^>]* value="([^"]*)"', html)
    return unescape(found.group(1)) if found else ""


async def test_a_member_finds_the_form_and_their_report_on_the_timeline(world: World) -> None:
    async with await world.sign_in(Role.MEMBER) as browser:
        assert 'href="/report"' in (await browser.get("/timeline")).text
        form = await browser.get("/report")
        assert form.status_code == 200
        assert "<script" not in form.text
        assert 'enctype="multipart/form-data"' in form.text
        assert len(re.findall(r"<option value=\"[a-z_]+\.[a-z_]+\"", form.text)) == len(AlertKind)
        answer = await send(browser, FOUND, PDF)
        assert (answer.status_code, answer.headers["location"]) == (303, "/timeline?reported=true")
        assert "We have your report." in text_of((await browser.get(answer.headers["location"])).text)
        await world.workers.drain()
        page = (await browser.get("/timeline")).text
        assert "A bank account was opened in your name" in page
        assert "We have your report." not in page
        path = re.findall(r'<h2><a href="(/incidents/[^"]+)"', page)[0]
        read = text_of((await browser.get(path)).text)
    for words in (
        "What you reported yourself",
        "A letter about an account that I never opened.",
        "Invented Savings",
        "Save the document (PDF, 1 kB)",
        "You entered it yourself. Why: a member who was signed in entered it; nobody else vouches for it",
        "Add a letter, or what else you know of it",
    ):
        assert words in read, words
    assert "Details wanted" not in read


async def test_the_empty_fields_that_a_browser_sends_are_left_out(world: World) -> None:
    empty = dict.fromkeys(("institution", "last_four", "amount", "happened_from", "happened_to", "found_on", "note"), "")
    async with await world.sign_in(Role.MEMBER) as browser:
        assert (await send(browser, {"kind": "other.unclassified", **empty})).status_code == 303
    (entry,) = await world.timeline()
    assert entry["title"] == "Something else was reported"


async def test_what_is_not_right_is_said_at_its_field_and_nothing_typed_is_lost(world: World) -> None:
    wrong = {
        "kind": "tax.fraud",
        "institution": 'An <b>office</b> "of" tax',
        "last_four": "12345",
        "amount": "much",
        "happened_from": "2023-05-01",
        "note": "</textarea><script>alert(1)</script>",
    }
    async with await world.sign_in(Role.MEMBER) as browser:
        answer = await send(browser, wrong, b"MZ\x90\x00")
        assert answer.status_code == 422
        html = answer.text
        assert "3 fields need another look" in text_of(html)
        for name in ("last_four", "amount", "document"):
            assert f'id="report-{name}-wrong"' in html
            assert f'aria-describedby="report-{name}-wrong"' in html
        assert '<option value="tax.fraud" selected>' in html
        assert [typed(html, name) for name in ("institution", "last_four", "amount", "happened_from")] == [
            wrong[name] for name in ("institution", "last_four", "amount", "happened_from")
        ]
        assert "<script" not in html
        assert "&lt;/textarea&gt;" in html
        assert "Please choose it again" in html
        mended = {**wrong, "last_four": "45", "amount": "1,250.50"}
        answer = await send(browser, mended, b"MZ\x90\x00")
        assert (answer.status_code, 'id="report-document-wrong"' in answer.text) == (422, True)
        assert "One field needs another look" in text_of(answer.text)
        assert (await send(browser, mended, PDF)).status_code == 303
    (entry,) = await world.timeline()
    assert entry["amount"] == "1250.50"


async def test_a_hint_is_marked_asks_for_what_it_says_and_stops_asking_once_it_is_told(world: World) -> None:
    hint = await hinted(world)
    path = f"/incidents/{hint['id']}"
    async with await world.sign_in(Role.MEMBER) as browser:
        listed = (await browser.get("/timeline")).text
        assert "Details wanted" in text_of(listed)
        assert f'href="{path}#details"' in listed
        shown = (await browser.get(path)).text
        assert DETAILS in text_of(shown)
        assert typed(shown, "completes") == hint["wanting"][0]
        assert shown.count('id="amount"') == shown.count('id="report-amount"') == 1, "two forms, and no name twice"
        answer = await send(browser, {"kind": "", "completes": hint["wanting"][0]})
        assert answer.status_code == 422
        assert typed(answer.text, "completes") == hint["wanting"][0]
        assert "Tell more of it" in text_of(answer.text)
        assert (await send(browser, {**FOUND, "completes": hint["wanting"][0]})).status_code == 303
        await world.workers.drain()
        shown, listed = (await browser.get(path)).text, (await browser.get("/timeline")).text
        assert DETAILS not in text_of(shown)
        assert "Details wanted" not in text_of(shown + listed)
        assert "2 reports" in text_of(listed)


async def test_counsel_reads_that_the_member_is_asked_and_gets_no_form(world: World) -> None:
    hint = await hinted(world)
    own = await reported(world, {"kind": "tax.fraud"}, PDF)
    async with await world.sign_in(Role.COUNSEL) as counsel:
        read = (await counsel.get(f"/incidents/{hint['id']}")).text
        assert "The member is asked to log in there" in text_of(read)
        assert 'action="/report"' not in read
        assert 'href="/report' not in read
        entered = text_of((await counsel.get(f"/incidents/{own['id']}")).text)
        assert "What the member reported" in entered
        assert "The member entered it. Why:" in entered
        assert "Save the document" in entered
        assert (await counsel.get("/report")).status_code == 403


async def test_more_can_be_put_to_any_incident(world: World) -> None:
    await world.deliver(alert())
    (entry,) = await world.timeline()
    async with await world.sign_in(Role.MEMBER) as browser:
        shown = (await browser.get(f"/incidents/{entry['id']}")).text
        found = re.search(r'href="(/report\?completes=[^"]+)"', shown)
        assert found
        form = (await browser.get(unescape(found.group(1)))).text
        fields = {"kind": "new_account.credit_card", "completes": typed(form, "completes")}
        assert (await send(browser, fields, PDF)).status_code == 303
        assert (await browser.get("/report?completes=nonsense")).status_code == 422
    (entry,) = await world.timeline()
    assert entry["alerts"] == 2


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_a_file_that_is_too_large_is_said_so(world: World) -> None:
    async with await world.sign_in(Role.MEMBER) as browser:
        answer = await send(browser, FOUND, b"%PDF-" + bytes(20 * 1024 * 1024))
    assert answer.status_code == 413
    assert "larger than 20 MB" in text_of(answer.text)
    assert await world.timeline() == []


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_a_form_from_another_site_reports_nothing(world: World) -> None:
    async with await world.sign_in(Role.MEMBER) as browser:
        answer = await browser.post("/report", data=FOUND, files=NONE, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    assert await world.timeline() == []


async def test_a_visit_to_a_document_is_told_in_words(world: World) -> None:
    answer = await incident_with(world, (await _report(world)).json()["receipt_id"])
    event = answer["sources"][0]["events"][0]["event_id"]
    async with await world.sign_in(Role.COUNSEL) as counsel:
        assert (await counsel.get(f"/v1/incidents/{answer['id']}/documents/{event}")).status_code == 200
    async with await world.sign_in(Role.MEMBER) as browser:
        assert "A document that you handed in" in text_of((await browser.get("/visits")).text)


async def _report(world: World) -> httpx.Response:
    async with await world.sign_in(Role.MEMBER) as browser:
        return await browser.post("/v1/reports", data=FOUND, files={"document": ("a.pdf", PDF, "application/pdf")})
