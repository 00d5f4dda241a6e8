"""The truth of the scenario: who was hit, by what, when, because of which breach or none, what they said and what it cost.

Drawn first, from a seed alone, with no look at the rules of the house: the alerts are made from it, and the end is compared
with it. Every date here is what really happened; what the services claim of it is made in `alerts`.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum

from app.breaches.exposure import ExposureBasis
from app.damages.heads import Head
from app.damages.schemas import Payer
from app.demo.institutions import Institution
from app.incidents.identity import Answer
from connectors.vocabulary import AlertKind, DataElement

BEGIN = datetime(2022, 7, 1, tzinfo=UTC)
END = datetime(2024, 7, 2, tzinfo=UTC)
"""The two simulated years; whatever happens in the scenario is heard of between them."""

THEFT = datetime(2023, 2, 6, 8, tzinfo=UTC)
"""The earliest moment of the theft: midnight in Oakland before 6 February 2023 (the union's window)."""

KNOWN = datetime(2023, 4, 10, 16, tzinfo=UTC)
"""When the organization writes the breaches down: after the second publication."""

FOCAL_BREACH = "oakland-2023"
EARLIER_BREACH = "oakland-2021"
CURRENCY = "USD"


class Cause(StrEnum):
    """Why something really happened. Only the truth knows; the house never says."""

    FOCAL = "the breach of 2023"
    EARLIER = "the earlier breach"
    BACKGROUND = "none of the breaches"
    OWN = "the member's own doing"


class Phase(StrEnum):
    """Where something stands to the theft and the publications."""

    BEFORE_THEFT = "wholly before the theft"
    BETWEEN = "between theft and first publication"
    WAVE_TWO_EARLY = "before the second publication, with what only that one holds"
    LATER = "later"


class Heard(StrEnum):
    """Who tells of something at all."""

    SERVICES = "the services that send, and others besides"
    MAIL = "one mail that a member forwards"
    HINT = "one mail that says no more than to log in"
    METHOD = "Method alone"
    EXPORT = "one row of a file"


class Agreement(StrEnum):
    """What a member says to keeping what the services send."""

    GIVEN = "given"
    NEVER = "never answers"
    LATE = "agrees after something waits"
    REFUSED = "refuses after something waits"


@dataclass(frozen=True, slots=True)
class Said:
    """One answer to "Was this you?", and when."""

    at: datetime
    answer: Answer


@dataclass(frozen=True, slots=True)
class Back:
    """What somebody paid back."""

    payer: Payer
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Cost:
    """One loss as the member enters it, in USD."""

    at: datetime
    head: Head
    amount: Decimal
    incurred_on: date
    back: tuple[Back, ...] = ()


@dataclass(frozen=True, slots=True)
class TrueIncident:
    """One act. `noticed` is when the first service tells of it; `amount` is what was opened or taken.

    `looked`: when its member logs in where they were told to, and says what stands there.
    """

    key: str
    member: str
    kind: AlertKind
    cause: Cause
    phase: Phase
    happened_on: date
    noticed: datetime
    product: AlertKind | None = None
    institution: Institution | None = None
    last_four: str | None = None
    amount: Decimal | None = None
    dated: bool = True
    said: tuple[Said, ...] = ()
    costs: tuple[Cost, ...] = ()
    heard: Heard = Heard.SERVICES
    looked: datetime | None = None

    @property
    def answer(self) -> Answer:
        """The answer that stands at the end."""
        return self.said[-1].answer if self.said else Answer.UNANSWERED


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter about a breach, or a member's own record seen in it; `elements` None where it names none."""

    at: datetime
    member: str
    breach: str
    wave: str
    basis: ExposureBasis
    elements: frozenset[DataElement] | None


@dataclass(frozen=True, slots=True)
class Consent:
    """How a member stands to keeping what comes, and when they say so; None where they never do."""

    agreement: Agreement
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """Everything that really happened, in order of notice. `star` is the member with most to show."""

    incidents: tuple[TrueIncident, ...]
    letters: tuple[Letter, ...]
    consents: dict[str, Consent]
    star: str

    def consent_of(self, member: str) -> Consent:
        """How a member stands to keeping what comes."""
        return self.consents.get(member, Consent(Agreement.GIVEN))

    def heard(self, *by: Heard) -> tuple[TrueIncident, ...]:
        """What is told of by nobody but these."""
        return tuple(incident for incident in self.incidents if incident.heard in by)

    def readable(self) -> tuple[TrueIncident, ...]:
        """What may be on a timeline in the end: of members who agreed, at once or later."""
        heard = {Agreement.GIVEN, Agreement.LATE}
        return tuple(i for i in self.incidents if self.consent_of(i.member).agreement in heard)
