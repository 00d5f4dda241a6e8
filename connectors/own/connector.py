"""What members report themselves: something that they found out, or a document that they have.

One receipt is one report. Its body is the document, byte for byte, or without one the report itself as JSON; what was typed in,
and by whom, stands beside it. So a document is evidence of the member's having it, never of what it says.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from connectors.asking import NOTHING_ASKED, Asked
from connectors.contract import Alert, BrokenEvent, Connector, Malformed, Meaning, Notice, RawEvent, Text, validated
from connectors.own.documents import ENDINGS, media_type_of
from connectors.own.report import Report
from connectors.strict_json import flawed, parse
from connectors.verifiers import Grade, Outcome, Verification

NAME = "own"
REPORT = "report"
DOCUMENT = "document"
ENTERED = Verification(
    Outcome.AUTHENTIC, "entered", None, "a member who was signed in entered it; nobody else vouches for it", None, Grade.MEMBER
)


class _Told(Report):
    """A report with who made it, and what sort of document is with it."""

    member: Text
    document: Text | None = None


def beside(report: Report, member: str, document: bytes | None) -> dict[str, str]:
    """What stands beside the body of a report. Raises ValueError for a document of a sort that is not taken."""
    told = {"member": member, **report.typed}
    if document is None:
        return told
    media_type = media_type_of(document)
    if media_type is None:
        raise ValueError("a document of a sort that is not taken")
    return {**told, DOCUMENT: media_type}


def written(report: Report) -> bytes:
    """The body of a report without a document."""
    return json.dumps(report.typed, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


class Own(Connector):
    """Receives what members of the organization report."""

    name = NAME
    title = "What members report themselves"
    by_hand = True
    events: ClassVar[Mapping[str, Meaning]] = {REPORT: Notice.AS_IT_SAYS}

    def proof_of(self, body: bytes, asked: Asked) -> Verification:
        """That a member entered it."""
        return ENTERED

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """One report. What the document is, is asked of its bytes again."""
        if DOCUMENT not in asked:
            typed = parse(body)
            if not isinstance(typed, dict) or flawed(typed):
                raise Malformed("$")
            return [RawEvent(REPORT, _digest(typed), typed, asked)]
        digest = hashlib.sha256(body).hexdigest()
        about = {"media_type": media_type_of(body), "size": len(body), "sha256": digest}
        typed = {name: text for name, text in asked.items() if name not in ("member", DOCUMENT)}
        return [RawEvent(REPORT, digest, {**typed, DOCUMENT: about}, asked)]

    def normalise(self, event: RawEvent) -> Alert:
        """The report as an alert of whoever made it. The same report, with the same document, is the same alert."""
        told = validated(_Told, event.asked)
        report = Report(**told.model_dump(exclude={"member", DOCUMENT}))
        if {name: value for name, value in event.body.items() if name != DOCUMENT} != report.typed:
            raise Malformed(REPORT)
        _require_document(event.body.get(DOCUMENT), told.document)
        return Alert(
            kind=report.kind,
            member_ref=told.member,
            identity=(told.member, _digest(event.body)),
            summary=report.note or ("Reported with a document." if told.document else "Reported without further words."),
            institution=report.institution,
            last_four=report.last_four,
            amount=report.amount,
            currency=report.currency,
            occurred=report.occurred,
            completes=str(report.completes) if report.completes else None,
        )


def _require_document(about: object, said: str | None) -> None:
    if about is None and said is None:
        return
    if not isinstance(about, Mapping) or said not in ENDINGS or about.get("media_type") != said:
        raise Malformed(DOCUMENT)
    if not isinstance(about.get("sha256"), str):
        raise Malformed(f"{DOCUMENT}.sha256")


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
