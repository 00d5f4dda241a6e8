"""Prints what came of the scenario: the accounts in full, and how they compare with the truth."""

from collections.abc import Iterator

from rich.table import Table

from app.demo.check import Result, closes
from app.demo.play import Script
from app.intake.schemas import Accounts


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_edge=False, pad_edge=False)
    table.add_column("")
    for heading in ("union", "other organization"):
        table.add_column(heading, justify="right")
    return table


def accounts_table(result: Result) -> Table:
    """Deliveries = receipts + repeats + refused, by reason; beside them what waits and what went astray."""
    ours, theirs = result.accounts, result.accounts_elsewhere
    table = _table("\nEvery delivery is in one place")
    _row(table, "deliveries", ours, theirs, "deliveries")
    _row(table, "  = receipts", ours, theirs, "receipts")
    _row(table, "  + repeats of the same bytes", ours, theirs, "repeats")
    for reason in sorted(ours.refused.keys() | theirs.refused.keys()):
        counts = (str(accounts.refused.get(reason, 0)) for accounts in (ours, theirs))
        table.add_row(f"  + refused: {reason.replace('_', ' ')}", *counts)
    table.add_section()
    _row(table, "receipts that nothing can be cut out of", ours, theirs, "unsplittable")
    _row(table, "receipts signed too long ago", ours, theirs, "stale")
    table.add_row("refused at an address that does not exist", str(result.astray), "")
    return table


def events_table(result: Result) -> Table:
    """Events = new + sighting + revision + known non-alert + breach record + quarantined; beside them unmatched alerts."""
    ours, theirs = result.accounts, result.accounts_elsewhere
    table = _table("\nEvery event has one outcome")
    rows = {
        "events": "events",
        "  = new alerts": "new",
        "  + sightings (the same again)": "sightings",
        "  + revisions (other content)": "revisions",
        "  + known, not an alert": "non_alerts",
        "  + breach records": "breach_records",
        "  + quarantined": "quarantined",
    }
    for label, column in rows.items():
        _row(table, label, ours, theirs, column)
    table.add_section()
    for reason in sorted(ours.unmatched.keys() | theirs.unmatched.keys()):
        counts = (str(accounts.unmatched.get(reason, 0)) for accounts in (ours, theirs))
        table.add_row(f"alerts that are nobody's: {reason.replace('_', ' ')}", *counts)
    return table


def _row(table: Table, label: str, ours: Accounts, theirs: Accounts, column: str) -> None:
    table.add_row(label, str(getattr(ours, column)), str(getattr(theirs, column)))


def verdict(script: Script, result: Result) -> Iterator[str]:
    """How the end compares with the truth, and every difference."""
    yield ""
    yield f"The accounts close: {'yes' if closes(result.accounts) and closes(result.accounts_elsewhere) else 'NO'}."
    yield (
        f"{result.true_incidents} true incidents of {result.members_hit} members (of {len(script.people)}): "
        f"precision {result.precision:.3f}, recall {result.recall:.3f}. An application and the account it led to are two."
    )
    yield f"The statistics show {result.visible_cells} numbers; the narrowest range of a hidden one: {result.narrowest}."
    if not result.differences:
        yield "Everything is as the truth of the scenario has it."
        return
    yield f"{len(result.differences)} differences from the truth of the scenario:"
    yield from (f"  - {line}" for line in result.differences)
