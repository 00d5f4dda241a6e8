"""What a request or a worker needs of the world, made once at start-up and handed down."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, Request

from app.kit.acting import NOBODY, WORKER, Acting
from app.kit.config import Settings
from app.kit.database import Database, Transaction
from app.kit.keyring import Keyring
from app.kit.mail import Mailer
from app.kit.vault import KeyFile


@dataclass(frozen=True)
class Context:
    """The service's settings, database, keys and mail."""

    settings: Settings
    database: Database
    keyring: Keyring
    mailer: Mailer


def open_context(settings: Settings) -> Context:
    """Open everything `settings` names, for the service's own work. Raises KeyFileError when the top key is not there."""
    door = KeyFile(settings.door_key, settings.key_lock) if settings.door_key.exists() else None
    return _open(settings, Keyring(KeyFile(settings.key_file, settings.key_lock), door))


def open_door(settings: Settings) -> Context:
    """The same without the top key: deliveries are taken in, and all else says 503, until its file is there.

    Raises KeyFileError when the door's key is not there.
    """
    top_key = KeyFile(settings.key_file, settings.key_lock, away=True)
    return _open(settings, Keyring(top_key, KeyFile(settings.door_key, settings.key_lock)))


def is_door_alone(settings: Settings) -> bool:
    """Whether the door's key is here, and the top key is not."""
    return settings.door_key.exists() and not settings.key_file.exists()


def _open(settings: Settings, keyring: Keyring) -> Context:
    return Context(settings, Database(settings.database_url, WORKER), keyring, Mailer(settings.smtp_url, settings.mail_from))


def get_context(request: Request) -> Context:
    """The context of the application that answers this request; its database acts for nobody unless it is told for whom."""
    context: Context = request.app.state.context
    return replace(context, database=context.database.acting_as(NOBODY))


Ctx = Annotated[Context, Depends(get_context)]


async def unit_of_work(request: Request, context: Ctx) -> AsyncIterator[Transaction]:
    """The request's one transaction: committed before the first byte of the answer leaves. It acts as the gate has decided."""
    acting: Acting = getattr(request.state, "acting", NOBODY)
    async with context.database.begin(acting=acting) as tx:
        yield tx


Tx = Annotated[Transaction, Depends(unit_of_work, scope="function")]
