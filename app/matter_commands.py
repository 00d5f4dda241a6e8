"""`harmline matters ...`: open a matter over a breach, and say which counsel work on it. Its title is for counsel only."""

from typing import Annotated
from uuid import UUID

import typer

from app import operations
from app.terminal import OrganizationId, run, show

commands = typer.Typer(no_args_is_help=True, help="Matters: which counsel work on what follows from which breach.")

Counsel = Annotated[str, typer.Option(help="The e-mail address of somebody who has the role counsel.")]


@commands.command("list")
def list_matters(organization_id: OrganizationId) -> None:
    """List the matters by id and breach; their titles are for counsel only."""
    show(run(lambda context: operations.list_matters(context, organization_id)))


@commands.command("open")
def open_matter(
    organization_id: OrganizationId,
    breach: Annotated[str, typer.Argument(help="The breach's key in the catalogue.")],
    title: Annotated[str, typer.Option(prompt=True, help="What counsel call it. Sealed; only counsel read it.")],
    counsel: Counsel,
) -> None:
    """Open a matter and assign its first counsel, who is told."""
    show(run(lambda context: operations.open_matter(context, organization_id, breach, title, counsel)))


@commands.command("assign")
def assign(
    organization_id: OrganizationId, matter_id: Annotated[UUID, typer.Argument(help="The matter's id.")], counsel: Counsel
) -> None:
    """Let one more counsel work on a matter. All its counsel are told."""
    show(run(lambda context: operations.assign_counsel(context, organization_id, matter_id, counsel)))
