"""A fake mail server on a real socket: as much of RFC 3501 as reads one folder. Everything in it is invented."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from connectors.here import sandbox_allowed
from connectors.sandboxing import Fault, Seen
from connectors.telling_mail import SENDER, TellsByMail

USER, PASSWORD = "alerts@union.example", "invented-app-password"
FOLDER = "INBOX"
_COMMAND = re.compile(r"(\S{1,40}) (UID \S{1,40}|\S{1,40}) ?(.*)", re.DOTALL)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_FETCH = re.compile(r"(\d{1,12}) \(RFC822\.SIZE BODY\.PEEK\[\]<(\d{1,12})\.(\d{1,12})>\)")
_LITERAL = re.compile(r"\{(\d+)\}\Z")
_REFUSALS = {
    Fault.LIMITED_SECONDS: "NO [LIMIT] Too fast",
    Fault.LIMITED_DATE: "NO [LIMIT] Too fast",
    Fault.BROKEN: "NO [SERVERBUG] Internal error",
    Fault.REFUSED: "NO [AUTHENTICATIONFAILED] No",
    Fault.REDIRECT: "NO [REFERRAL imap://elsewhere.example/] Ask there",
    Fault.NOT_JSON: "MAYBE",
}
"""How a command ends that meets a fault; `NOT_JSON` is no IMAP."""

_SAID = {
    Fault.AWAY: b"* BYE [UNAVAILABLE] Come again\r\n",
    Fault.HTML: b"<!doctype html><title>Maintenance</title>\r\n",
    Fault.BOMB: b"* 1 FETCH (UID 1 BODY[]<0> {9999999999}\r\n",
    Fault.CUT: b"* 1 FETCH (UID 1 BODY[]<0> {1000}\r\n[",
}
"""What is said instead, before the connection is cut."""


class ImapSandbox(TellsByMail):
    """A mailbox that alerts of an invented service come into. A reference is the address that a mail is delivered to."""

    name = "imap"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `TellsByMail`."""
        super().__init__(now, seed)
        self.validity = 1_700_000_000 + seed
        self.mails: dict[int, bytes] = {}
        self._last = 0
        self._address: str | None = None
        self._sessions: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    def settings(self, base_url: str) -> dict[str, Any]:
        """The connector's settings for this sandbox: its own address while it runs."""
        address = self._address or base_url.replace("https:", "imaps:").replace("http:", "imap:")
        return {"base_url": address, "user": USER, "password": PASSWORD, "folder": FOLDER}

    def bring(self, mail: bytes, to: str) -> None:
        """It is delivered, with the envelope in its header."""
        self.deliver(f"Return-Path: <{SENDER}>\r\nDelivered-To: {to}\r\n".encode() + mail)

    def deliver(self, mail: bytes) -> int:
        """Put a mail into the folder: its UID."""
        self._last += 1
        self.mails[self._last] = mail
        return self._last

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The mail server itself, on a port of its own."""
        server = await asyncio.start_server(self._session, "127.0.0.1", 0)
        self._address = f"imap://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            with sandbox_allowed(self._address):
                yield
        finally:
            self._address = None
            server.close()
            for task, writer in list(self._sessions.items()):
                writer.transport.abort()
                task.cancel()
            await asyncio.gather(*self._sessions, return_exceptions=True)

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._sessions[task] = writer
        try:
            with suppress(OSError, EOFError, asyncio.CancelledError):
                writer.write(b"* OK [CAPABILITY IMAP4rev1] Invented\r\n")
                while await self._answered(await _line(reader, writer), writer):
                    await writer.drain()
        finally:
            self._sessions.pop(task, None)
            writer.close()

    async def _answered(self, line: str, writer: asyncio.StreamWriter) -> bool:
        found = _COMMAND.fullmatch(line)
        tag, command, rest = found.groups() if found else ("*", "", "")
        command = command.upper()
        if command == "LOGOUT":
            writer.write(f"* BYE Goodbye\r\n{tag} OK\r\n".encode())
            return False
        path = "/" + command.lower().replace(" ", "/")
        self.faults.seen.append(Seen(self.now(), command, path))
        asked = self.faults.take(path)
        if asked is not None:
            return await _misbehaved(asked.fault, tag, writer)
        match command:
            case "NOOP":
                ended = "OK"
            case "LOGIN":
                known = _strings(rest) == [USER, PASSWORD]
                ended = "OK" if known else "NO [AUTHENTICATIONFAILED] No"
            case "EXAMINE":
                ended = self._examined(rest, writer)
            case "UID SEARCH":
                ended = self._searched(rest, writer)
            case "UID FETCH":
                ended = self._fetched(rest, writer)
            case _:
                ended = "BAD Unknown"
        writer.write(f"{tag} {ended}\r\n".encode())
        return True

    def _examined(self, rest: str, writer: asyncio.StreamWriter) -> str:
        if _strings(rest) != [FOLDER]:
            return "NO [NONEXISTENT] There is none"
        writer.write(f"* {len(self.mails)} EXISTS\r\n* OK [UIDVALIDITY {self.validity}] ids\r\n".encode())
        return "OK [READ-ONLY] Done"

    def _searched(self, rest: str, writer: asyncio.StreamWriter) -> str:
        first = int(rest.removeprefix("UID ").removesuffix(":*"))
        # A range up to the last mail always holds the last mail, also where it begins behind it.
        found = [uid for uid in self.mails if uid >= first] or list(self.mails)[-1:]
        writer.write(" ".join(["* SEARCH", *map(str, found)]).encode() + b"\r\n")
        return "OK"

    def _fetched(self, rest: str, writer: asyncio.StreamWriter) -> str:
        asked = _FETCH.fullmatch(rest)
        if asked is None:
            return "BAD That is not understood here"
        uid, start, count = map(int, asked.groups())
        mail = self.mails.get(uid)
        if mail is not None:
            part = mail[start : start + count]
            writer.write(
                f"* 1 FETCH (UID {uid} FLAGS (\\Seen) RFC822.SIZE {len(mail)} BODY[]<{start}> {{{len(part)}}}\r\n".encode()
            )
            writer.write(part + b")\r\n")
        return "OK"


async def _line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """One command, with its literals as quoted strings."""
    whole = ""
    while True:
        piece = (await reader.readuntil(b"\r\n"))[:-2].decode("utf-8", "replace")
        found = _LITERAL.search(piece)
        if found is None:
            return whole + piece
        writer.write(b"+ Go on\r\n")
        literal = (await reader.readexactly(int(found[1]))).decode("utf-8", "replace")
        whole += piece[: found.start()] + '"' + literal.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _strings(text: str) -> list[str]:
    return [re.sub(r"\\(.)", r"\1", quoted) if quoted else plain for quoted, plain in _STRING.findall(text)]


async def _misbehaved(fault: Fault, tag: str, writer: asyncio.StreamWriter) -> bool:
    """Answer with a fault; whether the session goes on."""
    if fault in _REFUSALS:
        writer.write(f"{tag} {_REFUSALS[fault]}\r\n".encode())
        return True
    if fault in _SAID:
        writer.write(_SAID[fault])
        await writer.drain()
        await asyncio.sleep(0)
        return False
    while fault is Fault.DRIP:
        writer.write(b"*")
        await asyncio.sleep(1)
    while fault is Fault.ENDLESS:
        writer.write(b"*" * 65536)
        await writer.drain()
    await asyncio.sleep(3600)
    return False


sandbox = ImapSandbox
