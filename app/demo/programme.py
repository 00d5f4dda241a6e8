"""What the providers learn, when they knock, what goes wrong with them and when we ask: all written down before it is played.

Made from the truth alone, and rehearsed once with providers that nobody listens to: so the ids that they give are known.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby, pairwise
from random import Random

from app.demo.enrollment import Book, Service
from app.demo.export import HandIn, hand_ins
from app.demo.forwarded import Mailed, write_mails
from app.demo.institutions import Institution
from app.demo.providers import Providers
from app.demo.truth import BEGIN, END, Heard, TrueIncident, Truth
from connectors.method.vocabulary import OPENED
from connectors.sandboxing import Fault, Happening, Manner
from connectors.vocabulary import AlertKind, Bureau

STEP = timedelta(days=14)
"""How far the clock moves at once."""

ASKED_EVERY = 4
"""At every fourth step whoever is due is asked: each question is a real one and costs time."""

LAST_TOLD = END - timedelta(days=3)
AWAY = timedelta(days=7)
MENDED = datetime(2023, 7, 20, 9, tzinfo=UTC)
"""When the edition of the connector is installed that knows every word of Nightly Notices."""

NEW_WORD = "TRADELINE"
"""The word of Nightly Notices for a new account. The edition of the connector before `MENDED` does not know it."""

FORGED_AT = datetime(2023, 9, 6, 2, tzinfo=UTC)
FORGED_NOTICES, FORGED_BATCHES, FORGED_AT_METHOD = 24, 3, 2
LOST_AT_METHOD = 3
"""Every third of its notices is lost: the list of events tells what it told of."""

AT_NIGHT = time(4, 30, tzinfo=UTC)
BUREAUS = (Bureau.EQUIFAX, Bureau.EXPERIAN, Bureau.TRANSUNION)
IN_FULL = dict.fromkeys(
    (AlertKind.FILE_CHANGE_ADDRESS, AlertKind.INQUIRY_HARD, AlertKind.TAKEOVER_CARD), (Bureau.EXPERIAN, Bureau.TRANSUNION)
)
"""Equifax names no company with a new address, and no day with the others: there was nothing to set beside that."""

NAMES_THE_DIGITS = Bureau.EQUIFAX


@dataclass(frozen=True, slots=True)
class Telling:
    """A provider learns of something. `alert`: its own id of it; `under`: its own word for it, or the list in which it stands.

    `known_as`: the provider's id of the alert that comes of it, where that is another one.
    """

    at: datetime
    service: Service
    happening: Happening
    alert: str
    under: str
    incident: str | None = None
    known_as: str = ""

    @property
    def name(self) -> str:
        """The provider's id of the alert that comes of it."""
        return self.known_as or self.alert


@dataclass(frozen=True, slots=True)
class Knock:
    """A provider sends what waits. `lost`: nothing of it arrives, and it gives up.

    `made_up`: what somebody else sends in its name; of what will be refused only how many they are.
    """

    at: datetime
    service: Service
    manner: Manner = Manner.HONEST
    lost: bool = False
    made_up: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Outage:
    """A provider answers its next requests for details with faults."""

    at: datetime
    service: Service
    fault: Fault
    times: int


@dataclass(frozen=True, slots=True)
class Down:
    """Nobody answers at a provider's address from now on, or with `over` somebody does again. It goes on learning meanwhile."""

    at: datetime
    service: Service
    over: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """We ask whoever is due. `outage`: one of our attempts at it; `in_peace`: nothing is due, and it must be left alone."""

    at: datetime
    outage: bool = False
    in_peace: bool = False


@dataclass(frozen=True, slots=True)
class Mend:
    """The newer edition of a connector is installed, and what was set aside is handled again."""

    at: datetime


Doing = Telling | Knock | Outage | Down | Ask | Mend | Mailed | HandIn


@dataclass(frozen=True, slots=True)
class Listed:
    """An invented breach that the listing service adds. `held`: what of people it held, by what it makes possible."""

    title: str
    held: AlertKind
    day: date
    added: datetime


OTHER_BREACHES = (
    Listed("Invented Parcel Portal", AlertKind.EXPOSURE_SSN, date(2019, 8, 11), datetime(2022, 9, 13, 10, tzinfo=UTC)),
    Listed("Invented Fitness Club", AlertKind.EXPOSURE_CONTACT, date(2020, 2, 3), datetime(2023, 6, 13, 10, tzinfo=UTC)),
)


