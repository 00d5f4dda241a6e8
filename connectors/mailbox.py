"""The one outgoing IMAP client (RFC 3501): it reads a mailbox, over TLS, and changes nothing in it. The guard is `http`'s.

The name is resolved anew for every session and refused if even one address is not public; the address that was judged is
connected to, and the certificate is the name's. Every command has a deadline, every answer a bound. What is raised holds no
address, no name, and nothing of a mail.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import cache

from connectors import imap_answers as imap
from connectors.asking import MOST_OF_A_MAIL, CredentialsRefused, Left, Mailbox, ProviderError, TryLater, UnexpectedAnswer
from connectors.egress import Base, Resolver, allowed_addresses, look_up
from connectors.here import mail_base_here
from connectors.http import authorities, in_our_words
from connectors.imap_answers import Pieces, Said, Text
from connectors.pace import Pace, Paced

CHUNK = 1024 * 1024
"""Bytes of a mail that are asked for at once, so that a large mail on a slow line is many commands that each end in time."""

MOST_OF_A_LINE = 4 * 1024 * 1024
"""Bytes. The ids of half a million mails come in one line."""

MOST_TOLD = 8 * 1024 * 1024
A_LINE = 512
"""As so many bytes does a response count beside its own: to read one takes time, however short it is."""

MOST_LITERAL = CHUNK + 1024
_ENDED = "The connection to the mail server broke off"


class _RefusedMail(Exception):
    """The server does not hand over this one mail."""


class MailboxClient(Paced):
    """Reads one mailbox of one server: `connectors.asking.Mailbox`. Raises only ProviderError.

    A session is begun by `open` and over with `leave`, or with whatever goes wrong. Nothing is tried again in place but a mail
    that the server refused.
    """

    def __init__(
        self,
        base_url: str,
        *,
        requests_per_minute: float,
        connect: float = 5.0,
        read: float = 10.0,
        total: float = 30.0,
        longest_wait: float = 5.0,
        resolver: Resolver = look_up,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """To be closed by its owner. NotAllowed for an address that is none; see `egress.mail_base_of`.

        Seconds: `connect` for the name and for each address, `read` for each line, `total` for a whole command. `tls`: whom to
        trust; the usual authorities when None.
        """
        super().__init__(Pace(requests_per_minute, longest_hold=longest_wait))
        mail_base_here(base_url)
        self._address = base_url
        self._connect, self._read, self._total = connect, read, total
        self._resolver, self._tls = resolver, tls
        self._wire: _Wire | None = None
        self._left: _Wire | None = None
        self._before: Callable[[], Awaitable[None]] | None = None

    async def __aenter__(self) -> MailboxClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave the server, and see that the connection is no more."""
        self.leave()
        if self._left is not None:
            await self._left.gone()

    def leave(self) -> None:
        """See `Mailbox.leave`."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
            self._left = wire

    def held(self, before: Callable[[], Awaitable[None]]) -> Mailbox:
        """The same mailbox; `before` is waited for before each command, and what it raises is raised."""
        self._before = before
        return self

    async def open(self, user: str, password: str, folder: str) -> int:
        """See `Mailbox.open`."""
        self.leave()
        who = (imap.argument(user), imap.argument(password), imap.argument(imap.folder_name(folder)))
        if self._before is not None:
            await self._before()
        self._wire = await self._reached()
        try:
            _require(
                await self._command(b"LOGIN", *who[:2]), CredentialsRefused("The mail server refuses our user name and password")
            )
            there = await self._command(b"EXAMINE", who[2])
            _require(there, UnexpectedAnswer("The mail server does not let us look into this folder: is there one of this name?"))
            validity = imap.validity(there.told)
            if validity is None:
                raise UnexpectedAnswer("The mail server gives mails no ids that last")
        except BaseException:  # also when the turn is over: a session that is not begun is of no use
            self.leave()
            raise
        return validity

    async def uids(self, after: int) -> Sequence[int]:
        """See `Mailbox.uids`."""
        found = await self._command(b"UID SEARCH UID %d:*" % (after + 1))
        _require(found, UnexpectedAnswer("The mail server does not say which mails there are"))
        return imap.uids(found.told, after)

    async def mail(self, uid: int) -> bytes | Left | None:
        """See `Mailbox.mail`."""
        for _ in range(2):
            try:
                return await self._whole(uid)
            except _RefusedMail:
                # If the server answers this, it is not the server that is ill.
                _require(await self._command(b"NOOP"), TryLater("The mail server has a fault of its own"))
        return Left("refused", None, b"")

    async def _whole(self, uid: int) -> bytes | Left | None:
        body = bytearray()
        while len(body) <= MOST_OF_A_MAIL:
            asked = b"UID FETCH %d (RFC822.SIZE BODY.PEEK[]<%d.%d>)" % (uid, len(body), CHUNK)
            answer = await self._command(asked)
            if answer.status == b"NO" and answer.code not in imap.GENERAL:
                raise _RefusedMail
            _require(answer, UnexpectedAnswer("The mail server does not hand over its mails"))
            part = imap.part(answer.told, uid)
            if part is None:
                return None
            if len(part.body) > CHUNK:
                raise UnexpectedAnswer("The mail server sends more of a mail than was asked for")
            if not body and part.size is not None and part.size > MOST_OF_A_MAIL:
                return Left("too large", part.size, imap.head(part.body))
            body += part.body
            if len(part.body) < CHUNK:
                return bytes(body) if body else Left("empty", 0, b"")
        return Left("too large", None, imap.head(body))

    async def _command(self, *words: bytes | Text) -> Said:
        if self._before is not None:
            await self._before()
        await self._pace.turn()
        wire = self._wire
        if wire is None:
            raise TryLater(_ENDED)
        try:
            async with asyncio.timeout(self._total):
                return await wire.command(words)
        except (OSError, EOFError) as error:
            failure = in_our_words(error)
            self.leave()
        except BaseException:  # whatever it is, an answer that was not read to its end must not be taken for the next one
            self.leave()
            raise
        # Outside of the handler: what was caught may lead to an address, and would travel along.
        raise failure

    async def _reached(self) -> _Wire:
        base = mail_base_here(self._address)
        addresses = [base.host] if base.sandbox else await allowed_addresses(base.host, self._resolver, self._connect)
        failure: ProviderError = TryLater("The mail server cannot be reached")
        for address in addresses:
            try:
                async with asyncio.timeout(self._total):
                    return await self._begun(address, base)
            except (OSError, EOFError) as error:
                failure = in_our_words(error)
        raise failure

    async def _begun(self, address: str, base: Base) -> _Wire:
        trusted = None if base.sandbox else self._tls or _authorities()
        at_once = trusted if base.origin.startswith("imaps:") else None
        async with asyncio.timeout(self._connect):
            wire = await _Wire.to(address, base, at_once, self._read)
        try:
            greeting = imap.said((await wire.response())[0].removeprefix(b"* "))
            if greeting.status != b"OK":
                raise imap.refusal(greeting, UnexpectedAnswer("The mail server greets us in a way that we do not understand"))
            if trusted is not None and at_once is None:
                _require(await wire.command((b"STARTTLS",)), UnexpectedAnswer("The mail server does not encrypt the connection"))
                wire = await wire.encrypted(base, trusted)
        except BaseException:  # whatever it is: nobody else knows this connection yet
            wire.close()
            raise
        return wire


class _Wire:
    """One connection to a server, and the tags of its commands."""

    def __init__(
        self, transport: asyncio.Transport, protocol: asyncio.StreamReaderProtocol, reader: asyncio.StreamReader, seconds: float
    ) -> None:
        self._reader, self._transport, self._seconds = reader, transport, seconds
        self._writer = asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())
        self._count = 0
        self._below: _Wire | None = None

    @classmethod
    async def to(cls, address: str, base: Base, tls: ssl.SSLContext | None, seconds: float) -> _Wire:
        """Connected to this address; `seconds` for each line. OSError."""
        reader, protocol = _reading()
        name = base.host if tls else None
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: protocol, address, base.port, ssl=tls, server_hostname=name)
        return cls(transport, protocol, reader, seconds)

    async def encrypted(self, base: Base, tls: ssl.SSLContext) -> _Wire:
        """The same connection under TLS. What came in before, in plain, is not read any more."""
        loop = asyncio.get_running_loop()
        reader, protocol = _reading()
        transport = await loop.start_tls(self._transport, protocol, tls, server_hostname=base.host)
        if transport is None:
            raise ConnectionResetError
        protocol.connection_made(transport)
        inside = _Wire(transport, protocol, reader, self._seconds)
        inside._below = self  # a writer that nobody holds any more closes what it wrote to
        return inside

    def close(self) -> None:
        """Say goodbye, and wait for nothing."""
        with suppress(OSError, RuntimeError):
            self._writer.write(b"bye LOGOUT\r\n")
            self._writer.close()

    async def gone(self) -> None:
        """When it is closed, or, after a second without the other side's goodbye, cut."""
        with suppress(OSError, ssl.SSLError):
            async with asyncio.timeout(1):
                await self._writer.wait_closed()
        self._transport.abort()

    async def command(self, words: Sequence[bytes | Text]) -> Said:
        """Send a command and read to its end. OSError, EOFError, ProviderError."""
        self._count += 1
        tag = b"h%d" % self._count
        line = bytearray(tag)
        for word in words:
            if isinstance(word, bytes):
                line += b" " + word
                continue
            self._writer.write(bytes(line) + b" {%d}\r\n" % len(word.value))
            refused = await self._ended(tag, until_asked=True)
            if refused is not None:
                return refused
            line = bytearray(word.value)
        self._writer.write(bytes(line) + b"\r\n")
        answer = await self._ended(tag)
        if answer is None:
            raise UnexpectedAnswer("The mail server waits for more where there is no more")
        return answer

    async def _ended(self, tag: bytes, *, until_asked: bool = False) -> Said | None:
        """Read to the end of a command; None when the server asks to go on."""
        await self._writer.drain()
        told: list[Pieces] = []
        size = 0
        while True:
            pieces = await self.response()
            word, _, rest = pieces[0].partition(b" ")
            if word == tag:
                return imap.said(rest, told)
            if word == b"+" and until_asked:
                return None
            if word != b"*":
                raise UnexpectedAnswer("The mail server answered with what is no IMAP")
            if rest[:4].upper().rstrip() == b"BYE":
                ended = imap.said(rest)
                raise imap.refusal(ended, TryLater(_ENDED))
            size += sum(map(len, pieces)) + A_LINE
            if size > MOST_TOLD:
                raise UnexpectedAnswer("The mail server's answer is too large")
            told.append(pieces)

    async def response(self) -> Pieces:
        """One response with its literals. OSError, EOFError, UnexpectedAnswer."""
        pieces: list[bytes] = []
        left = MOST_LITERAL
        while True:
            line = await self._line()
            found = imap.LITERAL.search(line)
            if found is None:
                return [*pieces, line]
            left -= int(found[1]) + 1
            if left < 0:
                raise UnexpectedAnswer("The mail server's answer is too large")
            pieces += [line[: found.start()], await self._reader.readexactly(int(found[1]))]

    async def _line(self) -> bytes:
        try:
            async with asyncio.timeout(self._seconds):
                return (await self._reader.readuntil(b"\n")).rstrip(b"\r\n")
        except asyncio.LimitOverrunError:
            pass
        raise UnexpectedAnswer("The mail server's answer is too large")


def _reading() -> tuple[asyncio.StreamReader, asyncio.StreamReaderProtocol]:
    reader = asyncio.StreamReader(limit=MOST_OF_A_LINE)
    return reader, asyncio.StreamReaderProtocol(reader)


@cache
def _authorities() -> ssl.SSLContext:
    """One of our own: the web's names protocols of the web, and a mail server may refuse those."""
    return authorities()


def _require(answer: Said, otherwise: ProviderError) -> None:
    if answer.status != b"OK":
        raise imap.refusal(answer, otherwise)
