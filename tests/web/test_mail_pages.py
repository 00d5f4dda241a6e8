"""Pages of forwarding, reviews and rules on both databases: hostile text is text, and what is wrong is said beside its field."""

from __future__ import annotations

from html import unescape

import httpx
import pytest

from app.access.roles import Role
from app.web.forwarding_pages import senders
from tests.support.world import World
from tests.timeline.mails import STRANGE, Mailed, mail, mailed_world, question

HOSTILE = "<img src=x onerror=alert(1)>\u202eevil {{ 7*7 }}"


@pytest.fixture
async def mailed(world: World) -> Mailed:
    return await mailed_world(world)


async def post(mailed: Mailed, role: Role, path: str, who: str = "", **fields: str) -> httpx.Response:
    async with await mailed.world.sign_in(role, who) as browser:
        return await browser.post(path, data=fields)


async def get(mailed: Mailed, role: Role, path: str, who: str = "") -> str:
    answer = await mailed.call(role, "GET", path, who=who)
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_hostile_mail_is_text_on_the_page(mailed: Mailed) -> None:
    event_id = await mailed.asked(mail(subject="<b>bold</b> " + "x" * 50, text=HOSTILE))
    page = await get(mailed, Role.CASEWORKER, f"/queues/reviews/{event_id}")
    assert "<img src=x" not in page
    assert "<b>bold" not in page
    assert "\u202e" not in page
    assert "{{ 7*7 }}" in unescape(page)


async def test_a_question_is_text_too_and_no_link_unless_it_is_proven(mailed: Mailed) -> None:
    address = await mailed.address()
    await mailed.bring(question().replace(b"Thanks for using Gmail!", b"<script>alert(1)</script>"), address)
    page = await get(mailed, Role.MEMBER, "/forwarding", "M-1")
    assert address in page
    assert "123456789" in page
    assert 'href="https://mail' not in page
    assert "<script" not in page
    assert address not in await get(mailed, Role.MEMBER, "/forwarding", "M-2")


async def test_a_form_that_no_page_of_ours_sends_is_refused(mailed: Mailed) -> None:
    assert (await post(mailed, Role.MEMBER, "/forwarding", "M-1", todo="sell")).status_code == 422
    assert (await post(mailed, Role.MEMBER, "/forwarding", "M-1", todo="give-up")).status_code == 404


def test_the_senders_to_be_copied_are_those_that_send_alerts() -> None:
    assert {"alerts.transunion.com", "mail.creditkarma.com", "idnotify.com"} <= set(senders())
    assert not any(one.endswith(".example") or one == "google.com" or one.startswith("updates.") for one in senders())


async def test_an_answer_that_is_not_right_yet_keeps_what_was_typed(mailed: Mailed) -> None:
    event_id = await mailed.asked()
    path = f"/queues/reviews/{event_id}"
    wrong = {"kind": "tax.fraud", "institution": "An Invented Bank", "amount": "a lot", "currency": "USD", "todo": "alert"}
    answer = await post(mailed, Role.CASEWORKER, path, **wrong)
    assert answer.status_code == 422
    assert "An Invented Bank" in answer.text
    assert "Write an amount such as 120.50" in answer.text
    rule = {"rule_name": "some", "rule_text": "titel: x", "todo": "rule"}
    answer = await post(mailed, Role.CASEWORKER, path, **{**wrong, "amount": "10", **rule})
    assert answer.status_code == 422
    assert "titel: there is no such field" in answer.text
    assert "titel: x" in answer.text
    answer = await post(mailed, Role.CASEWORKER, path, **{**wrong, "amount": ""})
    assert (answer.status_code, answer.headers["location"]) == (303, "/queues?said=answered#reviews")


async def test_rules_are_saved_changed_and_withdrawn_and_a_stale_page_is_told_so(mailed: Mailed) -> None:
    path = f"/admin/connections/{mailed.connection_id}/rules"
    text = f"title: <i>Some</i>\ndomains:\n- {{domain: {STRANGE}, carries: alerts, mark: A, source: ours}}\n"
    first = {"name": "some", "text": text, "after": "0", "todo": "save"}
    answer = await post(mailed, Role.ADMIN, path, **first)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?said=save")
    assert (await post(mailed, Role.ADMIN, path, **first)).status_code == 409
    assert (await post(mailed, Role.ADMIN, path, **{**first, "name": "Some Name"})).status_code == 422
    assert (await post(mailed, Role.ADMIN, path, **{**first, "text": "", "name": "other"})).status_code == 422
    page = await get(mailed, Role.ADMIN, path)
    assert "<i>Some" not in page
    edited = await get(mailed, Role.ADMIN, f"{path}/edit?name=some")
    assert 'name="after" value="1"' in edited
    assert "<i>Some" not in edited
    answer = await post(mailed, Role.ADMIN, path, name="some", todo="withdraw")
    assert answer.headers["location"] == f"{path}?said=withdraw"
    assert (await post(mailed, Role.ADMIN, path, name="none", todo="withdraw")).status_code == 404
    assert 'name="after" value="0"' in await get(mailed, Role.ADMIN, f"{path}/edit?name=idx")


async def test_the_largest_shipped_rule_can_be_copied_and_saved(mailed: Mailed) -> None:
    listed = (await mailed.call(Role.ADMIN, "GET", f"/v1/connections/{mailed.connection_id}/documents")).json()["shipped"]
    largest = max(listed, key=lambda one: len(one["text"]))
    path = f"/admin/connections/{mailed.connection_id}/rules"
    fields = {"name": largest["name"], "text": largest["text"].replace("\n", "\r\n"), "after": "0"}
    tried = await post(mailed, Role.ADMIN, f"{path}/preview", **fields)
    assert tried.status_code == 200, tried.text
    assert (await post(mailed, Role.ADMIN, path, **fields, todo="save")).status_code == 303
    assert "Yours stands in its place" in await get(mailed, Role.ADMIN, path)


async def test_the_page_of_the_connection_says_how_many_forward_and_leads_to_the_rules(mailed: Mailed) -> None:
    await mailed.address()
    page = await get(mailed, Role.ADMIN, f"/admin/connections/{mailed.connection_id}")
    assert "1 member lets" in page
    assert f"/admin/connections/{mailed.connection_id}/rules" in page
    standard = mailed.world.union.connection.connection.id
    assert "/rules" not in await get(mailed, Role.ADMIN, f"/admin/connections/{standard}")


async def test_a_member_lets_a_caseworker_read_by_their_timeline(mailed: Mailed) -> None:
    await mailed.imported("pat@union.example")
    event = await mailed.event(await mailed.bring(mail(), "pat@union.example"))
    path = f"/queues/reviews/{event.id}"
    assert (await mailed.call(Role.CASEWORKER, "GET", path)).status_code == 404
    assert "Let a caseworker read that, masked" in await get(mailed, Role.MEMBER, "/timeline", "M-1")
    fields = {"connection_id": str(mailed.connection_id), "given": "reviewed"}
    assert (await post(mailed, Role.MEMBER, "/consents", "M-1", **fields)).status_code == 303
    assert "is read by a caseworker" in await get(mailed, Role.MEMBER, "/timeline", "M-1")
    assert (await mailed.call(Role.CASEWORKER, "GET", path)).status_code == 200
