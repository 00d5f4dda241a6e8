"""Writes what the connectors declare into their pages: `python -m connectors.docs` writes, `--check` only looks."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from connectors.contract import Connector
from connectors.registry import folders, registry
from connectors.verifiers import NotSigned

BEGIN = "<!-- generated: python -m connectors.docs -->"
END = "<!-- /generated -->"
HERE = Path(__file__).parent
OVERVIEW = HERE.parent / "docs" / "connectors.md"


class DocsError(Exception):
    """A page that has not exactly one pair of markers; the message names the page."""


def overview(connectors: Sequence[Connector]) -> str:
    """The table of all connectors, one a row, in Markdown."""
    head = [
        "| connector | for | proof of origin | grade | media types | largest body | event types |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = [
        f"| [{c.name}](../connectors/{c.name}/README.md) | {_cell(c.title)} | {' | '.join(_webhook(c).values())} "
        f"| {len(c.events)} |"
        for c in connectors
    ]
    return "\n".join([*head, *rows])


def table(connector: Connector) -> str:
    """One connector's declaration: its webhook, its settings and every event type it knows, in Markdown."""
    webhook = [f"| {word} | {value} |" for word, value in _webhook(connector).items()]
    settings = [
        f"| `{name}` | {_cell(f.description or '')} | {'yes' if f.is_required() else 'no'} |"
        for name, f in connector.config.model_fields.items()
    ]
    events = [
        f"| `{_cell(name)}` | {f'`{kind.value}`' if kind else 'known, not an alert'} |" for name, kind in connector.events.items()
    ]
    parts = [
        ["| webhook | |", "|---|---|", *webhook],
        ["| setting | what it is | required |", "|---|---|---|", *settings] if settings else ["It needs no settings."],
        ["| event type | becomes |", "|---|---|", *events],
    ]
    return "\n\n".join("\n".join(part) for part in parts)


def filled(page: str, block: str, name: str) -> str:
    """The page with what stands between its markers replaced. Raises DocsError without exactly one pair of them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise DocsError(f"{name} needs exactly one pair of the markers {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{block}\n\n{END}{after}"


def pages() -> Mapping[Path, str]:
    """Every page with generated parts -> what it should hold."""
    ours = [registry()[name] for name in folders()]
    blocks = {OVERVIEW: overview(ours), **{HERE / c.name / "README.md": table(c) for c in ours}}
    return {path: filled(path.read_text(encoding="utf-8"), block, path.name) for path, block in blocks.items()}


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with `--check` name those that are not as declared and return 1."""
    stale = {path: text for path, text in pages().items() if path.read_text(encoding="utf-8") != text}
    if "--check" in arguments:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(HERE.parent)} is not fresh: run python -m connectors.docs\n")
        return 1 if stale else 0
    for path, text in stale.items():
        path.write_text(text, encoding="utf-8")
    return 0


def _webhook(connector: Connector) -> dict[str, str]:
    plan = connector.webhook
    if plan is None:
        return dict.fromkeys(("proof of origin", "grade", "media types", "largest body"), "none")
    verifier = plan.verifier
    headers = ", ".join(f"`{header}`" for header in sorted(verifier.headers))
    proof = f"not signed: {verifier.stand_in}" if isinstance(verifier, NotSigned) else f"{verifier.scheme} ({headers})"
    return {
        "proof of origin": _cell(proof),
        "grade": verifier.grade.value.replace("_", " "),
        "media types": ", ".join(sorted(plan.media_types)),
        "largest body": f"{plan.largest_body / 1024 / 1024:g} MiB",
    }


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
