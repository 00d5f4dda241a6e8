"""What others have written says the same of a packet as its own verifier: openssl, bagit, qpdf and LibreOffice."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import bagit
import pytest

from app.evidence.spreadsheet import table
from app.ledger.models import Timestamp
from app.ledger.notes import parse_note
from app.ledger.reading import checkpoint_at
from tests.evidence.matters import built, exhibits, files, in_the_log, told
from tests.evidence.packets import Stamper, text_of
from tests.evidence.test_packets import proven
from tests.evidence.test_pure import FORMULAS
from tests.support.world import NOW, World, alert

FORMULA = "=cmd|' /C calc'!A0"
FIELDS = FORMULAS[::2][:500]
LONGEST_SECONDS = 120


@pytest.fixture
async def packet(world: World, stamper: Stamper, tmp_path: Path) -> Path:
    """A packet over a stamped checkpoint, of an alert that would like to be calculated."""
    await world.deliver(alert(id="a-1", institution=FORMULA))
    await in_the_log(world)
    async with world.context.database.begin() as tx:
        newest = await checkpoint_at(tx, world.union.id)
        stamp = stamper.stamp(parse_note(newest.note).text.encode())
        row = {"organization_id": world.union.id, "size": newest.size, "at": NOW, "authority": "invented authority"}
        tx.add(Timestamp(**row, response=stamp))
    await built(world, tmp_path / "packet")
    return tmp_path / "packet"


def only(packet: Path, form: str) -> Path:
    """The one file of the payload with a path of this form."""
    (found,) = (packet / "data").glob(form)
    return found


def ran(command: Sequence[str], folder: Path) -> str:
    """All that a program says."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LONGEST_SECONDS)
    return done.stdout + done.stderr


async def test_they_agree_that_it_is_as_it_was_written(packet: Path) -> None:
    assert proven(packet)["proven"]
    assert bagit.Bag(str(packet)).validate(processes=1)
    path = only(packet, "members/*/pages.pdf")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(bagit.BagValidationError):
        bagit.Bag(str(packet)).validate(processes=1)


async def test_openssl_takes_the_timestamp_over_its_checkpoint(packet: Path, stamper: Stamper, tmp_path: Path) -> None:
    text = text_of((packet / "data/log/checkpoint").read_bytes())
    answer = only(packet, "log/timestamps/*.tsr")
    for content, said in ((text, "Verification: OK"), (text + b"x", "Verification: FAILED")):
        (tmp_path / "text").write_bytes(content)
        command = ["openssl", "ts", "-verify", "-data", "text", "-in", str(answer), "-CAfile", str(stamper.roots)]
        assert said in ran(command, tmp_path)


@pytest.mark.qpdf
async def test_qpdf_finds_nothing_wrong_with_the_pages(packet: Path) -> None:
    path = only(packet, "members/*/pages.pdf")
    assert "No syntax or stream encoding errors found" in ran(["qpdf", "--check", str(path)], packet)


async def test_what_looks_like_a_formula_is_text_in_tables_and_true_everywhere_else(packet: Path) -> None:
    (one,) = exhibits(packet)
    assert json.loads((packet / one["file"]["path"]).read_bytes())["institution"] == FORMULA
    path = only(packet, "members/*/timeline.csv")
    (row,) = csv.DictReader(io.StringIO(path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode(), newline=""))
    assert row["institution"] == f"'{FORMULA}"
    (member,) = told(packet)["about"]["members"]
    assert json.loads(files(packet)[f"data/members/{member}/timeline.json"])["rows"][0]["institution"] == FORMULA


def calculated(raw: bytes, folder: Path) -> int:
    """How many cells of a table LibreOffice takes for formulas."""
    folder.mkdir()
    (folder / "table.csv").write_bytes(raw)
    office = ["soffice", "--headless", f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--norestore"]
    command = [*office, "--infilter=CSV:44,34,76,1,,0,false,true", "--convert-to", "fods", "--outdir", str(folder)]
    said = ran([*command, str(folder / "table.csv")], folder)
    written = (folder / "table.fods").read_text("utf-8")
    assert "<table:table-row" in written, said
    return len(re.findall(r"table:formula=|<text:a ", written))


@pytest.mark.slow
@pytest.mark.libreoffice
def test_libreoffice_calculates_no_cell_of_five_hundred(tmp_path: Path) -> None:
    """Whether it would have: the same fields as they came are formulas to it."""
    assert len(FIELDS) == 500
    assert calculated(table(("a", "b"), [(one, "x") for one in FIELDS]), tmp_path / "ours") == 0
    bare = io.StringIO(newline="")
    csv.writer(bare, lineterminator="\r\n").writerows([one.replace("\0", ""), "x"] for one in FIELDS)
    assert calculated(bare.getvalue().encode(), tmp_path / "bare") > 0
