"""`harmline witness ...`: stand beside a log and sign for what it said, with nothing of Harmline's own but this program."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.ledger.following import NotReached, client_of, look
from app.ledger.notes import Key, Kind, NoteError, parse_key
from app.ledger.witness import Witness, WitnessError
from app.ledger.witness_server import serve as serve_witness
from app.ledger.witnessing import COSIGNED

commands = typer.Typer(no_args_is_help=True, help="Stand witness to a log, on any machine: no database, no key of Harmline.")

REFUSED = 1
"""How the program ends when a log was refused: it showed two histories, took entries back, or is not who it says."""
NOT_REACHED = 2

State = Annotated[Path, typer.Option("--state", file_okay=False, help="The witness's own folder: its key and its copies.")]
Logs = Annotated[list[str], typer.Option("--log", help="The key of a log to watch, name+id+key. May be given several times.")]
Name = Annotated[str | None, typer.Option("--name", help="What the witness is called, such as witness.local17.example.")]


def _log_key(text: str) -> Key:
    try:
        key = parse_key(text)
    except NoteError as error:
        raise typer.BadParameter(f"{error}", param_hint="--log") from None
    if key.kind is not Kind.SIGNATURE:
        raise typer.BadParameter("this is the key of a witness, not of a log", param_hint="--log")
    return key


def _open(state: Path, logs: Sequence[str], name: str | None) -> Witness:
    keys = [_log_key(one) for one in logs]
    try:
        witness = Witness(state, keys, name)
    except (WitnessError, NoteError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(NOT_REACHED) from None
    typer.echo(f"This witness signs as {witness.key}", err=True)
    return witness


@commands.command("serve")
def serve(
    state: State,
    log: Logs,
    name: Name = None,
    host: Annotated[str, typer.Option(help="Where to listen; the way in from outside is a proxy with TLS.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port.")] = 8300,
) -> None:
    """Answer whoever shows a checkpoint (POST /add-checkpoint), until Ctrl-C."""
    serve_witness(_open(state, log, name), host, port)


async def _look(url: str, token: str, witness: Witness) -> int:
    try:
        async with client_of(url, token) as http:
            verdict, evidence = await look(http, witness)
    except (NotReached, WitnessError, OSError) as error:
        typer.echo(str(error), err=True)
        return NOT_REACHED
    if verdict.outcome in COSIGNED:
        typer.echo(f"Cosigned: {verdict.reason}.")
        return 0
    typer.echo(
        f"REFUSED: {verdict.reason}.\nNothing was cosigned. Keep this file and show it to your counsel: {evidence}", err=True
    )
    return REFUSED


@commands.command("follow")
def follow(
    url: Annotated[str, typer.Argument(help="The log's address, such as https://harmline.example/v1/ledger.")],
    token_file: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="A file that holds the token, and nothing else.")],
    state: State,
    log: Logs,
    name: Name = None,
    once: Annotated[bool, typer.Option("--once", help="Look once and stop: 0 cosigned, 1 refused, 2 not reached.")] = False,
    every: Annotated[int, typer.Option(min=1, help="Seconds between two looks.")] = 300,
) -> None:
    """Go and look at a log, again and again; ends with 1 as soon as it does not continue what was cosigned."""
    witness, token = _open(state, log, name), token_file.read_text(encoding="utf-8", errors="replace").strip()
    while True:
        ended = asyncio.run(_look(url, token, witness))
        if once or ended == REFUSED:
            raise typer.Exit(ended)
        time.sleep(every)


if __name__ == "__main__":
    commands()
