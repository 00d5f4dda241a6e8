"""When a mail says that it was written, and what a person says that it tells."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from connectors import strict_json
from connectors.claimed import interval
from connectors.contract import Currency, Interval, LastFour, Malformed, require_storable
from connectors.vocabulary import AlertKind, Bureau

LONGEST_ANSWER = 4000
_MONTHS = ("jan ene", "feb", "mar", "apr abr", "may", "jun", "jul", "aug ago", "sep set", "oct", "nov", "dec dic")
_MONTH = {start: number for number, starts in enumerate(_MONTHS, 1) for start in starts.split()}
_DAY_FIRST = re.compile(r"\b([0-9]{1,2})\.? (?:de )?([a-z]{3,10})\.?,? (?:de )?([0-9]{4})\b")
_MONTH_FIRST = re.compile(r"\b([a-z]{3,10})\.? ([0-9]{1,2}),? ([0-9]{4})\b")


def reported(moment: datetime | None, dated: str) -> Interval | None:
    """When it was written, as it claims: a moment, or where no offset survives the day, anywhere on Earth; None: it does not say.

    A day is read where its month is a word, English or Spanish: whether 3/2 is in March or in February cannot be told.
    """
    if moment is not None:
        return Interval.at(moment)
    text = " ".join(dated.lower().split())
    by_day, by_month = _DAY_FIRST.search(text), _MONTH_FIRST.search(text)
    if by_day is not None and by_day[2][:3] in _MONTH:
        day, month, year = by_day[1], by_day[2], by_day[3]
    elif by_month is not None:
        month, day, year = by_month[1], by_month[2], by_month[3]
    else:
        return None
    try:
        return interval(date(int(year), _MONTH[month[:3]], int(day)).isoformat())
    except (KeyError, ValueError):
        return None


def _not_a_float(value: object) -> object:
    """Money is written as text: a float has lost cents before anybody reads it."""
    if isinstance(value, float | bool):
        raise ValueError("write the amount as text")
    return value


class Answer(BaseModel):
    """What a person says of a mail: the kind of alert it tells of and what it names, or that it is no alert."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: AlertKind | None = None
    not_an_alert: Literal[True] | None = None
    institution: (
        Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(require_storable)]
        | None
    ) = None
    last_four: LastFour | None = None
    amount: Annotated[Decimal, BeforeValidator(_not_a_float), Field(max_digits=14, decimal_places=2, ge=0)] | None = None
    currency: Currency | None = None
    bureau: Bureau | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> Answer:
        if (self.kind is None) == (self.not_an_alert is None):
            raise ValueError("either a kind or no alert")
        if (self.amount is None) != (self.currency is None):
            raise ValueError("amount and currency stand together")
        return self


def answer_in(text: str) -> Answer:
    """A person's answer out of `asked["answer"]`. Raises Malformed("answer")."""
    said: Any = strict_json.parse(text[:LONGEST_ANSWER].encode("utf-8", "replace")) if text else None
    try:
        return Answer.model_validate(said)
    except ValidationError:
        pass
    # Raised out here, so that the validation error and the values in it are not chained to it.
    raise Malformed("answer")
