"""The client of mailboxes: what it makes of a server's answers, and that none harms us. Real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from connectors import mailbox as module
from connectors.asking import CredentialsRefused, Left, ProviderError, TryLater, UnexpectedAnswer
from connectors.mailbox import MailboxClient
from tests.connectors.http_stage import told_by
from tests.connectors.mailbox_stage import (
    FOLDER,
    OPENED,
    PASSWORD,
    USER,
    Line,
    client,
    in_the_folder,
    opened,
    serving,
)

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


@pytest.mark.share
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
