"""What libraries do at leisure in a service takes minutes of a suite: done once per process here, or waited for less long."""

from __future__ import annotations

import gc
import ssl
import sys
from functools import cache
from socketserver import BaseServer
from typing import Any

from httpx import create_ssl_context
from httpx._transports import default

_LOOKS_EVERY = 0.01
_YOUNG = 50_000


@cache
def _usual_context(trust_env: bool) -> ssl.SSLContext:
    return create_ssl_context(trust_env=trust_env)


def _context(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
    if verify is True and cert is None:
        return _usual_context(trust_env)
    return create_ssl_context(verify=verify, cert=cert, trust_env=trust_env)


def hurry() -> None:
    """From now on each HTTP client of a test trusts the same authorities, read once (a twentieth of a second, though most
    of them never leave this machine), and a server in a thread sees at once that it is to end, not after half a second.
    And httpx, which looks at each request whether there is a sniffio by now, does not search every folder for it.
    """
    sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]
    default.create_ssl_context = _context  # type: ignore[attr-defined]
    BaseServer.serve_forever.__defaults__ = (_LOOKS_EVERY,)


def forget_what_stays() -> None:
    """What was imported and collected lives until the end: whoever looks for garbage need not look there again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)
