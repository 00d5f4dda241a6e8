"""A member's pages as people see them; the first three are pictures in the documents, written when HARMLINE_SCREENS=1."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app.evidence import members_pages, pdf
from app.evidence.members_pages import runs
from tests.evidence.matters import built, exhibits
from tests.evidence.test_packets import busy as busy
from tests.support.world import World
from tests.web.browsing import SCREENS

SHOWN = 3
DOTS_PER_INCH = 84.0


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_every_page_can_be_looked_at(busy: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was laid out as PDF, laid out as pictures: as many pages."""
    laid_out: list[Mapping[str, Any]] = []

    def render(template: str, data: Mapping[str, Any], at: datetime) -> bytes:
        laid_out.append(data)
        return pdf.render(template, data, at)

    monkeypatch.setattr(members_pages, "render", render)
    await built(busy, tmp_path / "packet", members=["M-1"])
    (data,) = laid_out
    assert "the moment of the checkpoint; answers, links and losses as they stood when these pages were made" in data["as_of"]
    pictures = pdf._compiler("sheet", data).compile(format="png", ppi=DOTS_PER_INCH)
    (pages,) = exhibits(tmp_path / "packet", "illustrative_107")
    assert len(pictures) == pdf.pages((tmp_path / "packet" / pages["file"]["path"]).read_bytes()) > SHOWN
    if os.environ.get("HARMLINE_SCREENS") == "1":
        for number, picture in enumerate(pictures[:SHOWN], 1):
            (SCREENS / f"packet-page-{number}.png").write_bytes(picture)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ("", ""),
        ("a", "a"),
        ("ab", "a, b"),
        ("abc", "a to c"),
        ("abd", "a, b, d"),
        ("acdefh", "a, c to f, h"),
    ],
)
def test_numbers_that_follow_one_another_are_told_from_where_to_where(numbers: str, said: str) -> None:
    assert runs(list(numbers), {letter: place for place, letter in enumerate("abcdefgh")}) == said
