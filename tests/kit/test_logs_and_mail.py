"""Logs hold no value under a telling name; mail goes over real SMTP, and without a server nothing pretends to be sent."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import Any

import pytest
import structlog
from aiosmtpd.controller import Controller
from aiosmtplib import SMTPException
from pydantic import SecretStr

from app.kit import clock
from app.kit import logging as kit_logging
from app.kit.mail import Mailer

CANARY = "canary-4417"
TELLING = ["token", "api_token", "Secret", "password", "key", "signing_key", "Authorization", "cookie", "body", "raw_body"]
TELLING += ["email", "emails", "name", "member_name", "ssn", "url", "database_url"]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is written to standard error by logs as the service configures them."""
    stream, root = io.StringIO(), logging.getLogger()
    before = (root.handlers[:], root.level)
    monkeypatch.setattr(sys, "stderr", stream)
    kit_logging.configure(logging.DEBUG)
    yield stream
    structlog.reset_defaults()
    root.handlers[:], _ = before
    root.setLevel(before[1])


@pytest.mark.parametrize("name", TELLING)
def test_a_value_under_a_telling_name_is_not_written(logged: io.StringIO, name: str) -> None:
    structlog.get_logger("x").warning("something happened", **{name: CANARY, "count": 3})
    line = json.loads(logged.getvalue())
    assert line[name] == "[redacted]"
    assert (line["event"], line["level"], line["count"]) == ("something happened", "warning", 3)
    assert CANARY not in logged.getvalue()


def test_logs_of_libraries_are_json_lines_of_the_same_kind(logged: io.StringIO) -> None:
    logging.getLogger("some.library").error("it broke", extra={"password": CANARY})
    line = json.loads(logged.getvalue())
    assert (line["event"], line["level"]) == ("it broke", "error")
    assert line["timestamp"].endswith("Z")
    assert CANARY not in logged.getvalue()


@pytest.mark.parametrize("name", ["httpx", "uvicorn.access", "sqlalchemy.engine.Engine", "apscheduler.scheduler"])
def test_libraries_that_log_addresses_and_values_are_silent_below_a_warning(logged: io.StringIO, name: str) -> None:
    logging.getLogger(name).info("GET /webhooks/%s", CANARY)
    logging.getLogger(name).debug(CANARY)
    assert logged.getvalue() == ""


class _Inbox:
    """Takes mail, or refuses it."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.answer = "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.taken.append(envelope)
        return self.answer


@pytest.fixture
def inbox() -> Iterator[tuple[_Inbox, str]]:
    """A real SMTP server on a free port, and its address."""
    taken = _Inbox()
    server = _Bound(taken, hostname="127.0.0.1", port=0)
    server.start()
    yield taken, f"smtp://127.0.0.1:{server.bound}"
    server.stop()


class _Bound(Controller):
    """aiosmtpd asks itself over the port it was given; with port 0 that must be the port it got."""

    @property
    def bound(self) -> int:
        return int(self.server.sockets[0].getsockname()[1])

    def _trigger_server(self) -> None:
        self.port = self.bound
        super()._trigger_server()


async def test_a_mail_arrives_as_it_was_written(inbox: tuple[_Inbox, str]) -> None:
    taken, address = inbox
    with clock.stopped(datetime(2023, 6, 1, 12, tzinfo=UTC)):
        assert await Mailer(SecretStr(address), "harmline@example.org").send("pat@example.org", "Sign in", "Héllo.\n")
    (envelope,) = taken.taken
    message = message_from_bytes(envelope.content, policy=policy.default)
    assert (envelope.mail_from, envelope.rcpt_tos) == ("harmline@example.org", ["pat@example.org"])
    assert message["Subject"] == "Sign in"
    assert message["Date"] == "Thu, 01 Jun 2023 12:00:00 +0000"
    assert message["Message-ID"].endswith("@harmline>")
    assert message.get_content().strip() == "Héllo."


async def test_a_heading_cannot_be_smuggled_in(inbox: tuple[_Inbox, str]) -> None:
    taken, address = inbox
    for to, subject in (("pat@example.org\nBcc: evil@example.org", "x"), ("pat@example.org", "x\r\nBcc: evil@example.org")):
        with pytest.raises(ValueError, match=r"(?i)linefeed|invalid|header"):
            await Mailer(SecretStr(address), "harmline@example.org").send(to, subject, "text")
    assert taken.taken == []


async def test_a_refused_mail_and_an_absent_server_are_errors(inbox: tuple[_Inbox, str]) -> None:
    taken, address = inbox
    taken.answer = "451 later"
    with pytest.raises(SMTPException):
        await Mailer(SecretStr(address), "harmline@example.org").send("pat@example.org", "x", "text")
    with pytest.raises(SMTPException):
        await Mailer(SecretStr("smtp://127.0.0.1:1"), "harmline@example.org").send("pat@example.org", "x", "text")


async def test_without_a_server_nothing_is_sent_and_the_log_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stdout), cache_logger_on_first_use=False)
    assert not await Mailer(None, "harmline@example.org").send("pat@example.org", "x", CANARY)
    structlog.reset_defaults()
    shown = capsys.readouterr().out
    assert "HARMLINE_SMTP_URL" in shown
    assert "pat@example.org" not in shown
    assert CANARY not in shown
