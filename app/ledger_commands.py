"""`harmline ledger`: whether it is what it was, and what to keep elsewhere in order to know that later. No key is needed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar
from uuid import UUID

import typer

from app.kit.acting import WORKER
from app.kit.database import Database, Transaction
from app.ledger import notes, verifying
from app.ledger.findings import Finding, Kind
from app.ledger.reading import NotThere, checkpoint_at, log_keys, signed_note
from app.terminal import OrganizationId, read_settings

T = TypeVar("T")

commands = typer.Typer(no_args_is_help=True, help="The ledger: verify it, and what to keep elsewhere for that.")

One = Annotated[UUID | None, typer.Option("--organization", help="One organization's id; otherwise every log is verified.")]
Against = Annotated[
    list[Path] | None,
    typer.Option(
        exists=True, dir_okay=False, help="A checkpoint that was kept elsewhere, or a witness's copy; may be given again."
    ),
]
Witness = Annotated[
    list[str] | None, typer.Option(help="The key of a witness (name+id+key) that is believed; may be given again.")
]


def _read(ask: Callable[[Transaction], Awaitable[T]]) -> T:
    """Ask the database of the settings, at one moment."""

    async def asked() -> T:
        database = Database(read_settings().database_url, WORKER)
        try:
            async with database.begin(read_only=True) as tx:
                return await ask(tx)
        finally:
            await database.close()

    return asyncio.run(asked())


def _copies(files: Sequence[Path]) -> tuple[list[verifying.Copy], list[Finding]]:
    read, wrong = [], []
    for file in files:
        try:
            read.append(verifying.read_copy(str(file), file.read_bytes()))
        except notes.NoteError as error:
            wrong.append(Finding(Kind.UNPROVEN, f"{file} proves nothing: {error}."))
    return read, wrong


def _keys(written: Sequence[str]) -> list[notes.Key]:
    try:
        return [notes.parse_key(one) for one in written]
    except notes.NoteError as error:
        typer.echo(f"--witness: {error}", err=True)
        raise typer.Exit(2) from None


async def _verify(
    tx: Transaction, one: UUID | None, copies: Sequence[verifying.Copy], witnesses: Sequence[notes.Key]
) -> tuple[list[verifying.Report], list[Finding]]:
    reports = []
    organizations = [one] if one is not None else await verifying.organizations(tx)
    for organization_id in organizations:
        mine = [copy for copy in copies if verifying.is_of(copy, organization_id)]
        reports.append(await verifying.verify(tx, organization_id, mine, witnesses))
    strange = [copy for copy in copies if not any(verifying.is_of(copy, known) for known in organizations)]
    says = "{} is of no log that is here (it says {}): the log was taken away, or the copy is another's."
    return reports, [Finding(Kind.UNPROVEN, says.format(copy.name, copy.checkpoint.origin)) for copy in strange]


@commands.command("verify")
def verify(organization_id: One = None, against: Against = None, witness: Witness = None) -> None:
    """Build every log anew out of its rows, and say what was changed, removed, inserted, reordered, rolled back, rewritten.

    What was dated back is told, too; a wrong clock leaves the same, so a log is not called broken for it.
    Without --against nobody can tell a log that was rewritten as a whole, and signed again, from the one before it.
    """
    copies, wrong = _copies(against or [])
    witnesses = _keys(witness or [])
    reports, more = _read(lambda tx: _verify(tx, organization_id, copies, witnesses))
    for report in reports:
        held = f"{report.leaves} entries, {report.checkpoints} checkpoints, {report.copies} copies from outside"
        typer.echo(f"{report.organization_id}: {'whole' if report.is_whole else 'NOT WHOLE'} ({held})")
        for finding in (*report.findings, *report.remarks):
            typer.echo(f"  {finding.kind}: {finding.says}")
    for finding in (*wrong, *more):
        typer.echo(f"{finding.kind}: {finding.says}")
    if wrong or more or not all(report.is_whole for report in reports):
        raise typer.Exit(1)


@commands.command("checkpoint")
def checkpoint(organization_id: OrganizationId) -> None:
    """Print the newest signed checkpoint of a log: keep it where nobody of this service can write."""

    async def ask(tx: Transaction) -> bytes:
        return await signed_note(tx, await checkpoint_at(tx, organization_id))

    try:
        typer.echo(_read(ask).decode(), nl=False)
    except NotThere:
        typer.echo("This log has no checkpoint yet.", err=True)
        raise typer.Exit(1) from None


@commands.command("key")
def key(organization_id: OrganizationId) -> None:
    """Print the keys that sign a log's checkpoints (name+id+key), for whoever is to verify them."""
    for one in _read(lambda tx: log_keys(tx, organization_id)):
        typer.echo(str(one))
