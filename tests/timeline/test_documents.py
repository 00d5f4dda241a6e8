"""A document that a member handed in leaves byte for byte, as a file to be saved, to whom it concerns and to nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from app.access.roles import Role
from app.breaches.models import MatterCounsel
from app.connections.models import Connection
from app.connections.service import OWN
from app.intake.models import Receipt
from app.kit.ids import uuid7
from app.ledger.service import SYSTEM
from app.members import erasing
from app.timeline.endpoints import TO_BE_SAVED
from connectors.own.documents import ENDINGS
from tests.connectors.test_own_documents import SAMPLES
from tests.incidents.reports import FOUND, PDF, event_of, report, reported
from tests.support.world import World, alert

HOSTILE = b"<html><script>alert(document.cookie)</script></html>"


def place(incident: dict[str, Any], event: dict[str, Any] | None = None) -> str:
    return f"/v1/incidents/{incident['id']}/documents/{(event or event_of(incident))['event_id']}"


@pytest.mark.parametrize("media_type", list(ENDINGS))
async def test_it_comes_back_as_it_was_and_is_only_to_be_saved(world: World, media_type: str) -> None:
    found = await reported(world, FOUND, SAMPLES[media_type])
    for role in (Role.MEMBER, Role.COUNSEL):
        async with await world.sign_in(role) as browser:
            answer = await browser.get(place(found))
        assert (answer.status_code, answer.content) == (200, SAMPLES[media_type]), role
        assert answer.headers["content-type"].partition(";")[0] == media_type
        assert answer.headers["content-disposition"] == f'attachment; filename="report-2023-06-01.{ENDINGS[media_type]}"'
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
        assert answer.headers.get_list("content-security-policy") == [TO_BE_SAVED]
        assert answer.headers["cache-control"] == "no-store"
    assert TO_BE_SAVED.startswith("sandbox;")


async def test_a_page_of_html_leaves_as_plain_text(world: World) -> None:
    found = await reported(world, FOUND, HOSTILE)
    async with await world.sign_in(Role.MEMBER) as browser:
        answer = await browser.get(place(found))
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment;")


async def test_every_look_at_it_is_written_down_and_told_to_the_member(world: World) -> None:
    found = await reported(world, FOUND, PDF)
    async with await world.sign_in(Role.COUNSEL) as counsel:
        assert (await counsel.get(place(found))).status_code == 200
    async with await world.sign_in(Role.MEMBER) as member:
        assert (await member.get(place(found))).status_code == 200
        visits = (await member.get("/v1/me/visits?own=true")).json()["items"]
    assert [(v["role"], v["incident_id"]) for v in visits if v["what"] == "document"] == [
        ("member", found["id"]),
        ("counsel", found["id"]),
    ]


async def test_nobody_else_gets_it(world: World) -> None:
    found = await reported(world, FOUND, PDF)
    for who, tenant in (("M-2", world.union), ("M-1", world.other)):
        async with await world.sign_in(Role.MEMBER, who, tenant) as browser:
            assert (await browser.get(place(found))).status_code == 404
    async with await world.sign_in(Role.COUNSEL, tenant=world.other) as browser:
        assert (await browser.get(place(found))).status_code == 404
    for role in (Role.STAFF, Role.CASEWORKER, Role.ADMIN, Role.AUDITOR):
        async with await world.sign_in(role) as browser:
            assert (await browser.get(place(found))).status_code == 403
    assert (await world.client.get(place(found))).status_code == 401
    async with world.context.database.begin() as tx:
        await tx.execute(update(MatterCounsel).values(account_id=world.union.accounts[Role.STAFF]))
    async with await world.sign_in(Role.COUNSEL) as browser:
        assert (await browser.get(place(found))).status_code == 404


async def test_what_is_no_document_is_none(world: World) -> None:
    plain, with_one = await reported(world, {"kind": "tax.fraud"}), await reported(world, FOUND, PDF)
    async with await world.sign_in(Role.MEMBER) as browser:
        assert (await browser.get(place(plain))).status_code == 404
        assert (await browser.get(place(plain, event_of(with_one)))).status_code == 404
        assert (await browser.get(place(with_one, {"event_id": str(uuid7())}))).status_code == 404


async def test_what_a_provider_calls_a_document_is_none(world: World) -> None:
    found = await reported(world, FOUND, PDF)
    async with world.context.database.begin() as tx:
        await tx.execute(update(Connection).where(Connection.connector == OWN).values(connector="standard"))
    async with await world.sign_in(Role.MEMBER) as browser:
        detail = (await browser.get(f"/v1/incidents/{found['id']}")).json()
        assert event_of(detail)["document"] is None
        assert (await browser.get(place(found))).status_code == 404


async def test_what_was_erased_or_can_no_longer_be_opened_is_not_there(world: World) -> None:
    found = await reported(world, FOUND, PDF)
    async with world.context.database.begin() as tx:
        await tx.execute(update(Receipt).values(wrapped_key=None))
    async with await world.sign_in(Role.MEMBER) as browser:
        assert (await browser.get(place(found))).status_code == 404
    async with world.context.database.begin() as tx:
        await erasing.erase(tx, world.context.keyring, world.union.id, world.union.members["M-1"], SYSTEM)
    async with await world.sign_in(Role.COUNSEL) as counsel:
        assert (await counsel.get(place(found))).status_code == 404


async def test_the_grade_and_its_reason_are_told_to_both_as_what_they_are_to_them(world: World) -> None:
    await world.deliver(alert())
    own, (theirs,) = await reported(world, FOUND), [one for one in await world.timeline() if one["kind"].endswith("card")]
    told: dict[Role, list[tuple[str, str | None]]] = {}
    for role in (Role.MEMBER, Role.COUNSEL):
        async with await world.sign_in(role) as browser:
            details = [(await browser.get(f"/v1/incidents/{one['id']}")).json() for one in (own, theirs)]
        told[role] = [(event_of(one)["grade_text"], event_of(one)["grade_reason"]) for one in details]
    entered = "a member who was signed in entered it; nobody else vouches for it"
    shared = "The sender proved itself to us with a shared secret; an outsider cannot check that."
    assert told[Role.MEMBER] == [("You entered it yourself.", entered), (shared, "signature matches")]
    assert told[Role.COUNSEL] == [("The member entered it.", entered), (shared, "signature matches")]


async def test_what_came_before_reasons_were_kept_has_none(world: World) -> None:
    found = await reported(world, FOUND)
    async with world.context.database.begin() as tx:
        await tx.execute(update(Receipt).values(verification={"outcome": "authentic", "scheme": "entered"}))
    async with await world.sign_in(Role.MEMBER) as browser:
        detail = (await browser.get(f"/v1/incidents/{found['id']}")).json()
        assert event_of(detail)["grade_reason"] is None
        assert " Why: " not in (await browser.get(f"/incidents/{found['id']}")).text


async def test_a_report_is_not_there_before_it_is_read(world: World) -> None:
    answer = await report(world, FOUND, PDF)
    assert answer.status_code == 202
    async with await world.sign_in(Role.MEMBER) as browser:
        assert (await browser.get("/v1/me/timeline")).json()["items"] == []
