"""API shapes of losses. Amounts are text, never a number that a computer rounds."""

import re
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from app.damages.heads import OFFERED, Head

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Payer(StrEnum):
    """Who paid something back."""

    ISSUER = "issuer"
    BANK = "bank"
    INSURER = "insurer"
    CITY_MONITORING = "city_monitoring"
    SETTLEMENT = "settlement"
    OTHER = "other"


def _day(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("write a day as year-month-day, such as 2023-03-30")
    return date.fromisoformat(value)


def _offered(head: Head) -> Head:
    if head not in OFFERED:
        raise ValueError("choose one of: " + ", ".join(OFFERED))
    return head


AmountText = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^(0\.(0[1-9]|[1-9][0-9]?)|[1-9][0-9]{0,11}(\.[0-9]{1,2})?)$"),
    Field(description="More than zero, with a point and at most two places, such as 120.50.", examples=["120.50"]),
]
CurrencyText = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Z]{3}$")]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
OfferedHead = Annotated[
    Head, AfterValidator(_offered), WithJsonSchema({"type": "string", "enum": [head.value for head in OFFERED]})
]
NoteText = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=2000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+$"),
    Field(description="In your own words; line breaks are fine, other control characters are not."),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewReimbursement(_Strict):
    """What somebody paid back of a loss."""

    payer: Payer
    amount: AmountText
    paid_on: Day | None = None


class NewLoss(_Strict):
    """One loss to enter. What was paid back must not come to more than the amount; no day lies in the future."""

    head: OfferedHead
    amount: AmountText
    currency: CurrencyText = "USD"
    incurred_on: Day
    note: NoteText | None = None
    reimbursements: Annotated[list[NewReimbursement], Field(max_length=50)] = Field(default_factory=list)


class ReimbursementView(BaseModel):
    """What somebody paid back."""

    payer: Payer
    amount: Decimal
    paid_on: date | None


class LossView(BaseModel):
    """One entry. `incident_id` is the incident it belongs to now; `net` is the amount less what was paid back."""

    id: UUID
    incident_id: UUID
    head: Head
    label: str
    amount: Decimal
    currency: str
    incurred_on: date
    note: str | None
    reimbursements: list[ReimbursementView]
    reimbursed: Decimal
    net: Decimal
    counts: bool
    entered_at: datetime


class Totals(BaseModel):
    """The sums of some entries in one currency: `net` is `gross` less `reimbursed`."""

    currency: str
    gross: Decimal
    reimbursed: Decimal
    net: Decimal
    entries: int


class LossList(BaseModel):
    """Every loss of one incident with the sums. Nothing counts before the answer "not me"; `hint` then says so."""

    incident_id: UUID
    items: list[LossView]
    totals: list[Totals]
    counts: bool
    hint: str | None


class EnteredLoss(LossView):
    """The entry just made. While it does not count, `hint` says what is missing."""

    hint: str | None
