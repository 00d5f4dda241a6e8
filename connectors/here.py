"""Where the outgoing clients of this process may connect to: providers' addresses, and sandboxes of this machine while open."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from connectors.egress import Base, base_of, mail_base_of

_sandboxes: Counter[str] = Counter()


@contextmanager
def sandbox_allowed(origin: str) -> Iterator[None]:
    """Let the outgoing clients reach one plain origin of this machine, in this process only; no setting can do that.

    `origin` is http:// or imap:// and 127.0.0.1 with a port; ValueError otherwise.
    """
    if not re.fullmatch(r"(?:http|imap)://127\.0\.0\.1:[1-9][0-9]{0,4}", origin):
        raise ValueError("a sandbox is http://127.0.0.1 or imap://127.0.0.1 with a port")
    _sandboxes[origin] += 1
    try:
        yield
    finally:
        _sandboxes[origin] -= 1
        if not _sandboxes[origin]:
            del _sandboxes[origin]


def base_here(url: str) -> Base:
    """A provider's address taken apart, as far as this process may connect to it; NotAllowed otherwise."""
    return base_of(url, _sandboxes)


def mail_base_here(url: str) -> Base:
    """A mail server's address taken apart, as far as this process may connect to it; NotAllowed otherwise."""
    return mail_base_of(url, _sandboxes)


def require_base(url: str) -> None:
    """NotAllowed for an address that the provider client of this process would never connect to."""
    base_here(url)
