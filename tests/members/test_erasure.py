"""Erasure: nothing about the person can be opened or read again, and nobody else loses anything."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, select

from app.access.roles import Role
from app.intake.models import Event, Receipt
from app.intake.sealing import open_body, open_event
from app.intake.workers import handle_waiting
from app.kit import clock, crypto
from app.kit.crypto import Unreadable
from app.kit.keyring import Lane
from app.linkage.models import Link
from app.members.models import Member
from app.operations import accounts
from app.tables import metadata
from tests.support.rows import contents, counts, grown
from tests.support.world import NOW, World, alert

BOTH = {
    "alerts": [
        alert(id="of-1", summary="Canary words about the one"),
        alert(id="of-2", member="ref-M-2", summary="Words about the other"),
    ]
}
WITNESSES = frozenset({"ledger_entry", "deletion", "outbox", "statistics_release"})
GO_WITH_THEIR_ROW = frozenset(
    {
        *("link.based_on", "link.shared_sha256"),
        *("passkey.credential_id", "passkey.public_key", "password.code_secret_sealed"),
    }
)
"""No key protects them, so they must be deleted: what names a way to sign in (tests/access/test_passkeys.py), and hashes
without a key over what can be guessed once the person's rows are known."""

OF_WHAT_IS_SAID_OF_ANYBODY = frozenset({"shared_finding.sha256"})
"""A hash of words that incidents alike share: nobody's data is in them (tests/linkage/test_sharing.py)."""

PUBLIC = frozenset({"ledger_checkpoint.root", "ledger_checkpoint.note", "ledger_signer.public_key", "ledger_timestamp.response"})
"""Made to be given away, of hashes of ids and salted commitments: nobody's data is in them (tests/ledger/test_leaves.py)."""


async def erase(world: World, number: str = "M-1") -> int:
    async with await world.sign_in(Role.ADMIN) as admin:
        done = await admin.post(f"/v1/members/{world.union.members[number]}/erasure")
    await world.workers.drain()
    return done.status_code


def places(table: str, column: str, row: dict[str, Any], owners: list[UUID]) -> list[bytes]:
    """Every place that sealed bytes of this row could have been bound to, as far as anybody who has the code can tell."""
    ids = [row[name] for name in ("id", "event_id", "member_id", "connection_id") if row.get(name)]
    ways = [[], *([a] for a in ids), *([a, b] for a in ids for b in ids if a != b)]
    words = [[table, column], [table, "headers"], [table]]
    return [crypto.place(*owner, *word, *way) for owner in [[], *([o] for o in owners)] for word in words for way in ways]


async def everything_that_opens(world: World, top: bytes) -> str:
    """All that comes out when every key at hand, and every key that they open, is tried on every sealed value."""
    async with world.context.database.begin() as tx:
        tables = {n: [dict(r._mapping) for r in (await tx.execute(select(t))).all()] for n, t in metadata.tables.items()}
        owned = [
            (await world.context.keyring.opened(tx, tenant.id, lane)).key
            for tenant in (world.union, world.other)
            for lane in Lane
        ]
    ids = [world.union.id, world.other.id]
    keys = [top, *owned, *(crypto.derive(key, purpose) for key in owned for purpose in ("wrap", "seal"))]
    opened = b""
    sealed = [(n, c, row) for n, rows in tables.items() for row in rows for c, value in row.items() if isinstance(value, bytes)]
    for _ in range(2):  # the keys that open in the first round are tried in the second
        for name, column, row in sealed:
            for where in places(name, column, row, ids):
                for key in list(keys):
                    plain = _opens(key, row[column], where)
                    if plain is not None and len(plain) == crypto.KEY_BYTES and plain not in keys:
                        keys.append(plain)
                    opened += plain or b""
    return opened.decode("latin-1")


def _opens(key: bytes, sealed: bytes, where: bytes) -> bytes | None:
    try:
        return crypto.unseal(key, sealed, where)
    except Unreadable:
        return None


async def test_nothing_can_be_opened_afterwards_with_any_key_at_hand(world: World) -> None:
    await world.deliver(BOTH)
    await world.workers.drain()
    top = world.context.keyring.vault.keys[0]
    before = await everything_that_opens(world, top)
    assert "Canary words" in before
    assert "Avery Invented" in before
    assert await erase(world) == 204
    after = await everything_that_opens(world, top)
    assert "Words about the other" in after
    assert "Canary words" not in after
    assert after.count("Avery Invented") == 1, "the other organization's member of that name, and nobody else"
    assert before.count("avery@example.org") > after.count("avery@example.org")


