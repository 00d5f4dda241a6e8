"""A world with a real mail server, for tests of notices. Importable; holds no tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from app.intake.workers import write_refusals
from app.kit import clock
from app.kit.letters import Letter
from app.notices import service, workers
from app.notices.models import Alarm
from app.notices.service import OpenAlarm
from tests.support.mail_server import Post, mail_server
from tests.support.world import Filled, World, make_world

ADMIN = "admin@union.example"

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
"""For tests of what is the same on both databases: the rules. What the databases do is tested on both, next to them."""


@dataclass
class Mailed:
    """The world and what came by mail."""

    world: World
    post: Post

    def to(self, address: str) -> list[str]:
        """The texts that came to one address."""
        return [mail.get_content() for to, mail in self.post.mails if to == [address]]

    @property
    def count(self) -> Counter[str]:
        """How many mails came to each address."""
        return Counter(to[0] for to, _ in self.post.mails)

    async def letters(self) -> list[Letter]:
        async with self.world.context.database.begin(read_only=True) as tx:
            return list((await tx.execute(select(Letter).order_by(Letter.id))).scalars())

    async def alarms(self) -> list[Alarm]:
        async with self.world.context.database.begin(read_only=True) as tx:
            return list((await tx.execute(select(Alarm).order_by(Alarm.id))).scalars())

    async def open(self, tenant: UUID | None = None) -> list[OpenAlarm]:
        async with self.world.context.database.begin(read_only=True) as tx:
            return await service.open_alarms(tx, tenant or self.world.union.id)

    async def watch(self, **later: Any) -> set[str]:
        """Let time pass, look once, send what there is to send: which alarms of the union are open then.

        What was refused is written before, as a running service writes it each second, and the logs are verified, daily.
        """
        clock.set_to(clock.now() + timedelta(**later))
        await self.world.workers.verify_logs()
        await write_refusals(self.world.context.database, self.world.app.state.intake.refusals)
        await workers.watch(self.world.context)
        await self.world.workers.send_letters()
        return {str(alarm.kind) for alarm in await self.open()}


@asynccontextmanager
async def mailed_world(filled_database: tuple[str, Filled], **settings: Any) -> AsyncIterator[Mailed]:
    """Serve mail, and open the world with it."""
    with mail_server() as (post, port):
        async with make_world(*filled_database, smtp_url=f"smtp://127.0.0.1:{port}", **settings) as world:
            yield Mailed(world, post)
