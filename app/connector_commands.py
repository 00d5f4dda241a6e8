"""`harmline connectors ...` and `harmline sandbox`: what there is, a new one from the template, and one to play with."""

import asyncio
import importlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

import connectors
from app.connections.viewing import connector_view
from app.intake.understanding import Unsplittable, split, understand
from app.kit import clock
from app.terminal import show
from connectors.contract import BrokenEvent, Connector, RawEvent
from connectors.docs import OVERVIEW
from connectors.playing import PAGE, Playground
from connectors.registry import NAME, folders, registry
from connectors.sandboxing import Sandbox, serving_app

commands = typer.Typer(no_args_is_help=True, help="The wire formats that are known here.")

HERE = Path(connectors.__file__).parent
TEMPLATE = HERE / "template"
NEXT = """connectors/{name} is made, and the documents are written anew. Next:

1. Write what the provider documents: every event type in connector.py, one fixture for each in fixtures/.
2. ./run test tests/connectors tries it: forged, repeated, reordered, broken and unknown deliveries.
3. ./run harmline connectors try {name} FILE says what a delivery of your own becomes.
"""


def _known(name: str) -> Connector:
    if name not in registry():
        typer.echo(f"There is no connector {name}. Choose from: {', '.join(registry())}.", err=True)
        raise typer.Exit(1)
    return registry()[name]


@commands.command("list")
def list_connectors(as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every setting.")] = False) -> None:
    """List the connectors that are installed here, those of other packages too."""
    found = [connector_view(connector) for connector in registry().values()]
    if as_json:
        show([one.model_dump() for one in found])
        return
    for one in found:
        asked = f"asked every {one.polls_every_minutes} minutes" if one.polls_every_minutes else ""
        sends = "sends, signed" if one.signed else "sends, unsigned" if one.webhook else ""
        known = registry()[one.name]
        others = ("looked up" if one.looks_up else "", "handed in" if known.by_hand else "")
        ways = "; ".join(way for way in (sends, asked, *others) if way)
        elsewhere = "" if one.name in folders() else " (from another package)"
        typer.echo(f"{one.name:<16} {one.title}: {ways}{elsewhere}")


@commands.command("describe")
def describe(name: Annotated[str, typer.Argument(help="The connector's name.")]) -> None:
    """Print what a connector declares: how alerts come in, its settings, every event type that it knows."""
    connector = _known(name)
    events = {word: meaning.value if meaning else "known, not an alert" for word, meaning in connector.events.items()}
    show({**connector_view(connector).model_dump(), "events": events})


@commands.command("try")
def try_file(
    name: Annotated[str, typer.Argument(help="The connector's name.")],
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="One body, as the provider sends or answers it.")],
    asked: Annotated[list[str] | None, typer.Option(help="What it was asked with, name=value; may come often.")] = None,
) -> None:
    """Print what a body becomes, in full; nothing is kept. Ends with 1 when a part of it is not understood."""
    question = dict(text.partition("=")[::2] for text in asked or [])
    told = tried(_known(name), file.read_bytes(), question)
    show(told)
    if any("quarantined" in one or "unsplittable" in one for one in told):
        raise typer.Exit(1)


def tried(connector: Connector, body: bytes, asked: Mapping[str, str]) -> list[dict[str, Any]]:
    """What each event of a body becomes, by the same steps as the inbox."""
    try:
        events = split(connector, body, asked)
    except Unsplittable as error:
        return [{"unsplittable": str(error)}]
    return [_became(connector, event) for event in events]


def _became(connector: Connector, event: RawEvent | BrokenEvent) -> dict[str, Any]:
    found = understand(connector, event)
    said: dict[str, Any] = {}
    if isinstance(event, RawEvent):
        said = {"type": event.event_type, "id": event.external_id}
    if found.alert is not None:
        return {**said, "alert": found.alert.model_dump(mode="json", exclude_none=True)}
    if found.record is not None:
        return {**said, "breach_record": found.record.model_dump(mode="json", exclude_none=True)}
    if found.look is not None:
        look = found.look
        return {**said, "go_and_look": {"member": look.member_ref, "identity": look.identity, "asked": dict(look.asked)}}
    if found.handed is not None:
        handed = found.handed
        return {**said, "handed_on_to": handed.to, "bytes": len(handed.body), "asked": dict(handed.asked)}
    if found.path is not None:
        return {**said, "quarantined": found.reason, "field": found.path}
    return {**said, "not_an_alert": found.reason}


@commands.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Its name: small letters, digits and _, beginning with a letter.")],
    title: Annotated[str, typer.Option(help="What the provider is called.")] = "",
) -> None:
    """Make the folder of a new connector from the template; it passes the tests as it is."""
    if not OVERVIEW.exists():
        typer.echo("New connectors are made in a copy of the source. From another package, see docs/connectors.md.", err=True)
        raise typer.Exit(1)
    if NAME.fullmatch(name) is None or name in registry() or (HERE / name).exists() or (HERE / f"{name}.py").exists():
        typer.echo(f"{name} is taken already, or is no name: small letters, digits and _, beginning with a letter.", err=True)
        raise typer.Exit(1)
    write_folder(HERE / name, title or name.replace("_", " ").capitalize())
    typer.echo(NEXT.format(name=name))
    os.execv(sys.executable, [sys.executable, "-m", "connectors.docs"])  # noqa: S606 - our own interpreter and module


def write_folder(folder: Path, title: str) -> None:
    """Write the template into a new folder, which is named as the connector is."""
    words = {"@NAME@": folder.name, "@CLASS@": "".join(map(str.capitalize, folder.name.split("_"))), "@TITLE@": title}
    (folder / "fixtures").mkdir(parents=True)
    for template in sorted(TEMPLATE.iterdir()):
        text = template.read_text(encoding="utf-8")
        for mark, word in words.items():
            text = text.replace(mark, word)
        target = template.name.removesuffix(".txt")
        (folder / "fixtures" / target if target.startswith("webhook__") else folder / target).write_text(text, encoding="utf-8")


def serve_sandbox(name: str, port: int) -> None:
    """Serve a connector's fake provider until Ctrl-C; says where to play with it and who can be connected to it."""
    _known(name)
    try:
        found = importlib.import_module(f"connectors.{name}.sandbox").sandbox
    except (ImportError, AttributeError):
        typer.echo(f"The connector {name} brings no fake provider.", err=True)
        raise typer.Exit(1) from None
    try:
        asyncio.run(_serve(found(clock.now), port))
    except OSError:
        typer.echo(f"Port {port} is taken: choose another with --port.", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        return


async def _serve(sandbox: Sandbox, port: int) -> None:
    playground = Playground(sandbox)
    async with sandbox.running(), serving_app(playground.app, port) as base_url:
        typer.echo(f"{sandbox.name}, imitated, at {base_url}. Everything about it is invented. Stop it with Ctrl-C.")
        typer.echo(f"Play with it at {base_url}{PAGE}: enrol people, let things happen to them, send, let it misbehave.")
        typer.echo(f"It knows {' and '.join(playground.people)}, and answers here:")
        for route in sandbox.routes():
            typer.echo(f"  {getattr(route, 'path', '')}")
        typer.echo(f"Its settings: {json.dumps(sandbox.settings(base_url))}")
        if sandbox.webhook_secret:
            typer.echo(f"Its deliveries are signed with: {sandbox.webhook_secret}")
        typer.echo("It can send to a Harmline that runs here. None can ask it: addresses of this machine are never asked, except")
        typer.echo("by the very process that serves the sandbox. Ask it with curl; to see all of them connected: ./run demo")
        await asyncio.Event().wait()
