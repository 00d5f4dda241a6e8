"""The standard alert schema: one pydantic model is the check, the JSON Schema and the page about it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    WithJsonSchema,
    model_validator,
)

from connectors import claimed
from connectors.contract import Interval, require_storable
from connectors.vocabulary import AlertKind, Bureau

DIALECT = "https://json-schema.org/draft/2020-12/schema"
AMOUNT = r"^[0-9]{1,12}(\.[0-9]{1,2})?$"
LONGEST_ID = 255

_NULL = {"type": "null"}
_BOUND = {"anyOf": [{"type": "string", "pattern": claimed.DATE_TIME}, {"type": "string", "pattern": claimed.DATE}]}
_SPAN = {
    "type": "object",
    "properties": {"earliest": {"anyOf": [*_BOUND["anyOf"], _NULL]}, "latest": {"anyOf": [*_BOUND["anyOf"], _NULL]}},
    "additionalProperties": False,
    "anyOf": [
        {"required": ["earliest"], "properties": {"earliest": {"type": "string"}}},
        {"required": ["latest"], "properties": {"latest": {"type": "string"}}},
    ],
}
_MONEY: dict[str, Any] = {
    "anyOf": [
        {
            "required": ["amount", "currency"],
            "properties": {"amount": {"type": "string"}, "currency": {"type": "string"}},
        },
        {"properties": {"amount": _NULL, "currency": _NULL}},
    ]
}


def _claim(value: Any) -> Any:
    """A provider's claim of when as an interval; anything but text or an object goes on to be refused."""
    return claimed.interval(value) if isinstance(value, str | dict) else value


Claim = Annotated[Interval, BeforeValidator(_claim), WithJsonSchema({"anyOf": [*_BOUND["anyOf"], _SPAN]})]
Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID, pattern=r"\S"), AfterValidator(require_storable)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S"), AfterValidator(require_storable)]
Prose = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S"), AfterValidator(require_storable)]


class StandardPing(BaseModel):
    """A test that the connection works. It is kept and counted, and says that nothing happened to anybody."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    id: Id = Field(description="Your own id of this message.", examples=["ping-1"])
    type: Literal["ping"] = Field(description='Always "ping".')


class StandardAlert(BaseModel):
    """One alert about one person. Leave out what you do not know, or send null; never guess."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, json_schema_extra=_MONEY)

    id: Id = Field(
        description="Your own id of this alert. The same id again is the same alert: sent twice it is counted, "
        "with other content it is kept as a revision.",
        examples=["alert-20817"],
    )
    type: Annotated[AlertKind, Field(strict=False)] = Field(
        description="What happened, one of the kinds listed in this schema.", examples=["inquiry.hard"]
    )
    member: Name = Field(
        description="Your own reference for the person, as given when they were enrolled. Not a name, not a Social "
        "Security number.",
        examples=["subscriber-00417"],
    )
    summary: Prose = Field(
        description="What you told the person, in your own words.", examples=["A lender asked for your credit report."]
    )
    bureau: Annotated[Bureau, Field(strict=False)] | None = Field(
        None, description="Whose file shows it.", examples=["transunion"]
    )
    institution: Name | None = Field(
        None, description="The company that opened, asked or reported.", examples=["North Auto Finance"]
    )
    last_four: Annotated[str, Field(pattern=r"^[0-9]{2,4}$")] | None = Field(
        None, description="The last two to four digits of the account. Never more.", examples=["4417"]
    )
    product: Annotated[AlertKind, Field(strict=False)] | None = Field(
        None, description="For an inquiry: the kind of account applied for.", examples=["new_account.auto"]
    )
    amount: Annotated[str, Field(pattern=AMOUNT)] | None = Field(
        None, description="The amount, as text with at most two decimals. Needs a currency.", examples=["4200.00"]
    )
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = Field(
        None, description="ISO 4217 code of the amount's currency.", examples=["USD"]
    )
    occurred: Claim | None = Field(
        None,
        description='When it happened: a date-time with its offset, a plain date, or {"earliest", "latest"} of those. '
        "A plain date is taken as that day anywhere on Earth: from its start at UTC+14 to its end at UTC-12. "
        "earliest is not after latest.",
        examples=["2026-03-02T10:11:12-05:00", "2026-03-02", {"earliest": "2026-02-20", "latest": "2026-03-02"}],
    )
    opened: Claim | None = Field(None, description="When the account was opened; written like occurred.", examples=["2026-03-01"])
    reported: Claim | None = Field(
        None,
        description="When it was reported to the bureau or to you; written like occurred.",
        examples=["2026-03-03"],
    )

    @model_validator(mode="after")
    def _money_has_a_currency(self) -> StandardAlert:
        if (self.amount is None) != (self.currency is None):
            raise ValueError("amount and currency stand together")
        return self


class StandardBatch(BaseModel):
    """Many alerts in one body, each read on its own: a wrong one does not hold up the others."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    alerts: list[StandardAlert | StandardPing] = Field(description="The alerts, in any order.")


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one body: an alert, a ping, or a batch of them."""
    body: TypeAdapter[Any] = TypeAdapter(StandardAlert | StandardPing | StandardBatch)
    return {
        "$schema": DIALECT,
        "title": "Harmline standard alerts",
        "description": "One delivery: one alert, one ping, or many of them. JSON in UTF-8, no key twice, no number: "
        "amounts are text. Nested at most 32 deep.",
        **body.json_schema(),
    }
