"""What a mail of a known sender tells of, by rules that are data (rules/*.yaml, and an admin's own).

The wrong kind is the worst outcome: whatever is unsure becomes `Undecided`, which is a person's work. A sender that no rule
knows is never decided. The sender's address is what the mail claims; what proves it is the grade's business, not a rule's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import MappingProxyType

from connectors.mail.letter import Letter
from connectors.mail.patterns import Pattern, compiled
from connectors.mail.rule_file import AlertMail, Carries, IgnoredMail, RuleFile, rule_file
from connectors.mail.telling import doubted, teaches, told
from connectors.mail.wording import LONGEST_TEXT, Words, words
from connectors.mail.yielding import details
from connectors.vocabulary import AlertKind, Bureau

FOLDER = Path(__file__).parent / "rules"
MOST_DOCUMENTS = 200
MOST_PATTERNS = 3_000
"""Of all rules of one connection; fewer than are kept compiled (patterns.py)."""
LONGEST_SUBJECT = 1000

_GRAVEST = (
    AlertKind.EXPOSURE_SSN,
    AlertKind.EXPOSURE_GOVERNMENT_ID,
    AlertKind.EXPOSURE_FINANCIAL,
    AlertKind.EXPOSURE_CREDENTIALS,
    AlertKind.EXPOSURE_CONTACT,
    AlertKind.EXPOSURE_BREACH_LISTING,
)
"""One find of several sorts of data is of its gravest sort, as in the connectors of feeds."""

_ALSO = {"takeover": frozenset({"file_change"}), "ssn": frozenset({"new_account", "inquiry"})}
"""Of what a mail of a family tells by telling of its own: an account is taken over by another address, an SSN used to apply."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule yields. `kind` None: known mail that is no alert, and `ignored` says what it is.

    `rule`: the name of the file; `provider`: its title. `currency` is there when `amount` is.
    """

    rule: str
    kind: AlertKind | None
    ignored: str | None
    details_requested: bool
    provider: str
    institution: str | None = None
    last_four: str | None = None
    amount: Decimal | None = None
    currency: str | None = None
    bureau: Bureau | None = None


@dataclass(frozen=True, slots=True)
class Undecided:
    """Only a person can tell. `reason`: plain words that quote nothing of the mail."""

    reason: str


@dataclass(frozen=True, slots=True)
class Sender:
    """One rule file with all that it uses of others."""

    name: str
    file: RuleFile
    alerts: tuple[AlertMail, ...]
    ignored: tuple[IgnoredMail, ...]
    yields: tuple[str, ...]

    def carries(self, domain: str) -> Carries | None:
        """What this sender uses a domain for: the longest of its own that is the domain or a parent of it; None: not its."""
        own = [entry for entry in self.file.domains if domain == entry.domain or domain.endswith(f".{entry.domain}")]
        return max(own, key=lambda entry: len(entry.domain)).carries if own else None


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of one connection, by name. Immutable."""

    senders: Mapping[str, Sender]


@dataclass(frozen=True, slots=True)
class _Mail:
    subject: Words
    body: Words

    @property
    def told(self) -> frozenset[str]:
        return told(self.subject.said) | told(self.body.said)

    @property
    def denied(self) -> frozenset[str]:
        return told(self.subject.denied) | told(self.body.denied)


