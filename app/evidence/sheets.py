"""What a member's pages hold: the timeline, a sheet for each incident, losses, links with both sides. Values only, no layout."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.connections import repository as connections
from app.damages.schemas import LossView
from app.damages.service import losses_of, totals
from app.evidence.wording import ANSWERS, BUREAUS, between, in_third_person, moment, shown
from app.incidents import repository as incidents
from app.incidents.disputed import disputed_events
from app.incidents.identity import Answer
from app.incidents.matching import sealed_at
from app.incidents.models import Incident, MemberEvent, Verdict
from app.kit.database import Transaction
from app.kit.keyring import Keyring
from app.linkage.findings import Direction
from app.linkage.schemas import FactView, LinkView, WaveView
from app.linkage.service import present_links
from app.linkage.wording import listed
from app.members.keys import Profile, open_json
from app.timeline.masking import mask_text
from app.timeline.service import entry
from app.timeline.wording import grade_text
from connectors.verifiers import Grade

SIDES = (
    (Direction.FOR, "Speaks for the link"),
    (Direction.AGAINST, "Speaks against the link"),
    (Direction.NEUTRAL, "Speaks neither way"),
    (Direction.NOT_ASSESSABLE, "Cannot be assessed"),
)
"""Both sides, always all of them: a side on which nothing stands says so."""

NOT_ASSESSED = "not assessed"

ORDERS = {
    "before_theft": "wholly before the theft began",
    "between_theft_and_publication": "between the theft and the publication of this part",
    "after_publication": "after the publication of this part",
    "unknown": "not known",
}


@dataclass(frozen=True, slots=True)
class Person:
    """A member as the packet is about to show them. `exhibits`: the number of the exhibit of each event that is shown.

    `alerts`: the alerts that are shown; what is withheld appears in no sheet.
    """

    member_id: UUID
    profile: Profile
    key: bytes
    exhibits: Mapping[UUID, str]
    alerts: Collection[UUID]


@dataclass(frozen=True, slots=True)
class Sheets:
    """A member's incidents, oldest first, and losses, as JSON values; `rows`: the timeline, one for each alert's telling."""

    incidents: list[dict[str, Any]]
    rows: list[dict[str, str]]
    losses: list[dict[str, Any]]
    totals: list[dict[str, str]]


async def sheets_of(tx: Transaction, keyring: Keyring, organization_id: UUID, person: Person) -> Sheets:
    """Everything that is shown of one member's incidents."""
    member_id = person.member_id
    held = await incidents.alerts_by_incident(tx, member_id)
    events = await incidents.events_of_member(tx, member_id)
    verdicts = await incidents.verdicts_of_member(tx, member_id)
    disputed = await disputed_events(tx, member_id)
    titles = {one.id: one.title for one in await connections.connections_of(tx, organization_id)}
    made = Sheets([], [], [], [])
    rows = [row for row in await incidents.incidents_of_member(tx, member_id) if row.redirect_to is None]
    losses = await losses_of(tx, keyring, organization_id, member_id, [row.id for row in rows])
    links = await present_links(tx, organization_id, member_id, [row.id for row in rows])
    counted: list[LossView] = []
    for row in sorted(rows, key=lambda one: (one.first_received_at, one.id)):
        alerts = held.get(row.id, frozenset()) & frozenset(person.alerts)
        own = [event for event in events if event.alert_id in alerts]
        if not own:
            continue
        number = len(made.incidents) + 1
        told = [_event(person, event, titles.get(event.connection_id, "")) for event in own]
        sheet = _incident(person, row, own, disputed, number) | {
            "told": [one for one in told if one["bates"]],
            "answers": [_answer(one) for one in verdicts if alerts & {UUID(alert) for alert in one.shown_alerts}],
            "links": [_link(link) for link in links if link.incident_id == row.id],
            "losses": [_loss(loss, number) for loss in losses if loss.incident_id == row.id],
        }
        made.incidents.append(sheet)
        made.rows.extend(_row(sheet, one) for one in sheet["told"])
        made.losses.extend(sheet["losses"])
        counted += [loss for loss in losses if loss.incident_id == row.id and loss.counts]
    made.totals.extend(_total(line.currency, line.gross, line.reimbursed, line.net) for line in totals(counted))
    return made


