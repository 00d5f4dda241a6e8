"""Counsel picks one member of a matter: their packet is about them alone, and so say its pages."""

from __future__ import annotations

from pathlib import Path

from app.kit.ids import uuid7
from tests.evidence.matters import exhibits, matter_of
from tests.evidence.ordered import busy, counsel_of, ready, shown, unpacked
from tests.evidence.test_packets import proven
from tests.support.world import World


async def test_a_packet_about_one_member(world: World, tmp_path: Path) -> None:
    await busy(world)
    one = str(world.union.members["M-1"])
    async with await counsel_of(world) as counsel:
        path = await ready(world, counsel, member_id=one)
        assert (await counsel.get(path)).json()["members"] == [one]
        folder = unpacked((await counsel.post(f"{path}/download")).content, tmp_path / "out")
        page = (await counsel.get(path.removeprefix("/v1"))).text
    report = proven(folder)
    assert report["proven"], report["failures"]
    assert {exhibit["member"] for exhibit in exhibits(folder)} == {one}
    assert f'title="{one}"' in page


async def test_the_page_of_the_matter_leads_to_the_packet_of_each_member(world: World) -> None:
    await busy(world)
    one, matter = str(world.union.members["M-1"]), await matter_of(world)
    async with await counsel_of(world) as counsel:
        link = f"/matters/{matter}/packets?member={one}"
        assert f'href="{link}"' in (await counsel.get(f"/matters/{matter}")).text
        form = (await counsel.get(link)).text
        assert f'<input type="hidden" name="member_id" value="{one}">' in form
        told = {"prefix": "OPOA", "variant": "redacted", "checkpoint": "", "member_id": one}
        asked = await counsel.post(f"/matters/{matter}/packets", data=told)
        assert asked.status_code == 303
        assert await world.workers.builder.look_up() == 1
        listed = (await counsel.get(f"/v1/matters/{matter}/packets")).json()
        assert [(row["members"], row["outline"]["members"]) for row in listed] == [([one], 1)]
        wrong = await counsel.post(f"/matters/{matter}/packets", data={**told, "member_id": "nobody"})
        assert (wrong.status_code, "Choose a member on the matter" in wrong.text) == (422, True)


async def test_whoever_is_not_in_the_matter_has_no_packet_of_it(world: World) -> None:
    await busy(world)
    async with await counsel_of(world) as counsel:
        for stranger in (world.other.members["M-1"], uuid7()):
            told = (await counsel.get(await shown(world, counsel, member_id=str(stranger)))).json()
            assert told["state"] == "failed"
            assert told["error"].startswith("There is no such member in this matter")
