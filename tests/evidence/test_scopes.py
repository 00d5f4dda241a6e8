"""A packet about one member of a matter, and one for a claim: what is in it, what of other people is not, what is refused."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from app.access.roles import Role
from app.evidence.exhibits import Variant
from app.evidence.ordering import LONGEST_CLAIM, Kind, Order, require_order
from app.kit.errors import Problem
from app.kit.ids import uuid7
from app.ledger.service import SYSTEM, Act, append
from app.members import erasing
from tests.evidence.matters import built, exhibits, files, in_the_log, matter_of, told
from tests.evidence.test_packets import proven
from tests.support.world import World, alert

CLAIM = "OPD-2024-0117 §2"
BOTH = {"alerts": [alert(id="a-2", summary="To Avery."), alert(id="b-2", member="ref-M-2", summary="To Blake.")]}
A, B = UUID(int=1), UUID(int=2)


@pytest.fixture
async def two(world: World) -> World:
    """Two members of the matter, each with an alert of their own and one out of a delivery to both; each has entered a loss."""
    await world.deliver(alert(id="a-1"))
    await world.deliver(alert(id="b-1", member="ref-M-2", institution="Another Bank", last_four="9876"))
    await world.deliver(BOTH)
    await world.workers.drain()
    for who in ("M-1", "M-2"):
        (item, *_) = await world.timeline(who)
        async with await world.sign_in(Role.MEMBER, who) as browser:
            loss = {"head": "oop", "amount": "7.00", "currency": "USD", "incurred_on": "2023-04-01", "note": f"Only of {who}"}
            assert (await browser.post(f"/v1/incidents/{item['id']}/losses", json=loss)).status_code == 201
    await in_the_log(world)
    return world


async def test_a_members_packet_is_about_them_and_holds_nothing_of_anybody_else(two: World, tmp_path: Path) -> None:
    own, other = (str(two.union.members[one]) for one in ("M-1", "M-2"))
    await built(two, tmp_path / "packet", members=["M-1"])
    report = proven(tmp_path / "packet")
    assert report["proven"], report["failures"]
    packet = told(tmp_path / "packet")
    assert (packet["kind"], packet["about"]["claim"], packet["about"]["members"]) == ("member", None, [own])
    assert {one["member"] for one in exhibits(tmp_path / "packet")} == {own}
    assert [one["why"] for one in packet["withheld"]] == ["other_people"], "the delivery to both is not shown whole"
    secrets = (other, "Blake", "M-2", "Another Bank", "9876", "To Blake", "b-1", "b-2")
    # not within an id, a hash or a length, where some of them stand by chance
    apart = re.compile(rb"(?<![0-9a-f-])(?:%s)(?![0-9a-f-])" % b"|".join(one.encode() for one in secrets))
    for path, raw in files(tmp_path / "packet").items():
        if path not in ("verify.py", "verify.html"):
            assert not apart.search(raw), path


async def test_acts_about_somebody_else_are_counted_and_not_told(two: World, tmp_path: Path) -> None:
    """An alert that was first found to be somebody else's: that act names them."""
    await built(two, tmp_path / "before", members=["M-1"])
    shown = UUID(exhibits(tmp_path / "before")[0]["alert"])
    async with two.context.database.begin() as tx:
        other = two.union.members["M-2"]
        entry = await append(tx, two.context.keyring, two.union.id, Act.MATCH, facts={}, member_id=other, alert=shown)
    await in_the_log(two)
    await built(two, tmp_path / "after", members=["M-1"])
    assert proven(tmp_path / "after")["proven"]
    assert {"what": f"act {entry}", "exhibit": None, "why": "other_people", "count": 1} in told(tmp_path / "after")["withheld"]
    assert str(entry) not in {one["entry"] for one in told(tmp_path / "after")["custody"]}
    await built(two, tmp_path / "whole")
    assert str(entry) in {one["entry"] for one in told(tmp_path / "whole")["custody"]}, "both are in the matter"


async def test_a_claim_names_its_reference_and_those_it_is_for(two: World, tmp_path: Path) -> None:
    made = await built(two, tmp_path / "claim", members=["M-2", "M-1", "M-2"], claim=CLAIM)
    assert proven(tmp_path / "claim")["number"] == made.number
    packet = told(tmp_path / "claim")
    whom = sorted(str(two.union.members[one]) for one in ("M-1", "M-2"))
    assert (packet["kind"], packet["about"]["claim"], packet["about"]["members"]) == ("claim", CLAIM, whom)
    assert packet["withheld"] == []
    assert f"claim {CLAIM}, sealed" in (tmp_path / "claim/bag-info.txt").read_text("utf-8")
    again = await built(two, tmp_path / "again", size=made.size, members=["M-1", "M-2"], claim=CLAIM)
    assert again.number == made.number, "in whatever order they are named"


