"""What the pages say of the connectors is what the connectors declare."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors import docs
from connectors.docs import (
    BEGIN,
    END,
    DocsError,
    called_silent,
    code_lines,
    filled,
    found_later,
    grades,
    main,
    overview,
    pages,
    proves,
    sizes_of,
    table,
)
from connectors.registry import folders, registry
from connectors.verifiers import Grade

MOST_LINES = 120


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
    monkeypatch.setattr(docs, "pages", lambda _: {page: filled(page.read_text(encoding="utf-8"), "new", "page.md")})
    assert main(["--check"]) == 1
    assert "docs/page.md is not fresh" in capsys.readouterr().err
    assert main([]) == 0
    assert page.read_text(encoding="utf-8") == f"a\n{BEGIN}\n\nnew\n\n{END}\nz\n"
    assert main(["--check"]) == 0


@pytest.mark.parametrize("page", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_page_without_its_markers_is_named(page: str) -> None:
    with pytest.raises(DocsError, match=r"page\.md"):
        filled(page, "new", "page.md")


def test_a_line_of_code_is_no_blank_no_comment_and_no_docstring() -> None:
    source = (
        '"""A module.\n\nLong."""\n\nimport os  # why\n\n# a remark\ndef f():\n    """Says."""\n    return """\n# text\n"""\n'
    )
    assert sorted(code_lines(source)) == [5, 8, 10, 11, 12]
    assert code_lines("") == frozenset()


def test_what_is_said_of_origin_follows_from_the_declaration() -> None:
    """A notice is no alert: what it leads to is fetched. Only what can be asked for is found again after a gap."""
    known = registry()
    assert grades(known["standard"]) == [Grade.SHARED_SECRET]
    assert grades(known["crs"]) == grades(known["array"]) == grades(known["hibp"]) == [Grade.FETCHED]
    assert "proves nothing" in proves(known["array"])
    assert "knows the secret" in proves(known["crs"])
    assert "only a reason to look" in proves(known["crs"])
    assert "notice" not in proves(known["hibp"])
    assert {name for name in folders() if found_later(known[name]).startswith("yes")} == {n for n in folders() if known[n].poll}


def test_sizes_are_counted_without_the_fake_provider() -> None:
    for name in folders():
        whole, imports, beside = sizes_of(registry()[name])
        assert 0 < imports < whole
        assert beside >= 0
    assert sizes_of(registry()["standard"])[2] > 0


def test_a_name_that_no_connector_has_is_told() -> None:
    with pytest.raises(DocsError, match="no connector 'nobody'"):
        pages(["nobody"])


def test_when_a_connector_is_called_silent_is_what_health_goes_by() -> None:
    assert called_silent(registry()["crs"]) == "after 3 days without anything"
    assert called_silent(registry()["standard"]) == "never, unless the connection says when"
    assert called_silent(registry()["hibp"]) == "after 2 hours without anything"


@pytest.mark.parametrize("name", folders())
def test_what_a_connector_says_for_itself_is_short(name: str) -> None:
    """Decision 0020: connector.py without its imports; the provider's own tables may be as long as its vocabulary."""
    code, imports, _ = sizes_of(registry()[name])
    assert code - imports <= MOST_LINES
