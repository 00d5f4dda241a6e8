"""What is known after a mail was handed over: taken, surely not taken, refused for good, or nobody knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiosmtplib import SMTPException
from pydantic import SecretStr

from app.kit.letters import NotSent, Refused
from app.kit.mail import Mailer

TO = "pat@example.org"


@asynccontextmanager
async def speaking(answers: dict[str, str]) -> AsyncIterator[Mailer]:
    """A mail server that answers each command as told; to an empty answer it hangs up. `body`: what ends the mail."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        word, in_body = "hello", False
        while True:
            said = answers.get(word, "354 go on" if word == "DATA" else "250 fine")
            if not said:
                break
            writer.write(f"{said}\r\n".encode())
            in_body = word == "DATA" and said.startswith("354")
            word = ""
            while not word:
                line = (await reader.readline()).decode()
                if not line:
                    writer.close()
                    return
                word = ("body" if line == ".\r\n" else "") if in_body else line.split()[0].upper()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield Mailer(SecretStr(f"smtp://127.0.0.1:{port}"), "harmline@example.org")
    server.close()


async def outcome(answers: dict[str, str]) -> Exception | bool:
    async with speaking({"hello": "220 here", **answers}) as mailer:
        try:
            return await mailer.send(TO, "x", "text")
        except SMTPException as error:
            return error


@pytest.mark.parametrize("answers", [{}, {"QUIT": ""}, {"QUIT": "500 what"}])
async def test_what_the_server_took_is_sent_however_it_says_goodbye(answers: dict[str, str]) -> None:
    assert await outcome(answers) is True


@pytest.mark.parametrize(
    "answers",
    [
        {"hello": "421 later"},
        {"hello": ""},
        {"EHLO": "421 no", "HELO": "421 no"},
        {"MAIL": "451 later"},
        {"RCPT": "450 greylisted"},
        {"DATA": "451 later"},
        {"body": "452 full"},
        {"body": "554 looks like spam"},
    ],
)
async def test_what_the_server_refused_was_surely_not_sent_and_may_be_tried_again(answers: dict[str, str]) -> None:
    error = await outcome(answers)
    assert isinstance(error, NotSent)
    assert not isinstance(error, Refused)
    assert TO not in str(error)


async def test_an_address_that_does_not_exist_is_not_tried_again() -> None:
    error = await outcome({"RCPT": "550 no such user <pat@example.org>"})
    assert isinstance(error, Refused)
    assert TO not in f"{error!r} {error.__cause__!r} {error.__context__!r}"


async def test_after_a_mail_without_an_answer_nobody_knows() -> None:
    error = await outcome({"body": ""})
    assert isinstance(error, SMTPException)
    assert not isinstance(error, NotSent)


async def test_a_server_that_is_not_there_took_nothing() -> None:
    with pytest.raises(NotSent):
        await Mailer(SecretStr("smtp://127.0.0.1:1"), "harmline@example.org").send(TO, "x", "text")
