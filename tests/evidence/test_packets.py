"""A packet, from deliveries to a folder that proves itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from app.access.roles import Principal, Role
from app.evidence import building, chapters
from app.evidence.building import build
from app.evidence.exhibits import Variant
from app.evidence.models import BatesNumber
from app.evidence.ordering import Order
from app.intake.models import AlertRow
from app.kit.errors import Problem
from app.ledger.models import Cosignature, LedgerEntry, Timestamp
from app.ledger.notes import Kind, Signer, parse_note
from app.ledger.reading import checkpoint_at
from app.ledger.service import SYSTEM, Act
from app.members import erasing
from app.members import repository as members
from app.members.service import place_hold, record_consent
from tests.evidence.matters import built, exhibits, files, in_the_log, matter_of, told
from tests.evidence.packets import Stamper
from tests.evidence.test_pure import read_dat
from tests.support.world import NOW, World, alert

SSN = "900-65-4321"
CHANGED = "the file was changed: its SHA-256 is not the one that was listed"
SECRET = "COUNSEL-ONLY-7391"


def proven(folder: Path) -> dict[str, Any]:
    """What the verifier says of a packet, in a Python that has nothing but itself."""
    command = [sys.executable, "-I", "-S", str(folder / "verify.py"), str(folder), "--json"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    report: dict[str, Any] = json.loads(run.stdout)
    assert (run.returncode == 0) == report["proven"], run.stdout + run.stderr
    return report


@pytest.fixture
async def busy(world: World) -> World:
    """Two members with alerts, one told again and one told otherwise; an answer and a loss; one whole number in a summary."""
    await world.deliver(alert(id="a-1", summary=f"A new card was reported for {SSN}."))
    await world.deliver(alert(id="a-1", summary=f"A new card was reported for {SSN}.", type="new_account.credit_card"))
    await world.deliver({**alert(id="a-1"), "summary": "It was another bank.", "institution": "Second Bank"})
    await world.deliver(alert(id="a-2", type="inquiry.hard", institution="=cmd|' /C calc'!A0"))
    await world.deliver(alert(id="b-1", member="ref-M-2", institution="Another Bank"))
    await world.workers.drain()
    async with await world.sign_in(Role.MEMBER) as browser:
        item = (await browser.get("/v1/me/timeline")).json()["items"][0]
        detail = (await browser.get(f"/v1/incidents/{item['id']}")).json()
        shown = [one["alert_id"] for one in detail["sources"]]
        answer = await browser.post(f"/v1/incidents/{item['id']}/verdict", json={"answer": "not_me", "shown": shown})
        assert answer.status_code == 200, answer.text
        loss = {"head": "oop", "amount": "120.50", "currency": "USD", "incurred_on": "2023-04-01", "note": f"About {SSN}"}
        assert (await browser.post(f"/v1/incidents/{item['id']}/losses", json=loss)).status_code == 201
    await in_the_log(world)
    return world


async def test_a_packet_proves_every_exhibit_that_it_shows(busy: World, tmp_path: Path) -> None:
    folder = tmp_path / "packet"
    made = await built(busy, folder)
    report = proven(folder)
    assert report["proven"], report["failures"]
    assert report["number"] == made.number
    packet = told(folder)
    assert made.exhibits == packet["counts"]["exhibits"] == 8
    assert [one["bates"] for one in packet["exhibits"]] == [f"OPOA-{number:07d}" for number in range(1, 9)]
    assert "but not the time" not in str(report)
    assert all(one["incidents"] and one["carriers"] == [] for one in exhibits(folder))
    assert packet["counts"]["originals"] == 4
    assert packet["withheld"] == []
    async with busy.context.database.begin(read_only=True) as tx:
        kinds = set((await tx.execute(select(LedgerEntry.kind).where(LedgerEntry.kind == Act.VERDICT))).scalars())
    assert kinds == {Act.VERDICT}
    opened = [one for one in packet["custody"] if one["opened"]]
    facts = [json.loads((folder / one["folder"] / "opening.json").read_bytes())["facts"] for one in opened]
    assert [one["answer"] for one in facts] == ["not_me"], "what the member answered is proven, too"


async def test_the_original_is_what_was_sent_byte_for_byte(world: World, tmp_path: Path) -> None:
    body = (
        b'{"id": "a-9",\n  "type":"new_account.credit_card", "member":"ref-M-1","summary":"\\u2028 x","opened":"2023-03-20"}  \n'
    )
    assert (await world.deliver(body)).status_code == 202
    await in_the_log(world)
    await built(world, tmp_path / "packet")
    (one,) = exhibits(tmp_path / "packet")
    assert (tmp_path / "packet" / one["file"]["path"]).read_bytes() == body
    assert one["grade"]["grade"] == "shared_secret"
    assert one["proved_by"]["outcome"] == "authentic"
    assert set(one["headers"]) >= {"webhook-id", "webhook-signature"}


async def test_two_builds_over_one_checkpoint_are_the_same_bytes(busy: World, tmp_path: Path) -> None:
    first = await built(busy, tmp_path / "first")
    await in_the_log(busy)
    second = await built(busy, tmp_path / "second", size=first.size)
    assert second.number == first.number
    assert files(tmp_path / "first") == files(tmp_path / "second")
    third = await built(busy, tmp_path / "third")
    assert third.size > first.size, "what was taken along is an act too"
    assert [one["bates"] for one in exhibits(tmp_path / "third")] == [one["bates"] for one in exhibits(tmp_path / "first")]


async def test_a_number_is_never_given_twice(busy: World, tmp_path: Path) -> None:
    await built(busy, tmp_path / "first")
    await busy.deliver(alert(id="a-7"))
    await in_the_log(busy)
    await built(busy, tmp_path / "second")
    new = {one["bates"] for one in exhibits(tmp_path / "second")} - {one["bates"] for one in exhibits(tmp_path / "first")}
    assert len(new) == 1
    assert new.isdisjoint(one["bates"] for one in told(tmp_path / "first")["exhibits"])
    async with busy.context.database.begin(read_only=True) as tx:
        rows = (await tx.execute(select(BatesNumber.number))).scalars().all()
    assert sorted(rows) == list(range(1, len(rows) + 1))
    for verb in ("UPDATE bates_number SET number = 999", "DELETE FROM bates_number"):
        with pytest.raises(Exception, match="never changed"):
            await busy.as_owner(verb)


async def test_pages_that_say_something_else_over_the_same_checkpoint_have_another_number(
    busy: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, real = await built(busy, tmp_path / "first"), building.finish
    monkeypatch.setattr(building, "finish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await built(busy, tmp_path / "second", size=first.size)
    monkeypatch.setattr(building, "finish", real)
    async with await busy.sign_in(Role.MEMBER) as browser:
        items = (await browser.get("/v1/me/timeline")).json()["items"]
        (item,) = (one for one in items if one["answer"] == "not_me")
        loss = {"head": "oop", "amount": "9.75", "currency": "USD", "incurred_on": "2023-04-02"}
        assert (await browser.post(f"/v1/incidents/{item['id']}/losses", json=loss)).status_code == 201
    second = await built(busy, tmp_path / "second", size=first.size)
    assert second.number != first.number
    assert files(tmp_path / "first").keys() != files(tmp_path / "second").keys()
    for kind in ("summary_1006", "illustrative_107"):
        before, after = ({one["member"]: one for one in exhibits(tmp_path / name, kind)} for name in ("first", "second"))
        changed = {member for member in before if before[member]["file"]["sha256"] != after[member]["file"]["sha256"]}
        assert changed == {member for member in before if before[member]["bates"] != after[member]["bates"]}
        assert changed == {str(busy.union.members["M-1"])}
        assert len(exhibits(tmp_path / "second", kind)) == len(after), "what was written before the loss is not in it"
    third = await built(busy, tmp_path / "third", size=first.size)
    assert third.number == second.number


async def test_a_build_that_is_broken_off_goes_on_where_it_stopped(
    busy: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await built(busy, tmp_path / "whole")
    real, read = chapters.read, []

    async def stops(tx: Any, keyring: Any, one: Any, *rest: Any) -> Any:
        if len(read) == 2:
            raise OSError("the disk is full")
        read.append(one.bates)
        return await real(tx, keyring, one, *rest)

    async def goes_on(tx: Any, keyring: Any, one: Any, *rest: Any) -> Any:
        read.append(one.bates)
        return await real(tx, keyring, one, *rest)

    monkeypatch.setattr(chapters, "read", stops)
    with pytest.raises(OSError, match="full"):
        await built(busy, tmp_path / "again", size=whole.size)
    assert "again" not in os.listdir(tmp_path), "half a packet has no packet's name"
    monkeypatch.setattr(chapters, "read", goes_on)
    assert (await built(busy, tmp_path / "again", size=whole.size)).number == whole.number
    assert len(read) == len(set(read)) == 4, "nothing was read twice"
    assert sorted(os.listdir(tmp_path)) == ["again", "whole"]


async def test_every_alert_in_scope_is_shown_or_withheld_with_its_reason(world: World, tmp_path: Path) -> None:
    """One is shown; one never agreed; one took consent back; one is nobody's and stays out; two share a delivery."""
    context, union = world.context, world.union
    await world.deliver(alert(id="a-1"))
    await world.deliver(alert(id="b-1", member="ref-M-2"))
    await world.deliver(alert(id="x-1", member="ref-nobody"))
    await world.workers.drain()
    async with context.database.begin() as tx:
        member = await members.member(tx, union.id, union.members["M-2"])
        assert member is not None
        connection = union.connection.connection.id
        await record_consent(tx, context.keyring, member, connection, given=False, source="test", actor=SYSTEM)
    await world.deliver(alert(id="b-2", member="ref-M-2"))
    await in_the_log(world)
    await built(world, tmp_path / "packet")
    assert proven(tmp_path / "packet")["proven"]
    packet = told(tmp_path / "packet")
    shown = {one["alert"] for one in exhibits(tmp_path / "packet")}
    held = {one["what"].removeprefix("alert "): one["why"] for one in packet["withheld"]}
    async with context.database.begin(read_only=True) as tx:
        rows = (await tx.execute(select(AlertRow.id).where(AlertRow.organization_id == union.id))).scalars().all()
    assert len(rows) == 4
    assert len(shown | set(held)) == 3, "all but the one that is nobody's"
    assert set(held.values()) == {"not_consented"}
    assert len(held) == 2


