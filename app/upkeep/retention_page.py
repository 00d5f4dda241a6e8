"""Writes the table of docs/retention.md from the table of `retention`."""

from pathlib import Path

from app.upkeep.retention import in_words

PAGE = Path(__file__).parents[2] / "docs" / "retention.md"
_START, _END = "app.upkeep.retention_page -->\n", "<!-- end -->"


def written(page: str) -> str:
    """The page with the table as it is now."""
    before, _, rest = page.partition(_START)
    return f"{before}{_START}{in_words()}\n{_END}{rest.partition(_END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