async def test_an_exhibit_has_one_number_in_every_packet_of_a_matter_and_a_timeline_one_in_each(
    two: World, tmp_path: Path
) -> None:
    """The same alert is the same exhibit; a timeline says in a member's packet something else than in the matter's."""
    size = (await built(two, tmp_path / "matter")).size
    await built(two, tmp_path / "member", members=["M-1"], size=size)
    await built(two, tmp_path / "claim", members=["M-1"], claim=CLAIM, size=size)
    whole = {one["event"]: one["bates"] for one in exhibits(tmp_path / "matter")}
    seen: list[str] = []
    for name in ("matter", "member", "claim"):
        natives = {one["event"]: one["bates"] for one in exhibits(tmp_path / name)}
        assert natives.items() <= whole.items()
        seen += [one["bates"] for kind in ("summary_1006", "illustrative_107") for one in exhibits(tmp_path / name, kind)]
    assert len(set(seen)) == len(seen) == 8


async def test_a_member_of_whom_nothing_was_told_has_a_packet_that_says_so(world: World, tmp_path: Path) -> None:
    await world.deliver(alert(id="b-1", member="ref-M-2"))
    await in_the_log(world)
    made = await built(world, tmp_path / "packet", members=["M-1"], variant=Variant.REDACTED)
    assert (made.exhibits, made.withheld) == (0, 0)
    assert proven(tmp_path / "packet")["proven"]
    assert told(tmp_path / "packet")["about"]["members"] == [str(world.union.members["M-1"])]


async def test_whom_it_cannot_be_about_is_refused_in_plain_words(two: World, tmp_path: Path) -> None:
    async with two.context.database.begin() as tx:
        await erasing.erase(tx, two.context.keyring, two.union.id, two.union.members["M-2"], SYSTEM)
    await in_the_log(two)
    stranger = uuid7()
    two.union.members |= {"nobody": stranger, "theirs": two.other.members["M-1"]}
    for members, claim, status, said in (
        (["M-1", "nobody"], CLAIM, 404, "no such member in this matter"),
        (["nobody"], None, 404, "no such member in this matter"),
        (["theirs"], None, 404, "no such member in this matter"),
        (["M-2"], None, 409, "was erased: nothing is left to show"),
        (["M-2"], CLAIM, 409, "was erased: nothing is left to show"),
        (["M-1", "M-2"], None, 422, "give the claim's reference"),
        ([], CLAIM, 422, "choose the members"),
    ):
        with pytest.raises(Problem, match=said) as refused:
            await built(two, tmp_path / "packet", members=members, claim=claim)
        assert refused.value.status == status
    assert os.listdir(tmp_path) == []
    made = await built(two, tmp_path / "packet", members=["M-1", "M-2"], claim=CLAIM)
    assert made.withheld, "with somebody who is there, the packet says what is gone of the other"
    assert proven(tmp_path / "packet")["proven"]


async def test_a_broken_off_packet_of_one_is_not_finished_as_that_of_another(two: World, tmp_path: Path) -> None:
    """What was left behind belongs to another order."""
    work = tmp_path / "packet.building"
    (work / "packet/data").mkdir(parents=True)
    (work / "packet/data/left.txt").write_bytes(b"To Blake.")
    (work / "order.json").write_bytes(json.dumps({"matter": str(await matter_of(two))}).encode())
    await built(two, tmp_path / "packet", members=["M-1"])
    assert "data/left.txt" not in files(tmp_path / "packet")


@pytest.mark.parametrize("claim", ["", " ", " 24", "24 ", "2\n4", "2\x004", "x" * (LONGEST_CLAIM + 1), "\u202e24", "\ud800"])
def test_what_is_no_reference_of_a_claim_is_refused(claim: str) -> None:
    with pytest.raises(Problem, match="one line"):
        require_order(order(claim=claim, members=(A,)))


def test_what_a_packet_is_about_follows_from_what_was_named() -> None:
    assert [order().kind, order(members=(A,)).kind, order(members=(A,), claim="1").kind] == [Kind.MATTER, Kind.MEMBER, Kind.CLAIM]
    assert order().scope == ""
    scopes = [order(members=(A,)), order(members=(B,)), order(members=(A,), claim="1"), order(members=(A, B), claim="1")]
    assert len({one.scope for one in [*scopes, order(members=(A,), claim="2")]}) == 5
    assert order(members=(B, A), claim="1").scope == order(members=(A, B, A), claim="1").scope
    require_order(order(members=(A, A)))


def order(**told: Any) -> Order:
    return Order(UUID(int=9), Variant.SEALED, "OPOA", **told)