async def test_an_erasure_leaves_every_other_proof_valid_and_is_told(busy: World, tmp_path: Path) -> None:
    context, union = busy.context, busy.union
    await built(busy, tmp_path / "before")
    async with context.database.begin() as tx:
        await erasing.erase(tx, context.keyring, union.id, union.members["M-1"], SYSTEM)
    await in_the_log(busy)
    await built(busy, tmp_path / "after")
    report = proven(tmp_path / "after")
    assert report["proven"], report["failures"]
    before, after = exhibits(tmp_path / "before"), exhibits(tmp_path / "after")
    assert [one["bates"] for one in before] == [one["bates"] for one in after], (
        "the numbers stay, and what stood behind them is told"
    )
    gone = [one for one in after if one["member"] == str(union.members["M-1"])]
    assert len(gone) == 3
    assert all(one["file"] is None and one["view"] is None for one in gone)
    assert [one["file"] is not None for one in after if one not in gone] == [True]
    assert {one["why"] for one in told(tmp_path / "after")["withheld"]} == {"erased"}
    assert [one["exhibit"] for one in told(tmp_path / "after")["withheld"]] == [one["bates"] for one in gone]
    for path, raw in files(tmp_path / "after").items():
        assert not any(one in raw for one in (b"Avery", b"Second Bank")), path
    assert proven(tmp_path / "before")["proven"], "a packet that is out stays good"