@cache
def shipped() -> Mapping[str, str]:
    """Name -> text of the rule files that come with the house, sorted by name."""
    return MappingProxyType({path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yaml"))})


def read_rules(documents: Mapping[str, str]) -> Rules:
    """The shipped rules, each replaced by the document of its name, and the other documents beside them.

    ValueError names the rule, the path of the field and how to mend it.
    """
    if len(documents) > MOST_DOCUMENTS:
        raise ValueError(f"more than {MOST_DOCUMENTS} rules: put what is about one sender into one")
    texts = {**shipped(), **documents}
    files = {name: rule_file(name, texts[name]) for name in sorted(texts)}
    if len({text for file in files.values() for text in file.patterns}) > MOST_PATTERNS:
        raise ValueError(f"more than {MOST_PATTERNS} patterns in all rules together: let rules use one another's")
    return Rules(MappingProxyType({name: _sender(name, files) for name in files}))


def _sender(name: str, files: Mapping[str, RuleFile]) -> Sender:
    file = files[name]
    for number, used in enumerate(file.uses):
        if used == name or used not in files:
            raise ValueError(f"rule {name}: uses.{number}: is the name of no other rule")
    parts = [file, *(files[used] for used in file.uses)]
    return Sender(
        name,
        file,
        tuple(entry for part in parts for entry in part.alerts),
        tuple(entry for part in parts for entry in part.ignored),
        tuple(text for part in parts for text in part.yields),
    )


def decide(rules: Rules, letter: Letter) -> Found | Undecided:
    """What a mail tells of: exactly one kind that all rules of its sender agree on, known mail that is no alert, or undecided.

    Pure; never raises; takes time in proportion to the mail. The first rule by name that fits is the one that is named.
    """
    domain = letter.domain.lower().rstrip(".")
    senders = [(sender, carried) for sender in rules.senders.values() if (carried := sender.carries(domain)) is not None]
    if not senders:
        return Undecided("no rule knows this sender")
    if len(letter.text) > LONGEST_TEXT or len(letter.subject) > LONGEST_SUBJECT:
        return Undecided("it is longer than a rule may read")
    mail = _Mail(words(letter.subject), words(letter.text))
    fitting = [(sender, entry) for sender, _ in senders for entry in sender.alerts if _fits(entry, mail)]
    if not fitting:
        return _no_alert(senders, mail)
    if any(carried is Carries.MARKETING for _, carried in senders):
        return Undecided("it tells of an alert, and comes from an address for advertising")
    kinds = _telling_most(entry.kind for _, entry in fitting)
    if len(kinds) > 1:
        return Undecided("it fits more than one kind of alert")
    (kind,) = kinds
    return _doubt(kind, mail) or _found(kind, fitting, mail)


def _doubt(kind: AlertKind, mail: _Mail) -> Undecided | None:
    """Why a mail that fits one kind may tell of something else, or None."""
    if mail.told - {kind.family} - _ALSO.get(kind.family, frozenset()):
        return Undecided("it fits one kind of alert, and tells of another besides")
    if kind.family in mail.denied:
        return Undecided("it denies what it says, or says what it denies")
    if teaches(mail.subject.whole):
        return Undecided("it may explain what an alert is")
    reason = doubted(mail.subject.said) or doubted(mail.body.said)
    return Undecided(reason) if reason else None


def _found(kind: AlertKind, fitting: list[tuple[Sender, AlertMail]], mail: _Mail) -> Found | Undecided:
    agreeing = [(sender, entry) for sender, entry in fitting if entry.kind is kind]
    named = details(_places(agreeing, mail))
    if named.many_institutions:
        return Undecided("it names more than one company")
    bare = named.institution is None and named.last_four is None and named.amount is None
    asks = kind.family != "exposure" or any(entry.details_requested for _, entry in agreeing)
    sender = agreeing[0][0]
    return Found(
        rule=sender.name,
        kind=kind,
        ignored=None,
        details_requested=bare and asks,
        provider=sender.file.title,
        institution=named.institution,
        last_four=named.last_four,
        amount=named.amount,
        currency=None if named.amount is None else "USD",
        bureau=named.bureau,
    )


def _places(agreeing: Iterable[tuple[Sender, AlertMail]], mail: _Mail) -> Iterator[tuple[Pattern, str]]:
    """Each pattern that may yield something, once, with the text that it reads."""
    seen = set()
    for sender, entry in agreeing:
        texts = [(text, mail.subject.said) for text in entry.subject]
        texts += [(text, mail.body.said) for text in entry.body]
        texts += [(text, mail.body.whole) for text in sender.yields]
        for place in texts:
            if place not in seen:
                seen.add(place)
                yield compiled(place[0]), place[1]


def _no_alert(senders: Iterable[tuple[Sender, Carries]], mail: _Mail) -> Found | Undecided:
    """Mail that is known for no alert; undecided at the least sign of one."""
    if mail.told:
        return Undecided("it tells of an alert in words that no rule knows")
    for sender, carried in senders:
        if carried is Carries.MARKETING:
            return Found(sender.name, None, "advertising", False, sender.file.title)
    for sender, _ in senders:
        for entry in sender.ignored:
            if _one_of(entry.subject, mail.subject.whole) and (not entry.body or _one_of(entry.body, mail.body.whole)):
                if any(_touches(alert, mail) for alert in sender.alerts):
                    return Undecided("it looks like mail that is no alert, and holds words of one")
                return Found(sender.name, None, entry.reason, False, sender.file.title)
    return Undecided("no rule fits it")


def _telling_most(kinds: Iterable[AlertKind]) -> set[AlertKind]:
    """Without the kinds that say no more than that something happened, where another says what.

    An unknown account gives way to an account of a known sort, something unclassified to anything; one find of several sorts of
    data is of its gravest, as in the connectors of feeds.
    """
    left = set(kinds)
    if len(left) > 1:
        left.discard(AlertKind.OTHER_UNCLASSIFIED)
    if len(left) > 1 and all(kind.family == "new_account" for kind in left):
        left.discard(AlertKind.NEW_ACCOUNT_UNKNOWN)
    if left <= set(_GRAVEST):
        return {min(left, key=_GRAVEST.index)}
    return left


def _fits(entry: AlertMail, mail: _Mail) -> bool:
    return _one_of(entry.subject, mail.subject.said) and (not entry.body or _one_of(entry.body, mail.body.said))


def _touches(entry: AlertMail, mail: _Mail) -> bool:
    """Whether something of it fits; that a mail asks to log in is a sign of nothing."""
    return _one_of(entry.subject, mail.subject.said) or (not entry.details_requested and _one_of(entry.body, mail.body.said))


def _one_of(patterns: Iterable[str], text: str) -> bool:
    return any(compiled(pattern).search(text) is not None for pattern in patterns)
