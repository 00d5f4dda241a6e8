"""`python -m app.demo.run [--once] [--port N] [--packet DIR]`: play the scenario, print and check the accounts; then serve it."""

import argparse
import asyncio
import logging
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
import uvloop
from pydantic import HttpUrl
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from app.access.roles import Role
from app.access.service import create_link
from app.demo.cast import StageError, Tenant
from app.demo.check import Result, check
from app.demo.packet import leave_packet
from app.demo.play import Played, Script, played, write_script
from app.demo.providers import Providers
from app.demo.report import accounts_table, events_table, summary, verdict
from app.demo.truth import BEGIN, END
from app.kit import migrate
from app.kit.accepting import Server
from app.kit.config import Settings
from app.kit.context import Context, open_context
from app.kit.errors import Problem
from app.kit.logging import configure
from app.kit.serving import server_options
from app.kit.vault import create_key_file
from app.main import create_app
from app.statistics.build import ReleaseError

T = TypeVar("T")

FOLDER = Path("var/demo")
LINK_LIFETIME = timedelta(hours=12)
CELLS = 8
"""How many numbers the statistics of the whole scenario must show at least."""

VISITORS = {
    Role.MEMBER: "What happened to one member: why each thing is linked to the breach, and what speaks against it. "
    "One mail said no more than to log in: tell what stands there.",
    Role.STAFF: "The published statistics, and nothing that names anybody.",
    Role.CASEWORKER: "The queues: alerts about nobody, what could not be read, among it a mail that no rule knows.",
    Role.COUNSEL: "The matter over the breach, with every incident linked to it.",
    Role.ADMIN: "Connections with their rules and columns, roster and roles; no incident's contents.",
    Role.AUDITOR: "The ledger: what was received and done, and when.",
}
"""Whom the demo offers to sign in as, and what they see."""


def main(once: bool, port: int, packet: Path | None) -> int:
    """Play, print and check; with `once` end there, else serve on `port` until Ctrl-C. Returns the exit code.

    `packet`: where to leave the packet of the scenario's matter.
    """
    configure(logging.ERROR)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    console = Console()
    try:
        return _once(console, packet) if once else _and_serve(console, port, packet)
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    except (Problem, StageError, ReleaseError, OSError) as error:
        console.print(f"The scenario stopped: {error}", markup=False)
        return 1


def _once(console: Console, packet: Path | None) -> int:
    with tempfile.TemporaryDirectory(prefix="harmline-demo-") as folder:
        result, _ = _play(console, _settings(Path(folder), 8000), _no_more, packet)
    return 1 if result.differences else 0


def _and_serve(console: Console, port: int, packet: Path | None) -> int:
    settings = _settings(FOLDER, port)
    socket.create_server((settings.host, port)).close()
    shutil.rmtree(FOLDER, ignore_errors=True)
    result, (star, union, providers) = _play(console, settings, _what_goes_on, packet)
    links = _apart(lambda: _sign_in_links(settings, union, star))
    console.print(
        f"\nHarmline is at {settings.origin}. Each link signs you in once, within 12 hours:\n", markup=False, soft_wrap=True
    )
    for role, link in links.items():
        console.print(f"  {role.value:<11} {link}\n              {VISITORS[role]}", markup=False, soft_wrap=True)
    console.print("\nCtrl-C ends it.")
    _serve(settings, providers)
    return 1 if result.differences else 0


def _settings(folder: Path, port: int) -> Settings:
    return Settings(
        database_url=f"sqlite+aiosqlite:///{folder}/harmline.db",
        key_file=folder / "keys" / "top.key",
        packet_folder=folder / "packets",
        base_url=HttpUrl(f"http://localhost:{port}"),
        smtp_url=None,
        port=port,
        unsafe_links=True,
    )


def _apart(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a loop of its own. The fast loop matters: two years pass in under a minute."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(make())


def _no_more(played_out: Played) -> None:
    """Nothing is kept of a scenario that is only checked."""


def _what_goes_on(played_out: Played) -> tuple[str, Tenant, Providers]:
    """Whom to show, where, and the providers with all they know: they go on being asked."""
    return played_out.script.truth.star, played_out.union, played_out.providers


def _play(console: Console, settings: Settings, keep: Callable[[Played], T], packet: Path | None) -> tuple[Result, T]:
    """Play into a fresh database, print what came of it; the result, and what the caller wants kept of the play."""
    create_key_file(settings.key_file)
    migrate.upgrade(settings.database_url)
    script = write_script()
    console.print(summary(script), soft_wrap=True)
    return _apart(lambda: _perform(console, settings, script, keep, packet))


async def _perform(
    console: Console, settings: Settings, script: Script, keep: Callable[[Played], T], packet: Path | None
) -> tuple[Result, T]:
    context = open_context(settings)
    lines: list[str] = []
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("Enrolling everybody", total=(END - BEGIN).days)

            def show(now: datetime, sent: int) -> None:
                progress.update(task, completed=(now - BEGIN).days, description=f"{now:%B %Y}, {sent} deliveries")

            async with played(context, script, show) as played_out:
                progress.update(task, description="Comparing with the truth")
                result = await check(played_out, CELLS)
                if packet is not None:
                    progress.update(task, description="Building the packet")
                    lines.append(await leave_packet(played_out, packet))
                kept = keep(played_out)
    finally:
        await context.database.close()
    console.print(accounts_table(result), events_table(result))
    for line in (*verdict(script, result), *lines):
        console.print(line, markup=False, soft_wrap=True)
    return result, kept


async def _sign_in_links(settings: Settings, union: Tenant, star: str) -> dict[Role, str]:
    """One-time links, made by the wall clock: the play's own clock ended in the past."""
    context: Context = open_context(settings)
    try:
        links = {}
        async with context.database.begin() as tx:
            for role in VISITORS:
                account = union.accounts[star if role is Role.MEMBER else role]
                links[role] = f"{settings.origin}/sign-in/{await create_link(tx, account, role, LINK_LIFETIME)}"
        return links
    finally:
        await context.database.close()


def _serve(settings: Settings, providers: Providers) -> None:
    try:
        _apart(lambda: _serve_all(settings, providers))
    except KeyboardInterrupt:
        return


async def _serve_all(settings: Settings, providers: Providers) -> None:
    """The application, and the providers where its connections look for them."""
    app = create_app(settings)
    config = uvicorn.Config(app, host=settings.host, port=settings.port, **server_options(settings))
    async with providers.serving():
        await Server(config).serve()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Play the Oakland scenario.")
    arguments.add_argument("--once", action="store_true", help="play, print and check the accounts, and stop")
    arguments.add_argument("--packet", type=Path, help="leave the packet of the scenario's matter in this new folder")
    arguments.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8000")), help="where to serve")
    chosen = arguments.parse_args()
    sys.exit(main(chosen.once, chosen.port, chosen.packet))
