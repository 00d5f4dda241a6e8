"""What the service is asked, and how fast; what is read of its answers on the way to the next question."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from connectors import strict_json
from connectors.asking import Answer, Asked, CredentialsRefused, Http, UnexpectedAnswer
from connectors.contract import Malformed

WHOLE_LIST = {"truncateResponse": "true", "IncludeUnverified": "true"}
LONGEST_CURSOR = 100
PREFIX_LETTERS = 6


async def keep_pace(http: Http, key: Mapping[str, str], *, anybody: bool) -> bool:
    """Go as fast as the plan allows, where it says so; whether the answer shows that our key is good.

    A 403 may mean only that this plan does not tell. Whether the key is good then shows when somebody is asked about.
    """
    try:
        answer = await http.get("/subscription/status", headers=key, may_miss=True)
    except CredentialsRefused:
        if not anybody:
            raise
        return False
    allowed = _field(answer, "Rpm") if answer.found else None
    if isinstance(allowed, int) and not isinstance(allowed, bool) and allowed > 0:
        http.pace(allowed)
    return answer.found


def last_added(latest: Answer) -> str:
    """When the service last added a breach, and which: two may be added at one moment."""
    added, name = _field(latest, "AddedDate"), _field(latest, "Name")
    if not isinstance(added, str) or not added.strip() or len(added) > LONGEST_CURSOR:
        raise UnexpectedAnswer("the service does not say when it last added a breach")
    return f"{added} {name}"[:LONGEST_CURSOR] if isinstance(name, str) else added


def question(reference: str, *, by_range: bool) -> tuple[Asked, str, Mapping[str, str] | None]:
    """What a member is asked about with, and the path and parameters of the request."""
    account = reference.strip()
    if not by_range:
        return {"account": reference}, f"/breachedaccount/{quote(account, safe='')}", WHOLE_LIST
    digest = hashlib.sha1(account.lower().encode(), usedforsecurity=False).hexdigest().upper()
    asked = {"account": reference, "suffix": digest[PREFIX_LETTERS:]}
    return asked, f"/breachedaccount/range/{digest[:PREFIX_LETTERS]}", None


def _field(answer: Answer, name: str) -> Any:
    try:
        tree = strict_json.parse(answer.body)
    except Malformed:
        return None
    return tree.get(name) if isinstance(tree, dict) else None
