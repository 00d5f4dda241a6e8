"""A fake JMAP server on real HTTP: one account with an inbox. Everything in it is invented."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.telling_mail import SENDER, TellsByMail

TOKEN, ACCOUNT, INBOX = "invented-jmap-token", "u0a1b2c3", "mbox-in"
MAIL = "urn:ietf:params:jmap:mail"


class JmapSandbox(TellsByMail):
    """A mailbox that alerts of an invented service come into."""

    name = "jmap"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `TellsByMail`. `forgotten`: states up to it are not known any more."""
        super().__init__(now, seed)
        self.mails: dict[str, bytes] = {}
        self.forgotten = -1

    def routes(self) -> Sequence[BaseRoute]:
        """Session, calls and downloads."""
        return [
            Route("/.well-known/jmap", self._session),
            Route("/jmap/api", self._api, methods=["POST"]),
            Route("/jmap/download/{account}/{blob}/{name}", self._download),
        ]

    def settings(self, base_url: str) -> dict[str, Any]:
        """The connector's settings for this sandbox."""
        return {"base_url": base_url, "token": TOKEN}

    def bring(self, mail: bytes, to: str) -> None:
        """It is delivered, with the envelope in its header."""
        number = self.seed * 1_000_000 + len(self.mails) + 1
        self.mails[f"M{number}"] = f"Return-Path: <{SENDER}>\r\nDelivered-To: {to}\r\n".encode() + mail

    async def _session(self, request: Request) -> Response:
        base = f"http://{request.headers['host']}"
        told = {
            "capabilities": {"urn:ietf:params:jmap:core": {"maxObjectsInGet": 500}, MAIL: {}},
            "accounts": {ACCOUNT: {"name": "alerts@union.example", "isPersonal": True, "isReadOnly": False}},
            "primaryAccounts": {MAIL: ACCOUNT},
            "apiUrl": f"{base}/jmap/api",
            "downloadUrl": base + "/jmap/download/{accountId}/{blobId}/{name}?type={type}",
            "state": "0",
        }
        return _refusal(request) or JSONResponse(told)

    async def _api(self, request: Request) -> Response:
        if refused := _refusal(request):
            return refused
        methods: Mapping[str, Callable[[Any], dict[str, Any]]] = {
            "Mailbox/get": self._folders,
            "Email/get": self._get,
            "Email/query": self._query,
            "Email/changes": self._changes,
        }
        answers = []
        for method, arguments, tag in (await request.json())["methodCalls"]:
            told = methods[method](arguments)
            answers.append(["error" if "type" in told else method, {"accountId": ACCOUNT, **told}, tag])
        return JSONResponse({"methodResponses": answers, "sessionState": "0"})

    async def _download(self, request: Request) -> Response:
        mail = self.mails.get(request.path_params["blob"].removeprefix("B"))
        found = Response(mail, media_type=request.query_params["type"]) if mail else Response(status_code=404)
        return _refusal(request) or found

    def _folders(self, _: Any) -> dict[str, Any]:
        return {"list": [{"id": INBOX, "name": "Inbox", "role": "inbox"}, {"id": "mbox-x", "name": "Sent", "role": "sent"}]}

    def _get(self, arguments: Any) -> dict[str, Any]:
        known = [key for key in arguments["ids"] if key in self.mails]
        found = [{"id": key, "blobId": f"B{key}", "size": len(self.mails[key]), "mailboxIds": {INBOX: True}} for key in known]
        return {"state": str(len(self.mails)), "list": found, "notFound": [key for key in arguments["ids"] if key not in known]}

    def _query(self, arguments: Any) -> dict[str, Any]:
        keys, anchor = list(self.mails), arguments.get("anchor")
        if anchor is not None and anchor not in keys:
            return {"type": "anchorNotFound"}
        start = keys.index(anchor) + arguments["anchorOffset"] if anchor is not None else 0
        return {"ids": keys[start : start + arguments["limit"]], "position": start, "canCalculateChanges": False}

    def _changes(self, arguments: Any) -> dict[str, Any]:
        since = int(arguments["sinceState"])
        if since <= self.forgotten:
            return {"type": "cannotCalculateChanges"}
        upto = min(len(self.mails), since + arguments["maxChanges"])
        changed = {"created": list(self.mails)[since:upto], "updated": [], "destroyed": []}
        return {"oldState": str(since), "newState": str(upto), "hasMoreChanges": upto < len(self.mails), **changed}


def _refusal(request: Request) -> Response | None:
    return None if request.headers.get("authorization") == f"Bearer {TOKEN}" else Response(status_code=401)


sandbox = JmapSandbox
