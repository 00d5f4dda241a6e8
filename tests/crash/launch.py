"""Starts servers for the crash rig: a process that has imported everything forks one whenever it is told to.

To import the service takes seconds, to fork it a few milliseconds; what a fork then runs is the `harmline serve`,
`harmline serve --no-work`, `harmline work` or `harmline keys rotate` of everybody. What the rig changes, it changes here, in the
forked process and from outside: leases that run out in seconds, a clock that is wrong, a database that is full, and a point to
die at.
`python -m tests.crash.launch` reads one JSON order a line and answers with a process id.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from app import cli, key_commands, main
from app.intake import asker, patience, polling
from app.kit import pulling
from app.kit.config import settings
from app.kit.migrate import head, upgrade
from connectors.asking import PollPlan
from connectors.http import sandbox_allowed
from tests.crash.dial import Dial, go_by
from tests.crash.failpoints import Trap, at_the_edges, install
from tests.support.paged import Paged, paged_registered

PR_SET_PDEATHSIG = 1
LEASE = timedelta(seconds=6)


@dataclass(frozen=True)
class Order:
    """One server to start. `die_at`: a point of `failpoints` and the how-manieth time. `dial`: the file by which its clock goes.

    `full`: a file; while it is there, an SQLite database cannot grow. `provider`: where the paged provider answers.
    """

    role: str
    environment: dict[str, str]
    log: str
    deaths: str
    die_at: tuple[str, int] | None = None
    dial: str | None = None
    full: str | None = None
    provider: str | None = None

    def line(self) -> str:
        """As `main` reads it."""
        return json.dumps(asdict(self))


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _trap(order: Order) -> None:
    if order.die_at is None:
        return
    trap = Trap(*order.die_at, Path(order.deaths))
    install(trap)
    make = main.create_app  # `create_web` calls it
    main.create_app = lambda *a, **k: at_the_edges(make(*a, **k), trap)  # type: ignore[assignment, arg-type]


def _full_disk(order: Order) -> None:
    """SQLite's own limit stands in for a full disk: the same error comes from the same statements."""
    if order.full is None:
        return
    marker = Path(order.full)

    @event.listens_for(Engine, "before_cursor_execute")
    def _limit(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("BEGIN"):
            pages = 1 if marker.exists() else 1 << 30  # it never goes below what is there
            connection.connection.dbapi_connection.driver_connection._conn.execute(f"PRAGMA max_page_count={pages}").fetchall()


def serve(order: Order) -> None:
    """In the forked process: become that server. Comes back only when it ends by itself."""
    _die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number, target in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
        os.dup2(number, target)
    os.environ.update(order.environment)
    settings.cache_clear()
    pulling.LEASE = polling.LEASE = asker.LEASE = LEASE
    patience.FIRST_WAIT, patience.LONGEST_WAIT = timedelta(seconds=0.5), timedelta(seconds=2)
    Paged.poll = PollPlan(every=timedelta(seconds=0.5), requests_per_minute=600_000, overlap=timedelta(seconds=5))
    _trap(order)
    if order.dial is not None:
        go_by(Dial(Path(order.dial)))
    _full_disk(order)
    with ExitStack() as stack:
        if order.provider is not None:
            stack.enter_context(sandbox_allowed(order.provider))
            stack.enter_context(paged_registered())
        match order.role:
            case "all":
                cli.serve(no_work=False)
            case "web":
                cli.serve(no_work=True)
            case "worker":
                cli.work()
            case "rotate":
                key_commands.rotate()
            case "rotate --top":
                key_commands.rotate(top=True)


def warm() -> None:
    """Do once what every start does, so that the forks find it done: about half of a start's time."""
    with tempfile.TemporaryDirectory() as folder:
        upgrade(f"sqlite+aiosqlite:///{folder}/warm.db")
    head()
    main.create_app(work=False)
    gc.collect()
    gc.freeze()


def run() -> None:
    """Fork one server for each order, until there are no more orders; then every server ends with us."""
    warm()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are buried by the kernel, so that their ids are gone at once
    for line in sys.stdin:
        told = json.loads(line)
        order = Order(**{**told, "die_at": tuple(told["die_at"]) if told["die_at"] else None})
        child = os.fork()
        if child == 0:
            try:
                serve(order)
            finally:
                os._exit(1)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    run()
