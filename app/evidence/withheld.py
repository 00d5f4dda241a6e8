"""What is not in a packet, and why, in words that a court can read. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from app.incidents.models import UnmatchedReason


class Why(StrEnum):
    """Why something is not shown; the words of the packet's format (docs/packet.md)."""

    ERASED = "erased"
    TERM = "term"
    NOT_CONSENTED = "not_consented"
    REDACTED = "redacted"
    OTHER_PEOPLE = "other_people"
    UNPROVEN = "unproven"


WORDS: Mapping[Why, str] = MappingProxyType(
    {
        Why.ERASED: "Somebody whose data was in it asked to be erased: its key was destroyed, and nobody can read it any more. "
        "That it came, over which connection and when, stays proven.",
        Why.TERM: "The contract with the service says after how long its own text has to go, and that time is over. What was "
        "understood of it stays.",
        Why.NOT_CONSENTED: "The member has not agreed, or no longer agrees, to its being kept and shown.",
        Why.REDACTED: "Held back in the redacted edition, since it may hold whole numbers (California Rules of Court 1.201). "
        "The sealed edition has it.",
        Why.OTHER_PEOPLE: "What is held back says something of people who are not in this packet, or of people nobody can name.",
        Why.UNPROVEN: "What is kept of it, or of the check of its signature, is not what the log bound when it came in: so it is "
        "not shown as an original.",
    }
)

UNREAD: Mapping[str | None, Why] = MappingProxyType(
    {
        UnmatchedReason.NO_CONSENT: Why.NOT_CONSENTED,
        UnmatchedReason.REFUSED: Why.NOT_CONSENTED,
        UnmatchedReason.EXPIRED: Why.NOT_CONSENTED,
        UnmatchedReason.SEVERAL_MEMBERS: Why.OTHER_PEOPLE,
        UnmatchedReason.NO_ENROLLMENT: Why.OTHER_PEOPLE,
        UnmatchedReason.ERASED: Why.ERASED,
        None: Why.NOT_CONSENTED,
    }
)
"""Why an alert is not shown that came for somebody and is nobody's, by what the queue says of it (None: not looked at yet)."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """One thing that is not shown. `exhibit`: the number of the exhibit that it would stand in, if there is one."""

    what: str
    why: Why
    exhibit: str | None = None

    def told(self) -> dict[str, object]:
        """As the packet's list has it."""
        return {"what": self.what, "exhibit": self.exhibit, "why": self.why.value, "count": 1}
