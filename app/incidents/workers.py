"""The workers of incidents: match what intake has seen, recompute who is touched, forget who is erased."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from uuid import UUID

from app.incidents import listings, matching, repository, service
from app.incidents.service import Changed
from app.incidents.topics import INCIDENTS_CHANGED, INCIDENTS_LINKED
from app.intake import repository as intake
from app.intake.fresh import Bring, Fresh
from app.intake.handling import ALERT_SEEN, BREACH_RECORD_SEEN
from app.intake.models import Event
from app.intake.retention import RAW_ERASED
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.outbox import RECEIPTS, Consumer, Heard
from app.members.service import ENROLLMENT_CHANGED, MEMBER_ERASED


def matcher(context: Context) -> Consumer:
    """Match alerts to members and recompute those members' incidents; look again when an enrollment or a consent changes."""

    async def handle(tx: Transaction, messages: Sequence[Heard]) -> None:
        seen = [message.payload for message in messages if message.topic == ALERT_SEEN]
        alerts = dict.fromkeys((UUID(told["connection_id"]), UUID(told["alert_id"])) for told in seen)
        alerts.update(dict.fromkeys(await _waiting(tx, messages)))
        if not alerts:
            return
        organizations = {message.organization_id for message in messages}
        matched = await matching.match_all(tx, context.keyring, list(alerts))
        ours = [one for one in matched if one.organization_id in organizations]
        brought = defaultdict[UUID, list[str]](list)
        for told in seen:
            brought[UUID(told["alert_id"])] += told.get(RECEIPTS, "").split()
        await _recompute(tx, context, ours, brought, INCIDENTS_CHANGED)

    return Consumer("incidents.match", frozenset({ALERT_SEEN, ENROLLMENT_CHANGED}), handle)


Link = Callable[[Transaction, UUID, Changed], Awaitable[object]]
"""Finds the links of incidents of one organization's members again."""


def bringer(context: Context, link: Link) -> Bring:
    """What brings an alert to its member's timeline, and has it linked, in the very transaction that understands it."""

    async def bring(tx: Transaction, new: Sequence[Fresh]) -> Set[UUID]:
        matched = await matching.match_fresh(tx, context.keyring, new)
        brought = {one.alert.id: [str(part.receipt.id) for part in one.parts] for one in new}
        changed = await _recompute(tx, context, matched, brought, INCIDENTS_LINKED)
        for organization_id, theirs in sorted(_by_owner(matched, changed).items()):
            await link(tx, organization_id, theirs)
        return {one.alert_id for one in matched}

    return bring


def _by_owner(matched: Sequence[matching.Whose], changed: Changed) -> Mapping[UUID, Changed]:
    owners = {one.member_id: one.organization_id for one in matched}
    found: defaultdict[UUID, dict[UUID, Set[UUID]]] = defaultdict(dict)
    for member_id, incident_ids in changed.items():
        found[owners[member_id]][member_id] = incident_ids
    return found


async def _recompute(
    tx: Transaction, context: Context, matched: Sequence[matching.Whose], brought: Mapping[UUID, Sequence[str]], topic: str
) -> Changed:
    """Recompute what alerts touch that are somebody's now. `brought`: the receipts that brought them, by alert."""
    touched: defaultdict[UUID, set[UUID]] = defaultdict(set)
    receipts: defaultdict[UUID, list[str]] = defaultdict(list)
    for one in matched:
        touched[one.member_id].add(one.alert_id)
        receipts[one.member_id] += brought.get(one.alert_id, ())
    owners = {one.member_id: one.organization_id for one in matched}
    return await service.recompute_around(tx, context.keyring, touched, owners, receipts, topic=topic)


async def _waiting(tx: Transaction, messages: Sequence[Heard]) -> list[tuple[UUID, UUID]]:
    """The alerts in the queue that changed enrollments or consents may free."""
    changed: dict[UUID, set[UUID]] = {}
    for message in messages:
        if message.topic == ENROLLMENT_CHANGED:
            changed.setdefault(message.organization_id, set()).add(UUID(message.payload["member_id"]))
    rows = [
        row
        for organization_id, member_ids in sorted(changed.items())
        for row in await repository.open_unmatched_of(tx, organization_id, member_ids)
    ]
    return [(row.connection_id, row.alert_id) for row in rows]


def lister(context: Context) -> Consumer:
    """Hand on what providers say about breaches; look again when an enrollment or a consent changes."""

    async def handle(tx: Transaction, messages: Sequence[Heard]) -> None:
        events: dict[UUID, dict[UUID, Event]] = {}
        changed: dict[UUID, set[UUID]] = {}
        for message in messages:
            told = message.payload
            if message.topic == ENROLLMENT_CHANGED:
                changed.setdefault(message.organization_id, set()).add(UUID(told["member_id"]))
            elif (event := await intake.event(tx, UUID(told["connection_id"]), UUID(told["event_id"]))) is not None:
                events.setdefault(message.organization_id, {})[event.id] = event
        for organization_id, member_ids in changed.items():
            again = await repository.breach_records_of(tx, organization_id, member_ids)
            events.setdefault(organization_id, {}).update({event.id: event for event in again})
        for organization_id, found in sorted(events.items()):
            await listings.record(tx, context.keyring, organization_id, list(found.values()))

    return Consumer("incidents.listings", frozenset({BREACH_RECORD_SEEN, ENROLLMENT_CHANGED}), handle)


def eraser(context: Context) -> Consumer:
    """Destroy and delete what was kept of an erased member."""

    async def handle(tx: Transaction, messages: Sequence[Heard]) -> None:
        for message in messages:
            member_id = UUID(message.payload["member_id"])
            await service.forget(tx, context.keyring, message.organization_id, member_id)

    return Consumer("incidents.erase", frozenset({MEMBER_ERASED}), handle)


def raw_eraser(context: Context) -> Consumer:
    """Take the provider's own item out of the member's copy too, once its contract's term is over."""

    async def handle(tx: Transaction, messages: Sequence[Heard]) -> None:
        for message in messages:
            told = message.payload
            where = (UUID(told["connection_id"]), UUID(told["alert_id"]), UUID(told["event_id"]))
            await service.erase_raw(tx, context.keyring, message.organization_id, *where)

    return Consumer("incidents.raw_erased", frozenset({RAW_ERASED}), handle)
