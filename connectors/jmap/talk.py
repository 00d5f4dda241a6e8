"""JMAP as far as it reads a mailbox (RFC 8620, RFC 8621): session, calls, files; all below the connection's own address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote

from connectors import strict_json
from connectors.asking import CredentialsRefused, Http, NotAllowed, TryLater, UnexpectedAnswer
from connectors.contract import Malformed, pick

CORE, MAIL = "urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"
RFC822 = "message/rfc822"
LONGEST_WORD = 230
"""Letters of a state or an id: two of them go into a cursor."""

_LATER = {"serverUnavailable", "serverFail", "serverPartialFail"}
_WHO = {"forbidden", "accountNotFound", "accountReadOnly"}


class CannotCalculate(UnexpectedAnswer):
    """The server does not know any more what has changed since a state."""


class AnchorNotFound(UnexpectedAnswer):
    """The mail behind which a list is to go on is not in it any more."""


_OWN = {"cannotCalculateChanges": CannotCalculate, "anchorNotFound": AnchorNotFound}


@dataclass(frozen=True, slots=True)
class Talk:
    """A session: where calls go, where files are, whose they are. Raises ProviderError."""

    http: Http
    headers: Mapping[str, str] = field(repr=False)
    api: str
    files: str
    account: str

    async def call(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        """What one method answers."""
        asked = {"using": [CORE, MAIL], "methodCalls": [[method, {"accountId": self.account, **arguments}, "0"]]}
        answer = tree((await self.http.post(self.api, json=asked, headers=self.headers)).body)
        said = answer.get("methodResponses")
        if not (isinstance(said, list) and len(said) == 1 and isinstance(said[0], list) and len(said[0]) == 3):
            raise UnexpectedAnswer("The server answered with what is no JMAP")
        name, told, _ = said[0]
        if not isinstance(told, dict) or name not in {method, "error"}:
            raise UnexpectedAnswer("The server answered with what is no JMAP")
        if name == method:
            return told
        kind = told.get("type")
        if kind in _LATER:
            raise TryLater("The server has a fault of its own")
        if kind in _WHO:
            raise CredentialsRefused("The server does not let us read this mailbox")
        raise _OWN.get(str(kind), UnexpectedAnswer)("The server does not answer our question")

    async def file(self, blob: str, most: int) -> bytes:
        """The bytes of a mail, not more than `most`."""
        words = {"accountId": self.account, "blobId": blob, "name": "mail.eml", "type": RFC822}
        path, _, query = self.files.partition("?")
        params = {name: _filled(value, words, plain=True) for name, value in parse_qsl(query)}
        found = await self.http.download(
            _filled(path, words), media_type=RFC822, most=most, params=params or None, headers=self.headers
        )
        return found.body


async def begin(http: Http, base_url: str, path: str, token: str) -> Talk:
    """The session. NotAllowed where it leads to another host, which is never followed."""
    headers = {"authorization": f"Bearer {token}"}
    found = tree((await http.get(path, headers=headers)).body)
    accounts = found.get("primaryAccounts")
    account = accounts.get(MAIL) if isinstance(accounts, dict) else None
    return Talk(http, headers, _below(base_url, found.get("apiUrl")), _below(base_url, found.get("downloadUrl")), word(account))


def tree(body: bytes) -> dict[str, Any]:
    """The JSON object of an answer."""
    try:
        found = strict_json.parse(body)
    except Malformed:
        found = None
    if not isinstance(found, dict):
        raise UnexpectedAnswer("The server answered with what is no JMAP")
    return found


def word(value: Any) -> str:
    """An id or a state."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_WORD:
        raise UnexpectedAnswer("The server gives ids that are none, or far too long")
    return value


def listed(told: Mapping[str, Any], name: str) -> list[Any]:
    """A list in an answer."""
    try:
        return pick(told, name, list)
    except Malformed:
        raise UnexpectedAnswer("The server answered with what is no JMAP") from None


def _below(base_url: str, url: Any) -> str:
    base = base_url.rstrip("/")
    if isinstance(url, str) and url.lower().startswith(base.lower() + "/"):
        return url[len(base) :]
    if isinstance(url, str) and url.startswith("/") and not url.startswith("//"):
        return url
    raise NotAllowed("The server leads to another address than its own, which is never followed")


def _filled(template: str, words: Mapping[str, str], *, plain: bool = False) -> str:
    for name, value in words.items():
        template = template.replace("{" + name + "}", value if plain else quote(value, safe=""))
    return template
