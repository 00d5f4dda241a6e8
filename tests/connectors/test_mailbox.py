"""The client of mailboxes: nobody else is connected to, nothing is told before TLS, no answer harms us. Real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from connectors import mailbox as module
from connectors.asking import CredentialsRefused, Left, NotAllowed, ProviderError, TryLater, UnexpectedAnswer
from connectors.here import sandbox_allowed
from connectors.mailbox import MailboxClient
from tests.connectors.http_stage import authority, internet, told_by

OUTSIDE = "93.184.216.34"
NAME = "imap.example.org"
USER, PASSWORD, FOLDER = "avery.invented", "invented-secret", "Alerts of Avery"
OPENED = (b"{tag} OK\r\n", b"* 2 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n{tag} OK [READ-ONLY]\r\n")
Talk = Callable[["Line"], Awaitable[None]]


@dataclass
class Line:
    """One connection that a client has made."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: list[bytes]

    async def hear(self) -> bytes:
        """The next command; its tag."""
        line = await self.reader.readuntil(b"\r\n")
        self.heard.append(line)
        return line.split(b" ")[0]

    async def say(self, said: bytes) -> None:
        self.writer.write(said)
        await self.writer.drain()

    async def answer(self, *answers: bytes) -> None:
        """One answer for each command, whatever it is."""
        for said in answers:
            await self.say(said.replace(b"{tag}", await self.hear()))


@dataclass
class Server:
    port: int
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def address(self) -> str:
        return f"imap://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(talk: Talk, tls: ssl.SSLContext | None = None, greeting: bytes = b"* OK Hello\r\n") -> AsyncIterator[Server]:
    """A mail server that does as `talk` says, then waits for the client to leave."""
    running: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running[task] = writer
        made.connections += 1
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            writer.write(greeting)
            await talk(Line(reader, writer, made.heard))
            await reader.read()
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    made = Server(server.sockets[0].getsockname()[1])
    with sandbox_allowed(made.address):
        yield made
    server.close()
    for task, writer in running.items():
        writer.transport.abort()
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def client(address: str, **options: Any) -> MailboxClient:
    usual: dict[str, Any] = {"requests_per_minute": 600_000.0, "connect": 5.0, "read": 5.0, "total": 8.0}
    return MailboxClient(address, **{**usual, **options})


async def opened(box: MailboxClient) -> int:
    return await box.open(USER, PASSWORD, FOLDER)


def in_the_folder(*answers: bytes) -> Talk:
    """A server that lets anybody in, then says these."""

    async def talk(line: Line) -> None:
        await line.answer(*OPENED, *answers)

    return talk


async def says_nothing(_: Line) -> None:
    return


# --- where it connects to


@pytest.mark.parametrize("inside", ["127.0.0.1", "10.9.8.7", "169.254.169.254", "::1", "::ffff:7f00:1", "fd00::1"])
async def test_a_name_that_leads_inside_is_never_dialled(monkeypatch: pytest.MonkeyPatch, inside: str) -> None:
    for found in ([inside], [OUTSIDE, inside]):
        async with internet(monkeypatch, lambda _, found=found: found) as net, client(f"imaps://{NAME}") as box:
            with pytest.raises(NotAllowed):
                await opened(box)
            assert (net.dialled, net.inside) == ([], 0)


