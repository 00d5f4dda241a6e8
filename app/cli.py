"""The command line: set-up, imports, replay and releases for whoever runs the service."""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
import uvicorn
import uvloop
from sqlalchemy.exc import SQLAlchemyError

from app import (
    connection_commands,
    connector_commands,
    file_commands,
    key_commands,
    ledger_commands,
    matter_commands,
    operations,
    packet_commands,
    upkeep_commands,
    witness_commands,
)
from app.kit import migrate as schema
from app.kit.accepting import Server, allow_connections
from app.kit.config import Settings
from app.kit.context import is_door_alone, open_context
from app.kit.logging import configure
from app.kit.serving import server_options
from app.kit.vault import KeyFileError, create_key_file
from app.main import work_until_stopped
from app.terminal import OrganizationId, read_settings, run, show
from app.upkeep.doctor import refusals
from app.upkeep.facts import keep_to_ourselves
from app.upkeep.unsafe import DOOR_ALONE, is_production

cli = typer.Typer(no_args_is_help=True, add_completion=False, help="Harmline, from the command line.")
intake = typer.Typer(no_args_is_help=True, help="What came in: replay, trace, accounts.")
members = typer.Typer(no_args_is_help=True, help="Rosters and enrollments.")
statistics = typer.Typer(no_args_is_help=True, help="Published statistics.")
cli.add_typer(intake, name="intake")
cli.add_typer(members, name="members")
cli.add_typer(statistics, name="statistics")
cli.add_typer(key_commands.commands, name="keys")
cli.add_typer(connection_commands.commands, name="connections")
cli.add_typer(connector_commands.commands, name="connectors")
cli.add_typer(matter_commands.commands, name="matters")
cli.add_typer(packet_commands.commands, name="packet")
cli.add_typer(file_commands.commands, name="files")
cli.add_typer(ledger_commands.commands, name="ledger")
cli.add_typer(upkeep_commands.backup, name="backup")
cli.add_typer(witness_commands.commands, name="witness")
cli.command("doctor")(upkeep_commands.doctor)
cli.command("upgrade")(upkeep_commands.upgrade)

CsvFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A CSV file, UTF-8.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen and change nothing.")]


def _become(module: str, *arguments: str) -> None:
    """Go on as another program of this house: those load what no other command should wait for."""
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 - our own interpreter and module


def _refuse(reasons: Sequence[str]) -> None:
    """End with 1 when there is a reason not to start."""
    for reason in reasons:
        typer.echo(f"Not started: {reason}", err=True)
    if reasons:
        raise typer.Exit(1)


def _require_safe(config: Settings, role: str) -> None:
    """End with 1 when the service must not run like this; each reason names a setting and how to mend it."""
    found = asyncio.run(refusals(config, role))
    if role != DOOR_ALONE:
        with suppress(SQLAlchemyError):  # there is no database yet, or it is of an older schema: asked once it is migrated
            found += _untried_keys(config)
    _refuse(found)


async def _asked_of_keys(config: Settings) -> list[str]:
    context = open_context(config)
    try:
        return await upkeep_commands.untried_keys(context)
    finally:
        await context.database.close()


def _untried_keys(config: Settings) -> list[str]:
    try:
        return asyncio.run(_asked_of_keys(config))
    except KeyFileError as error:
        return [str(error)]


def _migrate(config: Settings) -> None:
    try:
        schema.upgrade(config.migrating_url)
    except schema.NotYours as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


@cli.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    _migrate(read_settings())


FACTORIES = {"serve": "app.main:create_app", "web": "app.main:create_web", DOOR_ALONE: "app.main:create_door"}


def _make_keys(config: Settings) -> None:
    """In development nobody has to: the top key and the door's."""
    for path in (config.key_file, config.door_key):
        if not path.exists():
            create_key_file(path, config.key_lock)


@cli.command()
def serve(
    no_work: Annotated[bool, typer.Option("--no-work", help="The web alone; `harmline work` does the rest elsewhere.")] = False,
) -> None:
    """Migrate, then serve the web and work behind it. With --no-work and the door's key alone: only deliveries are taken in."""
    config = read_settings()
    configure(logging.getLevelNamesMapping()[config.log_level])
    role = DOOR_ALONE if no_work and is_door_alone(config) else "web" if no_work else "serve"
    if role == DOOR_ALONE:
        typer.echo(f"{config.key_file} is not here: deliveries are taken in, and what needs it is told to come again.", err=True)
    elif not is_production(config):
        _make_keys(config)
    _require_safe(config, role)
    _migrate(config)
    if role != DOOR_ALONE:
        _refuse(_untried_keys(config))
    allow_connections(config.most_connections)
    server = Server(
        uvicorn.Config(
            FACTORIES[role],
            factory=True,
            host=config.host,
            port=config.port,
            forwarded_allow_ips=config.trusted_proxies,
            **server_options(config),
        )
    )
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        raise typer.Exit(1)


@cli.command()
def work() -> None:
    """Work behind the doors without the web, beside processes that `serve --no-work`; any number of them, on PostgreSQL."""
    config = read_settings()
    configure(logging.getLevelNamesMapping()[config.log_level])
    _require_safe(config, "work")
    uvloop.run(work_until_stopped(config))


