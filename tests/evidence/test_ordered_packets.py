"""Packets that counsel orders: shown, ordered, built behind the doors, taken along; and taken back."""

from __future__ import annotations

import asyncio
import io
import os
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from app.access.roles import Role
from app.evidence import building, chapters, packet_rows, workers
from app.evidence.exhibits import Variant
from app.evidence.folder import Folder
from app.evidence.models import Packet, PacketMember, State
from app.evidence.packets import KEPT_FOR
from app.evidence.workers import DRAFT_FOR, LEASE, MOST_CUT_SHORT, MOST_TRIES, NEXT_TRY, Builder
from app.intake.retention import erase_raw
from app.kit import clock
from app.kit.errors import Problem
from app.ledger.models import Deletion
from app.ledger.service import Sight
from tests.evidence.matters import built, in_the_log, matter_of
from tests.evidence.ordered import busy, counsel_of, erase, exports, id_of, ordered, ready, shown, unpacked
from tests.evidence.test_packets import proven
from tests.support.world import NOW, World


async def _row(world: World, path: str) -> Packet:
    async with world.context.database.begin(read_only=True) as tx:
        return await tx.get_one(Packet, id_of(path))


def _files(world: World, path: str) -> list[Path]:
    folder = world.context.settings.packet_folder / str(id_of(path))
    return [one for one in folder.rglob("*") if one.is_file()]


async def test_the_whole_way(world: World, tmp_path: Path) -> None:
    await busy(world)
    async with await counsel_of(world) as counsel:
        path = await shown(world, counsel)
        preview = (await counsel.get(path)).json()
        assert preview["state"] == "shown"
        outline = preview["outline"]
        assert (outline["members"], outline["erased"], outline["exhibits"], outline["withheld"]) == (2, 0, 6, [])
        assert await exports(world) == [], "nothing of anybody was read yet"
        assert (await counsel.post(f"{path}/download")).status_code == 409
        assert (await counsel.post(f"{path}/order")).json()["state"] == "ordered"
        assert (await counsel.post(f"{path}/order")).status_code == 409, "once is enough"
        await in_the_log(world)
        assert await world.workers.builder.build() == 1
        done = (await counsel.get(path)).json()
        assert (done["state"], done["done"], done["of_all"]) == ("ready", 6, 6)
        assert done["outline"] == {**outline, "originals": 2}, "what was shown is what was built, over the same checkpoint"
        answer = await counsel.post(f"{path}/download")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
        assert int(answer.headers["content-length"]) == len(answer.content) == done["size"]
        taken = (await counsel.get(path)).json()["taken"]
    assert [one["by"] for one in taken] == [str(world.union.accounts[Role.COUNSEL])]
    folder = unpacked(answer.content, tmp_path / "out")
    assert proven(folder)["number"] == done["number"]
    assert folder.name == f"OPOA-sealed-{done['number'][:12]}"
    again = await built(world, tmp_path / "again", size=outline["checkpoint"])
    assert again.number == done["number"], "the command builds the same bytes"


async def test_every_member_in_it_sees_who_had_it_built_and_who_took_it(world: World) -> None:
    await busy(world)
    async with await counsel_of(world) as counsel:
        path = await ready(world, counsel)
        assert (await counsel.post(f"{path}/download")).status_code == 200
        assert (await counsel.post(f"{path}/download")).status_code == 200
    entries = await exports(world)
    told = [(row.member_id, sight, row.actor_id, row.subjects["packet"]) for row, sight in entries if row.member_id]
    mine, counsels = [world.union.members[one] for one in ("M-1", "M-2")], world.union.accounts[Role.COUNSEL]
    expected = [(one, Sight.PACKET, counsels, str(id_of(path))) for one in mine]
    expected += [(one, Sight.DOWNLOAD, counsels, str(id_of(path))) for one in mine] * 2
    assert sorted(told, key=repr) == sorted(expected, key=repr)
    async with await world.sign_in(Role.MEMBER) as member:
        page = (await member.get("/visits")).text
    assert page.count("a packet of evidence was downloaded") == 2
    assert page.count("put into a packet of evidence for a case") == 1


async def test_nothing_of_it_lies_in_plain_on_the_disk(world: World) -> None:
    await busy(world)
    async with await counsel_of(world) as counsel:
        path = await ready(world, counsel)
    folder = world.context.settings.packet_folder
    assert folder.stat().st_mode & 0o777 == 0o700
    files = _files(world, path)
    assert len(files) > 20
    for file in files:
        raw = file.read_bytes()
        assert raw[:1] == b"\x01", file
        assert not any(word in raw for word in (b"900-65-4321", b"Avery", b"Invented Bank", b"harmline-", b"BagIt")), file
    assert {file.relative_to(folder).parts[1] for file in files} == {"packet", "order.json"}, "what was remembered is gone"


