"""A member reports something themselves: what they found out, what they read after logging in, a document that they have.

It goes the way of everything that comes in: kept sealed with its ledger entry, one COMMIT, and understood by the workers
afterwards. By reporting the member is enrolled with the organization's own connection, and agrees.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from app.access.roles import Principal
from app.connections.service import own_connection, refused
from app.incidents import details, repository
from app.intake.models import Channel
from app.intake.receive import Arrival, Kept, keep_from_a_person
from app.kit import clock
from app.kit.database import Transaction
from app.kit.errors import FieldError, Problem, not_found
from app.kit.keyring import Keyring
from app.members import repository as members
from app.members.service import enroll_oneself
from connectors.own.connector import ENTERED, beside, written
from connectors.own.documents import media_type_of
from connectors.own.report import Report

MOST_A_DAY = 50
"""Reports that one member may make in 24 hours. No real day has so many, and one that may go on without end fills the disk."""

DOCUMENT = "document"
LONGEST_NAME = 60
"""Letters that are told back of the name of a field that there is not."""

_DAY = "Write the day as year-month-day, such as 2023-03-30. No day lies in the future."
_HELP = {
    "kind": "Choose what happened.",
    "institution": "Write the name in one line of at most 200 letters, or leave it empty.",
    "last_four": "Write the last two to four digits only, or leave it empty.",
    "amount": "Write an amount above zero with at most two places, such as 120.50, or leave it empty.",
    "currency": "Write the currency as three capital letters, such as USD.",
    "happened_from": _DAY,
    "happened_to": _DAY,
    "found_on": _DAY,
    "note": "Write at most 2,000 ordinary characters, or leave it empty.",
    "completes": "This is none of your alerts. Open your timeline again and begin from there.",
    DOCUMENT: "Choose a PDF, a photo (JPEG, PNG, HEIC, TIFF) or a plain text file. This file is none of these, or it is empty.",
}
"""What to do about a field that is wrong."""
ORDER = "These days do not fit together: the first comes after the last, or it happened after you found out."


def report_of(fields: Mapping[str, str], document: bytes | None = None) -> Report:
    """What was typed in, by the names of `Report`; an empty field was left out.

    An amount without a currency is in US dollars, as the form says. Raises a 422 Problem that names every field that is not
    right, also the document where it is of no sort that is taken.
    """
    typed: dict[str, Any] = {name: text.replace("\r\n", "\n").strip() for name, text in fields.items()}
    given = {name: text for name, text in typed.items() if text}
    wrong = []
    if "amount" in given:
        given.setdefault("currency", "USD")
    elif given.pop("currency", None) is not None:
        wrong.append(_told(("amount",)))
    if document is not None and media_type_of(document) is None:
        wrong.append(_told((DOCUMENT,)))
    try:
        report = Report.model_validate(given)
    except ValidationError as error:
        report = None
        wrong = [_told(one["loc"]) for one in error.errors(include_input=False, include_url=False)] + wrong
    if report is None or wrong:  # raised out here, so that what was typed is not chained to it
        raise Problem(422, "Some fields are not right yet.", errors=wrong)
    return report


def _told(place: tuple[int | str, ...]) -> FieldError:
    name = str(place[0])[:LONGEST_NAME] if place else "happened_from"
    message = _HELP.get(name, "There is no such field.") if place else ORDER
    return FieldError(field=f"body.{name}", message=message)


async def take(tx: Transaction, keyring: Keyring, caller: Principal, report: Report, document: bytes | None) -> Kept:
    """Keep one report of the calling member. Raises a 404, 409 or 422 Problem.

    409: too many in one day. The same report again is the one that is there. `document`: of a sort that is taken (`report_of`).
    """
    member = await members.member(tx, caller.organization_id, caller.member_id or UUID(int=0), lock=True)
    if member is None or member.wrapped_key is None:
        raise not_found()
    _refuse_future(report, clock.now().date())
    if report.completes is not None and not await repository.incidents_holding(tx, {(member.id, report.completes)}):
        raise refused("completes", _HELP["completes"])
    connection = await own_connection(tx, keyring, member.organization_id, caller.actor)
    since = clock.now() - timedelta(days=1)
    if await details.events_since(tx, member.id, connection.id, since) >= MOST_A_DAY:
        raise Problem(409, f"You have reported {MOST_A_DAY} things since yesterday, which is as many as we take. Go on tomorrow.")
    index = await enroll_oneself(tx, keyring, member, connection.id, caller.actor)
    body = written(report) if document is None else document
    asked = beside(report, str(member.id), document)
    arrival = Arrival(body, ENTERED, Channel.ENTERED, asked=asked, about_index=index)
    (kept,) = await keep_from_a_person(tx, keyring, connection, [arrival])
    return kept


def _refuse_future(report: Report, today: date) -> None:
    days = {name: getattr(report, name) for name in ("happened_from", "happened_to", "found_on")}
    late = [FieldError(field=f"body.{name}", message=_DAY) for name, day in days.items() if day is not None and day > today]
    if late:
        raise Problem(422, _DAY, errors=late)
