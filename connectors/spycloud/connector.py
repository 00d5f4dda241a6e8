"""SpyCloud: the records of all watched e-mail addresses, asked for from the last day of publication on. See the README."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import ClassVar

from pydantic import Field, SecretStr

from connectors import strict_json
from connectors.asking import NOTHING_ASKED, Asked, Http, Page, PollPlan, Subject
from connectors.contract import Alert, BrokenEvent, Connector, ConnectorConfig, Interval, Malformed, Meaning, RawEvent, pick
from connectors.fields import LONGEST_TEXT, identifier, moment, text
from connectors.spycloud.records import MALWARE, NUMBERS, SEVERITIES, SEVERITY, record
from connectors.spycloud.watchlist import Reached, before, listed

KINDS = {**NUMBERS, **SEVERITIES}


class SpyCloudConfig(ConnectorConfig):
    """How the provider is asked."""

    base_url: str = Field(default="https://api.spycloud.io/enterprise-v2", description="Address of the provider's API")
    api_key: SecretStr = Field(description="The API key from the provider")
    watchlist_type: str = Field(
        default="email",
        pattern=r"^(email|domain|subdomain|ip)?$",
        description="What is watched: email, domain, subdomain or ip; blank for all of them",
    )


class SpyCloud(Connector):
    """A record is one find about one address. What is watched is listed as a whole, whoever of them is enrolled."""

    name = "spycloud"
    title = "SpyCloud"
    config = SpyCloudConfig
    poll = PollPlan(every=timedelta(hours=1), overlap=timedelta(days=3), sweep_every=timedelta(days=30))
    one_shape = True
    events: ClassVar[Mapping[str, Meaning]] = {word: kind for word, (kind, _) in KINDS.items()}

    async def pages(
        self, http: Http, config: SpyCloudConfig, cursor: str | None, subjects: Sequence[Subject]
    ) -> AsyncIterator[Page]:
        """What was published since, and once a day of the provider's what was changed since. The cursor is those two days."""
        headers = {"x-api-key": config.api_key.get_secret_value()}
        watched = {"watchlist_type": config.watchlist_type} if config.watchlist_type else {}
        reached, overlap = Reached.by(cursor), self.poll.overlap
        since = {"since": before(reached.newest, overlap)} if reached.newest else {}
        async for body in listed(http, {**watched, **since}, headers, reached):
            yield Page(body, asked={"list": "new"})
        last = reached.checked
        if last is not None and (reached.today is None or reached.today > last):
            async for body in listed(http, {**watched, "since_modification_date": before(last, overlap)}, headers, reached):
                yield Page(body, asked={"list": "changed"})
        reached.checked = reached.today or last or reached.newest
        # Only here: in which order the records come is not said, so a page before the last could hide an older one.
        yield Page(None, reached.cursor)

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """One event a record of the page."""
        results = pick(strict_json.parse(body), "results", list)
        return [record(item, f"results[{at}]") for at, item in enumerate(results)]

    def normalise(self, event: RawEvent) -> Alert:
        """Whose address was found, with what, and where."""
        if event.event_type not in self.events:
            raise Malformed(SEVERITY)
        told, (kind, found) = event.body, KINDS[event.event_type]
        whose = identifier(told, "email").lower()
        published = moment(told, "spycloud_publish_date")
        if published is None:
            raise Malformed("spycloud_publish_date")
        return Alert(
            kind=kind,
            member_ref=whose,
            identity=("document", whose, identifier(told, "document_id")),
            summary=_said(event, found),
            last_four=text(told, "ends"),
            occurred=_infected(event),
            reported=published,
        )


def _said(event: RawEvent, found: str) -> str:
    """In words, without anything of what was found."""
    parts = [found if event.event_type in SEVERITIES else f"{found} was found with this e-mail address in leaked data"]
    if event.event_type != MALWARE and _by_malware(event):
        parts.append("malware took it from a device")
    title = text(event.body, "breach_title")
    return (f"{'; '.join(parts)}: {title}" if title else f"{'; '.join(parts)}.")[:LONGEST_TEXT]


def _by_malware(event: RawEvent) -> bool:
    return f"{SEVERITY}.{event.body.get(SEVERITY)}" == MALWARE


def _infected(event: RawEvent) -> Interval | None:
    """When a device was infected, where that can be read: how it is written is known from an example alone."""
    try:
        return moment(event.body, "infected_time") if _by_malware(event) else None
    except Malformed:
        return None
