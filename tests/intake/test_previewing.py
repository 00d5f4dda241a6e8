"""Rules as an admin writes them: versions, what comes with the house, and what would become of what came already."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from app.access.roles import Role
from app.connections.models import ReadingDocument
from app.intake import previewing
from app.intake.models import Event
from app.ledger.models import LedgerEntry
from tests.support.rows import contents
from tests.support.world import World
from tests.timeline.mails import STRANGE, Mailed, mail, mailed_world

RULE = f"""title: Some service
domains:
  - {{domain: {STRANGE}, carries: alerts, mark: A, source: our own mail}}
alerts:
  - {{kind: tax.fraud, subject: ['^Something happened$'], details_requested: true}}
"""


@pytest.fixture
async def mailed(world: World) -> Mailed:
    return await mailed_world(world)


async def call(mailed: Mailed, method: str, more: str = "", body: Any = None) -> Any:
    path = f"/v1/connections/{mailed.connection_id}/documents{more}"
    return await mailed.call(Role.ADMIN, method, path, body)


async def test_rules_have_versions_each_with_who_and_when(mailed: Mailed) -> None:
    first = await call(mailed, "POST", body={"name": "some", "text": RULE, "after": 0})
    assert first.status_code == 201, first.text
    assert (first.json()["version"], first.json()["text"]) == (1, RULE)
    stale = await call(mailed, "POST", body={"name": "some", "text": RULE + "# more\n", "after": 0})
    assert stale.status_code == 409
    second = await call(mailed, "POST", body={"name": "some", "text": RULE + "# more\n", "after": 1})
    assert second.json()["version"] == 2
    gone = await call(mailed, "DELETE", "/some")
    assert (gone.status_code, gone.json()["version"], gone.json()["text"]) == (200, 3, None)
    assert (await call(mailed, "DELETE", "/other")).status_code == 404
    listed = (await call(mailed, "GET")).json()
    admin = str(mailed.world.union.accounts[Role.ADMIN])
    assert [(one["version"], one["written_by"]) for one in listed["own"]] == [(3, admin), (2, admin), (1, admin)]
    shipped = {one["name"]: one["text"] for one in listed["shipped"]}
    assert {"general", "idx", "gmail-forwarding"} < shipped.keys()
    async with mailed.world.context.database.begin(read_only=True) as tx:
        acts = (await tx.execute(select(LedgerEntry).where(LedgerEntry.kind == "connection"))).scalars().all()
    assert sum(act.subjects["connection"] == str(mailed.connection_id) for act in acts) == 4


async def test_another_organizations_rules_are_not_there(mailed: Mailed) -> None:
    path = f"/v1/connections/{mailed.connection_id}/documents"
    async with await mailed.world.sign_in(Role.ADMIN, tenant=mailed.world.other) as browser:
        answers = [
            await browser.get(path),
            await browser.post(path, json={"name": "some", "text": RULE}),
            await browser.post(path + "/preview", json={"name": "some", "text": RULE}),
            await browser.delete(path + "/some"),
        ]
    assert [answer.status_code for answer in answers] == [404] * 4


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (RULE.replace("tax.fraud", "tax.froud"), "alerts.0.kind: is none of the words that may stand here (line 5)"),
        (RULE.replace("title: Some service", "titel: Some"), "titel: there is no such field"),
        (RULE + " x: [", "is no YAML in line 6"),
    ],
)
async def test_what_is_wrong_is_said_with_its_field_and_line(mailed: Mailed, text: str, told: str) -> None:
    for more in ("", "/preview"):
        answer = await call(mailed, "POST", more, {"name": "some", "text": text})
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["field"] == "body.text"
        assert told in error["message"]


@pytest.mark.parametrize("name", ["", "Some", "a/b", "-a", "x" * 61, "a b"])
async def test_a_name_is_a_name(mailed: Mailed, name: str) -> None:
    for more in ("", "/preview"):
        answer = await call(mailed, "POST", more, {"name": name, "text": RULE})
        assert answer.status_code == 422, name


async def test_a_connector_without_documents_takes_none(mailed: Mailed) -> None:
    path = f"/v1/connections/{mailed.world.union.connection.connection.id}/documents"
    assert (await mailed.call(Role.ADMIN, "GET", path)).json() == {"own": [], "shipped": []}
    for more in ("", "/preview"):
        answer = await mailed.call(Role.ADMIN, "POST", path + more, {"name": "some", "text": RULE})
        assert answer.status_code == 422


async def test_a_preview_says_what_would_become_of_what_came_and_writes_nothing(mailed: Mailed) -> None:
    address = await mailed.address()
    strange = [await mailed.event(await mailed.bring(mail(), address)) for _ in range(2)]
    text = "What we found: new credit card.\nCompany: Invented Bank\n"
    known = {"sender": "notices@alerts.monitor.example", "subject": "Example Monitor alert: new credit card"}
    await mailed.bring(mail(**known, text=text), address)
    advert = {"sender": "notices@alerts.monitor.example", "subject": "Example Monitor offer: 20 % off"}
    await mailed.bring(mail(**advert, text="Save now."), address)
    await mailed.bring(mail(), "m-nobody@alerts.union.example")
    before = await contents(mailed.world.context.database)
    answer = await call(mailed, "POST", "/preview", {"name": "some", "text": RULE})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    rest = {"new_account.credit_card": 1, "no alert: advertising": 1}
    assert told["read"] == 4
    assert told["before"] == {"for a person": 2, **rest}
    assert told["after"] == {"tax.fraud": 2, **rest}
    assert [(one["event_id"], one["before"], one["after"]) for one in told["changes"]] == [
        (str(event.id), "for a person", "tax.fraud") for event in reversed(strange)
    ]
    assert "Something" not in answer.text
    after = await contents(mailed.world.context.database)
    changed = {table for table in after if after[table] != before[table]}
    assert changed <= {"ledger_entry", "session"}
    async with mailed.world.context.database.begin(read_only=True) as tx:
        assert (await tx.execute(select(ReadingDocument))).first() is None


async def test_a_persons_word_stands_above_any_rule_that_is_tried(mailed: Mailed) -> None:
    event_id = await mailed.asked()
    path = f"/v1/queues/reviews/{event_id}"
    await mailed.call(Role.CASEWORKER, "POST", path, {"kind": "ssn.use"})
    told = (await call(mailed, "POST", "/preview", {"name": "some", "text": RULE})).json()
    assert (told["before"], told["after"], told["changes"]) == ({"ssn.use": 1}, {"ssn.use": 1}, [])


async def test_only_the_newest_are_read_and_only_of_who_agrees(mailed: Mailed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previewing, "MOST_READ", 2)
    address, other = await mailed.address(), await mailed.address("M-2")
    for _ in range(3):
        await mailed.bring(mail(), address)
    await mailed.bring(mail(), other)
    await mailed.consent(given=False, who="M-2")
    told = (await call(mailed, "POST", "/preview", {"name": "some", "text": RULE})).json()
    assert (told["read"], told["after"]) == (2, {"tax.fraud": 2})
    async with mailed.world.context.database.begin(read_only=True) as tx:
        newest = (await tx.execute(select(Event.id).order_by(Event.id.desc()))).scalars().all()
    assert [one["event_id"] for one in told["changes"]] == [str(event_id) for event_id in newest[1:3]]


async def test_a_rule_in_the_place_of_a_shipped_one_and_back(mailed: Mailed) -> None:
    listed = (await call(mailed, "GET")).json()["shipped"]
    shipped = next(one["text"] for one in listed if one["name"] == "example")
    other = shipped.replace("Example Monitor offer", "Example Monitor bargain")
    told = (await call(mailed, "POST", "/preview", {"name": "example", "text": other})).json()
    assert told["read"] == 0
    assert (await call(mailed, "POST", body={"name": "example", "text": other, "after": 0})).status_code == 201
    advert = mail("a@alerts.monitor.example", "Example Monitor offer: 20 % off")
    address = await mailed.address()
    assert (await mailed.event(await mailed.bring(advert, address))).outcome == "quarantined"
    await call(mailed, "DELETE", "/example")
    again = mail("a@alerts.monitor.example", "Example Monitor offer: 30 % off")
    assert (await mailed.event(await mailed.bring(again, address))).outcome == "non_alert"
