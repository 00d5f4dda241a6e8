"""`harmline connections ...`: set up, list, ask, pause, replace secrets, close. A secret is never an argument."""

import os
from typing import Annotated, Any
from uuid import UUID

import typer

from app import operations
from app.connections import managing
from app.connections.settings import settings_of
from app.terminal import OrganizationId, run, show
from connectors.contract import Connector, Sender
from connectors.registry import registry

commands = typer.Typer(no_args_is_help=True, help="Connections to those who send alerts, or are asked for them.")

ConnectionId = Annotated[UUID, typer.Argument(help="The connection's id.")]
OK = "ok"
WELL = frozenset({OK, "never", "paused", "closed"})


def _connector(name: str) -> Connector:
    if name not in registry():
        typer.echo(f"There is no connector {name}. Choose from: {', '.join(registry())}.", err=True)
        raise typer.Exit(1)
    return registry()[name]


def _settings(connector: Connector, given: list[str]) -> dict[str, Any]:
    """The settings from `name=value`, and the secrets from the environment or by asking for them."""
    known = {one.name: one for one in settings_of(connector)}
    values: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            typer.echo(f"--setting {name}: write name=value, with a name of: {', '.join(known) or 'none'}.", err=True)
            raise typer.Exit(2)
        if known[name].secret:
            typer.echo(f"{name} is a secret: give it as HARMLINE_SETTING_{name.upper()}, not on the command line.", err=True)
            raise typer.Exit(2)
        values[name] = [part for part in value.split(",") if part] if known[name].several else value
    for name in (one.name for one in known.values() if one.secret):
        held = os.environ.get(f"HARMLINE_SETTING_{name.upper()}")
        if held is None and known[name].required:
            held = typer.prompt(known[name].description, hide_input=True)
        if held:
            values[name] = held
    return values


@commands.command("list")
def list_connections(organization_id: OrganizationId) -> None:
    """List the connections."""
    show(run(lambda context: operations.list_connections(context, organization_id)))


@commands.command("health")
def health(organization_id: OrganizationId) -> None:
    """Say how every connection is doing. Ends with 1 when one of them fails or has fallen silent."""
    found = run(lambda context: operations.connection_health(context, organization_id))
    show(found)
    if any(one["state"] not in WELL for one in found):
        raise typer.Exit(1)


@commands.command("add")
def add(
    organization_id: OrganizationId,
    title: Annotated[str, typer.Option(help="What people call the sender.")],
    sender: Annotated[Sender, typer.Option(help="Who stands behind the deliveries.")],
    connector: Annotated[str, typer.Option(help="The connector's name.")] = "standard",
    setting: Annotated[list[str] | None, typer.Option(help="A setting of the connector, name=value; may come often.")] = None,
) -> None:
    """Set up a connection; prints its webhook address and its secret, once.

    Secrets among the settings are taken from HARMLINE_SETTING_<NAME>, or asked for. A webhook secret that the sender has
    chosen is taken from HARMLINE_WEBHOOK_SECRET; without it one is made.
    """
    values = _settings(_connector(connector), setting or [])
    secret = os.environ.get("HARMLINE_WEBHOOK_SECRET")
    show(run(lambda context: operations.create_connection(context, organization_id, connector, title, sender, values, secret)))


def _ask(connection_id: UUID, *, sweep: bool) -> None:
    done = run(lambda context: operations.ask_provider(context, connection_id, sweep=sweep))
    show(done)
    if not done["asked"]:
        typer.echo("Somebody else is asking this provider just now. Try again in a few minutes.", err=True)
    if not done["asked"] or done.get("state") != OK:
        raise typer.Exit(1)


@commands.command("poll")
def poll(connection_id: ConnectionId) -> None:
    """Ask a provider for what is new, now; prints what was kept. Ends with 1 when that fails."""
    _ask(connection_id, sweep=False)


@commands.command("sweep")
def sweep(connection_id: ConnectionId) -> None:
    """Ask a provider for everything, from the beginning; what is known already is kept once. Ends with 1 when that fails."""
    _ask(connection_id, sweep=True)


@commands.command("pause")
def pause(connection_id: ConnectionId) -> None:
    """Ask a provider nothing until it is resumed; what it sends is still taken in."""
    show(run(lambda context: operations.act_on_connection(context, connection_id, managing.pause)))


@commands.command("resume")
def resume(connection_id: ConnectionId) -> None:
    """Ask a provider again, from where it was left."""
    show(run(lambda context: operations.act_on_connection(context, connection_id, managing.resume)))


@commands.command("rotate")
def rotate(
    connection_id: ConnectionId,
    overlap_hours: Annotated[
        int, typer.Option(min=0, max=managing.LONGEST_OVERLAP_HOURS, help="How long the old one is still taken; 0: no more.")
    ] = managing.OVERLAP_HOURS,
) -> None:
    """Replace the secret that deliveries prove themselves with; prints the new one, once.

    A secret that the sender has chosen is taken from HARMLINE_WEBHOOK_SECRET; without it one is made.
    """
    secret = os.environ.get("HARMLINE_WEBHOOK_SECRET")
    show(run(lambda context: operations.rotate_secret(context, connection_id, secret, overlap_hours)))


@commands.command("close")
def close(
    connection_id: ConnectionId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
) -> None:
    """Remove a connection for good. Its secrets and settings are destroyed; its alerts stay."""
    if not yes:
        typer.confirm("This cannot be taken back. Remove the connection?", abort=True)
    show(run(lambda context: operations.act_on_connection(context, connection_id, managing.close)))
