"""E-mail: whatever way a mail came by, here it is split, proven and read, by rules about its sender."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, BinaryIO, ClassVar

from pydantic import AfterValidator, Field

from connectors.asking import NOTHING_ASKED, Asked
from connectors.contract import (
    Alert,
    BrokenEvent,
    Connector,
    ConnectorConfig,
    ForAPerson,
    Malformed,
    Meaning,
    Normalised,
    NotAnAlert,
    Notice,
    Piece,
    RawEvent,
)
from connectors.drafting import Drafting
from connectors.mail import domains, files, rules, signed
from connectors.mail.claims import Answer, answer_in, reported
from connectors.mail.events import ATTACHED, MAIL, Written, events_of, handed_on, recipient, written_in
from connectors.mail.phrases import summary
from connectors.mail.proposing import proposed, rule_name
from connectors.mail.rules import Found, Rules, Undecided
from connectors.mail.telling import suggested
from connectors.verifiers import Outcome, Verification
from connectors.vocabulary import AlertKind

ANSWER, KEYS, KEYS_MISSING = "answer", "keys", "keys_missing"
WHOSE_IS_UNKNOWN = "it is not known to whose address it came"
TOO_DEEP = "it lies inside too many other mails"
COVER = "a covering note: the mail that is attached to it is read by itself"


@cache
def _shipped() -> Rules:
    return rules.read_rules({})


def _domain(text: str) -> str:
    if not domains.is_name(text.strip().lower()):
        raise ValueError("not a domain, such as alerts.example.org")
    return text.strip().lower()


class MailConfig(ConnectorConfig):
    """Where mails come to."""

    domain: Annotated[str, AfterValidator(_domain)] = Field(
        description="The domain of the members' forwarding addresses, such as alerts.example.org"
    )


class Mail(Connector, Drafting):
    """Takes raw mails that others hand on, and files of mails that people hand in. It asks nobody and nobody pushes to it."""

    name = "mail"
    title = "E-mail"
    config = MailConfig
    hands_on_to = "mail"
    by_hand = True
    events: ClassVar[Mapping[str, Meaning]] = {MAIL: Notice.AS_IT_SAYS, ATTACHED: Notice.HAND_ON}

    def __init__(self, bound: Rules | None = None) -> None:
        """`bound`: the rules to read by; those that are shipped when None."""
        self._bound = bound

    @property
    def _rules(self) -> Rules:
        return _shipped() if self._bound is None else self._bound

    def reading_by(self, documents: Mapping[str, str]) -> Mail:
        """Documents are rules about senders, by name, beside the shipped ones or in their place: see `rules.read_rules`."""
        return Mail(rules.read_rules(documents))

    def shipped_documents(self) -> Mapping[str, str]:
        """The rules that come with the house."""
        return rules.shipped()

    def drafted(self, event: RawEvent, kind: AlertKind) -> tuple[str, str] | None:
        """A rule about its sender, named for the sender's domain."""
        if event.event_type != MAIL:
            return None
        letter = written_in(event).letter
        return rule_name(letter), proposed(letter, kind)

    def names_to_ask(self, body: bytes) -> Sequence[str]:
        """The names of the keys that its DKIM signatures were made with."""
        return signed.keys_needed(body)

    def proof_of(self, body: bytes, asked: Asked) -> Verification:
        """What its DKIM signatures prove, with the keys that are kept beside it."""
        proof = signed.proof_of(body, signed.keys_in(asked.get(KEYS, "")))
        reason = proof.reason
        if reason == signed.NO_KEY and asked.get(KEYS_MISSING):
            reason = "the DNS did not answer when its key was asked for"
        return Verification(Outcome.AUTHENTIC, proof.scheme, proof.key_id, reason, proof.signed_at, proof.grade)

    def pieces(self, file: BinaryIO, told: Asked, *, start: int = 0, rows: int = 0) -> Iterator[Piece]:
        """A mail, or a file of mails some at a time. `told["to"]`: to whose address they came; else their own headers say."""
        return files.pieces(file, told, start=start, rows=rows)

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """What its sender wrote, and each mail that is attached; of a file of mails, each of them."""
        return list(events_of(body, asked))

    def normalise(self, event: RawEvent) -> Normalised:
        """An alert as a rule or a person reads it, known mail that is none, a mail to be handed on, or a question to a person."""
        if event.event_type not in self.events:
            raise Malformed("type")
        to, said = recipient(event), answer_in(event.asked[ANSWER]) if ANSWER in event.asked else None
        if said is not None and said.not_an_alert:
            return NotAnAlert("no alert, by a person's word")
        if event.event_type == ATTACHED:
            return handed_on(event) or _question(TOO_DEEP, to)
        written = written_in(event)
        found = rules.decide(self._rules, written.letter)
        if said is None and isinstance(found, Undecided):
            return NotAnAlert(COVER) if written.is_cover else _question(found.reason, to)
        if said is None and isinstance(found, Found) and found.ignored:
            return NotAnAlert(found.ignored)
        return _alert(written, to, found, said) if to else _question("", to)

    def supposed(self, event: RawEvent) -> AlertKind | None:
        """What its words tell of, as far as anybody's words do."""
        return suggested(written_in(event).letter) if event.event_type == MAIL else None

    def shown(self, event: RawEvent) -> Mapping[str, str]:
        """The letter as it can be read, what is attached to it by name, and how it came."""
        if event.event_type != MAIL:
            return {"To": recipient(event)}
        letter = written_in(event)
        lines = {
            "Sent from": letter.letter.domain,
            "From": f"{letter.sender_name} <{letter.sender}>".strip(),
            "To": recipient(event),
            "Date": letter.dated,
            "Subject": letter.subject,
            "How it came": letter.how.value.replace("_", " "),
            "Attached": ", ".join(letter.files),
            "Text": letter.text,
        }
        return {name: text for name, text in lines.items() if text}


def _question(reason: str, to: str) -> ForAPerson:
    return ForAPerson(reason, to) if to else ForAPerson(WHOSE_IS_UNKNOWN)


def _alert(written: Written, to: str, found: Found | Undecided, said: Answer | None) -> Alert:
    """What a person says goes before what the rules say, field by field, where they speak of the same kind."""
    ruled = found if isinstance(found, Found) and (said is None or said.kind is found.kind) else None
    kind = (said.kind if said else ruled.kind if ruled else None) or AlertKind.OTHER_UNCLASSIFIED
    money = said if said is not None and said.amount is not None else ruled
    provider = found.provider if isinstance(found, Found) else written.letter.domain
    return Alert(
        kind=kind,
        member_ref=to,
        identity=(to, *written.identity),
        summary=summary(provider, kind, by_hand=written.how.by_hand, by_a_person=said is not None),
        bureau=(said and said.bureau) or (ruled and ruled.bureau),
        institution=(said and said.institution) or (ruled and ruled.institution),
        last_four=(said and said.last_four) or (ruled and ruled.last_four),
        amount=money.amount if money else None,
        currency=money.currency if money else None,
        reported=reported(written.date, written.dated),
        details_requested=True if ruled is not None and said is None and ruled.details_requested else None,
    )
