"""What may be asked for: the packet of a matter, of one member of it, or of a claim that counsel files for some of them. Pure."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from app.evidence.exhibits import Variant
from app.kit import canonical
from app.kit.errors import Problem

LONGEST_CLAIM = 100
_SCOPE_LETTERS = 32


class Kind(StrEnum):
    """Whom a packet is about; the words of the packet's format (docs/packet.md)."""

    MATTER = "matter"
    MEMBER = "member"
    CLAIM = "claim"


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for. `size`: of the checkpoint that the packet is to rest on; None: the newest.

    `members`: whom it is about; none: everybody in the matter. `claim`: the reference under which counsel file for these members.
    """

    matter_id: UUID
    variant: Variant
    prefix: str
    size: int | None = None
    members: tuple[UUID, ...] = ()
    claim: str | None = None

    @property
    def kind(self) -> Kind:
        """Whom it is about."""
        if self.claim is not None:
            return Kind.CLAIM
        return Kind.MEMBER if self.members else Kind.MATTER

    @property
    def chosen(self) -> list[UUID]:
        """The members that were named, each once, by id: in whatever order they were named, it is the same packet."""
        return sorted(set(self.members))

    @property
    def scope(self) -> str:
        """What tells the timeline of a member in this packet from the one in another of the same matter; empty: the matter's."""
        if self.kind is Kind.MATTER:
            return ""
        said = {"kind": self.kind.value, "claim": self.claim, "members": [str(one) for one in self.chosen]}
        return ":" + hashlib.sha256(canonical.dumps(said)).hexdigest()[:_SCOPE_LETTERS]


def require_order(order: Order) -> None:
    """Raises a 422 Problem for a claim that is none or is for nobody, and for several members without one."""
    claim = order.claim
    if claim is None:
        if len(order.chosen) > 1:
            raise Problem(422, "A packet about several members is for a claim: give the claim's reference, such as its number.")
        return
    if not claim.strip() or claim != claim.strip() or len(claim) > LONGEST_CLAIM or not claim.isprintable():
        raise Problem(422, f"A claim's reference is one line of up to {LONGEST_CLAIM} letters, such as the number of the claim.")
    if not order.members:
        raise Problem(422, "A claim is filed for somebody: choose the members that it is for.")


def require_members(chosen: Collection[UUID], there: Collection[UUID], erased: Collection[UUID]) -> None:
    """Raises a 404 or 409 Problem. `there`: the members of the matter; `erased`: those of it of whom nothing can be read."""
    if set(chosen) - set(there) - set(erased):
        raise Problem(404, "There is no such member in this matter: nothing says that its breach exposed data of theirs.")
    if chosen and set(chosen) <= set(erased):
        raise Problem(
            409, "All that was kept of this member was erased: nothing is left to show. The packet of the matter says so."
        )
