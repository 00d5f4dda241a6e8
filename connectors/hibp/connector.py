"""Have I Been Pwned v3: it is asked, and its answers are about breaches, not about frauds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from connectors import strict_json
from connectors.asking import (
    NOTHING_ASKED,
    Answer,
    Asked,
    Http,
    NotAPath,
    Page,
    PollPlan,
    ProviderError,
    Subject,
    UnexpectedAnswer,
    may_be_one_questions,
)
from connectors.claimed import interval
from connectors.contract import (
    BreachRecord,
    BrokenEvent,
    Connector,
    ConnectorConfig,
    Interval,
    Malformed,
    Meaning,
    RawEvent,
    Text,
    validated,
)
from connectors.hibp.data_classes import ELEMENTS
from connectors.hibp.questions import keep_pace, last_added, question
from connectors.vocabulary import AlertKind

LISTING, BREACH = "listing", "breach"
LONGEST_NAME = 200


class HibpConfig(ConnectorConfig):
    """How the service is asked."""

    base_url: str = Field(default="https://haveibeenpwned.com/api/v3", description="Address of the service")
    api_key: SecretStr = Field(description="Your API key of 32 letters and digits")
    range_search: bool = Field(
        default=False,
        description="Ask without telling whole e-mail addresses; needs a plan that offers this (“k-anonymity”)",
    )


class Breach(BaseModel):
    """What is read of a breach. The description is HTML that strangers had a hand in, and is not carried further."""

    model_config = ConfigDict(extra="ignore", strict=True)

    Name: Text
    Title: Text | None = None
    BreachDate: str | None = None
    AddedDate: str | None = None
    DataClasses: list[str] | None = None


class Hibp(Connector):
    """Members are asked about when the service has added a breach since. A 404 says that an address is in none."""

    name = "hibp"
    title = "Have I Been Pwned"
    config = HibpConfig
    poll = PollPlan(every=timedelta(hours=1), requests_per_minute=10)
    events: ClassVar[Mapping[str, Meaning]] = dict.fromkeys((LISTING, BREACH), AlertKind.EXPOSURE_BREACH_LISTING)

    async def pages(self, http: Http, config: HibpConfig, cursor: str | None, subjects: Sequence[Subject]) -> AsyncIterator[Page]:
        """One answer a member, behind the breaches that it is the first to name: no cursor is ahead of a description."""
        key = {"hibp-api-key": config.api_key.get_secret_value()}
        key_is_good = await keep_pace(http, key, anybody=bool(subjects))
        added = last_added(await http.get("/latestbreach"))
        due = [subject for subject in subjects if subject.cursor != added]
        met: set[str] = set()
        for subject in due or ([] if key_is_good else subjects[:1]):
            asked, path, params = question(subject.reference, by_range=config.range_search)
            try:
                answer = await http.get(path, params=params, headers=key, may_miss=True)
            except ProviderError as error:
                if not may_be_one_questions(error):
                    raise
                yield Page(None, subject=subject.reference, error=error)
                continue
            names = self._names(answer, asked)
            wrong: ProviderError | None = None
            for name in sorted((names or set()) - met):
                try:
                    known = await http.get(f"/breach/{quote(name, safe='')}", may_miss=True)
                except (NotAPath, UnexpectedAnswer) as error:
                    wrong = error
                    continue
                met.add(name)
                if known.found:
                    yield Page(known.body, asked={"breach": name})
            # Without a description the cursor stays, so that it is asked for again.
            yield Page(None if names is None else answer.body, None if wrong else added, asked, subject.reference)
            if wrong is not None:
                yield Page(None, subject=subject.reference, error=wrong)
        yield Page(None, added)

    def _names(self, answer: Answer, asked: Asked) -> set[str] | None:
        """The breaches that an answer names for whom we asked about; None: it holds nothing about them."""
        if not answer.found:
            return None
        try:
            events = list(self.split(answer.body, asked))
        except Malformed:
            return set()  # kept all the same: the core sets it aside, and it can be read again after a correction
        return {event.external_id for event in events if isinstance(event, RawEvent)} if events else None

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """One listing a breach, of the one whom we asked about; or the one breach that we asked about."""
        tree = strict_json.parse(body)
        if "breach" in asked:
            named = isinstance(tree, dict) and not strict_json.flawed(tree) and tree.get("Name") == asked["breach"]
            return [RawEvent(BREACH, asked["breach"], tree, asked) if named else BrokenEvent("Name")]
        if "account" not in asked or not isinstance(tree, list):
            raise Malformed("$")
        if "suffix" in asked:
            return [event for at, item in enumerate(tree) for event in _of_range(item, f"[{at}]", asked)]
        return [_listing(item, "Name", f"[{at}]", asked) for at, item in enumerate(tree)]

    def normalise(self, event: RawEvent) -> BreachRecord:
        """Whom a breach lists, with no word on what of theirs it held; or what a breach held, with nobody in it."""
        if event.event_type == LISTING:
            account, name = event.asked.get("account", ""), event.external_id
            if not account.strip():
                raise Malformed("account")
            return BreachRecord(member_ref=account, identity=(LISTING, account, name), breach_name=name)
        if event.event_type != BREACH:
            raise Malformed("type")
        told = validated(Breach, event.body)
        classes = told.DataClasses
        added = _claimed(told.AddedDate, "AddedDate")
        return BreachRecord(
            identity=(BREACH, told.Name),
            breach_name=told.Name,
            title=told.Title,
            elements=None if classes is None else frozenset(ELEMENTS[name] for name in classes if name in ELEMENTS),
            breached=_claimed(told.BreachDate, "BreachDate"),
            published=Interval(latest=added.latest) if added else None,
        )


def _listing(item: Any, field: str, path: str, asked: Asked) -> RawEvent | BrokenEvent:
    name = item.get(field) if isinstance(item, dict) and not strict_json.flawed(item, above=1) else None
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME:
        return BrokenEvent(f"{path}.{field}")
    return RawEvent(LISTING, name, item, asked)


def _of_range(item: Any, path: str, asked: Asked) -> Iterable[RawEvent | BrokenEvent]:
    """The listings of one entry if it is our member's; an entry is handed on without the strangers beside it."""
    suffix = item.get("hashSuffix") if isinstance(item, dict) else None
    if not isinstance(suffix, str):
        return [BrokenEvent(f"{path}.hashSuffix")]
    if suffix.upper() != asked["suffix"]:
        return []
    names = item.get("websites")
    if not isinstance(names, list):
        return [BrokenEvent(f"{path}.websites")]
    return [_listing({"Name": name}, "Name", f"{path}.websites[{at}]", asked) for at, name in enumerate(names)]


def _claimed(text: str | None, path: str) -> Interval | None:
    try:
        return None if text is None else interval(text)
    except ValueError:
        raise Malformed(path) from None
