"""`harmline files ...`: say what the columns of a file mean, try a file out, hand it in. A file may have millions of rows."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from app.connections import documents
from app.intake import handing_in
from app.kit.context import Context
from app.ledger.service import SYSTEM
from app.terminal import OrganizationId, run, show
from app.whole_files import hand_in_all
from connectors.file.columns import DOCUMENT

commands = typer.Typer(no_args_is_help=True, help="Files of alerts or mails that somebody hands in.")

ConnectionId = Annotated[UUID, typer.Option("--connection", help="The id of a connection that takes files.")]
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The file.")]
To = Annotated[str, typer.Option(help="For mails: the forwarding address that they came to.")]


@commands.command("columns")
def columns(
    organization_id: OrganizationId,
    connection_id: ConnectionId,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The document, as YAML: see the connector's page.")],
) -> None:
    """Say what the columns of a connection's files mean. Every version is kept."""

    async def write(context: Context) -> dict[str, Any]:
        async with context.database.begin() as tx:
            text = file.read_text(encoding="utf-8")
            where = (tx, context.keyring, organization_id, connection_id)
            return {"version": await documents.write(*where, name=DOCUMENT, text=text, actor=SYSTEM)}

    show(run(write))


@commands.command("try")
def try_out(organization_id: OrganizationId, connection_id: ConnectionId, file: File, to: To = "") -> None:
    """Say what a file would become, and name every row that cannot be read. Nothing is kept. Ends with 1 when a row is wrong."""

    async def attempt(context: Context) -> handing_in.Tried:
        async with context.database.begin(read_only=True) as tx:
            _, reader = await handing_in.open_target(tx, organization_id, connection_id)
        with file.open("rb") as opened:
            return handing_in.tried(reader, opened, handing_in.told_beside(to))

    found = run(attempt)
    show(asdict(found))
    if found.wrong_rows:
        raise typer.Exit(1)


@commands.command("add")
def add(organization_id: OrganizationId, connection_id: ConnectionId, file: File, to: To = "") -> None:
    """Hand a file in. Stopped in the middle, it goes on there when it is handed in again; once finished, it is left alone."""
    with Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn(), console=Console(stderr=True)
    ) as bar:
        task = bar.add_task("0 rows", total=file.stat().st_size)

        def told(come: handing_in.Come) -> None:
            bar.update(task, completed=come.place, description=f"{come.rows:,} rows")

        come = run(lambda context: hand_in_all(context, organization_id, connection_id, file, to, told))
    show({"rows": come.rows, "bytes": come.size, "finished_at": come.finished_at})