@cli.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="Play, print and check the accounts, and stop.")] = False,
    port: Annotated[int, typer.Option(envvar="PORT", help="Where to serve.")] = 8000,
    packet: Annotated[Path | None, typer.Option(help="Leave the packet of the scenario's matter in this new folder.")] = None,
) -> None:
    """Play the Oakland scenario, then serve it (or only check it)."""
    more = [*(["--once"] if once else []), *(["--packet", str(packet)] if packet else [])]
    _become("app.demo.run", *more, "--port", str(port))


@cli.command("organization")
def organization(
    name: Annotated[str, typer.Argument(help="Its name.")],
    admin: Annotated[str, typer.Option(help="E-mail address of its first admin.")],
    counsel: Annotated[str | None, typer.Option(help="E-mail address of its first counsel.")] = None,
) -> None:
    """Set up an organization; prints one-time links for its first admin and counsel."""
    show(run(lambda context: operations.create_organization(context, name, admin, counsel)))


@cli.command("let-back-in")
def let_back_in(
    organization_id: OrganizationId,
    email: Annotated[str, typer.Argument(help="The address of an admin, counsel or other staff.")],
) -> None:
    """Let somebody begin anew who lost every way to sign in, when nobody is left to vouch; they are told, and wait a day."""
    show(run(lambda context: operations.let_back_in(context, organization_id, email)))


@cli.command("sandbox")
def sandbox(
    name: Annotated[str, typer.Argument(help="The connector whose fake provider is to be served.")],
    port: Annotated[int, typer.Option(envvar="PORT", help="Where to serve it, on this machine only.")] = 8100,
) -> None:
    """Serve a connector's fake provider to play with, until Ctrl-C."""
    connector_commands.serve_sandbox(name, port)


@cli.command("breaches")
def breaches(
    organization_id: OrganizationId, catalogue: Annotated[str, typer.Argument(help="A catalogue, such as oakland.")]
) -> None:
    """Load a catalogue of breaches, or its newer edition, and see anew who was exposed."""
    show(run(lambda context: operations.load_breaches(context, organization_id, catalogue)))


@cli.command("token")
def token(
    organization_id: OrganizationId,
    external_id: Annotated[str, typer.Option(help="The member's number on the roster.")],
    days: Annotated[int, typer.Option(min=1, max=90, help="How long it is good for.")] = 30,
) -> None:
    """Make a token by which a program reads one member's own timeline; prints it, once."""
    show(run(lambda context: operations.member_token(context, organization_id, external_id, days)))


@members.command("import")
def members_import(organization_id: OrganizationId, file: CsvFile, dry_run: DryRun = False) -> None:
    """Import a roster; names every bad row, and changes nothing while there is one."""
    _report(run(lambda context: operations.import_roster(context, organization_id, file.read_bytes(), dry_run)))


@members.command("enroll")
def members_enroll(
    organization_id: OrganizationId,
    file: CsvFile,
    connection_id: Annotated[UUID, typer.Option("--connection", help="The connection's id.")],
    dry_run: DryRun = False,
) -> None:
    """Import who is whom at a provider, with their consent."""
    _report(
        run(lambda context: operations.import_enrollments(context, organization_id, connection_id, file.read_bytes(), dry_run))
    )


def _report(report: dict[str, Any]) -> None:
    for problem in report["problems"]:
        typer.echo(f"line {problem['line']}, {problem['column']}: {problem['message']}", err=True)
    done = "would be" if report["dry_run"] else "were"
    counts = f"{report['added']} added, {report['updated']} updated, {report['unchanged']} unchanged"
    typer.echo("Nothing was imported: mend these lines and try again." if report["problems"] else f"{counts} ({done} written)")
    if report["problems"]:
        raise typer.Exit(1)


@intake.command("replay")
def intake_replay(organization_id: OrganizationId) -> None:
    """Handle again whatever was set aside. What was understood before stays as it is."""
    done = run(lambda context: operations.replay(context, organization_id))
    typer.echo(f"{done} receipts looked at again.")


@intake.command("trace")
def intake_trace(receipt_id: Annotated[UUID, typer.Argument(help="The id that the sender got with its 202.")]) -> None:
    """Tell the whole story of one receipt."""
    show(run(lambda context: operations.trace(context, receipt_id)))


@intake.command("accounts")
def intake_accounts(
    organization_id: OrganizationId,
    connection_id: Annotated[UUID | None, typer.Option("--connection", help="Of this connection only.")] = None,
) -> None:
    """Print the accounts: every delivery, every event, and where it went."""
    show(run(lambda context: operations.accounts(context, organization_id, connection_id)))


@statistics.command("release")
def statistics_release(organization_id: OrganizationId) -> None:
    """Make, audit and publish the next edition of the statistics."""
    _become("app.publishing", str(organization_id))


def main() -> None:
    """The entry point of the `harmline` command."""
    keep_to_ourselves()
    cli()


if __name__ == "__main__":
    main()
