"""The client of mailboxes: nobody else is connected to, and nothing is told before TLS. Real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from connectors.asking import CredentialsRefused, NotAllowed, ProviderError, TryLater, UnexpectedAnswer
from tests.connectors.http_stage import authority, internet
from tests.connectors.mailbox_stage import (
    FOLDER,
    NAME,
    OPENED,
    OUTSIDE,
    PASSWORD,
    USER,
    Line,
    client,
    in_the_folder,
    opened,
    serving,
)


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
