"""The member with most to show: one story told on purpose, so that a reader sees every side of a timeline."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random

from app.damages.heads import Head
from app.damages.schemas import Payer
from app.demo.institutions import BANKS, CAR_LENDERS, CARD_ISSUERS, OFFICES, PAYROLL, Institution
from app.demo.truth import Back, Cause, Cost, Phase, Said, TrueIncident
from app.incidents.identity import Answer
from connectors.vocabulary import AlertKind

K = AlertKind


def _at(year: int, month: int, day: int, hour: int = 17) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def _incident(
    member: str,
    kind: AlertKind,
    cause: Cause,
    phase: Phase,
    day: date,
    noticed: datetime,
    place: Institution | None = None,
    *,
    last_four: str | None = None,
    amount: str | None = None,
    said: tuple[Said, ...] = (),
    costs: tuple[Cost, ...] = (),
    product: AlertKind | None = None,
) -> TrueIncident:
    return TrueIncident(
        key="",
        member=member,
        kind=kind,
        cause=cause,
        phase=phase,
        happened_on=day,
        noticed=noticed,
        product=product,
        institution=place,
        last_four=last_four,
        amount=Decimal(amount) if amount else None,
        said=said,
        costs=costs,
    )


def star_incidents(rng: Random, member: str) -> Iterator[TrueIncident]:
    """One member's acts, before the theft, between, and after; keys are given later. `rng` draws account digits only."""
    yield from _before_and_between(rng, member)
    yield from _cards(rng, member)
    yield from _later(rng, member)


def _taken(at: datetime, day: date, amount: str, payer: Payer, back: str) -> Cost:
    return Cost(at, Head.FRAUD_LOSS, Decimal(amount), day, (Back(payer, Decimal(back)),))


def _digits(rng: Random) -> str:
    return f"{rng.randint(1000, 9999)}"


def _before_and_between(rng: Random, member: str) -> Iterator[TrueIncident]:
    yield _incident(
        member,
        K.TAKEOVER_BANK,
        Cause.EARLIER,
        Phase.BEFORE_THEFT,
        date(2022, 11, 3),
        _at(2022, 11, 9),
        BANKS[0],
        last_four=_digits(rng),
        amount="640.00",
        said=(Said(_at(2022, 11, 11), Answer.NOT_ME),),
        costs=(
            Cost(_at(2022, 12, 2), Head.FRAUD_LOSS, Decimal("640.00"), date(2022, 11, 3), (Back(Payer.BANK, Decimal("640.00")),)),
        ),
    )
    yield _incident(
        member,
        K.INQUIRY_HARD,
        Cause.FOCAL,
        Phase.BETWEEN,
        date(2023, 2, 20),
        _at(2023, 2, 24),
        CARD_ISSUERS[4],
        product=K.NEW_ACCOUNT_CREDIT_CARD,
        said=(Said(_at(2023, 2, 26), Answer.UNSURE), Said(_at(2023, 3, 21), Answer.NOT_ME)),
    )
    yield _incident(
        member,
        K.PAYROLL_DIVERSION,
        Cause.FOCAL,
        Phase.WAVE_TWO_EARLY,
        date(2023, 3, 15),
        _at(2023, 3, 22),
        PAYROLL[0],
        said=(Said(_at(2023, 3, 23), Answer.NOT_ME),),
        costs=(Cost(_at(2023, 3, 30), Head.TIME, Decimal("75.00"), date(2023, 3, 24)),),
    )


def _cards(rng: Random, member: str) -> Iterator[TrueIncident]:
    """Two cards of one company in one week: two accounts, told apart by their last digits alone."""
    first, second = _digits(rng), _digits(rng)
    while first == second:
        second = _digits(rng)
    yield _incident(
        member,
        K.NEW_ACCOUNT_CREDIT_CARD,
        Cause.FOCAL,
        Phase.LATER,
        date(2023, 3, 20),
        _at(2023, 3, 27),
        CARD_ISSUERS[0],
        last_four=first,
        amount="4200.00",
        said=(Said(_at(2023, 3, 28), Answer.NOT_ME),),
        costs=(
            Cost(
                _at(2023, 4, 14), Head.FRAUD_LOSS, Decimal("1180.40"), date(2023, 3, 26), (Back(Payer.ISSUER, Decimal("900.00")),)
            ),
            Cost(_at(2023, 4, 14), Head.OOP, Decimal("32.75"), date(2023, 4, 3)),
            Cost(_at(2023, 4, 16), Head.TIME, Decimal("125.00"), date(2023, 4, 5)),
        ),
    )
    yield _incident(
        member,
        K.NEW_ACCOUNT_CREDIT_CARD,
        Cause.FOCAL,
        Phase.LATER,
        date(2023, 3, 22),
        _at(2023, 3, 29),
        CARD_ISSUERS[0],
        last_four=second,
        amount="1500.00",
        said=(Said(_at(2023, 3, 31), Answer.NOT_ME),),
    )


def _later(rng: Random, member: str) -> Iterator[TrueIncident]:
    yield _incident(member, K.EXPOSURE_SSN, Cause.FOCAL, Phase.LATER, date(2023, 3, 9), _at(2023, 3, 13))
    yield _incident(
        member,
        K.NEW_ACCOUNT_AUTO,
        Cause.OWN,
        Phase.LATER,
        date(2023, 9, 2),
        _at(2023, 9, 8),
        CAR_LENDERS[0],
        last_four=_digits(rng),
        amount="21500.00",
        said=(Said(_at(2023, 9, 9), Answer.WAS_ME),),
    )
    yield _incident(
        member,
        K.GOVERNMENT_BENEFITS,
        Cause.FOCAL,
        Phase.LATER,
        date(2024, 4, 15),
        _at(2024, 5, 6),
        OFFICES[0],
        last_four=_digits(rng),
        amount="2300.00",
    )