async def test_every_session_asks_for_the_name_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is dialled is what was judged."""
    answers = [[OUTSIDE], ["10.0.0.1"], [OUTSIDE]]
    async with internet(monkeypatch, lambda _: answers.pop(0)) as net, client(f"imaps://{NAME}") as box:
        for error in (TryLater, NotAllowed, TryLater):
            with pytest.raises(error):
                await opened(box)
        assert (net.dialled, net.inside) == ([OUTSIDE, OUTSIDE], 0)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "https://imap.example.org",
            "imap.example.org",
            "imaps://127.0.0.1",
            "imaps://[::1]",
            "imaps://imap",
            "imaps://x@imap.example.org",
        ),
        *(
            "imaps://imap.example.org:143",
            "imap://imap.example.org:993",
            "imaps://imap.example.org:22",
            "imaps://imap.example.org/INBOX",
        ),
        *("imaps://mail.internal", "imaps://mail.local", "imaps://0x7f.1", "imap://127.0.0.1:143", "imaps://a..example.org", ""),
        *("imaps://imap.example.org\n", "imaps://" + "a." * 130 + "org"),
    ],
)
def test_no_other_address_is_taken(address: str) -> None:
    with pytest.raises(NotAllowed):
        client(address)


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("imaps://IMAP.example.org", 993),
        ("imaps://imap.example.org:993/", 993),
        ("imap://imap.example.org", 143),
        ("IMAP://imap.example.org:143", 143),
    ],
)
async def test_an_address_of_a_mail_server_is(monkeypatch: pytest.MonkeyPatch, address: str, port: int) -> None:
    dialled = []

    async def create_connection(_: Any, host: str, at: int, **options: Any) -> Any:
        dialled.append((host, at, options["ssl"] is not None, options["server_hostname"]))
        raise ConnectionRefusedError

    async def resolver(_: str) -> list[str]:
        return [OUTSIDE]

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", create_connection)
    with pytest.raises(TryLater):
        await opened(client(address, resolver=resolver))
    assert dialled == [(OUTSIDE, port, port == 993, NAME if port == 993 else None)]


async def test_a_sandbox_is_asked_only_while_it_is_open() -> None:
    async with serving(in_the_folder()) as server:
        box = client(server.address)
        assert await opened(box) == 7
        box.leave()
    with pytest.raises(NotAllowed):
        await opened(box)


# --- what it says, and to whom


async def test_a_certificate_of_another_name_or_authority_ends_it_before_a_word(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = authority(tmp_path, "mail.example.net")
    for trusted in (other.trusting, None):
        async with serving(in_the_folder(), other.server) as server, internet(monkeypatch, lambda _: [OUTSIDE]) as net:
            net.machines[OUTSIDE] = server.port
            with pytest.raises(UnexpectedAnswer):
                await opened(client(f"imaps://{NAME}", tls=trusted))
            assert server.heard == []


@pytest.mark.parametrize(
    ("greeting", "answer"),
    [
        (b"* OK Hello\r\n", b"{tag} NO\r\n"),
        (b"* OK Hello\r\n", b"{tag} BAD\r\n"),
        (b"* PREAUTH Hello\r\n", b"{tag} OK\r\n"),
        (b"* OK Hello\r\n", b"{tag} OK\r\n"),  # and then no TLS
    ],
)
async def test_without_tls_a_server_hears_no_name_and_no_password(
    monkeypatch: pytest.MonkeyPatch, greeting: bytes, answer: bytes
) -> None:
    async def talk(line: Line) -> None:
        await line.answer(answer)
        line.heard.append(await line.reader.read(100_000))

    async with serving(talk, greeting=greeting) as server, internet(monkeypatch, lambda _: [OUTSIDE]) as net:
        net.machines[OUTSIDE] = server.port
        with pytest.raises(ProviderError):
            await opened(client(f"imap://{NAME}", total=1.0))
        heard = b"".join(server.heard)
        assert not any(word.encode() in heard for word in (USER, PASSWORD, FOLDER))


async def test_what_was_said_in_plain_is_not_taken_for_what_is_said_under_tls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Somebody on the way puts answers behind the server's own word to begin: they would let us in where the server does not."""
    certified = authority(tmp_path, NAME)

    async def talk(line: Line) -> None:
        await line.say((await line.hear()) + b" OK\r\n" + b"h1 OK\r\n* OK [UIDVALIDITY 9]\r\nh2 OK\r\n")
        await line.writer.start_tls(certified.server)
        await line.answer(b"{tag} NO [AUTHENTICATIONFAILED]\r\n")

    async with serving(talk) as server, internet(monkeypatch, lambda _: [OUTSIDE]) as net:
        net.machines[OUTSIDE] = server.port
        with pytest.raises(CredentialsRefused):
            await opened(client(f"imap://{NAME}", tls=certified.trusting))


async def test_words_of_settings_are_words_whatever_is_in_them() -> None:
    async with serving(in_the_folder()) as server, client(server.address) as box:
        await box.open('a "quoted\\" name', "pass word)", "Alertes é & co")
    assert server.heard[0] == b'h1 LOGIN "a \\"quoted\\\\\\" name" "pass word)"\r\n'
    assert server.heard[1] == b'h2 EXAMINE "Alertes &AOk- &- co"\r\n'


async def test_a_password_that_is_not_plain_is_counted_not_quoted() -> None:
    async def talk(line: Line) -> None:
        tag = await line.hear()
        await line.say(b"+ Go on\r\n")
        line.heard.append(await line.reader.readexactly(8))
        await line.reader.readexactly(2)
        await line.say(tag + b" OK\r\n")
        await line.answer(OPENED[1])

    async with serving(talk) as server, client(server.address) as box:
        assert await box.open("avery", "schlüssl"[:7], FOLDER) == 7
    assert server.heard[:2] == [b'h1 LOGIN "avery" {8}\r\n', "schlüss".encode()]


