"""Exports of an invented service, and connections that take what people hand in. Importable; holds no tests."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from uuid import UUID

from app.connections.service import create_connection
from app.intake import handing_in
from app.ledger.service import SYSTEM
from connectors.contract import Sender
from tests.connectors.stage import enroll
from tests.mail.signing import TO
from tests.support.world import World

WHO = {"ref-one": "M-1", "ref-two": "M-2"}
NAMES = ("member", "id", "type", "institution")


def exported(count: int, *more: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    known = [(list(WHO)[n % 2], f"x-{n}", "new_account.credit_card", f"Bank {n}") for n in range(count)]
    csv.writer(text).writerows([NAMES, *known, *more])
    return text.getvalue().encode()


async def connected(world: World, connector: str = "file", settings: dict[str, str] | None = None) -> UUID:
    async with world.context.database.begin() as tx:
        made = await create_connection(
            tx,
            world.context.keyring,
            world.union.id,
            connector=connector,
            title="Exports",
            sender=Sender.ORGANIZATION,
            settings=settings,
        )
        await enroll(tx, world, made.connection.id, WHO)
        return made.connection.id


async def mailbox(world: World, sender: Sender = Sender.PROVIDER) -> UUID:
    """The connection of the organization's mails; M-1 has the address `TO` there."""
    async with world.context.database.begin() as tx:
        settings = {"domain": TO.partition("@")[2]}
        where = (tx, world.context.keyring, world.union.id)
        made = await create_connection(*where, connector="mail", title="Mails", sender=sender, settings=settings)
        await enroll(tx, world, made.connection.id, {TO: "M-1"})
        return made.connection.id


async def hand_in_mail(world: World, connection_id: UUID, mail: bytes) -> None:
    """One mail as a file, all the work behind it done."""
    opened = io.BytesIO(mail)
    async with world.context.database.begin() as tx:
        where = (tx, world.context.keyring, world.union.id, connection_id)
        await handing_in.hand_in(*where, opened, handing_in.measured(opened), told={"to": TO}, actor=SYSTEM, at_once=None)
    await world.workers.drain()


async def handed(world: World, connection_id: UUID, file: bytes, *, at_once: int | None = 1) -> handing_in.Come:
    """The next piece."""
    opened = io.BytesIO(file)
    async with world.context.database.begin() as tx:
        where = (tx, world.context.keyring, world.union.id, connection_id)
        known = handing_in.measured(opened)
        return await handing_in.hand_in(*where, opened, known, told={}, actor=SYSTEM, at_once=at_once)
