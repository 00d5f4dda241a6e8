"""From deliveries to alerts: one outcome an event, nothing merges that is not the same, nothing is shown to the wrong one."""

from __future__ import annotations

import json
import random
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access.roles import Role
from app.connections import service as connections
from app.intake.sealing import open_body, open_headers
from app.intake.understanding import identity_bytes
from app.members import service as members
from app.members.roster import EnrollmentEntry
from app.operations import replay
from connectors.contract import Sender
from tests.intake.counting import all_refusals, books, outcomes, receipts
from tests.support.rows import contents, counts, grown
from tests.support.world import Tenant, World, alert

CANARY = "Canary4417"


async def test_every_kind_of_event_has_its_outcome_and_a_bad_one_spares_its_neighbours(world: World) -> None:
    batch = [
        alert(id="a-1"),
        "junk",
        alert(id="a-2", type="never.heard.of"),
        {"id": "p-1", "type": "ping"},
        alert(id="a-3", amount=CANARY),
        {"type": "inquiry.hard"},
        alert(id="a-4", unknown=CANARY),
        alert(id="a-1"),
        alert(id="a-1", summary="Other words"),
        alert(id="a-5", institution="Second Bank"),
    ]
    assert (await world.deliver({"alerts": batch})).status_code == 202
    assert len(await world.timeline()) == 2
    assert await outcomes(world) == [
        ("new", None, None),
        ("quarantined", "broken item", "alerts[1]"),
        ("quarantined", "unknown event type", "type"),
        ("non_alert", "known, not an alert", None),
        ("quarantined", "malformed field", "amount"),
        ("quarantined", "broken item", "alerts[5].id"),
        ("quarantined", "malformed field", "*"),
        ("sighting", None, None),
        ("revision", None, None),
        ("new", None, None),
    ]
    found = await books(world)
    assert (found["events"], found["alerts"], found["quarantined"]) == (10, 2, 5)
    rows = await contents(world.context.database)
    assert CANARY not in str({name: rows[name] for name in rows})


async def test_hostile_bytes_that_are_signed_are_kept_byte_for_byte_and_hold_up_nobody(world: World) -> None:
    bodies = [
        b"[]",
        b'"text"',
        b'{"alerts": 7}',
        b"[" * 5000,
        b"9" * 5000,
        b'{"a": NaN}',
        b'{"id": "x", "id": "y", "type": "ping"}',
    ]
    bodies += [
        b'{"id": "\\ud800", "type": "ping"}',
        json.dumps(alert(summary="a\u202eb\x00c")).encode(),
        b'{"x": 1e999}',
        b"{}\x00",
    ]
    bodies += [
        json.dumps(alert(id="n", summary="\u0000")).encode(),
        "{\u00a0}".encode(),
        b"\xef\xbb\xbf" + json.dumps(alert()).encode(),
    ]
    for body in bodies:
        assert (await world.deliver(body)).status_code == 202, body[:40]
    await world.deliver(alert(id="good", institution="Good Bank"))
    shown = await world.timeline()
    assert "Good Bank" in {entry["institution"] for entry in shown}
    found = await books(world)
    assert found["waiting"] == 0
    assert found["receipts"] == len(bodies) + 1
    async with await world.sign_in(Role.CASEWORKER) as caseworker:
        aside = (await caseworker.get("/v1/queues/set-aside")).json()["items"]
        broken = (await caseworker.get("/v1/queues/quarantined")).json()["items"]
    assert len(aside) == found["unsplittable"] > 5
    assert len(broken) == found["quarantined"]
    assert {item["state"] for item in aside} == {"unsplittable"}
    by_id = {str(receipt.id): receipt for receipt in await receipts(world)}
    assert all(len(by_id[item["id"]].reason or "") < 60 for item in aside)


