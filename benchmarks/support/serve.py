"""One server in a process of its own: `python -m benchmarks.support.serve bare|naive|harmline|route PORT`.

All are started alike, as `harmline serve` starts Harmline: uvicorn with uvloop and httptools, no access log. Several
processes may share the port: the system spreads the connections over them.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

import uvicorn

from app.kit.accepting import Server
from app.kit.limits import Limits
from app.kit.logging import configure
from app.kit.serving import server_options
from benchmarks.support.child import end_with_parent, say
from benchmarks.support.servers import OWN

PLAIN: dict[str, Any] = {"access_log": False, "log_config": None, "server_header": False}


def options(what: str) -> dict[str, Any]:
    """How uvicorn is started: Harmline with the guard of its own, so that what it costs is measured too; the others plainly."""
    return server_options(Limits()) if what in OWN else PLAIN


class Telling(uvicorn.Server):
    """Says when it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As it is done, and tell."""
        await super().startup(sockets)
        say({"listening": self.started})


class TellingHarmline(Telling, Server):
    """Harmline's own server, that says so too."""


def main(what: str, port: int) -> None:
    """Serve until the parent ends."""
    end_with_parent()
    configure()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    config = uvicorn.Config(
        f"benchmarks.support.{what}:create_app",
        factory=True,
        forwarded_allow_ips="127.0.0.1",
        **options(what),
    )
    (TellingHarmline if what in OWN else Telling)(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
