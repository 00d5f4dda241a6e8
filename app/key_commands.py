"""Commands about keys: make them, hand them out in shares, replace them."""

from functools import partial
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from app import operations
from app.kit import escrow
from app.kit.escrow import EscrowError
from app.kit.vault import KeyFileError, create_key_file, fingerprint, read_key_file
from app.terminal import read_settings, run, show

commands = typer.Typer(no_args_is_help=True, help="The top key, and the keys of organizations.")

ShareFiles = Annotated[
    list[Path] | None,
    typer.Argument(exists=True, dir_okay=False, help="One file for each share; without files they are asked for."),
]


def _fail(error: Exception) -> typer.Exit:
    typer.echo(str(error), err=True)
    return typer.Exit(1)


@commands.command("create")
def create() -> None:
    """Make a new top key file and one for the door, readable by their owner only; encrypted where the settings say so."""
    config = read_settings()
    try:
        create_key_file(config.key_file, config.key_lock)
        if not config.door_key.exists():
            create_key_file(config.door_key, config.key_lock)
    except FileExistsError:
        typer.echo(f"{config.key_file} is there already and stays as it is.", err=True)
        raise typer.Exit(1) from None
    except KeyFileError as error:
        raise _fail(error) from None
    typer.echo(f"{config.key_file} made. Without it nothing can be read: keep it in shares (`harmline keys escrow`).")


@commands.command("escrow")
def hand_out(
    shares: Annotated[int, typer.Option(help="How many people get a share.")] = 5,
    needed: Annotated[int, typer.Option(help="How many of them together open the key.")] = 3,
    into: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="A new folder that gets one file for each share; without it they are printed."),
    ] = None,
) -> None:
    """Split the newest top key into shares, each for another person. Nothing of it is kept here."""
    config = read_settings()
    try:
        key = read_key_file(config.key_file, config.key_lock)[0]
        made = escrow.shares_of(key, shares, needed)
    except (KeyFileError, EscrowError) as error:
        raise _fail(error) from None
    if into is not None:
        into.mkdir(parents=True, mode=0o700)
        for number, words in enumerate(made, 1):
            path = into / f"share-{number}.txt"
            path.touch(mode=0o600)
            path.write_text(words + "\n")
    else:
        typer.echo("\n\n".join(f"Share {number} of {shares}:\n{words}" for number, words in enumerate(made, 1)))
    typer.echo(
        f"Top key {fingerprint(key)}: any {needed} of these {shares} shares open it, fewer tell nothing. Hand each to another "
        "person and keep none. Then let them try it: `harmline keys confirm`.",
        err=True,
    )


def _shares(files: list[Path] | None) -> list[str]:
    if files:
        return [path.read_text() for path in files]
    given: list[str] = []
    while words := typer.prompt("A share (nothing more: Enter)", default="", hide_input=True, show_default=False):
        given.append(words)
    return given


@commands.command("confirm")
def confirm(files: ShareFiles = None) -> None:
    """Try whether shares open the top key, and write down that they did. In production nothing starts before that."""
    shares = _shares(files)
    try:
        name = run(lambda context: operations.confirm_key(context, shares))
    except EscrowError as error:
        raise _fail(error) from None
    typer.echo(f"These shares open the top key {name}. That is written down.")


@commands.command("recover")
def recover(files: ShareFiles = None) -> None:
    """Make the top key file again from shares. A file that is there stays as it is."""
    config = read_settings()
    try:
        key = escrow.key_of(_shares(files))
        create_key_file(config.key_file, config.key_lock, key)
    except FileExistsError:
        typer.echo(f"{config.key_file} is there already and stays as it is.", err=True)
        raise typer.Exit(1) from None
    except (KeyFileError, EscrowError) as error:
        raise _fail(error) from None
    typer.echo(f"{config.key_file} made again: it is the top key {fingerprint(key)}.")


@commands.command("rotate")
def rotate(
    top: Annotated[bool, typer.Option("--top", help="The top key, instead of the keys of organizations.")] = False,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="With --top: only put the new one into the file, to carry it to other machines.")
    ] = False,
    indexes: Annotated[bool, typer.Option("--indexes", help="The keys of blind indexes, instead of those that open.")] = False,
    large: Annotated[
        bool, typer.Option("--large", help="With --indexes: also of connections with so much that everybody waits for long.")
    ] = False,
    organization_id: Annotated[UUID | None, typer.Option("--organization", help="Of this organization only.")] = None,
) -> None:
    """Replace keys while everything runs. Whoever is stopped runs it again, and it goes on."""
    if top:
        done = run(lambda context: operations.replace_top_key(context, only_prepare=prepare))
        show(done)
        if done.get("confirmed") is False:
            typer.echo(
                "The new top key is in the file and nothing is wrapped by it yet. Hand out its shares (`harmline keys escrow`),"
                " let people try them (`harmline keys confirm`), then run this again.",
                err=True,
            )
            raise typer.Exit(1)
        return
    replace = partial(operations.rotate_indexes, large=large) if indexes else operations.rotate_keys
    left = run(lambda context: replace(context, organization_id, lambda said: typer.echo(said, err=True)))
    show({"left": left})
    if left:
        typer.echo("What is left could not be opened or was in work. The key before is still there; run this again.", err=True)
        raise typer.Exit(1)


@commands.command("door")
def door(
    replace: Annotated[bool, typer.Option("--replace", help="Put another key in the place of the door's.")] = False,
) -> None:
    """Make the door's key file, if it is missing, and hand over to it what the door needs of every organization.

    It takes the top key. Whoever is stopped runs it again, and it goes on.
    """
    config = read_settings()
    try:
        if not config.door_key.exists():
            create_key_file(config.door_key, config.key_lock)
            typer.echo(f"{config.door_key} made. Let every machine that serves the web have it, and start those anew.", err=True)
    except KeyFileError as error:
        raise _fail(error) from None
    show(run(lambda context: operations.hand_over_to_door(context, replace=replace)))


@commands.command("status")
def status() -> None:
    """Which keys there are, and how far their replacing has come."""
    show(run(operations.key_status))