async def test_files_that_were_changed_or_taken_away_are_not_handed_out(world: World) -> None:
    await busy(world)
    async with await counsel_of(world) as counsel:
        path = await ready(world, counsel)
        one = next(file for file in _files(world, path) if file.name == "exhibit.json")
        good = one.read_bytes()
        one.unlink()
        refused = await counsel.post(f"{path}/download")
        assert (refused.status_code, "no longer whole" in refused.text) == (409, True)
        one.write_bytes(good[:-1] + bytes((good[-1] ^ 1,)))
        broken = await counsel.post(f"{path}/download")
        assert len(broken.content) < int(broken.headers["content-length"]), "it breaks off, and says how long it should be"


async def test_a_build_goes_on_where_it_was_killed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await busy(world)
    real, read = chapters.read, []

    async def dies(tx: Any, keyring: Any, one: Any, *rest: Any) -> Any:
        if len(read) == 1:
            raise asyncio.CancelledError
        read.append(one.bates)
        return await real(tx, keyring, one, *rest)

    async def goes_on(tx: Any, keyring: Any, one: Any, *rest: Any) -> Any:
        read.append(one.bates)
        return await real(tx, keyring, one, *rest)

    async with await counsel_of(world) as counsel:
        path = await ordered(world, counsel)
        monkeypatch.setattr(chapters, "read", dies)
        with pytest.raises(asyncio.CancelledError):
            await world.workers.builder.build()
        monkeypatch.setattr(chapters, "read", goes_on)
        assert (await counsel.get(path)).json()["state"] == "building"
        assert await Builder(world.context).build() == 0, "whoever was killed holds it until the lease ends"
        with clock.stopped(NOW + LEASE):
            assert await Builder(world.context).build() == 1
        assert (await counsel.get(path)).json()["state"] == "ready"
    assert len(read) == len(set(read)) == 2, "nothing was read twice"
    entries = await exports(world)
    assert [sight for _, sight in entries] == [Sight.PACKET, Sight.PACKET, None], "each member once, then the number"


