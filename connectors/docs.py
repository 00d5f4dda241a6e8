"""Writes what the connectors declare into their pages: `python -m connectors.docs` writes, `--check` only looks."""

from __future__ import annotations

import ast
import inspect
import sys
import tokenize
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from connectors.contract import Connector, Notice
from connectors.registry import folders, registry
from connectors.verifiers import Grade, NotSigned

BEGIN = "<!-- generated: python -m connectors.docs -->"
END = "<!-- /generated -->"
HERE = Path(__file__).parent
OVERVIEW = HERE.parent / "docs" / "connectors.md"


class DocsError(Exception):
    """A page that has not exactly one pair of markers; the message names the page."""


def overview(connectors: Sequence[Connector]) -> str:
    """The tables of all connectors, in Markdown: how alerts come in, what that can prove, and how much code each is."""
    ways = [
        [_linked(c), _cell(c.title), comes_in(c), _webhook(c)["proof of origin"], found_later(c), kept_raw(c), str(len(c.events))]
        for c in connectors
    ]
    proofs = [[_linked(c), " or ".join(g.replace("_", " ") for g in grades(c)), proves(c)] for c in connectors]
    sizes = [[_linked(c), *map(str, sizes_of(c))] for c in connectors]
    blocks = [
        _table(
            ["connector", "for", "comes in", "proof of a delivery", "found again after a gap", "raw data kept", "event types"],
            ways,
        ),
        "### What each can and cannot prove about an alert's origin\n",
        _table(["connector", "what it tells is graded", "which means"], proofs),
        "### How much code each is\n",
        "Lines that hold code: no blank lines, comments or docstrings. The fake provider and the fixtures are not counted.\n",
        _table(["connector", "`connector.py`", "of it imports", "tables and helpers beside it"], sizes),
    ]
    return "\n".join(blocks)


def comes_in(connector: Connector) -> str:
    """By which ways a connector's alerts come."""
    plan = connector.poll
    ways = (
        ["pushed" if Notice.GO_AND_LOOK not in connector.events.values() else "a notice is pushed"] if connector.webhook else []
    )
    ways += ["looked up one by one"] if connector.looks_up else []
    ways += ["handed in by people"] if connector.by_hand else []
    ways += [f"asked for every {_span(plan.every)}, and all anew every {_span(plan.sweep_every)}"] if plan else []
    if connector.hands_on_to == connector.name:
        ways += ["handed on by other connectors"]
    receiver = _receiver(connector)
    return "; ".join(ways) + (f", and each message in it is handed on to `{receiver}`" if receiver else "")


def found_later(connector: Connector) -> str:
    """Whether what was missed while nobody could be reached is found later."""
    if connector.poll is not None:
        return "yes, by asking"
    if connector.webhook is None:
        return "only what is handed in again"
    return "only what is sent again" + ("; what a notice named is looked up a few times" if connector.looks_up else "")


def called_silent(connector: Connector) -> str:
    """After how long without anything an alarm is raised, where the connection says nothing else."""
    fresh = connector.poll.freshness if connector.poll else connector.webhook.fresh_within if connector.webhook else None
    return f"after {_span(fresh)} without anything" if fresh else "never, unless the connection says when"


def kept_raw(connector: Connector) -> str:
    """How long the provider's raw data is kept."""
    return _span(connector.retention.raw) if connector.retention else "no limit declared"


def grades(connector: Connector) -> list[Grade]:
    """How well a connector's alerts are proven, by each way that they come in, at the least; a notice is no alert.

    A message inside a delivery is graded by what it proves itself, whoever brings it.
    """
    receiver = _receiver(connector)
    if receiver is not None:
        return grades(registry()[receiver])
    told = [connector.webhook.verifier.grade] if connector.webhook and not _only_notices(connector) else []
    fetched = [Grade.FETCHED] if connector.poll or connector.looks_up else []
    handed = [connector.proof_of(b"", {}).grade] if connector.by_hand else []
    inside = [Grade.THIRD_PARTY] if _proves_itself(connector) else []
    return [*inside, *told, *fetched, *handed]


def proves(connector: Connector) -> str:
    """What can and cannot be shown about where a connector's alerts come from, in plain words, from its declaration."""
    said = []
    if connector.webhook is not None:
        verifier = connector.webhook.verifier
        what = "A notice" if _only_notices(connector) else "A delivery"
        said.append(f"{what} {_SHOWS[verifier.grade]}" + (" It is only a reason to look." if _only_notices(connector) else ""))
    if _receiver(connector):
        said.append("That says nothing about a message in it." if said else "")
        said.append("A message is graded by what it proves itself, whoever brings it.")
        return " ".join(said).strip()
    if _proves_itself(connector):
        said.append("A message that its sender signed, and that came unchanged, an outsider can check.")
    if connector.poll or connector.looks_up:
        said.append("What we fetched came from the provider's own address over TLS: we know it, an outsider has our word for it.")
    if connector.by_hand:
        said.append(_HANDED[connector.proof_of(b"", {}).grade])
    return " ".join(said)