@pytest.mark.parametrize("word", ["a\r\nb LOGOUT", "a\nb", "a\x00b"])
async def test_no_setting_makes_a_second_command(word: str) -> None:
    async with serving(in_the_folder()) as server, client(server.address) as box:
        for words in ((word, PASSWORD, FOLDER), (USER, word, FOLDER)):
            with pytest.raises(NotAllowed):
                await box.open(*words)
        assert server.connections == 0
        assert await box.open(USER, PASSWORD, word) == 7
        assert [line.split()[1] for line in server.heard] == [b"LOGIN", b"EXAMINE"], "a folder's name has letters of its own"


# --- what it makes of answers


SEARCH = b"* SEARCH 3 9 4 4\r\n{tag} OK\r\n"
MAIL = b"* 1 FETCH (FLAGS (\\Seen) UID 9 RFC822.SIZE 4 BODY[]<0> {4}\r\n)\r\na)\r\n{tag} OK\r\n"


async def test_a_folder_is_read_from_behind_the_last_mail() -> None:
    """The last mail is in every range that ends with it; a mail that looks like an answer is a mail."""
    answers = (SEARCH, b"* SEARCH 9\r\n{tag} OK\r\n", b"* SEARCH\r\n{tag} OK\r\n", MAIL)
    async with serving(in_the_folder(*answers)) as server, client(server.address) as box:
        await opened(box)
        assert await box.uids(3) == [4, 9]
        assert await box.uids(9) == []
        assert await box.uids(0) == []
        assert await box.mail(9) == b")\r\na"
    assert server.heard[2] == b"h3 UID SEARCH UID 4:*\r\n"
    assert b"BODY.PEEK[]" in server.heard[5], "nothing is marked as seen"


async def test_a_mail_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 3)
    parts = [b"* 1 FETCH (UID 9 BODY[]<0> {3}\r\nabc)\r\n{tag} OK\r\n", b'* 1 FETCH (BODY[]<3> "de" UID 9)\r\n{tag} OK\r\n']
    async with serving(in_the_folder(*parts)) as server, client(server.address) as box:
        await opened(box)
        assert await box.mail(9) == b"abcde"
    assert [line.split()[-1] for line in server.heard[2:4]] == [b"BODY.PEEK[]<0.3>)", b"BODY.PEEK[]<3.3>)"]


async def test_a_mail_that_is_gone_is_none_and_another_ones_is_not_taken_for_it() -> None:
    gone = b"* 1 EXPUNGE\r\n* 2 FETCH (UID 8 BODY[]<0> {1}\r\nx)\r\n{tag} OK\r\n"
    async with serving(in_the_folder(gone)) as server, client(server.address) as box:
        await opened(box)
        assert await box.mail(9) is None


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([b"* 1 FETCH (UID 9 RFC822.SIZE 99999999 BODY[]<0> {8}\r\nA: b\r\n\r\n)\r\n{tag} OK\r\n"], "too large"),
        ([b"{tag} NO Broken\r\n", b"{tag} OK\r\n", b"{tag} NO [SERVERBUG] Broken\r\n", b"{tag} OK\r\n"], "refused"),
        ([b"* 1 FETCH (UID 9 BODY[]<0> NIL)\r\n{tag} OK\r\n"], "empty"),
    ],
)
async def test_a_mail_that_cannot_be_had_is_left_and_said_so(answers: list[bytes], why: str) -> None:
    async with serving(in_the_folder(*answers, SEARCH)) as server, client(server.address) as box:
        await opened(box)
        found = await box.mail(9)
        assert isinstance(found, Left)
        assert found.why == why
        assert await box.uids(0), "the session goes on"


async def test_a_size_that_is_a_lie_leads_to_no_more_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 4)
    monkeypatch.setattr(module, "MOST_OF_A_MAIL", 10)
    more = [b"* 1 FETCH (UID 9 RFC822.SIZE 4 BODY[]<0> {4}\r\nA: b)\r\n{tag} OK\r\n"] * 9
    async with serving(in_the_folder(*more)) as server, client(server.address) as box:
        await opened(box)
        assert await box.mail(9) == Left("too large", None, b"A: b" * 3)


Ask = Callable[[MailboxClient], Awaitable[Any]]


async def _search(box: MailboxClient) -> Any:
    await opened(box)
    return await box.uids(0)


async def _mail(box: MailboxClient) -> Any:
    await opened(box)
    return await box.mail(9)