async def test_the_redacted_edition_has_no_whole_number_and_no_hash_to_guess_it_by(busy: World, tmp_path: Path) -> None:
    await built(busy, tmp_path / "sealed")
    await built(busy, tmp_path / "redacted", Variant.REDACTED)
    report = proven(tmp_path / "redacted")
    assert report["proven"], report["failures"]
    numbers = (SSN, SSN.replace("-", ""))
    originals = {one["bates"]: one["file"]["sha256"] for one in exhibits(tmp_path / "sealed")}
    for path, raw in files(tmp_path / "redacted").items():
        assert not any(one.encode() in raw for one in numbers), path
        assert not any(one.encode() in raw for one in originals.values()), path
    assert any(SSN.encode() in raw for raw in files(tmp_path / "sealed").values())
    redacted = exhibits(tmp_path / "redacted")
    assert {one["bates"] for one in redacted} == set(originals)
    assert all(one["file"] is None and one["headers"] is None for one in redacted)
    assert {one["why"] for one in told(tmp_path / "redacted")["withheld"]} == {"redacted"}


async def test_nothing_of_counsels_lane_is_in_any_byte(busy: World, tmp_path: Path) -> None:
    """What counsel call the matter, why they hold somebody's data, and how the time rule weighs a link."""
    counsel = Principal(busy.union.id, busy.union.accounts[Role.COUNSEL], Role.COUNSEL)
    async with busy.context.database.begin() as tx:
        await place_hold(tx, busy.context.keyring, counsel, None, SECRET)
    await in_the_log(busy)
    for variant in Variant:
        await built(busy, tmp_path / variant.value, variant)
        for path, raw in files(tmp_path / variant.value).items():
            for secret in (SECRET, "The matter", "excluded_by_time", "posterior", "likelihood", "based_on"):
                inside = secret.encode() in raw
                assert not inside or path in ("verify.py", "verify.html", "README.txt"), f"{secret} is in {path}"


