"""Say what one event means, by its connector alone. Pure; whatever goes wrong is a reason, not an error."""

import json
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
import rfc8785

from app.intake.models import EventOutcome
from app.kit import canonical
from connectors.asking import NOTHING_ASKED, Asked
from connectors.contract import (
    Alert,
    BreachRecord,
    BrokenEvent,
    Connector,
    ForAPerson,
    GoAndLook,
    HandOn,
    Malformed,
    Normalised,
    NotAnAlert,
    RawEvent,
    storable,
)

KEY_VERSION = 1
LONGEST_PATH = 200
LOOK_UP = "a notice: what it speaks of is looked up"
FOR_A_PERSON = "for a person"
"""In the place of a path: nothing is wrong with any field, only a person can tell what this is."""


class Understood(NamedTuple):
    """What one event is: an alert, a breach record, known and no alert, or to be quarantined with a reason and a path.

    `look`: it is a notice of something to be looked up, and no alert itself; `handed`: it holds a message of its own.
    `member_ref`: about whom it is, as far as it says.
    """

    outcome: EventOutcome | None
    alert: Alert | None = None
    record: BreachRecord | None = None
    look: GoAndLook | None = None
    handed: HandOn | None = None
    member_ref: str | None = None
    content: bytes = b""
    reason: str | None = None
    path: str | None = None


class Unsplittable(Exception):
    """Nothing could be cut out of a body; the message is a field path or the name of an error, never a value."""


def split(connector: Connector, body: bytes, asked: Asked = NOTHING_ASKED) -> list[RawEvent | BrokenEvent]:
    """The events of a body. Raises Unsplittable."""
    try:
        return list(connector.split(body, asked))
    except Malformed as error:
        raise Unsplittable(_written(str(error))) from None
    except Exception as error:  # a connector's own mistake must not stop the inbox: the bytes are kept and can be replayed
        raise Unsplittable(f"connector failed: {type(error).__name__}") from None


def understand(connector: Connector, event: RawEvent | BrokenEvent) -> Understood:
    """What one event means. Never raises."""
    if isinstance(event, BrokenEvent):
        return _quarantined("broken item", event.path)
    if event.event_type not in connector.events:
        return _quarantined("unknown event type", "type")
    if connector.events[event.event_type] is None:
        return Understood(EventOutcome.NON_ALERT, reason="known, not an alert")
    try:
        meaning = connector.normalise(event)
        content = canonical.dumps(dict(event.body))
    except Malformed as error:
        return _quarantined("malformed field", str(error))
    except rfc8785.CanonicalizationError:
        return _quarantined("a number or text without a canonical form", "$")
    except Exception as error:  # a connector's own mistake must not stop the inbox: the event is kept and can be replayed
        return _quarantined(f"connector failed: {type(error).__name__}", "$")
    return _as_said(meaning, content)


def _as_said(meaning: Normalised, content: bytes) -> Understood:
    match meaning:
        case Alert():
            return Understood(None, alert=meaning, member_ref=meaning.member_ref, content=content)
        case BreachRecord():
            return Understood(EventOutcome.BREACH_RECORD, record=meaning, member_ref=meaning.member_ref, content=content)
        case GoAndLook():
            who = meaning.member_ref
            return Understood(EventOutcome.NON_ALERT, look=meaning, member_ref=who, content=content, reason=LOOK_UP)
        case NotAnAlert():
            return Understood(EventOutcome.NON_ALERT, reason=_written(meaning.reason[:80]))
        case HandOn():
            return Understood(EventOutcome.HANDED_ON, handed=meaning, reason=f"a message for {meaning.to}"[:80])
        case ForAPerson():
            return _quarantined(_written(meaning.reason), FOR_A_PERSON, meaning.member_ref)


def _quarantined(reason: str, path: str, member_ref: str | None = None) -> Understood:
    return Understood(EventOutcome.QUARANTINED, member_ref=member_ref, reason=reason[:80], path=_written(path))


def _written(path: str) -> str:
    """A path as every database can keep it: a connector from elsewhere must not be able to stop the inbox with one."""
    return "".join(letter if storable(letter) else "?" for letter in path[:LONGEST_PATH])


def identity_bytes(connection_id: bytes, identity: tuple[str, ...]) -> bytes:
    """What is hashed into the dedupe key: version, connection, identity parts, each with its length before it."""
    out = KEY_VERSION.to_bytes(2, "big")
    for part in (connection_id, *(text.encode() for text in identity)):
        out += len(part).to_bytes(4, "big") + part
    return out


def to_keep(event: RawEvent | BrokenEvent, understood: Understood) -> dict[str, Any]:
    """What the event's own sealed copy holds: the provider's item, what it was asked with, and the alert as normalised."""
    normalised = understood.alert or understood.record
    return {
        "type": event.event_type if isinstance(event, RawEvent) else None,
        "id": event.external_id if isinstance(event, RawEvent) else None,
        "body": dict(event.body) if isinstance(event, RawEvent) else event.body,
        "asked": dict(event.asked) if isinstance(event, RawEvent) else {},
        "alert": normalised.model_dump(mode="json") if normalised else None,
    }


def copy_of(event: RawEvent | BrokenEvent, understood: Understood) -> bytes:
    """`to_keep` as JSON."""
    kept = to_keep(event, understood)
    if understood.content:  # so its body has a canonical form, and no NaN, of which the fast encoder would make null
        with suppress(UnicodeEncodeError):
            return _fast(kept)
    return json.dumps(kept).encode()


def alert_in(copy: bytes) -> Alert:
    """The alert in what `copy_of` wrote of one. What stands beside it is stepped over where that can be."""
    try:
        return Alert.model_validate_json(bytes(_alert_of(copy).alert))
    except msgspec.DecodeError:  # beside it is half a surrogate pair, or NaN
        return Alert.model_validate(json.loads(copy)["alert"])


class _Copy(msgspec.Struct):
    alert: msgspec.Raw


_fast = msgspec.json.Encoder().encode
_alert_of = msgspec.json.Decoder(_Copy).decode


def as_raw(copy: dict[str, Any]) -> RawEvent | None:
    """The event that `to_keep` kept; None for an item that was broken, or whose original is past its term."""
    if copy["type"] is None or copy["body"] is None:
        return None
    return RawEvent(copy["type"], copy["id"], copy["body"], copy.get("asked") or {})
