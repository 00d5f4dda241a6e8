"""`harmline packet ...`: build a packet of evidence, which proves itself wherever it goes."""

import importlib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from app.evidence.building import Built, build
from app.evidence.exhibits import Variant
from app.evidence.ordering import Order
from app.evidence.pdf import Pen
from app.kit.context import Context
from app.kit.errors import Problem
from app.terminal import run, show

commands = typer.Typer(no_args_is_help=True, help="Packets of evidence: exhibits with their proofs, to be checked by anybody.")


@commands.callback()
def _several() -> None:
    """More commands will follow: this one keeps its name."""


@commands.command("build")
def build_packet(
    matter_id: Annotated[UUID, typer.Option("--matter", help="The matter's id.")],
    to: Annotated[Path, typer.Option(help="The folder to be made.")],
    variant: Annotated[Variant, typer.Option(help="sealed: whole; redacted: no originals, numbers by their last four.")] = (
        Variant.SEALED
    ),
    prefix: Annotated[str, typer.Option(help="What exhibits' numbers begin with.")] = "OPOA",
    member: Annotated[
        list[UUID] | None, typer.Option(help="A member's id: about them alone; given several times, about all of these.")
    ] = None,
    claim: Annotated[str | None, typer.Option(help="The reference of a claim that is filed for these members.")] = None,
    sign_with: Annotated[
        Path | None, typer.Option(help="A key with its certificate, PKCS#12 or PEM: each member's pages are signed with it.")
    ] = None,
    passphrase_file: Annotated[Path | None, typer.Option(help="The file with the passphrase of that key.")] = None,
    checkpoint: Annotated[int | None, typer.Option(help="The size of the checkpoint to rest on; the newest by itself.")] = None,
) -> None:
    """Build a packet: every member of the matter, or those named, every alert of theirs, and what is held back and why.

    Broken off, it goes on where it stopped when the same is asked for again.
    """
    order = Order(matter_id, variant, prefix, checkpoint, tuple(member or ()), claim)

    async def work(context: Context) -> Built:
        pen = None if sign_with is None else _pen(sign_with, passphrase_file)
        return await build(context, order, to, pen=pen)

    show(asdict(run(work)))


def _pen(path: Path, passphrase: Path | None) -> Pen:
    """Whoever signs with this key. Raises a 422 Problem."""
    try:
        signing = importlib.import_module("app.evidence.signing")
    except ImportError:
        raise Problem(422, "To sign pages, Harmline needs pyHanko: pip install 'harmline[signing]'") from None
    pen: Pen = signing.load(path, passphrase)
    return pen