async def test_bytes_that_the_log_does_not_vouch_for_are_not_shown_as_an_original(busy: World, tmp_path: Path) -> None:
    first = "SELECT id FROM receipt ORDER BY id LIMIT 1"
    await busy.as_owner(f"UPDATE receipt SET channel = 'poll' WHERE id = ({first})")
    await built(busy, tmp_path / "packet")
    assert proven(tmp_path / "packet")["proven"]
    (held,) = told(tmp_path / "packet")["withheld"]
    assert held["why"] == "unproven"
    (one,) = (one for one in exhibits(tmp_path / "packet") if one["bates"] == held["exhibit"])
    assert one["file"] is None
    assert one["view"] is not None


async def test_a_delivery_with_strangers_in_it_is_not_shown_whole(world: World, tmp_path: Path) -> None:
    """Nobody knows whom a part of it is about: it may be somebody who has never agreed to anything."""
    await world.deliver({"alerts": [alert(id="a-1"), alert(id="c-1", member="ref-nobody", summary="Of a stranger")]})
    await world.deliver({"alerts": [alert(id="a-2"), alert(id="b-2", member="ref-M-2")]})
    await in_the_log(world)
    await built(world, tmp_path / "packet")
    assert proven(tmp_path / "packet")["proven"]
    shown = {one["view"]["alert"]["identity"][0]: one["file"] is not None for one in exhibits(tmp_path / "packet")}
    assert shown == {"a-1": False, "a-2": True, "b-2": True}
    assert all(b"Of a stranger" not in raw for raw in files(tmp_path / "packet").values())


async def test_the_load_file_names_every_exhibit(busy: World, tmp_path: Path) -> None:
    await built(busy, tmp_path / "packet")
    rows = read_dat((tmp_path / "packet/data/load/PRODUCTION.DAT").read_bytes())
    assert [row["BEGBATES"] for row in rows] == [one["bates"] for one in told(tmp_path / "packet")["exhibits"]]
    hashes = {one["bates"]: one["file"]["sha256"] for one in told(tmp_path / "packet")["exhibits"]}
    for row in rows:
        assert row["SHA256HASH"] == hashes[row["BEGBATES"]]
        assert (tmp_path / "packet" / row["NATIVEPATH"]).stat().st_size == int(row["FILESIZE"])


