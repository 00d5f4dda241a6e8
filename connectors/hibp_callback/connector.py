"""Have I Been Pwned for enterprises: it calls back with ranges of hashes, most of which are strangers'. See the README.

Our members are enrolled under the SHA-1 of their address. Who else is in a range leaves nothing behind.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta
from typing import Any, ClassVar, TypeGuard

from pydantic import Field, SecretStr

from connectors import strict_json
from connectors.asking import (
    NOTHING_ASKED,
    Asked,
    Http,
    Page,
    PollPlan,
    ProviderError,
    Retention,
    Subject,
    UnknownReference,
    may_be_one_questions,
)
from connectors.contract import (
    BreachRecord,
    BrokenEvent,
    Connector,
    ConnectorConfig,
    Malformed,
    RawEvent,
    WebhookPlan,
    storable,
)
from connectors.fields import LONGEST_ID, identifier
from connectors.verifiers import BearerList
from connectors.vocabulary import AlertKind

CALLBACK, LISTING = "callback", "listing"
PREFIX, SUFFIX = (re.compile(rf"[0-9A-Fa-f]{{{letters}}}") for letters in (6, 34))
REFERENCE = re.compile(r"[0-9a-f]{40}")
"""In small letters, and nothing else: with one hash written in two ways, a member would be taken for a stranger."""

PREFIX_LETTERS = 6


class HibpCallbackConfig(ConnectorConfig):
    """How the service is asked."""

    base_url: str = Field(description="Address of the enterprise API, as the service told it to you")
    api_key: SecretStr = Field(description="Your enterprise API key")


class HibpCallback(Connector):
    """A callback names many, and comes when a breach is added; every day each member is asked about besides."""

    name = "hibp_callback"
    title = "Have I Been Pwned (callback)"
    config = HibpCallbackConfig
    webhook = WebhookPlan(BearerList())
    poll = PollPlan(every=timedelta(days=1))
    retention = Retention(
        timedelta(days=7), "our own promise: a range of hashes is mostly strangers, and of no use once it is read"
    )
    names_strangers = True
    events: ClassVar[dict[str, AlertKind]] = dict.fromkeys((CALLBACK, LISTING), AlertKind.EXPOSURE_BREACH_LISTING)

    async def pages(
        self, http: Http, config: HibpCallbackConfig, cursor: str | None, subjects: Sequence[Subject]
    ) -> AsyncIterator[Page]:
        """One range a member; of those that hold nothing of theirs nothing is kept."""
        headers = {"hibp-enterprise-api-key": config.api_key.get_secret_value()}
        for subject in subjects:
            asked = {"hash": subject.reference}
            try:
                if not REFERENCE.fullmatch(subject.reference):
                    raise UnknownReference("A reference is not the SHA-1 of an e-mail address in small letters")
                path = f"/range/search/{subject.reference[:PREFIX_LETTERS].upper()}"
                answer = await http.get(path, headers=headers, may_miss=True)
            except ProviderError as error:
                if not may_be_one_questions(error):
                    raise
                yield Page(None, subject=subject.reference, error=error)
                continue
            body = answer.body if answer.found and self._says_something(answer.body, asked) else None
            yield Page(body, asked=asked, subject=subject.reference)

    def _says_something(self, body: bytes, asked: Asked) -> bool:
        """Whether a range holds anything of whom we asked about. Kept, too, is what cannot be read: the core sets it aside."""
        try:
            return any(True for _ in self.split(body, asked))
        except Malformed:
            return True

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """One event for each hash of a callback; of a range that was asked for, one for each breach of whom we asked about."""
        tree = strict_json.parse(body)
        if "hash" not in asked:
            return _called_back(tree)
        if not isinstance(tree, list):
            raise Malformed("$")
        return [event for at, entry in enumerate(tree) for event in _of_range(entry, f"[{at}]", asked["hash"])]

    def normalise(self, event: RawEvent) -> BreachRecord:
        """That a breach lists whoever has this hash. What the breach held is not said here."""
        if event.event_type not in self.events:
            raise Malformed("type")
        whose, breach = identifier(event.body, "hash"), identifier(event.body, "breach")
        if not REFERENCE.fullmatch(whose):
            raise Malformed("hash")
        return BreachRecord(member_ref=whose, identity=(LISTING, whose, breach), breach_name=breach)


def _called_back(tree: Any) -> Iterable[RawEvent | BrokenEvent]:
    """A hash that is none is broken, alone: a range of something else than SHA-1 must not look like one of strangers."""
    if not isinstance(tree, dict):
        return [BrokenEvent("$")]
    breach, prefix, suffixes = (tree.get(name) for name in ("breachName", "hashPrefix", "hashSuffixes"))
    if not _is_name(breach):
        return [BrokenEvent("breachName")]
    if not _is(prefix, PREFIX):
        return [BrokenEvent("hashPrefix")]
    if not isinstance(suffixes, list) or not suffixes:
        return [BrokenEvent("hashSuffixes")]
    return [
        _event(CALLBACK, f"{prefix}{suffix}", breach) if _is(suffix, SUFFIX) else BrokenEvent(f"hashSuffixes[{at}]")
        for at, suffix in enumerate(suffixes)
    ]


def _of_range(entry: Any, path: str, whose: str) -> Iterable[RawEvent | BrokenEvent]:
    """The breaches of one entry if it is our member's; nothing of a stranger's, unless its hash is none."""
    suffix = entry.get("hashSuffix") if isinstance(entry, dict) else None
    if not _is(suffix, SUFFIX):
        return [BrokenEvent(f"{path}.hashSuffix")]
    if suffix.lower() != whose[PREFIX_LETTERS:]:
        return []
    names = entry.get("websites")
    if not isinstance(names, list):
        return [BrokenEvent(f"{path}.websites")]
    return [
        _event(LISTING, whose, name) if _is_name(name) else BrokenEvent(f"{path}.websites[{at}]") for at, name in enumerate(names)
    ]


def _event(sort: str, whose: str, breach: str) -> RawEvent:
    return RawEvent(sort, breach, {"hash": whose.lower(), "breach": breach})


def _is(word: Any, pattern: re.Pattern[str]) -> TypeGuard[str]:
    return isinstance(word, str) and pattern.fullmatch(word) is not None


def _is_name(word: Any) -> TypeGuard[str]:
    return isinstance(word, str) and bool(word.strip()) and len(word) <= LONGEST_ID and storable(word)
