"""The provider's own lists of somebody's alerts, page by page, the newest first: what there is, and whose it is.

Only an item's id and type are guaranteed. Where items bear a date, reading may stop at what is long known.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import SecretStr

from connectors import strict_json
from connectors.array.notices import alert_id
from connectors.asking import (
    Asked,
    Http,
    NotAPath,
    Page,
    ProviderError,
    Subject,
    UnexpectedAnswer,
    UnknownReference,
    may_be_one_questions,
)
from connectors.claimed import bureau_interval
from connectors.contract import Malformed

COUNT = 100
"""Alerts a page. The documentation names no limit."""

MOST_PAGES = 5


class Settings(Protocol):
    """What is needed to ask."""

    @property
    def client_token(self) -> SecretStr:
        """The organization's token."""

    @property
    def list_path(self) -> str:
        """Where the lists are."""

    @property
    def bureaus(self) -> Sequence[str]:
        """Whose alerts are listed."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One page. `items` None: it is not what the documentation describes."""

    body: bytes
    offset: int
    items: tuple[Any, ...] | None

    @property
    def ids(self) -> frozenset[str]:
        """The ids of its alerts."""
        return frozenset(found for item in self.items or () if (found := alert_id(item)) is not None)

    @property
    def dates(self) -> tuple[datetime | None, ...]:
        """When each of its alerts was made, as far as it says."""
        return tuple(_made(item) for item in self.items or ())


def headers(config: Settings) -> Mapping[str, str]:
    """What proves us to the provider."""
    return {"x-credmo-client-token": config.client_token.get_secret_value()}


async def pages(http: Http, config: Settings, whose: str, bureau: str, since: datetime | None = None) -> AsyncIterator[Listed]:
    """Every page of one list to its end, or to a page whose alerts were all made before `since`.

    None at all where the provider has no such list. Raises ProviderError: also when it gives what it gave before, or what cannot
    be read, behind that page.
    """
    seen: set[str] = set()
    offset = 0
    while True:
        asked = {"clientKey": whose, "bureau": bureau, "offset": str(offset), "count": str(COUNT)}
        answer = await http.get(config.list_path, params=asked, headers=headers(config), may_miss=True)
        if not answer.found:
            return
        page = Listed(answer.body, offset, _items(answer.body))
        yield page
        if page.items is None:
            raise UnexpectedAnswer("the provider's list of alerts cannot be read")
        # A short page is not the end: how many it gives at most is not documented.
        if not page.items or (since and all(date is not None and date < since for date in page.dates)):
            return
        if page.ids <= seen:
            raise UnexpectedAnswer("the provider's list of alerts does not come to an end")
        seen |= page.ids
        offset += len(page.items)


async def has(http: Http, config: Settings, asked: Asked) -> bool:
    """Whether the provider itself has this alert for this person, among the newest: what a stranger sends proves nothing."""
    read = 0
    async for page in pages(http, config, asked["clientKey"], asked["bureau"]):
        read += 1
        if asked["alertId"] in page.ids:
            return True
        if read == MOST_PAGES:
            break
    return False


async def about(http: Http, config: Settings, subject: Subject, overlap: timedelta) -> AsyncIterator[Page]:
    """The pages about one person, and behind them the cursor: the newest date in them, once all of them were read.

    A list that cannot be read spares the others, and the cursor stays. Who has no list at all is not known there, which must
    not look like "no alerts".
    """
    newest, found = _moment(subject.cursor), False
    since = newest - overlap if newest else None
    failure: ProviderError | None = None
    for bureau in config.bureaus:
        try:
            async for page in pages(http, config, subject.reference, bureau, since):
                found = True
                newest = max((date for date in (newest, *page.dates) if date), default=None)
                if page.items != ():
                    asked = {"clientKey": subject.reference, "bureau": bureau, "list": str(page.offset)}
                    yield Page(page.body, asked=asked, subject=subject.reference)
        except (NotAPath, UnexpectedAnswer) as error:
            failure = failure or error
        except ProviderError as error:
            if not may_be_one_questions(error):
                raise
            failure = error
            break
    if failure is None and not found:
        failure = UnknownReference("the provider has no list for them: the path of the lists or the reference may be wrong")
    cursor = newest.isoformat() if newest and failure is None else None
    yield Page(None, cursor=cursor, subject=subject.reference, error=failure)


def _items(body: bytes) -> tuple[Any, ...] | None:
    try:
        tree = strict_json.parse(body)
    except Malformed:
        return None
    found = tree.get("userAlerts") if isinstance(tree, dict) else None
    return tuple(found) if isinstance(found, list) else None


def _made(item: Any) -> datetime | None:
    told = item.get("createDate") if isinstance(item, Mapping) else None
    try:
        return bureau_interval(told).latest if isinstance(told, str) else None
    except ValueError:
        return None


def _moment(cursor: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(cursor) if cursor else None
    except ValueError:
        return None
