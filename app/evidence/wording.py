"""The words of a packet: what an alert says, what was done, in the third person; moments as its files write them. Pure."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from app.incidents.identity import Answer
from app.ledger.service import Act
from app.timeline.wording import KINDS
from connectors.contract import Interval
from connectors.vocabulary import AlertKind, Bureau

_THIRD_PERSON = (
    ("You were", "The member was"),
    ("in your name", "in the member's name"),
    ("under your name", "under the member's name"),
    ("Your ", "The member's "),
    ("your ", "the member's "),
    ("of yours", "of the member's"),
    ("names you", "names the member"),
)

ANSWERS: Mapping[Answer, str] = MappingProxyType(
    {
        Answer.NOT_ME: "not me",
        Answer.WAS_ME: "was me",
        Answer.UNSURE: "not sure",
        Answer.UNANSWERED: "not answered yet",
    }
)
"""What a member answered to "Was this you?"."""

BUREAUS: Mapping[Bureau, str] = MappingProxyType(
    {
        Bureau.EQUIFAX: "Equifax",
        Bureau.EXPERIAN: "Experian",
        Bureau.TRANSUNION: "TransUnion",
        Bureau.INNOVIS: "Innovis",
        Bureau.CHEXSYSTEMS: "ChexSystems",
        Bureau.OTHER: "another credit bureau",
    }
)
"""What each bureau is called."""

ACTS: Mapping[str, str] = MappingProxyType(
    {
        Act.RECEIPT: "It came in and was kept, byte for byte, with the check of its signature.",
        Act.NORMALISATION: "It was read, and what it says was written down.",
        Act.MATCH: "It was found to be about this member, by the provider's own number for them.",
        Act.MERGE: "It was put together with other alerts about the same act.",
        Act.VERDICT: "The member was asked whether it was them, and answered.",
        Act.VIEW: "Somebody looked at it.",
        Act.EXPORT: "It was taken along in a packet.",
        Act.REPLAY: "It was read again.",
        Act.ERASURE: "Keys were destroyed, so that it can no longer be read.",
        Act.HOLD: "It was put under a legal hold, or the hold was released.",
    }
)
"""The acts that are part of an exhibit's custody, in plain words."""


def in_third_person(text: str) -> str:
    """Words that we wrote for a member, said about them."""
    for said, instead in _THIRD_PERSON:
        text = text.replace(said, instead)
    return text


def title(kind: AlertKind) -> str:
    """What an alert of a kind says happened."""
    return in_third_person(KINDS[kind])


def moment(at: datetime) -> str:
    """A moment as a packet's files write it: UTC, six digits."""
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"


def shown(at: datetime | None) -> str:
    """A moment as people read it, UTC; empty for none."""
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else ""


def between(interval: Interval | None) -> str:
    """A claimed time as people read it: the days only, where it is whole days."""
    if interval is None:
        return ""
    first, last = (None if one is None else f"{one:%Y-%m-%d}" for one in (interval.earliest, interval.latest))
    if first and last:
        return first if first == last else f"{first} to {last}"
    return f"from {first}" if first else f"until {last}" if last else ""
