"""Prints what came of the scenario: the accounts in full, and how they compare with the truth."""

from collections import Counter
from collections.abc import Iterator, Mapping

from rich.table import Table

from app.demo.check import Result
from app.demo.enrollment import ASKED, Service
from app.demo.export import HandIn
from app.demo.forwarded import Mailed
from app.demo.play import Script
from app.demo.programme import Knock, Telling
from app.demo.truth import Heard
from app.intake.schemas import Accounts

_EVENTS = {
    "events": "events",
    "= new": "new",
    "+ again": "sightings",
    "+ changed": "revisions",
    "+ no alert": "non_alerts",
    "+ breaches": "breach_records",
    "+ handed on": "handed_on",
    "+ set aside": "quarantined",
}


def summary(script: Script) -> str:
    """What is going to be played, in one sentence."""
    mails = sum(isinstance(doing, Mailed) for doing in script.programme)
    rows = max(len(doing.rows) for doing in script.programme if isinstance(doing, HandIn))
    return (
        f"{len(script.people)} invented members, {len(script.truth.incidents)} things that happen to "
        f"{len({i.member for i in script.truth.incidents})} of them, {len(script.deliveries)} deliveries over HTTP, {len(ASKED)} "
        f"providers that are asked, {mails} mails that members forward, a file of {rows} rows, two years."
    )


def _table(title: str, headings: Iterator[str] | list[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_edge=False, pad_edge=False, padding=(0, 0))
    table.add_column("", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def _lines(result: Result) -> Iterator[tuple[str, Accounts]]:
    """Each connection of the union, the union, the other organization."""
    for service, found in result.books.connections.items():
        yield service.named.removesuffix(" (invented)"), found
    yield "the union in all", result.books.total
    yield "the other organization", result.books_elsewhere.total


def accounts_table(result: Result) -> Table:
    """Deliveries = receipts + repeats + refused, for each connection and in all."""
    table = _table("\nEvery delivery is in one place", ["deliveries", "= receipts", "+ repeats", "+ refused"])
    for name, found in _lines(result):
        counts = (found.deliveries, found.receipts, found.repeats, sum(found.refused.values()))
        table.add_row(name, *map(str, counts))
    return table


def events_table(result: Result) -> Table:
    """Events = new + sighting + revision + known non-alert + breach record + quarantined, for each connection and in all."""
    table = _table("\nEvery event has one outcome", list(_EVENTS))
    for name, found in _lines(result):
        table.add_row(name, *(str(getattr(found, column)) for column in _EVENTS.values()))
    return table


def notes(script: Script, result: Result) -> Iterator[str]:
    """What stands beside the accounts: refusals by reason, what waits for a person, what was looked up, what went wrong."""
    books, total = result.books, result.books.total
    astray = {"sent to no address": books.astray}
    yield f"Refused: {_counted({**total.refused, **astray})}."
    yield f"Set aside: {_counted({'nothing can be cut out of it': total.unsplittable, 'signed too long ago': total.stale})}."
    yield f"Nobody's: {_counted(total.unmatched)}."
    for service, found in books.connections.items():
        if found.look_ups:
            yield f"Looked up for {service.named.removesuffix(' (invented)')}: {_counted(found.look_ups)}."
    lost = _lost(script)
    yield f"{lost} alerts whose notices were lost in one week came in by the daily list; the provider was down that week too."
    yield f"{script.told.set_aside} alerts with a new word were set aside, and understood after the connector was mended."
    yield from _by_people(script, result)
    requests = [count for count, _ in result.outage]
    yield f"In an outage of hours the provider was asked {sum(map(bool, requests))} times, and else left alone."


def _by_people(script: Script, result: Result) -> Iterator[str]:
    """What members forwarded, what they looked up for us, and what stood in the file."""
    connections = result.books.connections
    carried, mail, file = connections[Service.CARRIER], connections[Service.MAIL], connections[Service.EXPORT]
    hints = script.truth.heard(Heard.HINT)
    looked = sum(incident.looked is not None for incident in hints)
    yield (
        f"{carried.receipts} mails were forwarded, their alerts: {_counted(result.mails)}. {mail.sightings} came by two ways, "
        f"{mail.quarantined} that no rule knows waits for a person."
    )
    yield f"{len(hints)} mails said no more than to log in; {looked} members did, and told what stood there."
    rows = {"alerts": file.alerts, "told again": file.sightings, "no alert": file.non_alerts, "wrong": file.quarantined}
    yield f"Of {file.events} rows of a file: {_counted(rows)}."


def _lost(script: Script) -> int:
    """The alerts of the week in which no notice came."""
    waiting = lost = 0
    for doing in script.programme:
        if isinstance(doing, Telling) and doing.service is Service.BUREAUS:
            waiting += 1
        elif isinstance(doing, Knock) and doing.service is Service.BUREAUS and not doing.made_up:
            lost, waiting = lost + waiting * doing.lost, 0
    return lost


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(Counter(counts).items()) if count) or "none"


def verdict(script: Script, result: Result) -> Iterator[str]:
    """How the end compares with the truth, and every difference."""
    yield ""
    yield from notes(script, result)
    yield ""
    close = result.books.close and result.books_elsewhere.close
    yield f"The accounts close: {'yes, of each connection and in all' if close else 'NO'}."
    yield (
        f"{result.true_incidents} true incidents of {result.members_hit} members (of {len(script.people)}): "
        f"precision {result.precision:.3f}, recall {result.recall:.3f}. An application and the account it led to are two."
    )
    yield "{} incidents were told of by two services, {} by three or more.".format(*result.several)
    yield f"The statistics show {result.visible_cells} numbers; the narrowest range of a hidden one: {result.narrowest}."
    if not result.differences:
        yield "Everything is as the truth of the scenario has it."
        return
    yield f"{len(result.differences)} differences from the truth of the scenario:"
    yield from (f"  - {line}" for line in result.differences)
