"""What every command needs: an open context, refusals in plain words, JSON on the screen."""

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer
from pydantic import ValidationError

from app.kit.config import Settings, settings
from app.kit.context import Context, open_context
from app.kit.crypto import KeysAway
from app.kit.errors import Problem
from app.kit.logging import configure
from app.kit.vault import KeyFileError
from app.operations import Operation

T = TypeVar("T")

OrganizationId = Annotated[UUID, typer.Option("--organization", help="The organization's id.")]


def read_settings() -> Settings:
    """The settings, or each wrong one by its name and an end with 2."""
    try:
        return settings()
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            name = "HARMLINE_" + "_".join(map(str, item["loc"])).upper()
            typer.echo(f"{name}: {item['msg'].removeprefix('Value error, ')}", err=True)
        raise typer.Exit(2) from None


async def _with_context(work: Coroutine[Any, Any, T], context: Context) -> T:
    try:
        return await work
    finally:
        await context.database.close()


def run(make: Operation[T], opens: Callable[[Settings], Context] = open_context) -> T:
    """Run one operation over an open context; a refusal is printed in plain words and ends with 1."""
    configure(logging.WARNING)
    try:
        context = opens(read_settings())
        return asyncio.run(_with_context(make(context), context))
    except (Problem, KeyFileError, KeysAway) as error:
        typer.echo(str(error), err=True)
        for field in error.errors if isinstance(error, Problem) else ():
            typer.echo(f"  {field.field.removeprefix('body.')}: {field.message}", err=True)
        raise typer.Exit(1) from None


def show(value: Any) -> None:
    """Print as JSON."""
    typer.echo(json.dumps(value, indent=2, default=str))
