"""Reads a mailbox over JMAP (RFC 8621), and hands each mail on to `mail`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from pydantic import Field, SecretStr

from connectors import strict_json
from connectors.asking import MOST_OF_A_MAIL, Http, Left, Page, PollPlan, Subject, UnexpectedAnswer
from connectors.contract import Malformed
from connectors.jmap.talk import AnchorNotFound, CannotCalculate, Talk, begin, listed, word
from connectors.polled_mail import PolledMail, PolledMailConfig, beside, beside_left

AT_ONCE = 50
WHAT = ["id", "blobId", "size", "mailboxIds"]


class JmapConfig(PolledMailConfig):
    """How the mailbox is reached."""

    base_url: str = Field(description="Address of the server: https:// and the host that answers JMAP")
    token: SecretStr = Field(description="API token that may read mail, and nothing else")
    session_path: str = Field(default="/.well-known/jmap", description="Path of the session resource, as the service names it")
    folder: str = Field(default="inbox", min_length=1, description="Folder that the alerts come into: its name, or its role")


class Jmap(PolledMail):
    """The cursor is the server's state; while the folder is read as a whole, the state before that and the last mail read."""

    name = "jmap"
    title = "Mailbox (JMAP)"
    config = JmapConfig
    poll = PollPlan(every=timedelta(minutes=5), requests_per_minute=600, fresh_within=timedelta(hours=1))

    async def pages(self, http: Http, config: JmapConfig, cursor: str | None, subjects: Sequence[Subject]) -> AsyncIterator[Page]:
        """One mail a page. What has changed since the state; or, without one that the server knows, the whole folder first."""
        talk = await begin(http, config.base_url, config.session_path, config.token.get_secret_value())
        folder = _folder(await talk.call("Mailbox/get", ids=None, properties=["id", "name", "role"]), config.folder)
        state, after = _read(cursor)
        if state is not None and after is None:
            try:
                told = await _changes(talk, state)
            except CannotCalculate:
                state = None
        if state is None or after is not None:
            if state is None:
                state = word((await talk.call("Email/get", ids=[], properties=["id"])).get("state"))
            async for page in _whole(talk, config, folder, state, after):
                yield page
            told = await _changes(talk, state)
        while True:
            async for page in _mails(talk, config, folder, listed(told, "created")):
                yield page
            state = word(told.get("newState"))
            yield Page(None, _written(state))
            if told.get("hasMoreChanges") is not True:
                return
            told = await _changes(talk, state)


async def _changes(talk: Talk, state: str) -> Mapping[str, Any]:
    return await talk.call("Email/changes", sinceState=state, maxChanges=AT_ONCE)


async def _whole(talk: Talk, config: JmapConfig, folder: str, state: str, after: str | None) -> AsyncIterator[Page]:
    """Every mail of the folder, the oldest first, behind `after`; the cursor moves behind each list."""
    asked = {"filter": {"inMailbox": folder}, "sort": [{"property": "receivedAt", "isAscending": True}], "limit": AT_ONCE}
    while True:
        try:
            behind = {} if after is None else {"anchor": after, "anchorOffset": 1}
            ids = listed(await talk.call("Email/query", **asked, **behind), "ids")
        except AnchorNotFound:
            if after is None:
                raise
            after = None
            continue
        async for page in _mails(talk, config, folder, ids):
            yield page
        if not ids:
            yield Page(None, _written(state))
            return
        after = word(ids[-1])
        yield Page(None, _written(state, after))


async def _mails(talk: Talk, config: JmapConfig, folder: str, ids: Sequence[Any]) -> AsyncIterator[Page]:
    """Those that are in the folder; one that is there no longer is passed over. No cursor moves."""
    if not ids:
        return
    for mail in listed(await talk.call("Email/get", ids=ids, properties=WHAT), "list"):
        size, where = (mail.get("size"), mail.get("mailboxIds")) if isinstance(mail, dict) else (None, None)
        if not isinstance(where, dict) or not isinstance(size, int):
            raise UnexpectedAnswer("The server answered with what is no JMAP")
        if folder not in where:
            continue
        if size > MOST_OF_A_MAIL:
            key = word(mail.get("id"))
            left = Left("too large", size, _header(await talk.call("Email/get", ids=[key], properties=["headers"])))
            yield Page(left.head, asked=beside_left(left, key))
        else:
            yield Page(await talk.file(word(mail.get("blobId")), MOST_OF_A_MAIL), asked=beside(config.recipient_header))


def _header(told: Mapping[str, Any]) -> bytes:
    headers = [mail.get("headers") for mail in listed(told, "list") if isinstance(mail, dict)]
    found = [line for lines in headers if isinstance(lines, list) for line in lines]
    return "".join(f"{line.get('name')}:{line.get('value')}\r\n" for line in found if isinstance(line, dict)).encode(
        "utf-8", "replace"
    )


def _folder(told: Mapping[str, Any], wanted: str) -> str:
    """The id of the folder of this role or name. UnexpectedAnswer when there is none."""
    known = [one for one in listed(told, "list") if isinstance(one, dict)]
    for name, asked in (("role", wanted.lower()), ("name", wanted)):
        for one in known:
            if one.get(name) == asked:
                return word(one.get("id"))
    raise UnexpectedAnswer("The mailbox has no folder of this name")


def _written(state: str, after: str | None = None) -> str:
    return json.dumps([state] if after is None else [state, after], ensure_ascii=False, separators=(",", ":"))


def _read(cursor: str | None) -> tuple[str | None, str | None]:
    """The state, and the mail behind which the whole folder is being read, if it is."""
    try:
        found = strict_json.parse((cursor or "[]").encode())
    except Malformed:
        return None, None
    words = [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
    return (words[0] if words else None), (words[1] if len(words) > 1 else None)
