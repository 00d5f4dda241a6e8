"""Method Financial: a signed notice, a look-up of what was opened, and a list of all events that is asked besides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import ClassVar
from urllib.parse import quote

from pydantic import Field, SecretStr

from connectors import strict_json
from connectors.asking import NOTHING_ASKED, Asked, Http, Page, PollPlan, Subject, UnexpectedAnswer
from connectors.contract import (
    Alert,
    BrokenEvent,
    Connector,
    ConnectorConfig,
    GoAndLook,
    Malformed,
    Meaning,
    NotAnAlert,
    Notice,
    RawEvent,
    WebhookPlan,
    pick,
)
from connectors.fields import moment
from connectors.method.answers import account_of, entity, event_of, is_dated, opened, opened_account
from connectors.method.vocabulary import ACCOUNT, ACCOUNTS, EVENTS, KINDS_OF_ACCOUNT, OPENED, SUMMARIES
from connectors.verifiers import HmacSha256
from connectors.vocabulary import AlertKind

LIST = "events"
PAGE_LIMIT = 100
EARLIEST = date(2000, 1, 1)
"""A day before this is no day of an event; and there is one before it to begin from."""


class MethodConfig(ConnectorConfig):
    """How the provider is asked."""

    base_url: str = Field(default="https://production.methodfi.com", description="Address of the provider's API")
    api_key: SecretStr = Field(description="The API key from the provider; it begins with sk_")
    version: str = Field(default="2026-03-30", pattern=r"^\d{4}-\d{2}-\d{2}$", description="The version of the API that is asked")
    requests_per_minute: float = Field(
        default=600, ge=1, le=60_000, description="How often the provider may be asked in a minute: it allows 6,000"
    )


class Method(Connector):
    """A notice and the list tell of the same events; what was opened stands in the account, once, whoever told of it first."""

    name = "method"
    title = "Method Financial"
    config = MethodConfig
    webhook = WebhookPlan(HmacSha256("method-webhook-signature", "method-webhook-timestamp", separator=":", encoding="either"))
    poll = PollPlan(every=timedelta(hours=1))
    looks_up = True
    one_shape = True
    events: ClassVar[Mapping[str, Meaning]] = {
        OPENED: Notice.GO_AND_LOOK,
        **EVENTS,
        **ACCOUNTS,
        **{f"{ACCOUNT}.{word}": None for word in KINDS_OF_ACCOUNT},
    }

    async def pages(
        self, http: Http, config: MethodConfig, cursor: str | None, subjects: Sequence[Subject]
    ) -> AsyncIterator[Page]:
        """Everything that means something, type by type, from the day before the cursor on. The cursor is a day."""
        http.pace(config.requests_per_minute)
        since = {"from_date": (max(date.fromisoformat(cursor), EARLIEST) - self.poll.overlap).isoformat()} if cursor else {}
        newest = cursor or ""
        for word in (OPENED, *(word for word, meaning in EVENTS.items() if meaning is not None)):
            onward: str | None = None
            while True:
                params = {"type": word, "page_limit": str(PAGE_LIMIT), **since} | ({"page_cursor": onward} if onward else {})
                answer = await http.get("/events", params=params, headers=_headers(config))
                events, newest = self._read(answer.body, newest)
                if events:
                    yield Page(answer.body, asked={"list": LIST})
                following = answer.headers.get("pagination-page-cursor-next", "").strip()
                if not following or not events:
                    break
                if following == onward:
                    raise UnexpectedAnswer("the list of events does not go on")
                onward = following
        yield Page(None, newest or None)

    def _read(self, body: bytes, newest: str) -> tuple[int, str]:
        """How many events a page has, and the newest day that it or one before it names."""
        try:
            events = list(self.split(body, {"list": LIST}))
        except Malformed:
            raise UnexpectedAnswer("the list of events is not as documented") from None
        days = [event.body["created_at"][:10] for event in events if isinstance(event, RawEvent) and is_dated(event.body)]
        return len(events), max([newest, *days])

    async def follow_up(self, http: Http, config: MethodConfig, asked: Asked) -> Page | None:
        """The account that was opened; None where the provider does not know it."""
        http.pace(config.requests_per_minute)
        path = f"/accounts/{quote(asked['account'], safe='')}"
        answer = await http.get(path, headers=_headers(config), may_miss=True)
        return Page(answer.body, asked=asked) if answer.found else None

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """The one event that was pushed, those of a list, or the one account that was looked up."""
        tree = strict_json.parse(body)
        if not asked:
            return [event_of(tree, "", "event", above=0)]
        if "list" in asked:
            items = pick(tree, "data", list)
            return [event_of(item, f"data[{at}]", "id", above=2) for at, item in enumerate(items)]
        return [account_of(tree, asked)]

    def normalise(self, event: RawEvent) -> Alert | GoAndLook | NotAnAlert:
        """Where to look; or what happened, as far as it is told."""
        if event.event_type not in self.events:
            raise Malformed("type")
        if event.event_type == OPENED:
            whose, account = entity(event.body), opened_account(event.body)
            return GoAndLook(whose, ("account", account), {"entity": whose, "account": account})
        kind = self.events[event.event_type]
        if not isinstance(kind, AlertKind):
            return NotAnAlert("nothing that was done to anybody")
        if event.event_type in ACCOUNTS:
            return opened(kind, event)
        return Alert(
            kind=kind,
            member_ref=entity(event.body),
            identity=("event", event.external_id),
            summary=SUMMARIES[event.event_type],
            reported=moment(event.body, "created_at"),
        )


def _headers(config: MethodConfig) -> dict[str, str]:
    return {"authorization": f"Bearer {config.api_key.get_secret_value()}", "method-version": config.version}
