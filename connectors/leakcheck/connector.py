"""LeakCheck API v2: it is asked about each member, and answers with rows of leaks, passwords and all.

A leak that has a name and that the provider verified is a breach record. Nothing of a row goes further but which fields it has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import ClassVar

from pydantic import Field, SecretStr

from connectors import strict_json
from connectors.asking import (
    NOTHING_ASKED,
    Asked,
    Http,
    Page,
    PollPlan,
    ProviderError,
    Subject,
    TryLater,
    UnexpectedAnswer,
    may_be_one_questions,
)
from connectors.contract import (
    BreachRecord,
    BrokenEvent,
    Connector,
    ConnectorConfig,
    Malformed,
    Meaning,
    NotAnAlert,
    RawEvent,
    pick,
)
from connectors.fields import identifier, text
from connectors.leakcheck.questions import AN_HOUR, answers, fingerprint, request_about
from connectors.leakcheck.rows import COMPILATION, FIELDS, LISTING, UNNAMED, UNVERIFIED, leaks_in, period
from connectors.vocabulary import AlertKind, DataElement

NO_LISTING: Mapping[str, str] = {
    COMPILATION: "a list put together from other leaks, which is no breach of its own",
    UNVERIFIED: "a leak that the provider has not verified",
    UNNAMED: "rows of which the provider does not say in which breach they were lost",
}


class LeakCheckConfig(ConnectorConfig):
    """How the service is asked."""

    base_url: str = Field(default="https://leakcheck.io/api/v2", description="Address of the service")
    api_key: SecretStr = Field(description="Your API key of 40 letters and digits")
    whole_addresses: bool = Field(default=False, description="Ask with whole e-mail addresses instead of with their hashes")


class LeakCheck(Connector):
    """Every member is a question of their own. What is known already is kept again once a week, not every day."""

    name = "leakcheck"
    title = "LeakCheck"
    config = LeakCheckConfig
    poll = PollPlan(every=timedelta(days=1))
    events: ClassVar[Mapping[str, Meaning]] = {LISTING: AlertKind.EXPOSURE_BREACH_LISTING, **dict.fromkeys(NO_LISTING)}

    async def pages(
        self, http: Http, config: LeakCheckConfig, cursor: str | None, subjects: Sequence[Subject]
    ) -> AsyncIterator[Page]:
        """The answers about each member, where they are others than the last time; a member's cursor says which those were."""
        key = config.api_key.get_secret_value()
        for number, subject in enumerate(subjects, 1):
            who = subject.reference
            try:
                path, sort = request_about(who, whole=config.whole_addresses)
                told = await answers(http, path, sort, key)
            except ProviderError as error:
                if not may_be_one_questions(error):
                    raise
                yield Page(None, subject=who, error=error)
                continue
            known = fingerprint(told.bodies, key)
            for body in told.bodies if known != subject.cursor else ():
                yield Page(body, asked={"account": who}, subject=who)
            if told.is_all:
                yield Page(None, known, subject=who)
            else:
                yield Page(None, subject=who, error=UnexpectedAnswer("more is listed than the provider hands out"))
            if number < len(subjects) and told.left is not None and told.left < 1:
                raise TryLater("the provider says that no question is left of the quota", AN_HOUR)

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """One event a leak, whatever number of rows it has about the one whom we asked about."""
        found = leaks_in(pick(strict_json.parse(body), "result", list), _account(asked))
        return [leak if isinstance(leak, BrokenEvent) else leak.event(asked) for leak in found]

    def normalise(self, event: RawEvent) -> BreachRecord | NotAnAlert:
        """Whom a leak lists and with which sorts of data; when it was lost, as far as that is told."""
        if event.event_type not in self.events:
            raise Malformed("source")
        if event.event_type in NO_LISTING:
            return NotAnAlert(NO_LISTING[event.event_type])
        whose, name, day = _account(event.asked), identifier(event.body, "name"), text(event.body, "breach_date")
        fields = [field for field in pick(event.body, "fields", list) if isinstance(field, str)]
        return BreachRecord(
            member_ref=whose,
            identity=(LISTING, whose, name) if day is None else (LISTING, whose, name, day),
            breach_name=name if day is None else f"{name} ({day})",
            elements=frozenset({DataElement.EMAIL, *(FIELDS[field] for field in fields if field in FIELDS)}),
            breached=period(day) if day is not None else None,
        )


def _account(asked: Asked) -> str:
    """Whom we asked about, letter by letter as they are enrolled."""
    if not asked.get("account", "").strip():
        raise Malformed("account")
    return asked["account"]
