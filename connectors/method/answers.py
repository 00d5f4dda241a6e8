"""What the provider's answers say: events, whom they are about, and accounts. Pure; what is not as documented is Malformed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors import strict_json
from connectors.asking import Asked
from connectors.claimed import interval
from connectors.contract import Alert, BrokenEvent, Malformed, RawEvent, pick
from connectors.fields import LONGEST_ID, LONGEST_TEXT, identifier, last_digits, moment, text
from connectors.method.vocabulary import ACCOUNT, AUTHORIZED, CARD, LIABILITY, OPENED_AS, UNSPECIFIED
from connectors.vocabulary import AlertKind


def event_of(item: Any, path: str, id_field: str, above: int) -> RawEvent | BrokenEvent:
    """One event by its own id, which is `event` in a notice and `id` in the list."""
    if not isinstance(item, dict) or strict_json.flawed(item, above):
        return BrokenEvent(path or "$")
    for name in ("type", id_field):
        if not isinstance(item.get(name), str) or not item[name].strip() or len(item[name]) > LONGEST_ID:
            return BrokenEvent(f"{path}.{name}".lstrip("."), item)
    return RawEvent(item["type"], item[id_field], item)


def account_of(tree: Any, asked: Asked) -> RawEvent | BrokenEvent:
    """The account that was looked up, as an event named by what kind of account it is."""
    found = tree.get("data") if isinstance(tree, dict) and not strict_json.flawed(tree) else None
    if not isinstance(found, dict) or found.get("id") != asked.get("account"):
        return BrokenEvent("data.id")
    kind, debt = found.get("type"), found.get(LIABILITY)
    if kind is None:
        return RawEvent(f"{ACCOUNT}.{UNSPECIFIED}", found["id"], found, asked)
    word = debt.get("type") if kind == LIABILITY and isinstance(debt, dict) else kind
    if not isinstance(word, str) or not word.strip() or len(word) > LONGEST_ID:
        return BrokenEvent("data.type", tree)
    if word == CARD and isinstance(debt, dict) and debt.get("ownership") == "authorized":
        return RawEvent(f"{ACCOUNT}.{AUTHORIZED}", found["id"], found, asked)
    return RawEvent(f"{LIABILITY if kind == LIABILITY else ACCOUNT}.{word}", found["id"], found, asked)


def is_dated(body: Mapping[str, Any]) -> bool:
    """Whether an event says when it was written down, as a day and a time."""
    claim = body.get("created_at")
    try:
        return isinstance(claim, str) and bool(interval(claim))
    except ValueError:
        return False


def entity(body: Mapping[str, Any]) -> str:
    """Whom an event is about: named in a notice's `refs`; in the list the related id, or the one of them that is an entity's."""
    refs = body.get("refs")
    if isinstance(refs, Mapping):
        return identifier(refs, "entity")
    if body.get("resource_type") == "entity":
        return identifier(body, "resource_id")
    related = pick(body, "related_ids", list)
    entities = [one for one in related if isinstance(one, str) and one.startswith("ent_")] or related
    if len(entities) != 1:
        raise Malformed("related_ids")
    return identifier({"related_ids": entities[0]}, "related_ids")


def opened_account(body: Mapping[str, Any]) -> str:
    """What was opened."""
    refs = body.get("refs")
    return identifier(refs, "account") if isinstance(refs, Mapping) else identifier(body, "resource_id")


def opened(kind: AlertKind, event: RawEvent) -> Alert:
    """One debt, of whom it was looked up for. An account that says it is somebody else's is Malformed."""
    if event.body.get("holder_id") != event.asked.get("entity"):
        raise Malformed("holder_id")
    debt = event.body.get(LIABILITY)
    debt = debt if isinstance(debt, dict) else {}
    name, said = text(debt, "name"), OPENED_AS.get(kind, "A new debt was reported for this person")
    return Alert(
        kind=kind,
        member_ref=identifier(event.asked, "entity"),
        identity=("account", identifier(event.asked, "account")),
        summary=(said if name is None else f"{said}: {name}")[:LONGEST_TEXT],
        last_four=last_digits(text(debt, "mask")),
        reported=moment(event.body, "created_at"),
    )
