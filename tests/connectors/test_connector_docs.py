"""What the pages say of the connectors is what the connectors declare."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors import docs
from connectors.docs import BEGIN, END, DocsError, filled, main, overview, pages, table
from connectors.registry import folders, registry


def test_the_pages_are_fresh() -> None:
    stale = [path.name for path, text in pages().items() if path.read_text(encoding="utf-8") != text]
    assert not stale, "run python -m connectors.docs"
    assert main(["--check"]) == 0


def test_every_event_type_and_every_connector_is_listed() -> None:
    for name in folders():
        assert f"[{name}]" in overview([registry()[name]])
        assert all(f"| `{event}` |" in table(registry()[name]) for event in registry()[name].events)


def test_a_stale_page_is_named_then_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    page.write_text(f"a\n{BEGIN}\nold\n{END}\nz\n", encoding="utf-8")
    monkeypatch.setattr(docs, "HERE", tmp_path / "connectors")
    monkeypatch.setattr(docs, "pages", lambda: {page: filled(page.read_text(encoding="utf-8"), "new", "page.md")})
    assert main(["--check"]) == 1
    assert "docs/page.md is not fresh" in capsys.readouterr().err
    assert main([]) == 0
    assert page.read_text(encoding="utf-8") == f"a\n{BEGIN}\n\nnew\n\n{END}\nz\n"
    assert main(["--check"]) == 0


@pytest.mark.parametrize("page", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_page_without_its_markers_is_named(page: str) -> None:
    with pytest.raises(DocsError, match=r"page\.md"):
        filled(page, "new", "page.md")