def steps() -> Iterator[datetime]:
    """The moments at which the clock stands still, the last one the end."""
    now = BEGIN
    while now < END:
        now = min(now + STEP, END)
        yield now


def asks() -> tuple[datetime, ...]:
    """Those of the steps at which whoever is due is asked, the last one the end."""
    return tuple(steps())[::-ASKED_EVERY][::-1]


def write_programme(seed: int, truth: Truth, book: Book) -> tuple[Doing, ...]:
    """Everything that the providers do and that is done with them, in order; always the same for a seed, a truth and a book."""
    rng = Random(f"{seed}:programme")
    learnt = [*_at_bureaus(rng, truth, book), *_at_nightly(rng, truth, book), *_at_listings(book), *_at_method(truth, book)]
    learnt.sort(key=lambda one: one.at)
    providers = Providers(lambda: BEGIN, book)
    told = [telling for one in learnt if one.at < FORGED_AT if (telling := _told(providers, one))]
    forged = tuple(providers.bureaus.made_up(number) for number in range(FORGED_NOTICES))
    told += [telling for one in learnt if one.at >= FORGED_AT if (telling := _told(providers, one))]
    at_bureaus, at_nightly = ([one for one in told if one.service is service] for service in (Service.BUREAUS, Service.NIGHTLY))
    nights = list(_nights(at_nightly))
    away = _busiest_week([one.at for one in at_bureaus])
    doings = [
        *told,
        *_knocks(at_bureaus, away),
        *_week_away(away),
        *nights,
        Knock(FORGED_AT, Service.BUREAUS, Manner.FORGED, made_up=forged),
        Knock(FORGED_AT, Service.NIGHTLY, Manner.FORGED, made_up=(b"",) * FORGED_BATCHES),
        Knock(FORGED_AT, Service.METHOD, Manner.FORGED, made_up=(b"",) * FORGED_AT_METHOD),
        *_method_knocks([one for one in told if one.service is Service.METHOD]),
        *_outage(at_nightly, nights),
        *(Ask(at) for at in asks()),
        Mend(MENDED),
        *write_mails(seed, truth, book),
        *hand_ins(truth, book),
    ]
    return tuple(sorted(doings, key=lambda doing: doing.at))


@dataclass(frozen=True, slots=True)
class _Learnt:
    at: datetime
    service: Service
    happening: Happening
    incident: str | None = None


def _told(providers: Providers, one: _Learnt) -> Telling | None:
    """What comes of it when the provider learns of it; None where it does not tell of such things."""
    alert = providers.sandboxes[one.service].tell(one.happening)
    if alert is None:
        return None
    match one.service:
        case Service.BUREAUS:
            under = providers.bureaus.alerts[alert].source
        case Service.NIGHTLY:
            under = str(providers.nightly.details[alert]["alertType"])
        case Service.METHOD:
            event = providers.method.listed[-1]
            opened = str(event["resource_id"]) if event["type"] == OPENED else ""
            return Telling(one.at, one.service, one.happening, alert, str(event["type"]), one.incident, opened)
        case _:
            under = alert
    return Telling(one.at, one.service, one.happening, alert, under, one.incident)


def _at_bureaus(rng: Random, truth: Truth, book: Book) -> Iterator[_Learnt]:
    """Each act in the file of one bureau, a few days after the first service told of it.

    Of two acts of one sort at one company only the bureau that names digits tells which is which.
    """
    at_one_company = Counter((i.member, i.kind.family, i.institution) for i in truth.heard(Heard.SERVICES))
    for incident, place in _of(truth, book, Service.BUREAUS):
        at = incident.noticed + timedelta(days=rng.randint(0, 4), seconds=rng.randint(3600, 20 * 3600))
        happening = _happening(rng, book.reference(Service.BUREAUS, incident.member) or "", incident, place, at)
        if at_one_company[incident.member, incident.kind.family, place] > 1:
            happening = replace(happening, bureau=NAMES_THE_DIGITS)
        yield _Learnt(happening.at, Service.BUREAUS, happening, incident.key)


def _at_nightly(rng: Random, truth: Truth, book: Book) -> Iterator[_Learnt]:
    for incident, place in _of(truth, book, Service.NIGHTLY):
        at = incident.noticed + timedelta(days=rng.randint(1, 12), seconds=rng.randint(0, 9000))
        happening = _happening(rng, book.reference(Service.NIGHTLY, incident.member) or "", incident, place, at)
        yield _Learnt(happening.at, Service.NIGHTLY, happening, incident.key)


