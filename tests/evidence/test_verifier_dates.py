"""An entry that says it is much older than what was in the log before it is told of, and no packet fails for it."""

from pathlib import Path

import pytest

from app.evidence.verifier import verify
from app.kit import canonical
from tests.evidence import packets
from tests.evidence.packets import Files, Stamper
from tests.evidence.test_verifier import report, run


@pytest.mark.parametrize(
    ("place", "who", "before"),
    [
        (298, "EX-0000004", f"{packets.MATCHED}, which says that it is from 2026-11-27T04:33:21Z"),
        (packets.VIEWED, f"the act {packets.row_id(packets.VIEWED)}", "150, which says that it is from 2026-11-27T04:32:30Z"),
        (99, "EX-0000002", "7, which says that it is from 2026-11-27T04:30:07Z"),
    ],
)
def test_what_was_dated_back_is_told_and_what_came_before_it(
    stamper: Stamper, tmp_path: Path, place: int, who: str, before: str
) -> None:
    folder = packets.write(packets.make(stamper, log=packets.made_log(9, [place])), tmp_path / "dated")
    status, said = run(folder)
    (told,) = report(folder).dated
    assert status == verify.PROVEN
    assert told.startswith(f"The time of {who}: its entry says that it is from 2026-11-18T04:3")
    assert f"and its place in the log, {place}, comes after that of an entry, {before}. It was put in later" in told
    assert "- " + told in said
    assert said.endswith("vouch for itself; but not the time that 1 of the entries shown give.\n")


@pytest.mark.parametrize(
    ("places", "days"),
    [
        pytest.param([298], 0.9, id="less than a day"),
        pytest.param([7], 9, id="nothing came before it"),
        pytest.param([298, 299], -9, id="a clock that was ahead, behind everything"),
        pytest.param([100, 101], 9, id="not shown"),
    ],
)
def test_what_no_entry_before_it_contradicts_is_not_told(
    stamper: Stamper, tmp_path: Path, places: list[int], days: float
) -> None:
    folder = packets.write(packets.make(stamper, log=packets.made_log(days, places)), tmp_path / "dated")
    assert report(folder).dated == []
    assert "but not the time" not in run(folder)[1]


def test_a_moment_that_is_none_ends_in_a_sentence(stamper: Stamper, good: Files, tmp_path: Path) -> None:
    log = packets.made_log()
    path = f"data/custody/{packets.row_id(packets.VIEWED)}/entry.json"
    leaf = log.leaf(packets.VIEWED).replace(b"2026-11-27T", b"2026-13-27T")
    folder = packets.write(packets.bagged({**good, path: leaf}), tmp_path / "odd")
    assert canonical.dumps(verify.load(leaf)) == leaf
    assert report(folder).dated == []


def test_more_than_anybody_reads_are_counted(good: Files, folder: Path) -> None:
    found = verify.Report(dated=[f"The time of {number}." for number in range(60)])
    packet = verify.parse_packet(verify.load(good["data/packet.json"]))
    verify.conclude(found, packet, 0, verify.Proven(), {})
    assert "The time of 10 more entries, for the same reason." in found.does_not_prove
    assert "The time of 50." not in found.does_not_prove
