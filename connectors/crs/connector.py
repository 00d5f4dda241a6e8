"""CRS Credit API (Stitch Credit): a nightly batch of notices by HTTP Basic, and a look-up for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import Field, SecretStr

from connectors import strict_json
from connectors.asking import NOTHING_ASKED, Asked, Http, Page, Retention
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
from connectors.crs.alert_types import BUREAUS, TYPES, WORDS
from connectors.crs.signing_in import token
from connectors.crs.times import moment, reported
from connectors.fields import LONGEST_ID, identifier, text
from connectors.verifiers import Basic
from connectors.vocabulary import AlertKind

NOTICE = "ALERT"


class CrsConfig(ConnectorConfig):
    """How the provider is asked for an alert's details."""

    base_url: str = Field(default="https://mware.crscreditapi.com/api", description="Address of the provider's API")
    api_key: SecretStr = Field(description="The API key from the provider")
    secret: SecretStr = Field(description="The secret that belongs to the API key")
    detail_path: str = Field(
        default="/direct/efx-alert/{alert_id}",
        pattern=r"^/[A-Za-z0-9/_.-]*\{alert_id\}[A-Za-z0-9/_.-]*$",
        description="Path of one alert's details. That it takes the id of the notice is inferred, not documented",
    )
    requests_per_minute: float = Field(
        default=60, ge=1, le=60_000, description="How often the provider may be asked in a minute: what your contract allows"
    )


class Crs(Connector):
    """A notice names a person and an alert, and nothing else; what happened is in the details that are looked up."""

    name = "crs"
    title = "CRS Credit API"
    config = CrsConfig
    webhook = WebhookPlan(Basic(), largest_body=64 * 1024 * 1024, fresh_within=timedelta(days=3))
    looks_up = True
    one_shape = True
    retention = Retention(
        timedelta(days=30),
        "[A] the provider's licence text: short term caching is fine, long-term storage is not; 30 days are our reading, "
        "the contract decides",
    )
    events: ClassVar[Mapping[str, Meaning]] = {NOTICE: Notice.GO_AND_LOOK, **TYPES}

    async def follow_up(self, http: Http, config: CrsConfig, asked: Asked) -> Page | None:
        """The details of one alert; None where the provider does not know it."""

        async def login() -> tuple[str, float]:
            return await token(http, config.api_key, config.secret)

        path = config.detail_path.replace("{alert_id}", quote(asked["alert_id"], safe=""))
        answer = await http.get(path, login=login, may_miss=True)
        return Page(answer.body, asked=asked) if answer.found else None

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """One event a notice of a batch, or the one alert that was asked for."""
        tree = strict_json.parse(body)
        if asked:
            return [_cut(tree, "", "alertType", asked.get("alert_id", ""), asked)]
        items = tree if isinstance(tree, list) else [tree]
        return [_cut(item, f"[{at}]", "type", _id(item), NOTHING_ASKED) for at, item in enumerate(items)]

    def normalise(self, event: RawEvent) -> Alert | GoAndLook | NotAnAlert:
        """Where to look; or what happened, as far as the details say."""
        if event.event_type == NOTICE:
            return _notice(event.body)
        if event.event_type not in TYPES:
            raise Malformed("type")
        kind = TYPES[event.event_type]
        if not isinstance(kind, AlertKind):
            return NotAnAlert("a score, a balance, a note or a freeze")
        body = event.body
        bureau = text(body, "dataSource")
        return Alert(
            kind=kind,
            member_ref=identifier(event.asked, "user_id"),
            identity=("alert", identifier(event.asked, "alert_id")),
            summary=text(body, "endUserText") or WORDS[event.event_type],
            bureau=BUREAUS.get(bureau) if bureau else None,
            institution=text(body, "institutionName"),
            reported=_reported(body),
        )


def _id(item: Any) -> str:
    """The notice's own id; not every item is documented to have one, and nothing rests on it."""
    found = item.get("id") if isinstance(item, dict) else None
    return found if isinstance(found, str) else ""


def _cut(item: Any, path: str, field: str, external_id: str, asked: Asked) -> RawEvent | BrokenEvent:
    """One item as an event of the type that `field` names. A flawed item is not handed on."""
    if not isinstance(item, dict) or strict_json.flawed(item, above=1 if path else 0):
        return BrokenEvent(path or "$")
    word = item.get(field)
    if not isinstance(word, str) or not word.strip() or len(word) > LONGEST_ID:
        return BrokenEvent(f"{path}.{field}".lstrip("."), item)
    return RawEvent(word, external_id, item, asked)


def _notice(body: Mapping[str, Any]) -> GoAndLook:
    user, alert = identifier(body, "user_id"), identifier(body, "alert_id")
    asked = {"user_id": user, "alert_id": alert}
    if body.get("time") is not None:
        asked["time"] = _time(body["time"])
    return GoAndLook(user, ("alert", alert), asked)


def _time(claim: object) -> str:
    try:
        return moment(claim).isoformat()
    except ValueError:
        raise Malformed("time") from None


def _reported(body: Mapping[str, Any]) -> Any:
    try:
        return reported([body[name] for name in ("dateReported", "creationDate") if body.get(name) is not None])
    except ValueError:
        raise Malformed("dateReported, creationDate") from None