def _incident(
    person: Person, row: Incident, events: Sequence[MemberEvent], disputed: Collection[UUID], number: int
) -> dict[str, Any]:
    names = [_copy(person, event)["alert"]["institution"] for event in events]
    said = entry(row, events, names, disputed)
    return {
        "number": str(number),
        "id": str(row.id),
        "title": in_third_person(said.title),
        "kind": row.kind,
        "institution": mask_text(said.institution or ""),
        "last_four": said.last_four or "",
        "amount": _money(said.amount, said.currency),
        "bureaus": ", ".join(BUREAUS[bureau] for bureau in said.bureaus),
        "claimed": between(said.claimed),
        "first_received": shown(row.first_received_at),
        "answer": ANSWERS[Answer(row.answer)],
        "disputed": said.disputed,
        "needs_review": row.needs_review,
        "only_a_hint": said.details_requested,
    }


def _copy(person: Person, event: MemberEvent) -> Any:
    return open_json(person.key, event.sealed, *sealed_at(event.member_id, event.event_id))


def _event(person: Person, event: MemberEvent, source: str) -> dict[str, str]:
    told = _copy(person, event)["alert"]
    return {
        "bates": person.exhibits.get(event.event_id, ""),
        "event": str(event.event_id),
        "received": shown(event.received_at),
        "received_at": moment(event.received_at),
        "source": source,
        "summary": mask_text(told["summary"]),
        "grade": event.grade,
        "proof": grade_text(Grade(event.grade), own=False),
        "institution": mask_text(told["institution"] or ""),
        "last_four": event.last_four or "",
        "amount": _money(event.amount, event.currency),
        "bureau": event.bureau or "",
    }


def _answer(verdict: Verdict) -> dict[str, str]:
    count = len(verdict.shown_alerts)
    return {
        "answer": ANSWERS[Answer(verdict.answer)],
        "given": shown(verdict.given_at),
        "shown": f"{count} alert{'' if count == 1 else 's'}",
    }


def _loss(loss: LossView, number: int) -> dict[str, Any]:
    return {
        "incident": str(number),
        "incurred_on": loss.incurred_on.isoformat(),
        "head": loss.label,
        "amount": _money(loss.amount, loss.currency),
        "reimbursed": _money(loss.reimbursed, loss.currency),
        "net": _money(loss.net, loss.currency),
        "counts": loss.counts,
        "note": mask_text(loss.note or ""),
        "entered": shown(loss.entered_at),
    }


def _total(currency: str, gross: Decimal, reimbursed: Decimal, net: Decimal) -> dict[str, str]:
    named = {"amount": gross, "reimbursed": reimbursed, "net": net}
    return {name: _money(value, currency) for name, value in named.items()}


def _money(amount: Decimal | None, currency: str | None) -> str:
    return "" if amount is None else f"{amount:,.2f} {currency or ''}".strip()


def _link(link: LinkView) -> dict[str, Any]:
    titles = {wave.wave: wave.title for wave in link.waves}
    sides = [
        {"side": said, "facts": [_fact(fact, titles) for fact in link.facts if fact.direction is side]} for side, said in SIDES
    ]
    return {"breach": link.breach_name, "found": shown(link.found_at), "waves": [_wave(w) for w in link.waves], "sides": sides}


def _fact(fact: FactView, titles: Mapping[str, str]) -> str:
    """A fact, with the part of the breach that it is about."""
    return fact.text if fact.wave is None else f"{fact.text} (Of {titles.get(fact.wave, fact.wave)}.)"


def _wave(wave: WaveView) -> dict[str, str]:
    nexus = wave.nexus
    return {
        "title": wave.title,
        "order": ORDERS[wave.time_order.value],
        "exposure": wave.exposure_status.value.replace("_", " "),
        "needed": listed(nexus.needed) if nexus.needed else (nexus.reason or NOT_ASSESSED),
        "present": (listed(nexus.present) or "none of it") if nexus.needed else NOT_ASSESSED,
        "missing": (listed(nexus.missing) or "none") if nexus.needed else NOT_ASSESSED,
    }


def _row(sheet: Mapping[str, Any], told: Mapping[str, str]) -> dict[str, str]:
    """One line of the timeline: what a row of the summary says, and the exhibit that it rests on."""
    return {
        "exhibit": told["bates"],
        "received_at": told["received_at"],
        "claimed": sheet["claimed"],
        "incident": sheet["number"],
        "what": sheet["title"],
        "provider": told["source"],
        "institution": told["institution"],
        "last_four": told["last_four"],
        "amount": told["amount"],
        "bureau": told["bureau"],
        "grade": told["grade"],
        "answer": sheet["answer"],
    }


COLUMNS = (
    *("exhibit", "received_at", "claimed", "incident", "what", "provider", "institution", "last_four", "amount", "bureau"),
    *("grade", "answer", "sha256"),
)
"""The columns of the timeline as a table. `sha256`: of the original bytes, where the packet holds them."""
