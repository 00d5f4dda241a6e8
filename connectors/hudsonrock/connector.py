"""Hudson Rock Cavalier v3: it is asked about each member's address, and answers with infected devices that held a login of it.

Each is an alert, one for each infection and member. Of an answer nothing goes further but which infection it was, and when.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

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
    UnexpectedAnswer,
    UnknownReference,
    may_be_one_questions,
)
from connectors.contract import Alert, BrokenEvent, Connector, ConnectorConfig, Malformed, Meaning, RawEvent, pick
from connectors.fields import identifier, moment
from connectors.vocabulary import AlertKind

INFECTION = "infection"
SEARCH = "/search-by-login/emails"
READ = ("stealer", "date_compromised", "date_uploaded")
MOST_PAGES = 1000


class HudsonRockConfig(ConnectorConfig):
    """How the service is asked."""

    base_url: str = Field(description="Address of the API with its version, as your contract names it: https://…/v3")
    api_key: SecretStr = Field(description="Your API key; it needs the permission “search-by-login”")
    requests_per_minute: float = Field(
        default=30, ge=1, le=60_000, description="How often the service may be asked in a minute: what your contract allows"
    )


class HudsonRock(Connector):
    """Every member is a question of their own, so that an answer is about nobody else. It is asked for all of it each time."""

    name = "hudsonrock"
    title = "Hudson Rock"
    config = HudsonRockConfig
    poll = PollPlan(every=timedelta(days=1), requests_per_minute=30)
    events: ClassVar[Mapping[str, Meaning]] = {INFECTION: AlertKind.EXPOSURE_INFOSTEALER}

    async def pages(
        self, http: Http, config: HudsonRockConfig, cursor: str | None, subjects: Sequence[Subject]
    ) -> AsyncIterator[Page]:
        """The answers about each member that hold anything, page after page, the oldest find first."""
        http.pace(config.requests_per_minute)
        for subject in subjects:
            who = subject.reference
            try:
                async for body in _answers(http, config.api_key.get_secret_value(), who):
                    yield Page(body, asked={"account": who}, subject=who)
            except ProviderError as error:
                if not may_be_one_questions(error):
                    raise
                yield Page(None, subject=who, error=error)
            else:
                yield Page(None, subject=who)

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """One event an infection, of the one whom we asked about."""
        items = pick(strict_json.parse(body), "data", list)
        return [_infection(item, f"data[{at}]", asked) for at, item in enumerate(items)]

    def normalise(self, event: RawEvent) -> Alert:
        """Whose login was taken, from which device, and when."""
        if event.event_type != INFECTION:
            raise Malformed("type")
        whose = _account(event.asked)
        return Alert(
            kind=AlertKind.EXPOSURE_INFOSTEALER,
            member_ref=whose,
            identity=(INFECTION, whose, identifier(event.body, "stealer")),
            summary="What malware took from a device holds a login with this person's e-mail address.",
            occurred=moment(event.body, "date_compromised"),
            reported=moment(event.body, "date_uploaded"),
        )


def _account(asked: Asked) -> str:
    """Whom we asked about, letter by letter as they are enrolled."""
    if not asked.get("account", "").strip():
        raise Malformed("account")
    return asked["account"]


async def _answers(http: Http, key: str, reference: str) -> AsyncIterator[bytes]:
    """Every page about one address that holds anything. Raises ProviderError."""
    address = reference.strip()
    if "@" not in address:
        raise UnknownReference("the reference is no e-mail address")
    # Whether it minds the case of letters is not documented, and malware takes an address as it was typed.
    asked: dict[str, Any] = {"logins": sorted({address, address.lower()}), "sort_by": "date_uploaded", "sort_direction": "asc"}
    seen: set[str] = set()
    while True:
        answer = await http.post(SEARCH, json={**asked, "filter_credentials": True}, headers={"api-key": key})
        tree = _read(answer.body)
        if tree.get("data") != []:  # also what is not as documented: the core sets it aside, and it can be read again
            yield answer.body
        onward = tree.get("nextCursor")
        if not onward:
            return
        if not isinstance(onward, str) or onward in seen or len(seen) == MOST_PAGES:
            raise UnexpectedAnswer("the list of infections does not go on")
        seen.add(onward)
        asked["cursor"] = onward


def _read(body: bytes) -> dict[str, Any]:
    try:
        tree = strict_json.parse(body)
    except Malformed:
        raise UnexpectedAnswer("the answer cannot be read") from None
    return tree if isinstance(tree, dict) else {}


def _infection(item: Any, path: str, asked: Asked) -> RawEvent | BrokenEvent:
    """Of an infection what is read of it. One that holds no login of the asked address is set aside."""
    kept = {name: item.get(name) for name in READ} if isinstance(item, dict) else {}
    stealer = kept.get("stealer")
    if not isinstance(stealer, str) or not stealer.strip() or strict_json.flawed(kept, above=2):
        return BrokenEvent(f"{path}.stealer")
    logins = item.get("credentials")
    names = [one.get("username") for one in logins if isinstance(one, dict)] if isinstance(logins, list) else []
    address = _account(asked).strip().lower()
    if not any(isinstance(name, str) and name.strip().lower() == address for name in names):
        return BrokenEvent(f"{path}.credentials")
    return RawEvent(INFECTION, stealer, kept, asked)
