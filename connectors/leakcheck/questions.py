"""What the service is asked, and what is read of its answers on the way to the next question."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from connectors import strict_json
from connectors.asking import Http, UnexpectedAnswer, UnknownReference
from connectors.contract import Malformed
from connectors.leakcheck.rows import digest_of

MOST_ROWS, LAST_OFFSET = 1000, 2500
"""The documented limits of one answer and of where it begins."""

HASH_LETTERS = 24
AN_HOUR = 3600.0
_QUOTA = re.compile(rb'"quota"\s*:\s*-?[0-9]+')


def request_about(reference: str, *, whole: bool) -> tuple[str, str]:
    """The path of the question about one member, and its type. UnknownReference for what is no address and no hash of one."""
    digest = digest_of(reference)
    if digest is None:
        raise UnknownReference("the reference is neither an e-mail address nor the hash of one")
    if whole and "@" in reference:
        return f"/query/{quote(reference.strip(), safe='')}", "email"
    return f"/query/{digest[:HASH_LETTERS]}", "hash"


@dataclass(frozen=True, slots=True)
class Told:
    """The answers to one question that hold anything. `is_all`: nothing is left out; `left`: of the quota, None if unsaid."""

    bodies: Sequence[bytes]
    is_all: bool
    left: int | None


async def answers(http: Http, path: str, sort: str, key: str) -> Told:
    """Ask about one member, page after page. Raises ProviderError."""
    bodies: list[bytes] = []
    offset = 0
    while True:
        params = {"type": sort, "limit": str(MOST_ROWS), "offset": str(offset)}
        answer = await http.get(path, params=params, headers={"x-api-key": key, "accept": "application/json"})
        tree = _read(answer.body)
        rows, found, left = tree.get("result"), tree.get("found"), tree.get("quota")
        left = left if isinstance(left, int) else None
        if tree.get("success") is False:
            raise UnexpectedAnswer("the provider says that it could not answer")
        if rows == [] and found in (0, None):
            return Told(bodies, True, left)
        bodies.append(answer.body)
        if not isinstance(rows, list):
            # Kept all the same: the core sets it aside, and it can be read again after a correction.
            return Told(bodies, True, left)
        if len(rows) < MOST_ROWS:
            return Told(bodies, not isinstance(found, int) or found <= offset + len(rows), left)
        if offset == LAST_OFFSET:
            return Told(bodies, False, left)
        offset = min(offset + MOST_ROWS, LAST_OFFSET)


def fingerprint(bodies: Sequence[bytes], key: str) -> str:
    """Another one for other answers, whatever is left of the quota; by a key, as what it is of could be guessed."""
    told = hashlib.sha256()
    for body in bodies:
        told.update(hashlib.sha256(_QUOTA.sub(b"", body)).digest())
    return hmac.new(key.encode(), told.digest(), hashlib.sha256).hexdigest()


def _read(body: bytes) -> dict[str, Any]:
    try:
        tree = strict_json.parse(body)
    except Malformed:
        raise UnexpectedAnswer("the answer cannot be read") from None
    return tree if isinstance(tree, dict) else {}