async def test_no_row_in_plain_names_the_person_but_their_bare_row_and_the_witnesses(world: World) -> None:
    await world.deliver(BOTH)
    (incident,) = await world.timeline("M-1")
    async with await world.sign_in(Role.MEMBER, "M-1") as browser:
        shown = [(await browser.get(f"/v1/incidents/{incident['id']}")).json()["sources"][0]["alert_id"]]
        body = {"answer": "not_me", "shown": shown}
        assert (await browser.post(f"/v1/incidents/{incident['id']}/verdict", json=body)).status_code == 200
        loss = {"amount": "12.50", "head": "oop", "incurred_on": "2023-05-01", "note": "Canary words"}
        entered = await browser.post(f"/v1/incidents/{incident['id']}/losses", json=loss)
        assert entered.status_code == 201, entered.text
    member_id, account_id = world.union.members["M-1"], world.union.accounts["M-1"]
    await erase(world)
    left = {
        name
        for name, rows in (await contents(world.context.database)).items()
        if any(member_id in row or str(member_id) in str(row) for row in rows)
    }
    assert left - WITNESSES <= {"member", "account", "consent"}
    async with world.context.database.begin(read_only=True) as tx:
        row = await tx.get_one(Member, member_id)
        assert (row.wrapped_key, row.sealed, row.external_index, row.erased_at) == (None, None, None, NOW)
        account = metadata.tables["account"]
        (kept,) = (await tx.execute(select(account).where(account.c.id == account_id))).all()
        assert (kept.email_index, kept.email_sealed) == (None, None)
        assert kept.disabled_at is not None


async def test_what_a_link_is_based_on_goes_with_its_member_and_stands_nowhere_else(world: World) -> None:
    await world.deliver(BOTH)
    await world.workers.drain()
    await world.deliver(alert(id="of-1", type="inquiry.hard", summary="Another basis"))
    await world.workers.drain()
    before = await bases(world)
    of_m1, of_m2 = (before[world.union.members[who]] for who in ("M-1", "M-2"))
    assert len(of_m1) > 1, "a past link and a present one"
    assert of_m2
    assert None not in of_m1
    assert await erase(world) == 204
    after = await bases(world)
    assert after == {world.union.members["M-2"]: of_m2}, "of the one neither present nor past links, of the other all"
    left = str(await contents(world.context.database))
    assert not [basis for basis in of_m1 if basis is not None and (str(basis) in left or basis.hex() in left)]


async def bases(world: World) -> dict[UUID, set[bytes | None]]:
    """What the links are based on, present and past, by member."""
    found: dict[UUID, set[bytes | None]] = {}
    async with world.context.database.begin(read_only=True) as tx:
        for link in (await tx.execute(select(Link))).scalars():
            found.setdefault(link.member_id, set()).add(link.based_on)
    return found


async def test_other_people_of_the_same_delivery_keep_what_is_theirs(world: World) -> None:
    await world.deliver(BOTH)
    (before,) = await world.timeline("M-2")
    async with await world.sign_in(Role.MEMBER, "M-2") as browser:
        detail = (await browser.get(f"/v1/incidents/{before['id']}")).json()
    await erase(world)
    assert await world.timeline("M-2") == [before]
    async with await world.sign_in(Role.MEMBER, "M-2") as browser:
        after = (await browser.get(f"/v1/incidents/{before['id']}")).json()
    was, now = (d["sources"][0]["events"][0] for d in (detail, after))
    assert now == {**was, "original_sha256": None}, "the whole delivery can no longer be shown, its own part can"


async def test_the_erased_persons_session_link_and_token_are_dead(world: World) -> None:
    await world.deliver(alert())
    (incident,) = await world.timeline("M-1")
    async with await world.sign_in(Role.MEMBER, "M-1") as browser:
        token = (await browser.post("/v1/tokens", json={"label": "x", "scopes": ["timeline:read"], "days": 1})).json()["token"]
        await erase(world)
        for headers in ({}, {"Authorization": f"Bearer {token}"}):
            assert (await browser.get("/v1/me/timeline", headers=headers)).status_code == 401
            assert (await browser.get(f"/v1/incidents/{incident['id']}", headers=headers)).status_code == 401


async def test_a_legal_hold_on_the_person_or_on_everybody_prevents_it(world: World) -> None:
    await world.deliver(BOTH)
    await world.workers.drain()
    for body in ({"reason": "r", "member_id": str(world.union.members["M-1"])}, {"reason": "r"}):
        async with await world.sign_in(Role.COUNSEL) as counsel:
            hold = (await counsel.post("/v1/holds", json=body)).json()["id"]
        before = await counts(world.context.database)
        assert await erase(world) == 409
        assert set(grown(before, await counts(world.context.database))) <= {"ledger_entry", "session", "sign_in_link"}
        assert len(await world.timeline("M-1")) == 1
        async with await world.sign_in(Role.COUNSEL) as counsel:
            assert (await counsel.delete(f"/v1/holds/{hold}")).status_code == 204
    assert await erase(world) == 204
    assert await erase(world) == 404