def sizes_of(connector: Connector) -> tuple[int, int, int]:
    """Lines of code: of connector.py, of its imports alone, and of the other modules but the fake provider."""
    folder = folder_of(connector)
    code = (folder / "connector.py").read_text(encoding="utf-8")
    others = [path for path in sorted(folder.glob("*.py")) if path.name not in {"connector.py", "sandbox.py"}]
    imports = {line for node in ast.parse(code).body if isinstance(node, ast.Import | ast.ImportFrom) for line in _lines_of(node)}
    return len(code_lines(code)), len(imports), sum(len(code_lines(path.read_text(encoding="utf-8"))) for path in others)


def code_lines(source: str) -> frozenset[int]:
    """The numbers of the lines that hold code: a blank line, a comment and a docstring are none."""
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = tokenize.generate_tokens(iter(source.splitlines(keepends=True)).__next__)
    code = {line for token in tokens if token.type not in silent for line in range(token.start[0], token.end[0] + 1)}
    texts = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    return frozenset(code - {line for node in texts for line in _lines_of(node)})


def folder_of(connector: Connector) -> Path:
    """Where a connector's module lies."""
    return Path(inspect.getfile(type(connector))).parent


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
    asked = {
        "comes in": comes_in(connector),
        "found again after a gap": found_later(connector),
        "called silent": called_silent(connector),
        "raw data kept": kept_raw(connector),
        **({"of people who are not enrolled": "only that there was somebody"} if connector.names_strangers else {}),
    }
    parts = [
        ["| way | |", "|---|---|", *(f"| {word} | {value} |" for word, value in asked.items())],
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


def pages(others: Iterable[str] = ()) -> Mapping[Path, str]:
    """Every page with generated parts -> what it should hold. `others`: connectors of other packages, whose pages lie with them.

    Raises DocsError for a name that no connector has.
    """
    unknown = [name for name in others if name not in registry()]
    if unknown:
        raise DocsError(f"there is no connector {unknown[0]!r}")
    ours = [registry()[name] for name in folders()]
    described = [*ours, *(registry()[name] for name in others if name not in folders())]
    blocks = {OVERVIEW: overview(ours), **{folder_of(c) / "README.md": table(c) for c in described}}
    return {path: filled(path.read_text(encoding="utf-8"), block, path.name) for path, block in blocks.items()}


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with `--check` name those that are not as declared and return 1. Other words are names: see `pages`."""
    others = [word for word in arguments if not word.startswith("-")]
    stale = {path: text for path, text in pages(others).items() if path.read_text(encoding="utf-8") != text}
    if "--check" in arguments:
        for path in stale:
            shown = path.relative_to(HERE.parent) if path.is_relative_to(HERE.parent) else path
            sys.stderr.write(f"{shown} is not fresh: run python -m connectors.docs\n")
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
    proof = (
        f"not signed: {verifier.stand_in}"
        if isinstance(verifier, NotSigned)
        else f"{verifier.scheme} ({headers or 'in the body itself'})"
    )
    return {
        "proof of origin": _cell(proof),
        "grade": verifier.grade.value.replace("_", " "),
        "media types": ", ".join(sorted(plan.media_types)),
        "largest body": f"{plan.largest_body / 1024 / 1024:g} MiB",
    }


_SHOWS = {
    Grade.THIRD_PARTY: "is signed with a key that the provider alone holds: an outsider can check it.",
    Grade.SHARED_SECRET: "shows us that its sender knows the secret; we know it too, so an outsider has our word for it.",
    Grade.UNVERIFIABLE: "proves nothing: anybody who knows the address can send one.",
}


_HANDED = {
    Grade.UNVERIFIABLE: "What is handed in proves what is in it to prove; else we have the word of whoever handed it in.",
    Grade.ORGANIZATION: "What is handed in shows that the organization says so, and which bytes it handed in, when.",
    Grade.MEMBER: "What a member entered shows that they say so, and which bytes they handed in, when.",
}


def _receiver(connector: Connector) -> str | None:
    """The other connector that takes what this one hands on."""
    return connector.hands_on_to if connector.hands_on_to != connector.name else None


def _proves_itself(connector: Connector) -> bool:
    """Whether a message may carry its own proof."""
    return connector.hands_on_to == connector.name and type(connector).proof_of is not Connector.proof_of


def _only_notices(connector: Connector) -> bool:
    """Whether what is pushed names alerts and tells none."""
    return Notice.GO_AND_LOOK in connector.events.values()


def _linked(connector: Connector) -> str:
    return f"[{connector.name}](../connectors/{connector.name}/README.md)"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _span(span: timedelta) -> str:
    """In days, hours or minutes, as a person says it."""
    if span < timedelta(hours=1):
        minutes = round(span.total_seconds() / 60)
        return "minute" if minutes == 1 else f"{minutes} minutes"
    hours = round(span.total_seconds() / 3600)
    number, word = (hours // 24, "day") if hours % 24 == 0 else (hours, "hour")
    return word if number == 1 else f"{number} {word}s"


def _lines_of(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
