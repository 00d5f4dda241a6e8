"""What a packet will hold, in counts: for counsel, before it is built. Pure. Nothing of it says whose anything is."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from app.evidence.chapters import OURS
from app.evidence.exhibits import Variant
from app.evidence.planning import Found
from app.evidence.withheld import Why


@dataclass(frozen=True, slots=True)
class Outline:
    """`size`, `at`: the checkpoint that the packet rests on; `erased`: how many of `members` were erased.

    `withheld`: how many things are held back, by why. `originals`: exhibits with their bytes as they came; None: not known before
    each is read.
    """

    size: int
    at: datetime
    members: int
    erased: int
    exhibits: int
    withheld: Mapping[str, int]
    originals: int | None = None

    def stored(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "at": self.at.isoformat()}

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Outline":
        """Out of what was stored."""
        return cls(**{**stored, "at": datetime.fromisoformat(stored["at"])})


def outline(found: Found) -> Outline:
    """What can be told before anything is read: what is held back as a whole, and of whom nothing can be read any more."""
    made, drafts = found.made, found.drafts()
    natives = {member: len(theirs) for member, theirs in drafts.items()}
    gone = sum(count for member, count in natives.items() if member in found.erased)
    erased = sum(member in found.erased for member in drafts)
    held = Counter(one.why.value for one in made.withheld)
    held[Why.ERASED.value] += gone
    if made.order.variant is Variant.REDACTED:
        held[Why.REDACTED.value] += sum(natives.values()) - gone
    exhibits = sum(natives.values()) + OURS * (len(drafts) - erased)
    return Outline(made.size, made.at, len(drafts), erased, exhibits, {why: n for why, n in sorted(held.items()) if n})