async def test_what_comes_later_for_that_reference_stays_sealed_and_shown_to_nobody(world: World) -> None:
    await world.deliver(BOTH)
    await world.workers.drain()
    await erase(world)
    clock.set_to(NOW + timedelta(days=1))
    assert (await world.deliver(alert(id="of-1", summary="Told again"))).status_code == 202
    assert (await world.deliver(alert(id="later", summary="A later one"))).status_code == 202
    await world.workers.drain()
    assert (await accounts(world.context, world.union.id))["unmatched"] == {"no_enrollment": 2}
    rows = await contents(world.context.database)
    assert rows["member_alert"] == [row for row in rows["member_alert"] if world.union.members["M-1"] not in row]
    assert "Told again" not in str(rows)
    assert len(await world.timeline("M-2")) == 1


async def test_an_event_that_was_under_way_when_its_member_was_erased_is_gone_too(world: World) -> None:
    await world.deliver(alert(id="of-1"))
    await world.workers.drain()
    await world.deliver(alert(id="of-1", summary="Canary revision"))
    await handle_waiting(world.context.database, world.context.keyring)
    async with await world.sign_in(Role.ADMIN) as admin:
        assert (await admin.post(f"/v1/members/{world.union.members['M-1']}/erasure")).status_code == 204
    await world.workers.drain()
    async with world.context.database.begin() as tx:
        for receipt in (await tx.execute(select(Receipt))).scalars():
            assert await open_body(tx, world.context.keyring, receipt) is None
        for event in (await tx.execute(select(Event))).scalars():
            assert await open_event(tx, world.context.keyring, event) is None


async def test_what_waited_for_their_consent_is_gone_too(world: World) -> None:
    async with await world.sign_in(Role.MEMBER, "M-1") as browser:
        body = {"connection_id": str(world.union.connection.connection.id), "given": False}
        assert (await browser.post("/v1/me/consents", json=body)).status_code == 204
    async with await world.sign_in(Role.COUNSEL) as counsel:
        hold = (await counsel.post("/v1/holds", json={"reason": "r"})).json()["id"]
        await world.deliver(alert(id="waits", summary="Canary words"))
        await world.workers.drain()
        assert (await counsel.delete(f"/v1/holds/{hold}")).status_code == 204
    assert await erase(world) == 204
    async with world.context.database.begin() as tx:
        event = (await tx.execute(select(Event))).scalar_one()
        assert event.wrapped_key is None
    assert (await accounts(world.context, world.union.id))["unmatched"] == {}


async def test_hashes_proofs_and_the_ledger_remain_and_the_accounts_still_close(world: World) -> None:
    await world.deliver(BOTH)
    await world.workers.drain()
    before = await contents(world.context.database)
    counted = await accounts(world.context, world.union.id)
    await erase(world)
    after = await contents(world.context.database)
    assert after["ledger_entry"][: len(before["ledger_entry"])] == before["ledger_entry"]
    assert {**await accounts(world.context, world.union.id)} == counted
    kept = ("body_hash", "verification", "received_at", "grade")
    columns = [list(metadata.tables["receipt"].columns.keys()).index(name) for name in kept]
    assert [[row[c] for c in columns] for row in after["receipt"]] == [[row[c] for c in columns] for row in before["receipt"]]
    kinds = [row[2] for row in after["ledger_entry"][len(before["ledger_entry"]) :]]
    assert kinds.count("erasure") == 3


def test_every_sealed_column_is_one_that_these_tests_try_to_open() -> None:
    """A new table of sealed bytes must be thought of here."""
    sealed = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
        and column.name != "key"
        and not column.name.endswith(("_index", "_hash", "hash", "commitment", "dedupe_key"))
    }
    assert sealed >= GO_WITH_THEIR_ROW
    sealed -= GO_WITH_THEIR_ROW
    assert sealed >= PUBLIC | OF_WHAT_IS_SAID_OF_ANYBODY
    sealed -= PUBLIC | OF_WHAT_IS_SAID_OF_ANYBODY
    assert sealed == {
        "account.email_sealed",
        "break_glass.reason_sealed",
        "connection.config_sealed",
        "connection.sources_sealed",
        "connection_secret.sealed",
        "disputed_range.reason_sealed",
        "door_key.wrapped",
        "enrollment.reference_sealed",
        "event.sealed",
        "event.wrapped_key",
        "identity_provider.secret_sealed",
        "ledger_signer.seed_sealed",
        "legal_hold.reason_sealed",
        "loss.note_sealed",
        "matter.title_sealed",
        "member.sealed",
        "member.wrapped_key",
        "member_event.sealed",
        "organization_key.wrapped",
        "packet.claim_sealed",
        "packet.wrapped_key",
        "receipt.asked_sealed",
        "receipt.headers_sealed",
        "receipt.remains_sealed",
        "receipt.sealed",
        "receipt.wrapped_key",
    }