async def test_members_see_that_they_are_in_a_packet(busy: World, tmp_path: Path) -> None:
    await built(busy, tmp_path / "packet")
    for who, count in (("M-1", 1), ("M-3", 0)):
        async with await busy.sign_in(Role.MEMBER, who) as member:
            visits = (await member.get("/v1/me/visits")).json()["items"]
            assert [one["what"] for one in visits].count("packet") == count
    async with busy.context.database.begin(read_only=True) as tx:
        query = select(func.count()).select_from(LedgerEntry).where(LedgerEntry.kind == Act.EXPORT)
        assert (await tx.execute(query)).scalar_one() == 3, "one for each member, and one for the packet"


async def test_what_cannot_be_built_is_refused_and_leaves_nothing(busy: World, tmp_path: Path) -> None:
    matter = await matter_of(busy)
    (tmp_path / "there").mkdir()
    for order, to in (
        (Order(UUID(int=1), Variant.SEALED, "OPOA"), "new"),
        (Order(matter, Variant.SEALED, "opoa"), "new"),
        (Order(matter, Variant.SEALED, "OPOA", 10**9), "new"),
        (Order(matter, Variant.SEALED, "OPOA"), "there"),
    ):
        with pytest.raises(Problem):
            await build(busy.context, order, tmp_path / to)
    assert os.listdir(tmp_path) == ["there"]


async def test_one_changed_byte_anywhere_fails(busy: World, tmp_path: Path) -> None:
    await built(busy, tmp_path / "packet")
    for path in sorted(files(tmp_path / "packet"))[::7]:
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path / "packet", copy)
        target = copy / path
        if path == "verify.py" or not target.stat().st_size:
            shutil.rmtree(copy)
            continue
        raw = bytearray(target.read_bytes())
        raw[len(raw) // 2] ^= 1
        target.write_bytes(bytes(raw))
        report = proven(copy)
        assert not report["proven"], path
        named = [(one["path"], one["reason"]) for one in report["failures"] if one["check"] == "files"]
        assert path == "tagmanifest-sha256.txt" or (path, CHANGED) in named, (path, named)
        shutil.rmtree(copy)


async def test_whoever_vouched_for_the_log_goes_along(busy: World, stamper: Stamper, tmp_path: Path) -> None:
    """A witness cosigned and an authority stamped a checkpoint; the newest, with later acts, is the one that proofs lead to."""
    witness, organization_id = Signer("witness.example/w1", Kind.COSIGNATURE, b"w" * 32), busy.union.id
    async with busy.context.database.begin() as tx:
        old = await checkpoint_at(tx, organization_id)
        text = parse_note(old.note).text
        own = {"organization_id": organization_id, "size": old.size, "at": NOW}
        line = witness.sign(text, int(NOW.timestamp())).line
        tx.add(Cosignature(**own, witness=str(witness.key), line=line))
        tx.add(Timestamp(**own, authority="invented authority", response=stamper.stamp(text.encode())))
    await built(busy, tmp_path / "same")
    assert told(tmp_path / "same")["older"] == []
    await in_the_log(busy)
    await built(busy, tmp_path / "later")
    assert told(tmp_path / "later")["older"] == [old.size]
    for name in ("same", "later"):
        report = proven(tmp_path / name)
        assert report["proven"], report["failures"]
        assert told(tmp_path / name)["witnesses"] == [{"vkey": str(witness.key), "sizes": [old.size]}]
        assert told(tmp_path / name)["authorities"] == [{"name": "invented-authority", "sizes": [old.size]}]
        counts = {one["check"]: one["count"] for one in report["checks"]}
        assert counts["cosignatures"] == counts["timestamps"] == 1
