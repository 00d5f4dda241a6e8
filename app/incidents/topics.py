"""What incidents tell other rooms."""

from collections.abc import Collection
from uuid import UUID

from app.kit.outbox import Heard

INCIDENTS_CHANGED = "incidents.changed"
"""Topic: something about the incidents of `member_id` is other than before."""

_NAMED = "incident_ids"


def naming(member_id: UUID, incident_ids: Collection[UUID]) -> dict[str, UUID | str]:
    """The payload of INCIDENTS_CHANGED: whose they are, and which, with blanks between them."""
    return {"member_id": member_id, _NAMED: " ".join(map(str, sorted(incident_ids)))}


def incidents_named(message: Heard) -> set[UUID] | None:
    """Which incidents a message names; None where it names none, and so means all of the member's."""
    named = message.payload.get(_NAMED)
    return set(map(UUID, named.split())) if named else None
