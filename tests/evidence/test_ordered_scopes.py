"""Counsel picks members of a matter, for a claim or one alone: the packet is about them and nobody else, and so say its pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.evidence.models import Packet
from app.kit.ids import uuid7
from tests.evidence.matters import exhibits, in_the_log, matter_of
from tests.evidence.ordered import busy, counsel_of, erase, id_of, ready, shown, unpacked
from tests.evidence.test_packets import proven
from tests.support.world import World


async def test_a_packet_about_one_member(world: World, tmp_path: Path) -> None:
    await busy(world)
    one = str(world.union.members["M-1"])
    async with await counsel_of(world) as counsel:
        path = await ready(world, counsel, member_ids=[one])
        assert (await counsel.get(path)).json()["members"] == [one]
        folder = unpacked((await counsel.post(f"{path}/download")).content, tmp_path / "out")
        page = (await counsel.get(path.removeprefix("/v1"))).text
    report = proven(folder)
    assert report["proven"], report["failures"]
    assert {exhibit["member"] for exhibit in exhibits(folder)} == {one}
    assert f'title="{one}"' in page


async def test_a_packet_for_a_claim(world: World, tmp_path: Path) -> None:
    await busy(world)
    both = sorted(str(world.union.members[name]) for name in ("M-1", "M-2"))
    async with await counsel_of(world) as counsel:
        path = await ready(world, counsel, member_ids=list(reversed(both)), claim="Oak-24/117")
        told = (await counsel.get(path)).json()
        assert (told["members"], told["claim"]) == (both, "Oak-24/117")
        folder = unpacked((await counsel.post(f"{path}/download")).content, tmp_path / "out")
        pages = [(await counsel.get(path.removeprefix("/v1").rpartition("/")[0])).text, (await counsel.get(path[3:])).text]
    report = proven(folder)
    assert report["proven"], report["failures"]
    packet = json.loads((folder / "data" / "packet.json").read_bytes())
    assert (packet["kind"], packet["about"]["claim"], packet["about"]["members"]) == ("claim", "Oak-24/117", both)
    assert all("Oak-24/117" in page for page in pages)
    async with world.context.database.begin(read_only=True) as tx:
        row = await tx.get_one(Packet, id_of(path))
    assert row.claim_sealed is not None
    assert b"Oak-24" not in row.claim_sealed


async def test_what_is_no_claim_is_told_before_anything_is_looked_up(world: World) -> None:
    await busy(world)
    both, matter = [str(world.union.members[name]) for name in ("M-1", "M-2")], await matter_of(world)
    wrong: list[dict[str, Any]] = [{"member_ids": both}, {"claim": "7"}, {"member_ids": both, "claim": " 7"}]
    wrong += [{"member_ids": both, "claim": "one\ntwo"}, {"member_ids": both, "claim": "7" * 101}]
    async with await counsel_of(world) as counsel:
        for said in wrong:
            refused = await counsel.post(f"/v1/matters/{matter}/packets", json={"prefix": "OPOA", **said})
            assert refused.status_code == 422, said
        assert (await counsel.get(f"/v1/matters/{matter}/packets")).json() == []


async def test_a_claims_reference_goes_with_whoever_is_erased(world: World) -> None:
    await busy(world)
    both = [str(world.union.members[name]) for name in ("M-1", "M-2")]
    async with await counsel_of(world) as counsel:
        path = await ready(world, counsel, member_ids=both, claim="Officer Doe")
        await erase(world, "M-1")
        await in_the_log(world)
        told = (await counsel.get(path)).json()
    assert (told["state"], told["claim"]) == ("expired", None)


async def test_the_page_of_the_matter_leads_to_the_packet_of_each_member(world: World) -> None:
    await busy(world)
    one, matter = str(world.union.members["M-1"]), await matter_of(world)
    async with await counsel_of(world) as counsel:
        link = f"/matters/{matter}/packets?member={one}"
        assert f'<input type="checkbox" name="member" value="{one}">' in (await counsel.get(f"/matters/{matter}")).text
        form = (await counsel.get(link)).text
        assert f">{one}</textarea>" in form
        told = {"prefix": "OPOA", "variant": "redacted", "checkpoint": "", "members": one, "claim": ""}
        asked = await counsel.post(f"/matters/{matter}/packets", data=told)
        assert asked.status_code == 303
        assert await world.workers.builder.look_up() == 1
        listed = (await counsel.get(f"/v1/matters/{matter}/packets")).json()
        assert [(row["members"], row["outline"]["members"]) for row in listed] == [([one], 1)]
        wrong = await counsel.post(f"/matters/{matter}/packets", data={**told, "members": "nobody"})
        assert (wrong.status_code, "choose them on the matter" in wrong.text) == (422, True)
        nobody = await counsel.post(f"/matters/{matter}/packets", data={**told, "members": "", "claim": "24/117"})
        assert (nobody.status_code, "A claim is filed for somebody" in nobody.text) == (422, True)
        assert 'value="24/117"' in nobody.text, "what was typed is kept"
        two = await counsel.post(f"/matters/{matter}/packets", data={**told, "members": f"{one}\n{uuid7()}"})
        assert (two.status_code, "A packet about several members is for a claim" in two.text) == (422, True)


async def test_whoever_is_not_in_the_matter_has_no_packet_of_it(world: World) -> None:
    await busy(world)
    async with await counsel_of(world) as counsel:
        for stranger in (world.other.members["M-1"], uuid7()):
            told = (await counsel.get(await shown(world, counsel, member_ids=[str(stranger)]))).json()
            assert told["state"] == "failed"
            assert told["error"].startswith("There is no such member in this matter")
