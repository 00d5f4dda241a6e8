"""Array: a notice that proves nothing, a look-up that does, and a list of everything once a day."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field, SecretStr

from connectors import strict_json
from connectors.array import lists
from connectors.array.dialects import DIALECTS, dates, day, dollars, last_four, text
from connectors.array.notices import LISTED, alert_id, notice
from connectors.array.vocabulary import TYPES, WORDS, account, event_type
from connectors.asking import NOTHING_ASKED, Asked, Http, Page, PollPlan, Subject
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
)
from connectors.verifiers import NotSigned
from connectors.vocabulary import AlertKind

ALERTS = "alerts"
LONGEST_WORD = 100
Source = Literal["exp", "efx", "tui", "idp"]


class ArrayConfig(ConnectorConfig):
    """How the provider is asked, and where its notices come from."""

    base_url: str = Field(default="https://array.io/api", description="Address of the provider's API")
    client_token: SecretStr = Field(description="The client token from the provider")
    bureaus: tuple[Source, ...] = Field(
        default=("exp", "efx", "tui", "idp"),
        min_length=1,
        description="What your contract monitors: exp (Experian), efx (Equifax), tui (TransUnion), idp (identity protection)",
    )
    list_path: str = Field(
        default="/monitor/v2/alerts",
        pattern=r"^/[A-Za-z0-9/_.-]+$",
        description="Path of the list of somebody's alerts. Not confirmed: ask the provider",
    )
    detail_path: str = Field(
        default="/monitor/v2/alerts/{alertId}",
        pattern=r"^/[A-Za-z0-9/_.-]*(\{bureau\}/[A-Za-z0-9/_.-]*)?\{alertId\}[A-Za-z0-9/_.-]*$",
        description="Path of one alert's details; may hold {bureau} too. Not confirmed: ask the provider",
    )
    requests_per_minute: float = Field(
        default=60, ge=1, le=60_000, description="How often the provider may be asked in a minute: what your contract allows"
    )
    sources: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(IPv4Network("104.197.162.196/32"), IPv4Network("34.150.251.245/32")),
        description="Addresses from which notices come, as the provider documents them; they may change. None: any address",
    )


class Array(Connector):
    """A notice is believed only as far as the provider's own list has the alert for that person."""

    name = "array"
    title = "Array"
    config = ArrayConfig
    webhook = WebhookPlan(
        NotSigned("an unguessable address, the sender's address, and a look-up of each alert in the provider's own list"),
        sources="sources",
    )
    poll = PollPlan(every=timedelta(days=1), overlap=timedelta(days=7))
    looks_up = True
    one_shape = True
    events: ClassVar[Mapping[str, Meaning]] = {
        ALERTS: Notice.GO_AND_LOOK,
        **dict.fromkeys(("user", "authenticate", "report", "monitor")),
        **TYPES,
    }

    async def pages(
        self, http: Http, config: ArrayConfig, cursor: str | None, subjects: Sequence[Subject]
    ) -> AsyncIterator[Page]:
        """Every list of everybody, each person with a cursor of their own."""
        for subject in subjects:
            async for page in lists.about(http, config, subject, self.poll.overlap):
                yield page

    async def follow_up(self, http: Http, config: ArrayConfig, asked: Asked) -> Page | None:
        """The details of one alert; None where it is not in the list of whom the notice names, or has no details."""
        if LISTED not in asked and not await lists.has(http, config, asked):
            return None
        path = config.detail_path.replace("{bureau}", asked["bureau"]).replace("{alertId}", quote(asked["alertId"], safe=""))
        whose = {"clientKey": asked["clientKey"], "bureau": asked["bureau"]}
        answer = await http.get(path, params=whose, headers=lists.headers(config), may_miss=True)
        return Page(answer.body, asked=asked) if answer.found else None

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """The one notice that was sent, the items of a list, or the one alert that was looked up."""
        tree = strict_json.parse(body)
        if "list" in asked:
            if not isinstance(tree, dict) or not isinstance(tree.get("userAlerts"), list):
                raise Malformed("userAlerts")
            return [_item(item, f"userAlerts[{at}]", asked) for at, item in enumerate(tree["userAlerts"])]
        if not isinstance(tree, dict) or strict_json.flawed(tree):
            return [BrokenEvent("$")]
        if "alertId" in asked:
            return [_detail(tree, asked)]
        service = tree.get("service")
        if not isinstance(service, str) or not service.strip() or len(service) > LONGEST_WORD:
            return [BrokenEvent("service", tree)]
        return [RawEvent(service, alert_id(tree.get("details")) or "", tree)]

    def normalise(self, event: RawEvent) -> Alert | GoAndLook | NotAnAlert:
        """Where to look; or what happened, as far as the details say."""
        if event.event_type == ALERTS:
            listed = "list" in event.asked
            return notice({**event.body, **event.asked} if listed else event.body.get("details"), listed=listed)
        if event.event_type not in self.events:
            raise Malformed("type")
        kind = TYPES.get(event.event_type)
        if kind is None:
            return NotAnAlert("nothing that was done to anybody")
        dialect = DIALECTS[event.event_type.partition(".")[0]]
        asked_for = notice(event.asked, listed=True)
        fields = dialect.fields(event.body)
        named = account(text(fields, dialect.account) or "")
        amount = dollars(fields, dialect.amount)
        return Alert(
            kind=named if named and kind is AlertKind.NEW_ACCOUNT_UNKNOWN else kind,
            member_ref=asked_for.member_ref,
            identity=asked_for.identity[:3],
            summary=WORDS[event.event_type],
            bureau=dialect.bureau,
            institution=text(fields, dialect.institution),
            last_four=last_four(fields, dialect.number),
            product=named if kind.family == "inquiry" else None,
            amount=amount,
            currency=None if amount is None else "USD",
            reported=day(fields, dialect.reported),
            **dates(kind, dialect, fields),
        )


def _item(item: Any, path: str, asked: Asked) -> RawEvent | BrokenEvent:
    if not isinstance(item, dict) or strict_json.flawed(item, above=2):
        return BrokenEvent(path)
    found = alert_id(item)
    return BrokenEvent(f"{path}.alertId", item) if found is None else RawEvent(ALERTS, found, item, asked)


def _detail(tree: Mapping[str, Any], asked: Asked) -> RawEvent | BrokenEvent:
    source = asked.get("bureau", "")
    word = DIALECTS[source].named(tree) if source in DIALECTS else None
    if word is None or len(word) > LONGEST_WORD:
        return BrokenEvent("alertType", dict(tree))
    return RawEvent(event_type(source, word), asked["alertId"], tree, asked)
