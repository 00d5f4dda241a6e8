"""How the watchlist's records are asked for: one question, its pages, and what they say about how far we are.

A page is found by a word that is good for about two minutes. It is never kept: what breaks off begins again with its question.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from connectors import strict_json
from connectors.asking import Answer, Http, UnexpectedAnswer
from connectors.claimed import interval
from connectors.contract import Malformed

PATH = "/breach/data/watchlist"
EARLIEST = date(2000, 1, 1)
"""A day before this is no day of a publication; and there is one before it to begin from."""

BEGINNINGS = 2
"""So often one question is begun in a round. After that the round has failed, and the next one begins where this one did."""


@dataclass(slots=True)
class Reached:
    """How far we are, in days: the newest publication, and when changed records were last asked for. None: not yet at all.

    `today`: the provider's day when the round began, by its own answer; None where it does not say.
    """

    newest: date | None = None
    checked: date | None = None
    today: date | None = None

    @classmethod
    def by(cls, cursor: str | None) -> Reached:
        """What a cursor says: two days, of which the second is the later question's."""
        if cursor is None:
            return cls()
        newest, _, checked = cursor.partition(" ")
        return cls(date.fromisoformat(newest), date.fromisoformat(checked))

    @property
    def cursor(self) -> str | None:
        """As `by` reads it."""
        return f"{self.newest} {self.checked}" if self.newest and self.checked else None

    def learn(self, answer: Answer, records: list[Any]) -> None:
        """Go on to the newest day that these records name. A day that has not come yet would hide all those before it."""
        self.today = self.today or _day_of(answer)
        days = [day for record in records if (day := _published(record))]
        self.newest = max(
            [*filter(None, [self.newest]), *(day for day in days if not self.today or day <= self.today)], default=None
        )


def before(day: date, overlap: timedelta) -> str:
    """The day, earlier by `overlap`, as the provider takes it."""
    return (max(day, EARLIEST) - overlap).isoformat()


async def listed(http: Http, params: Mapping[str, str], headers: Mapping[str, str], reached: Reached) -> AsyncIterator[bytes]:
    """Every page of one question that holds a record. Begins anew where the word of a page is dead.

    UnexpectedAnswer when it breaks off again, and for an answer that is not as documented.
    """
    for beginning in range(1, BEGINNINGS + 1):
        onward, count, hits = "", 0, 0
        try:
            while True:
                answer = await http.get(PATH, params={**params, **({"cursor": onward} if onward else {})}, headers=headers)
                records, following, told = _page(answer)
                reached.learn(answer, records)
                hits = hits or told
                count += len(records)
                if records:
                    yield answer.body
                if records and following:
                    onward = following
                    continue
                if count < hits:
                    raise UnexpectedAnswer("the list ended before everything in it was told")
                return
        except UnexpectedAnswer:
            if not onward or beginning == BEGINNINGS:
                raise


def _page(answer: Answer) -> tuple[list[Any], str, int]:
    """The records of a page, the word that finds the next one ("": there is none), and how many the whole list has."""
    try:
        tree = strict_json.parse(answer.body)
    except Malformed:
        tree = None
    told = tree if isinstance(tree, dict) else {}
    records, following, hits = told.get("results"), told.get("cursor") or "", told.get("hits")
    if not isinstance(records, list) or not isinstance(following, str) or not isinstance(hits, int):
        raise UnexpectedAnswer("the list of records is not as documented")
    return records, following.strip(), hits


def _published(record: Any) -> date | None:
    claim = record.get("spycloud_publish_date") if isinstance(record, dict) else None
    try:
        day = date.fromisoformat(claim[:10]) if isinstance(claim, str) and interval(claim) else None
    except ValueError:
        return None
    return day if day and day >= EARLIEST else None


def _day_of(answer: Answer) -> date | None:
    try:
        return parsedate_to_datetime(answer.headers["date"]).date()
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
