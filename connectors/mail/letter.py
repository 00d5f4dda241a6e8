"""What a monitoring service wrote, as far as it survives in the mail that reached us: what sender rules are asked about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class How(StrEnum):
    """How the sender's own words reached us."""

    ORIGINAL = "original"
    """As it was sent: to the address itself, or redirected with its headers left alone."""
    INLINE_GMAIL = "inline_gmail"
    INLINE_OUTLOOK = "inline_outlook"
    INLINE_APPLE = "inline_apple"
    INLINE_OTHER = "inline_other"
    """Quoted in somebody else's mail, in a style that is none of the three."""

    @property
    def by_hand(self) -> bool:
        """Whether a person forwarded it as text of a mail of their own: what its sender signed is gone."""
        return self is not How.ORIGINAL


@dataclass(frozen=True, slots=True)
class Letter:
    """What the sender wrote, as far as it survives.

    `sender`: the address in (the inner) From, lower case, "" when there is none. `text`: what a person would read, plain
    (from text/plain, else the visible text of the HTML), whitespace normalised per line. `date`: as the sender claims it, aware,
    or None. `message_id`: of the sender's own message, without angle brackets; None where it did not survive.
    """

    sender: str
    sender_name: str
    subject: str
    date: datetime | None
    text: str
    message_id: str | None
    how: How

    @property
    def domain(self) -> str:
        """What stands behind the @ of `sender`; "" when there is no sender."""
        return self.sender.rpartition("@")[2]