async def test_the_bytes_that_are_kept_are_the_bytes_that_came(world: World) -> None:
    body = b'{"id":"b-1" ,\r\n "type": "ping", "x": "\xe2\x80\xae\xed\x95\x9c" }  '
    await world.deliver(body)
    async with world.context.database.begin() as tx:
        (receipt,) = await receipts(world)
        assert await open_body(tx, world.context.keyring, receipt) == body
        headers = await open_headers(tx, world.context.keyring, receipt)
    assert set(headers or ()) == {"webhook-id", "webhook-timestamp", "webhook-signature"}


SPELLINGS = [
    "x-1",
    "X-1",
    "x-1 ",
    " x-1",
    "x -1",
    "x-\u0031\u0301",
    "caf\u00e9",
    "cafe\u0301",
    "\u212b",
    "\u00c5",
    "A\u030a",
    "\uff58-1",
    "x\u20111",
]


PARTS = st.lists(st.text(alphabet="ab\0", max_size=3), max_size=4).map(tuple)


@given(one=PARTS, other=PARTS)
def test_two_identities_are_the_same_only_when_all_their_parts_are(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    """A13, A14: no part runs into the next; the same parts always give the same bytes."""
    assert (identity_bytes(bytes(16), one) == identity_bytes(bytes(16), other)) == (one == other)
    assert identity_bytes(bytes(16), one) != identity_bytes(bytes(15) + b"1", one)


async def test_ids_that_only_look_alike_are_different_alerts(world: World) -> None:
    """A13: another case, spaces, another Unicode form, another hyphen: each its own alert, and the same again is a sighting."""
    assert len({unicodedata.normalize("NFKC", text).strip().lower() for text in SPELLINGS}) < len(SPELLINGS) / 2 + 2
    for n, text in enumerate(SPELLINGS):
        await world.deliver(alert(id=text, institution=f"Bank {n}"))
    assert len(await world.timeline()) == len(SPELLINGS)
    await world.deliver({"alerts": [alert(id=text, institution=f"Bank {n}") for n, text in enumerate(SPELLINGS)]})
    assert len(await world.timeline()) == len(SPELLINGS)
    found = await books(world)
    assert (found["new"], found["sightings"], found["revisions"]) == (len(SPELLINGS), len(SPELLINGS), 0)


async def second_connection(world: World) -> Tenant:
    """One more sender of the same organization, which knows the same people under the same references."""
    async with world.context.database.begin() as tx:
        made = await connections.create_connection(
            tx, world.context.keyring, world.union.id, connector="standard", title="Second", sender=Sender.ORGANIZATION
        )
        entries = [EnrollmentEntry(n, number, f"ref-{number}", True, None, None) for n, number in enumerate(world.union.members)]
        await members.import_enrollments(tx, world.context.keyring, world.union.id, made.connection.id, entries, ())
    return Tenant(world.union.id, made, world.union.members, world.union.accounts)


async def test_the_same_id_and_bytes_on_another_connection_or_organization_are_another_alert(world: World) -> None:
    second = await second_connection(world)
    body = alert(institution=None)  # no institution: nothing to be correlated by
    answers = [await world.deliver(body, tenant) for tenant in (world.union, second, world.other)]
    assert [answer.json()["repeat"] for answer in answers] == [False] * 3
    assert len(await world.timeline()) == 2
    assert len(await world.timeline("M-1", world.other)) == 1
    assert ((await books(world))["new"], (await books(world, world.other))["new"]) == (2, 1)
    async with await world.sign_in(Role.MEMBER) as browser:
        ids = [entry["id"] for entry in (await browser.get("/v1/me/timeline")).json()["items"]]
        grades = {(await browser.get(f"/v1/incidents/{i}")).json()["sources"][0]["events"][0]["grade"] for i in ids}
    assert grades == {"shared_secret", "organization"}


async def test_a_message_for_one_address_is_worth_nothing_at_another(world: World) -> None:
    second = await second_connection(world)
    tenants = [world.union, second, world.other]
    for sender in tenants:
        for receiver in tenants:
            answer = await world.deliver(alert(id=sender.connection.path), sender, path=receiver.connection.path)
            assert answer.status_code == (202 if sender is receiver else 401)
    assert (await all_refusals(world))["not_authentic"] == 6


async def test_a_revision_is_kept_beside_what_was_said_before_and_nothing_is_ever_taken_away(world: World) -> None:
    """A15: an alert, then less of it, then an empty list, then the same again."""
    await world.deliver(alert())
    await world.deliver(alert(amount=None, currency=None, bureau=None))
    await world.deliver({"alerts": []})
    (incident,) = await world.timeline()
    before = await counts(world.context.database)
    await world.deliver(alert(amount=None, currency=None, bureau=None))
    assert await world.workers.drain() == 0
    assert set(grown(before, await counts(world.context.database))) <= {"session", "sign_in_link", "ledger_entry"}
    assert (incident["amount"], incident["bureaus"], incident["alerts"]) == ("2500.00", ["experian"], 1)
    async with await world.sign_in(Role.MEMBER) as browser:
        detail = (await browser.get(f"/v1/incidents/{incident['id']}")).json()
    assert [(event["outcome"], event["amount"]) for event in detail["sources"][0]["events"]] == [
        ("new", "2500.00"),
        ("revision", None),
    ]
    await world.deliver({"alerts": [alert()]})
    assert [entry["alerts"] for entry in await world.timeline()] == [1]
    assert (await books(world))["sightings"] == 1


async def test_the_same_content_in_another_order_of_keys_is_a_sighting_and_not_a_revision(world: World) -> None:
    await world.deliver(alert())
    await world.deliver(json.dumps(dict(reversed(alert().items())), indent=2).encode())
    await world.workers.drain()
    assert [outcome for outcome, *_ in await outcomes(world)] == ["new", "sighting"]


async def test_the_id_of_a_known_alert_told_about_somebody_else_is_shown_to_nobody(world: World) -> None:
    await world.deliver(alert(summary="About the first"))
    await world.deliver(alert(member="ref-M-2", summary=f"{CANARY} about the second"))
    (incident,) = await world.timeline("M-1")
    assert await world.timeline("M-2") == []
    assert (await outcomes(world))[1] == ("quarantined", "the id of an alert about somebody else", "member")
    async with await world.sign_in(Role.MEMBER, "M-1") as browser:
        assert CANARY not in (await browser.get(f"/v1/incidents/{incident['id']}")).text
    await replay(world.context, world.union.id)
    assert await world.timeline("M-2") == []
    assert (await books(world))["quarantined"] == 1


def delivery(dice: random.Random) -> dict[str, Any]:
    """A batch of good, repeated, revised, unknown, broken and meaningless items about three people and a stranger."""
    made: list[Any] = []
    for _ in range(dice.randint(0, 4)):
        body = alert(id=f"id-{dice.randrange(6)}", member=f"ref-M-{dice.randint(1, 4)}", summary=f"words {dice.randrange(2)}")
        made.append(
            dice.choice([body] * 5 + [{**body, "type": "x"}, {**body, "amount": 7}, {"id": body["id"], "type": "ping"}, None])
        )
    return {"alerts": made}


@pytest.mark.parametrize("seed", range(2))
async def test_the_accounts_close_whatever_was_delivered(world: World, seed: int) -> None:
    dice, sent, refused = random.Random(seed), 0, 0
    print(f"seed {seed}")
    for _ in range(60):
        change = dice.choice([{}] * 8 + [{"secret": world.other.connection.secret}, {"headers": {"content-type": "text/plain"}}])
        status = (await world.deliver(dice.choice([delivery(dice), delivery(dice), b"junk"]), **change)).status_code
        sent, refused = sent + 1, refused + (status != 202)
        if dice.random() < 0.1:
            await world.workers.drain()
            await books(world)
    await world.workers.drain()
    found = await books(world)
    assert (found["deliveries"], sum(found["refused"].values()), found["waiting"]) == (sent, refused, 0)
    matched = await counts(world.context.database)
    assert found["alerts"] == matched["member_alert"] + sum(found["unmatched"].values())
    assert matched["event"] == found["events"]
