"""What incidents tell other rooms."""

from collections.abc import Collection, Iterable
from uuid import UUID

from app.kit.outbox import Heard

INCIDENTS_CHANGED = "incidents.changed"
"""Topic: something about the incidents of `member_id` is other than before."""

INCIDENTS_LINKED = "incidents.linked"
"""Topic: the same, and their links are found already."""

_NAMED = "incident_ids"


def naming(member_id: UUID, incident_ids: Collection[UUID]) -> dict[str, UUID | str]:
    """The payload of these topics: whose they are, and which, with blanks between them."""
    return {"member_id": member_id, _NAMED: " ".join(map(str, sorted(incident_ids)))}


def incidents_named(message: Heard) -> set[UUID] | None:
    """Which incidents a message names; None where it names none, and so means all of the member's."""
    named = message.payload.get(_NAMED)
    return set(map(UUID, named.split())) if named else None


def named_by_member(messages: Iterable[Heard]) -> dict[UUID, set[UUID] | None]:
    """The members that messages are about, each with the incidents that are named; None: all of the member's."""
    found: dict[UUID, set[UUID] | None] = {}
    for message in messages:
        member_id, named = UUID(message.payload["member_id"]), incidents_named(message)
        before = found.get(member_id, set())
        found[member_id] = None if named is None or before is None else before | named
    return found