def _at_listings(book: Book) -> Iterator[_Learnt]:
    """The first breach lists half of those whom the service knows, the star among them; the second lists two of the others."""
    known = [one.reference for one in book.enrolled[Service.LISTINGS]]
    half = len(known) // 2
    for breach, references in zip(OTHER_BREACHES, (known[:half], known[half : half + 2]), strict=True):
        for reference in references:
            happening = Happening(reference, breach.held, breach.added, breach.title, opened=breach.day)
            yield _Learnt(breach.added, Service.LISTINGS, happening)


def _of(truth: Truth, book: Book, service: Service) -> Iterator[tuple[TrueIncident, Institution]]:
    """What happens at some company to those whom a service knows; what names no company could be set beside nothing."""
    known = {one.external_id for one in book.enrolled[service]}
    for incident in truth.heard(Heard.SERVICES):
        if incident.member in known and incident.institution is not None:
            yield incident, incident.institution


def _at_method(truth: Truth, book: Book) -> Iterator[_Learnt]:
    """What nobody else tells of; it names no company and no day, so that nothing could be set beside it."""
    for incident in truth.heard(Heard.METHOD):
        name = incident.institution.name if incident.institution else None
        reference = book.reference(Service.METHOD, incident.member) or ""
        happening = Happening(reference, incident.kind, incident.noticed, name, incident.last_four)
        yield _Learnt(incident.noticed, Service.METHOD, happening, incident.key)


def _method_knocks(told: Sequence[Telling]) -> Iterator[Knock]:
    for number, telling in enumerate(told, 1):
        yield Knock(telling.at + timedelta(minutes=1), Service.METHOD, lost=number % LOST_AT_METHOD == 0)


def _happening(rng: Random, reference: str, incident: TrueIncident, place: Institution, at: datetime) -> Happening:
    return Happening(
        reference=reference,
        kind=incident.kind,
        at=min(at, LAST_TOLD),
        institution=rng.choice(place.spellings),
        last_four=incident.last_four,
        amount=incident.amount,
        opened=incident.happened_on,
        bureau=rng.choice(IN_FULL.get(incident.kind, BUREAUS)),
        product=incident.product,
    )


def _busiest_week(moments: Sequence[datetime]) -> tuple[datetime, datetime]:
    """The week in which most is told of."""
    begin = max(moments, key=lambda at: (sum(at <= other < at + AWAY for other in moments), at))
    return begin, begin + AWAY


def _knocks(told: Sequence[Telling], away: tuple[datetime, datetime]) -> Iterator[Knock]:
    """A notice a minute after each alert, now and then twice; in one week none arrives."""
    for number, telling in enumerate(told):
        manner = Manner.TWICE if number % 4 == 1 else Manner.HONEST
        lost = away[0] <= telling.at < away[1]
        yield Knock(telling.at + timedelta(minutes=1), Service.BUREAUS, manner, lost=lost)


def _week_away(away: tuple[datetime, datetime]) -> Iterator[Doing]:
    """In the week in which none of its notices arrives, it does not answer either; in the middle of it we ask in vain."""
    yield Down(away[0], Service.BUREAUS)
    yield Ask(away[0] + AWAY / 2)
    yield Down(away[1], Service.BUREAUS, over=True)


def _nights(told: Sequence[Telling]) -> Iterator[Knock]:
    """One batch in each night before which something was learnt."""
    for day, _ in groupby(told, key=lambda telling: telling.at.date()):
        yield Knock(datetime.combine(day + timedelta(days=1), AT_NIGHT), Service.NIGHTLY)


def _outage(told: Sequence[Telling], nights: Sequence[Knock]) -> Iterator[Doing]:
    """After the night with most to tell the provider answers with errors for hours; between our attempts it is left alone."""
    later = [night.at for night in nights if night.at > MENDED]
    if not later:
        return
    begun = max(pairwise([MENDED, *later]), key=lambda night: sum(night[0] < one.at < night[1] for one in told))[1]
    for hours, fault, times in ((0, Fault.BROKEN, 3), (1, Fault.AWAY, 3), (3, Fault.LIMITED_SECONDS, 1)):
        at = begun + timedelta(hours=hours, minutes=1)
        yield Outage(at, Service.NIGHTLY, fault, times)
        yield Ask(at, outage=True)
        yield Ask(at + timedelta(seconds=1), outage=True, in_peace=True)
