"""What names an alert without telling it: a webhook's few words, or an item of a list. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connectors.array.dialects import DIALECTS
from connectors.contract import GoAndLook, Malformed

LISTED = "listed"
"""In what is asked: the provider's own list has this alert for this person."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.-]{0,99}")
_CLIENT_KEY = re.compile(r"[!-~]{1,100}")
_LONGEST_WORD = 100


def alert_id(item: Any) -> str | None:
    """The id of an alert, which comes as text or as a number, as text; None when there is none that could be asked for."""
    value = item.get("alertId") if isinstance(item, Mapping) else None
    told = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return told.strip() if isinstance(told, str) and _ID.fullmatch(told.strip()) else None


def notice(told: Any, *, listed: bool) -> GoAndLook:
    """Whose alert is to be looked up, and which. Raises Malformed.

    The person is part of what is looked up: a made-up notice that names the wrong one must not stand in the way of the right one.
    """
    if not isinstance(told, Mapping):
        raise Malformed("details")
    whose, source, found = told.get("clientKey"), told.get("bureau"), alert_id(told)
    if not isinstance(whose, str) or not _CLIENT_KEY.fullmatch(whose):
        raise Malformed("details.clientKey")
    if not isinstance(source, str) or source.lower() not in DIALECTS:
        raise Malformed("details.bureau")
    if found is None:
        raise Malformed("details.alertId")
    asked = {"clientKey": whose, "bureau": source.lower(), "alertId": found}
    words = {name: told[name] for name in ("alertType", "alertSubType") if _is_word(told.get(name))}
    return GoAndLook(whose, ("alert", source.lower(), found, whose), {**asked, **words, **({LISTED: "yes"} if listed else {})})


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_WORD
