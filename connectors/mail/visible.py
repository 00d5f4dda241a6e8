"""What a person would read of a mail's HTML, as text. Nothing is fetched, run or rendered.

Dropped: comments, scripts, styles, the head, and what the mark-up itself hides (`hidden`, display:none, visibility:hidden,
font-size or max-height 0, opacity 0, mso-hide). What a style sheet hides by a class is not known here. A link is its text.
"""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

LARGEST = 512 * 1024
"""Characters that are read; what stands behind them is left out."""

DEEPEST = 512
"""Open elements that are remembered; deeper ones are taken as they come."""

RULE = "_" * 32
"""How a rule across the page is written, as Outlook writes it above what it forwards."""

_SILENT = frozenset(
    {"head", "script", "style", "template", "noscript", "object", "svg", "math", "iframe", "textarea", "select", "title"}
)
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
_CLOSES_ITSELF = frozenset({"p", "li", "td", "th", "tr", "dt", "dd", "option"})
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "blockquote"})
_BLOCKS = _PARAGRAPHS | {
    *("address", "article", "aside", "body", "br", "center", "dd", "div", "dl", "dt", "fieldset", "figure", "footer", "form"),
    *("header", "html", "li", "main", "nav", "pre", "section", "tbody", "tfoot", "thead", "tr"),
}
_HIDES = re.compile(
    r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|opacity\s*:\s*0(?:\.0+)?\s*(?:!|;|$)"
    r"|(?:font-size|max-height)\s*:\s*0(?:\.0+)?(?:px|pt|em|%)?\s*(?:!|;|$))",
    re.IGNORECASE,
)
LONGEST_STYLE = 2000
_NO_TAG = re.compile(r"<(?![A-Za-z/!?])")


def text_of(page: str) -> str:
    """The visible text, with line breaks where a page has them. Never raises; takes time in proportion to the page."""
    reader = _Reader()
    page = _NO_TAG.sub("&lt;", page[:LARGEST])  # the parser would look at each of them anew
    # The parser holds the last characters back for what might follow; closing it instead would read broken ends again and again.
    reader.feed(page + " " * 40 + "<br>")
    return "".join(reader.out)


class _Reader(HTMLParser):
    """Collects visible text into `out`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self._open: list[tuple[str, bool]] = []
        self._names: Counter[str] = Counter()
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember whether what is inside can be seen."""
        if tag in _CLOSES_ITSELF and self._open and self._open[-1][0] == tag:
            self._pop()
        if tag not in _VOID and len(self._open) < DEEPEST:
            hidden = tag in _SILENT or _is_hidden(attrs)
            self._open.append((tag, hidden))
            self._names[tag] += 1
            self._hidden += hidden
        self._break(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """`<br/>`, and also `<div/>`, which HTML takes for an open one; here it is a line break."""
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the nearest that is open, and what was forgotten inside it."""
        if self._names[tag]:
            while self._pop() != tag:
                continue
        if tag != "br":
            self._break(tag)

    def handle_data(self, data: str) -> None:
        """Line breaks of the source are blanks, unlike those of the page."""
        if not self._hidden:
            self.out.append(" ".join(data.splitlines()) + (" " if data.endswith(("\n", "\r")) else ""))

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        """`<![if mso]>` and the like are skipped; the base class raises on words that it does not know."""
        end = self.rawdata.find(">", i)
        return -1 if end < 0 else end + 1

    def _pop(self) -> str:
        name, hidden = self._open.pop()
        self._hidden -= hidden
        self._names[name] -= 1
        return name

    def _break(self, tag: str) -> None:
        if self._hidden:
            return
        if tag in ("td", "th"):
            self.out.append(" ")
        elif tag == "hr":
            self.out.append(f"\n{RULE}\n")
        elif tag in _BLOCKS:
            self.out.append("\n\n" if tag in _PARAGRAPHS else "\n")


def _is_hidden(attrs: list[tuple[str, str | None]]) -> bool:
    return any(
        name == "hidden" or (name == "style" and value is not None and _HIDES.search(value[:LONGEST_STYLE]) is not None)
        for name, value in attrs
    )
