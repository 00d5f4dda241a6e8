"""A real mail server in this process, which keeps what it is given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from tests.support.postgres import free_port

LINK = re.compile(r"http://localhost:8000(/sign-in/[A-Za-z0-9_-]+)")


class Post:
    """The mails that came, each with whom the envelope names; while `closed` it takes nothing."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], EmailMessage]] = []
        self.closed = False

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.closed:
            return "451 try later"
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default)))
        return "250 kept"

    def link(self) -> str:
        """The path of the link in the last mail."""
        found = LINK.search(self.mails[-1][1].get_content())
        assert found is not None
        return found.group(1)


@contextmanager
def mail_server() -> Iterator[tuple[Post, int]]:
    """The server and its port."""
    post, port = Post(), free_port()
    controller = Controller(post, hostname="127.0.0.1", port=port)
    controller.start()
    yield post, port
    controller.stop()