async def test_a_command_that_is_broken_off_is_written_down_once(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await busy(world)
    real = chapters.read

    async def stops(*_: Any) -> Any:
        raise OSError("the disk is full")

    monkeypatch.setattr(chapters, "read", stops)
    for _ in range(2):
        with pytest.raises(OSError, match="full"):
            await built(world, tmp_path / "packet")
    monkeypatch.setattr(chapters, "read", real)
    made = await built(world, tmp_path / "packet")
    assert [sight for _, sight in await exports(world)] == [Sight.PACKET, Sight.PACKET, None]
    async with await counsel_of(world) as counsel:
        (one,) = (await counsel.get(f"/v1/matters/{await matter_of(world)}/packets")).json()
        path = f"/v1/matters/{await matter_of(world)}/packets/{one['id']}"
        assert (one["state"], one["number"], one["asked_by"]) == ("outside", made.number, None)
        refused = await counsel.post(f"{path}/download")
        assert (refused.status_code, "a folder of theirs" in refused.text) == (409, True)


async def test_a_worker_that_slept_past_its_lease_finishes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await busy(world)
    real = workers.write

    async def overtaken(*given: Any) -> Any:
        async with world.context.database.begin() as tx:
            await tx.execute(update(Packet).values(fence=Packet.fence + 1))
        return await real(*given)

    monkeypatch.setattr(workers, "write", overtaken)
    async with await counsel_of(world) as counsel:
        path = await ordered(world, counsel)
        await world.workers.builder.build()
        row = await _row(world, path)
        assert (row.state, row.number, row.error) == (State.BUILDING, None, None)


async def test_what_cannot_be_built_is_tried_again_and_then_given_up_in_plain_words(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await busy(world)

    async def stops(*_: Any) -> Any:
        raise OSError("the disk is full")

    monkeypatch.setattr(workers, "write", stops)
    async with await counsel_of(world) as counsel:
        path = await ordered(world, counsel)
        for number in range(MOST_TRIES):
            with clock.stopped(NOW + number * NEXT_TRY):
                assert await world.workers.builder.build() == 1
                assert await world.workers.builder.build() == 0, "not again at once"
        failed = (await counsel.get(path)).json()
        assert (failed["state"], "disk" in failed["error"]) == ("failed", True)
        assert (await _row(world, path)).wrapped_key is None
        await world.workers.builder.build()
        assert not os.listdir(world.context.settings.packet_folder)


async def test_a_packet_whose_builders_are_never_heard_of_again_is_given_up(world: World) -> None:
    await busy(world)
    async with await counsel_of(world) as counsel:
        path = await ordered(world, counsel)
        for number in range(MOST_CUT_SHORT):
            async with world.context.database.begin() as tx:
                taken = await packet_rows.claim(tx, (State.ORDERED, State.BUILDING), NOW + number * LEASE, LEASE)
            assert (taken and taken.cut_short) == number
        with clock.stopped(NOW + MOST_CUT_SHORT * LEASE):
            await world.workers.builder.build()
            failed = (await counsel.get(path)).json()
        assert (failed["state"], "our side" in failed["error"]) == ("failed", True)
        row = await _row(world, path)
    assert (row.wrapped_key, row.lease_until) == (None, None)


async def test_who_has_to_show_that_it_is_them_comes_back_to_where_they_can_download(world: World) -> None:
    await busy(world)
    async with await counsel_of(world) as counsel:
        path = (await ready(world, counsel)).removeprefix("/v1")
        with clock.stopped(NOW + timedelta(minutes=6)):
            asked = await counsel.post(f"{path}/download")
    assert (asked.status_code, f'"{path}"' in asked.text, 'id="again"' in asked.text) == (403, True, False), asked.text


def test_what_is_settled_is_every_file_and_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path / "one" / "packet")
    folder.write("data/exhibits/a.json", b"{}")
    folder.write("bagit.txt", b"")
    settled: set[int] = set()
    monkeypatch.setattr(os, "fsync", lambda handle: settled.add(os.fstat(handle).st_ino))
    folder.settle()
    assert settled == {one.stat().st_ino for one in (tmp_path, *tmp_path.rglob("*"))}


async def test_what_is_ready_is_on_the_disk_before_it_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await busy(world)
    settled: list[tuple[str, set[str]]] = []

    def settle(self: Folder) -> None:
        settled.append((self.root.name, set(self.paths())))

    monkeypatch.setattr(Folder, "settle", settle)
    async with await counsel_of(world) as counsel:
        path = await ready(world, counsel)
        raw = (await counsel.post(f"{path}/download")).content
    with zipfile.ZipFile(io.BytesIO(raw)) as file:
        names = {name.partition("/")[2] for name in file.namelist()}
    assert settled == [("packet", names)]


async def test_what_there_is_no_checkpoint_for_is_said(world: World) -> None:
    async with await counsel_of(world) as counsel:
        path = await shown(world, counsel, checkpoint=999_999)
        failed = (await counsel.get(path)).json()
        assert failed["state"] == "failed"
        assert "checkpoint" in failed["error"]


async def test_a_packet_with_an_erased_member_is_no_more_and_the_next_one_says_so(world: World, tmp_path: Path) -> None:
    await busy(world)
    async with await counsel_of(world) as counsel:
        path = await ready(world, counsel)
        await erase(world, "M-1")
        at_once = await counsel.post(f"{path}/download")
        assert (at_once.status_code, "was erased since" in at_once.text) == (409, True), "before any worker had its turn"
        await in_the_log(world)
        row = await _row(world, path)
        assert (row.state, row.wrapped_key, row.why_gone) == (State.EXPIRED, None, "erased")
        await world.workers.builder.build()
        assert _files(world, path) == []
        later = await counsel.post(f"{path}/download")
        assert (later.status_code, "was erased since" in later.text) == (409, True)
        again = await ready(world, counsel)
        outline = (await counsel.get(again)).json()["outline"]
        assert (outline["members"], outline["erased"]) == (2, 1)
        assert [(one["why"], one["count"]) for one in outline["withheld"]] == [("erased", 1)]
        raw = (await counsel.post(f"{again}/download")).content
    folder = unpacked(raw, tmp_path / "out")
    assert proven(folder)["proven"]
    assert all(b"Avery" not in file.read_bytes() for file in folder.rglob("*") if file.is_file())
    async with world.context.database.begin(read_only=True) as tx:
        gone = (await tx.execute(select(Deletion).where(Deletion.what == "packet"))).scalars().all()
        seen = (await tx.execute(select(PacketMember.packet_id))).scalars().all()
    assert [one.subjects for one in gone] == [{"packet": str(id_of(path))}]
    assert sorted(seen) == sorted([id_of(path)] * 2 + [id_of(again)]), "which packet that is out holds whom stays known"


@pytest.mark.parametrize("told", [True, False], ids=["the workers hear of it", "they do not yet"])
async def test_who_is_erased_while_it_is_built_is_not_in_it(world: World, told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    await busy(world)
    real = workers.write
    times = []

    async def erased_meanwhile(*given: Any) -> Any:
        times.append(1)
        found = await real(*given)
        if len(times) == 1:
            await erase(world, "M-2")
            if told:
                await world.workers.drain()
        return found

    monkeypatch.setattr(workers, "write", erased_meanwhile)
    async with await counsel_of(world) as counsel:
        path = await ordered(world, counsel)
        await world.workers.builder.build()
        assert len(times) == 2
        done = (await counsel.get(path)).json()
        assert (done["state"], done["outline"]["erased"]) == ("ready", 1)


async def test_a_command_hands_out_nothing_of_who_was_erased_while_it_built(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await busy(world)
    real = building.write

    async def erased_meanwhile(*given: Any) -> Any:
        found = await real(*given)
        await erase(world, "M-2")
        return found

    monkeypatch.setattr(building, "write", erased_meanwhile)
    with pytest.raises(Problem, match="erased while it was built"):
        await built(world, tmp_path / "packet")
    assert os.listdir(tmp_path) == []
    monkeypatch.setattr(building, "write", real)
    made = await built(world, tmp_path / "packet")
    assert made.withheld > 0


async def test_a_sealed_packet_with_a_text_past_its_term_is_no_more(world: World) -> None:
    await busy(world)
    async with world.context.database.begin() as tx:
        connection = world.union.connection.connection.id
        await tx.execute(update(type(world.union.connection.connection)).values(raw_days=30))
    async with await counsel_of(world) as counsel:
        sealed, redacted = await ready(world, counsel), await ready(world, counsel, variant=Variant.REDACTED.value)
        with clock.stopped(NOW + timedelta(days=31)):
            async with world.context.database.begin() as tx:
                _, count = await erase_raw(tx, world.context.keyring, connection, UUID(int=0), 10)
                assert count == 2
        await world.workers.drain()
        states = [(await counsel.get(path)).json() for path in (sealed, redacted)]
        assert [one["state"] for one in states] == ["expired", "ready"]
        assert "contract" in states[0]["gone"]


async def test_after_its_days_a_packet_goes_and_a_draft_that_nobody_ordered_too(world: World) -> None:
    await busy(world)
    async with await counsel_of(world) as counsel:
        path, draft = await ready(world, counsel), await shown(world, counsel)
        with clock.stopped(NOW + DRAFT_FOR + timedelta(seconds=1)):
            await world.workers.builder.sweep()
        assert (await counsel.get(draft)).status_code == 404
        assert (await counsel.get(path)).json()["state"] == "ready"
        with clock.stopped(NOW + KEPT_FOR + timedelta(seconds=1)):
            async with await counsel_of(world) as later:
                over = await later.post(f"{path}/download")
                assert (over.status_code, "14 days were over" in over.text) == (409, True), "also before the sweep"
            await world.workers.builder.sweep()
        assert (await counsel.get(path)).json()["state"] == "expired"
        assert _files(world, path) == []
    async with world.context.database.begin(read_only=True) as tx:
        gone = (await tx.execute(select(Deletion.count).where(Deletion.what == "packet"))).scalars().all()
    assert gone == [1, 1]


async def test_only_so_many_at_once(world: World) -> None:
    path = f"/v1/matters/{await matter_of(world)}/packets"
    async with await counsel_of(world) as counsel:
        answers = [await counsel.post(path, json={"prefix": "OPOA"}) for _ in range(4)]
        assert [one.status_code for one in answers] == [201, 201, 201, 409]
        assert (await counsel.post(path, json={"prefix": "opoa"})).status_code == 422


async def test_a_packet_is_found_only_under_its_own_matter(world: World) -> None:
    await busy(world)
    async with await counsel_of(world) as counsel, await world.sign_in(Role.COUNSEL, tenant=world.other) as stranger:
        path = await ready(world, counsel)
        theirs = f"/v1/matters/{await matter_of(world, world.other)}/packets/{id_of(path)}"
        for client, other in ((stranger, path), (stranger, theirs), (counsel, theirs)):
            assert (await client.get(other)).status_code == 404
            for act in ("order", "download"):
                assert (await client.post(f"{other}/{act}")).status_code == 404
