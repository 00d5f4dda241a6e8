"""What a member types in when they report something themselves. The form, the API and the connector read it by this one model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from connectors.claimed import interval
from connectors.contract import Currency, Interval, LastFour, require_storable
from connectors.vocabulary import AlertKind

_DAY = re.compile(r"(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}")


def _day(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("write a day as year-month-day, such as 2023-03-30")
    return date.fromisoformat(value)


Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
AmountText = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^(0\.(0[1-9]|[1-9][0-9]?)|[1-9][0-9]{0,11}(\.[0-9]{1,2})?)$"),
    Field(description="More than zero, with a point and at most two places, such as 120.50.", examples=["120.50"]),
]
_LINE = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
NameText = Annotated[str, StringConstraints(strict=True, max_length=200, pattern=_LINE), AfterValidator(require_storable)]
NoteText = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=2000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+$"),
    AfterValidator(require_storable),
    Field(description="In your own words; line breaks are fine, other control characters are not."),
]


class Report(BaseModel):
    """One report. Days are the member's own; the two of `happened` are the first and the last that it can have been.

    `found_on`: when they found out, so that it happened no later. `completes`: the id of an alert of theirs that this tells
    more of.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: AlertKind
    institution: NameText | None = None
    last_four: LastFour | None = None
    amount: AmountText | None = None
    currency: Currency | None = None
    happened_from: Day | None = None
    happened_to: Day | None = None
    found_on: Day | None = None
    note: NoteText | None = None
    completes: UUID | None = None

    @model_validator(mode="after")
    def _fits(self) -> Report:
        if (self.amount is None) != (self.currency is None):
            raise ValueError("amount and currency stand together")
        days = [day for day in (self.happened_from, self.happened_to, self.found_on) if day is not None]
        if days != sorted(days):
            raise ValueError("the first day is after the last, or it happened after it was found out")
        return self

    @property
    def typed(self) -> dict[str, str]:
        """What was typed in, each field as text; nothing of what was left out."""
        return {name: str(value) for name, value in self.model_dump(mode="json", exclude_none=True).items()}

    @property
    def occurred(self) -> Interval | None:
        """When it happened, as far as the member says: never narrower than their days, wherever on Earth these were."""
        last = self.happened_to or self.found_on
        ends = {"earliest": self.happened_from, "latest": last}
        said: Mapping[str, str] = {name: day.isoformat() for name, day in ends.items() if day is not None}
        return interval(dict(said)) if said else None