@pytest.mark.parametrize(
    ("ask", "answers", "error"),
    [
        (opened, [b"{tag} NO [AUTHENTICATIONFAILED] Who?\r\n"], CredentialsRefused),
        (opened, [b"{tag} NO Who?\r\n"], CredentialsRefused),
        (opened, [b"{tag} BAD\r\n"], CredentialsRefused),
        (opened, [b"{tag} NO [UNAVAILABLE]\r\n"], TryLater),
        (opened, [b"{tag} NO [REFERRAL imap://elsewhere.example/]\r\n"], UnexpectedAnswer),
        (opened, [b"* BYE [UNAVAILABLE]\r\n"], TryLater),
        (opened, [b"{tag} MAYBE\r\n"], UnexpectedAnswer),
        (opened, [b"+ more\r\n"], UnexpectedAnswer),
        (opened, [b"HTTP/1.1 400 Bad Request\r\n\r\n"], UnexpectedAnswer),
        (opened, [OPENED[0], b"{tag} NO [NONEXISTENT]\r\n"], UnexpectedAnswer),
        (opened, [OPENED[0], b"{tag} OK\r\n"], UnexpectedAnswer),
        (opened, [OPENED[0], b"* OK [UIDVALIDITY 99999999999999999]\r\n{tag} OK\r\n"], UnexpectedAnswer),
        (_search, [*OPENED, b"{tag} OK\r\n"], UnexpectedAnswer),
        (_search, [*OPENED, b"* SEARCH 1 x\r\n{tag} OK\r\n"], UnexpectedAnswer),
        (_search, [*OPENED, b"* SEARCH 1 {2}\r\n22\r\n{tag} OK\r\n"], UnexpectedAnswer),
        (_search, [*OPENED, b"{tag} NO\r\n"], UnexpectedAnswer),
        (_mail, [*OPENED, b"{tag} NO\r\n", b"* BYE\r\n"], TryLater),
        (_mail, [*OPENED, b"{tag} NO [LIMIT]\r\n"], TryLater),
        (_mail, [*OPENED, b"{tag} BAD\r\n"], UnexpectedAnswer),
        (_mail, [*OPENED, b"* 1 FETCH (UID 9 BODY[]<0> {9999999}\r\n"], UnexpectedAnswer),
        (_mail, [*OPENED, b"* 1 FETCH (UID 9 BODY[]<0> {99999999999999999999}\r\n"], UnexpectedAnswer),
        (_mail, [*OPENED, b"* 1 FETCH (UID 9 " + b"X {1048576}\r\n" + b"x" * 1048576 + b"Y {1048576}\r\n"], UnexpectedAnswer),
        (_mail, [*OPENED, b"* 1 EXISTS\r\n" * 200_000 + b"{tag} OK\r\n"], UnexpectedAnswer),
        (_mail, [*OPENED, b"* " + b"x" * 9_000_000 + b"\r\n{tag} OK\r\n"], UnexpectedAnswer),
        (_mail, [*OPENED, b"* 1 FETCH (UID 9 BODY[]<0> {9}\r\nabc"], TryLater),
        (_mail, [*OPENED, b"{tag} "], TryLater),
    ],
)
async def test_whatever_a_server_says_is_a_failure_in_our_words(
    ask: Ask, answers: list[bytes], error: type[ProviderError]
) -> None:
    """They hold nothing of the settings, the address, or the answer."""

    async def talk(line: Line) -> None:
        await line.answer(*answers)

    async with serving(talk) as server, client(server.address, read=1.5, total=3.0) as box:
        with pytest.raises(ProviderError) as caught:
            await ask(box)
        assert isinstance(caught.value, error), caught.value
        told = "\n".join(told_by(caught.value))
        assert not any(word in told for word in (USER, PASSWORD, FOLDER, str(server.port), "Who?", "elsewhere"))


async def test_a_session_that_broke_off_is_over() -> None:
    """What comes late is not taken for the answer to the next question."""
    late = asyncio.Event()

    async def talk(line: Line) -> None:
        await line.answer(*OPENED)
        tag = await line.hear()
        await late.wait()
        await line.say(b"* SEARCH 1 2 3\r\n" + tag + b" OK\r\n")

    async with serving(talk) as server, client(server.address, total=0.5) as box:
        await opened(box)
        for _ in range(2):
            with pytest.raises(TryLater):
                await box.uids(0)
            late.set()


async def test_before_each_command_somebody_is_asked_whether_it_may_be() -> None:
    class Gone(Exception):
        pass

    asked = 0

    async def hold() -> None:
        nonlocal asked
        asked += 1
        if asked == 5:
            raise Gone

    async with serving(in_the_folder(SEARCH, MAIL)) as server, client(server.address) as box:
        held = box.held(hold)
        await held.open(USER, PASSWORD, FOLDER)
        assert await held.uids(0)
        with pytest.raises(Gone):
            await held.mail(9)
        assert len(server.heard) == 3, "nothing was sent that might not be"
