"""`harmline packet ...`: build a packet of evidence, which proves itself wherever it goes."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from app.evidence.building import build
from app.evidence.exhibits import Variant
from app.evidence.ordering import Order
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
    checkpoint: Annotated[int | None, typer.Option(help="The size of the checkpoint to rest on; the newest by itself.")] = None,
) -> None:
    """Build a packet: every member of the matter, or those named, every alert of theirs, and what is held back and why.

    Broken off, it goes on where it stopped when the same is asked for again.
    """
    order = Order(matter_id, variant, prefix, checkpoint, tuple(member or ()), claim)
    show(asdict(run(lambda context: build(context, order, to))))
