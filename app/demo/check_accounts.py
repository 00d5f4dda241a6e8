"""Checks the accounts: of each connection and of all, and what the senders and providers themselves saw of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from app.connections.models import PollState
from app.demo.enrollment import SENDING, Service
from app.demo.expected import Told
from app.demo.plan import REFUSED, Way
from app.demo.play import Diary, Played
from app.incidents.repository import unmatched_counts
from app.intake import service as intake
from app.intake.gateway import NOBODY
from app.intake.schemas import Accounts
from connectors.sandboxing import Manner

STATUSES = {"not_authentic": 401, "too_large": 413, "wrong_type": 415}
TAKEN = 202


@dataclass(frozen=True)
class Books:
    """The house's own accounts of one organization: of each connection, and of all. `astray`: sent to no address."""

    connections: dict[Service, Accounts]
    total: Accounts
    astray: int = 0

    @property
    def close(self) -> bool:
        """Whether every delivery and every event is in exactly one place, connection by connection and in all."""
        return all(closes(found) for found in (*self.connections.values(), self.total))


def closes(accounts: Accounts) -> bool:
    """Whether every delivery and every event is in exactly one place."""
    events = accounts.new + accounts.sightings + accounts.revisions + accounts.non_alerts
    return (
        accounts.deliveries == accounts.receipts + accounts.repeats + sum(accounts.refused.values())
        and accounts.events == events + accounts.breach_records + accounts.handed_on + accounts.quarantined
        and accounts.alerts == accounts.new
        and accounts.waiting == 0
    )


async def books_of(played: Played, *, elsewhere: bool = False) -> Books:
    """What the house says, of the union, or with `elsewhere` of the other organization; its unmatched alerts are in the total."""
    tenant = played.neighbour if elsewhere else played.union
    async with played.context.database.begin(read_only=True) as tx:
        places = {service: made.connection.id for service, made in tenant.connections.items()}
        found = {service: await intake.accounts(tx, tenant.id, place) for service, place in places.items()}
    total = await _total(played, tenant.id)
    return Books(found, total, sum((await _total(played, NOBODY)).refused.values()))


async def _total(played: Played, organization_id: UUID) -> Accounts:
    async with played.context.database.begin(read_only=True) as tx:
        found = await intake.accounts(tx, organization_id)
        found.unmatched = await unmatched_counts(tx, organization_id)
        return found


def compare_books(whose: str, told: Told, books: Books) -> Iterator[str]:
    """Every column of the accounts against the truth, connection by connection and in all, and whether they close."""
    for service, found in books.connections.items():
        yield from _compare(f"{whose}, {service.named}", told.services[service].accounts(), found)
    yield from _compare(f"{whose} in all", told.accounts(), books.total)


def _compare(whose: str, wanted: Accounts, found: Accounts) -> Iterator[str]:
    if not closes(found):
        yield f"The accounts of {whose} do not close."
    for column, value in wanted.model_dump().items():
        if value != getattr(found, column):
            yield f"Accounts of {whose}: {column} should be {value} and is {getattr(found, column)}."


def check_diary(played: Played, astray: int) -> Iterator[str]:
    """What was seen on the way, against the plan."""
    told, elsewhere, diary = played.script.told, played.script.told_elsewhere, played.diary
    sent, planned = diary.answers.total(), sum(told.services[one].deliveries for one in SENDING)
    if sent != planned + told.astray + elsewhere.total.deliveries or astray != told.astray:
        yield f"The senders made {sent} deliveries, {astray} of them to no address; the plan says otherwise."
    for (way, status), count in sorted(diary.answers.items()):
        wanted = STATUSES[REFUSED[way]] if way in REFUSED else TAKEN
        if status != wanted:
            yield f"{count} deliveries ({Way(way).value}) were answered {status} and not {wanted}."
    for (service, manner, status), count in sorted(diary.knocks.items()):
        proves_itself = service in (Service.NIGHTLY, Service.METHOD, Service.CARRIER)
        wanted = STATUSES["not_authentic"] if proves_itself and manner is Manner.FORGED else TAKEN
        if status != wanted:
            yield f"{count} notices of {service.named} ({manner.value}) were answered {status} and not {wanted}."
    yield from _trouble(diary, told)


def _trouble(diary: Diary, told: Told) -> Iterator[str]:
    """What an older edition set aside is understood by the newer one; who answers with errors is left alone between attempts."""
    if diary.set_aside != (told.set_aside, 0):
        before, after = diary.set_aside
        yield f"{before} alerts with a new word were set aside and {after} stayed so; the plan says {told.set_aside} and 0."
    if len(diary.down) < 2 or set(diary.down[:-1]) != {PollState.UNREACHABLE} or diary.down[-1] != PollState.OK:
        yield f"While {Service.BUREAUS.named} was down and in the end its connection was {', '.join(diary.down)}."
    for requests, in_peace in diary.outage:
        if bool(requests) == in_peace:
            yield f"In its outage {Service.NIGHTLY.named} was asked {requests} times when it {_owed(in_peace=in_peace)}."


def _owed(*, in_peace: bool) -> str:
    return "was to be left alone" if in_peace else "was to be asked"
