"""Killed at any moment, the service has every alert that it acknowledged, once, and its accounts close."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from app import operations
from app.kit import clock
from app.kit.config import Settings
from app.kit.context import Context, open_context
from app.kit.keyring import create_key_file
from connectors.contract import Sender
from connectors.standard.sandbox import sign
from tests.crash.serving import Server
from tests.support.rows import counts
from tests.support.world import alert

pytestmark = pytest.mark.slow

KILLS, CLIENTS = 10, 8
ROSTER = "external_id,name,email,employed_from\nM-1,Pat Invented,pat@example.org,2012-01-01\n"
ENROLLED = "external_id,reference,consent\nM-1,ref-M-1,yes\n"


class Union:
    """One organization with one member, one connection and a token, behind a server that can be killed."""

    def __init__(self, server: Server, context: Context, organization_id: UUID, made: dict[str, Any], token: str) -> None:
        self.server, self.context, self.organization_id = server, context, organization_id
        self.path, self.secret, self.token = made["webhook_url"].removeprefix(server.origin), made["secret"], token
        self.acknowledged: set[str] = set()
        self.sent = 0

    async def send(self, client: httpx.AsyncClient) -> bool:
        """Post one alert of its own; True when it was acknowledged. What is not acknowledged is not sent again."""
        self.sent += 1
        name = f"alert-{self.sent}"
        body = json.dumps(alert(id=name, institution=f"Bank {self.sent}")).encode()
        try:
            answer = await client.post(self.path, content=body, headers=sign(self.secret, body, at=clock.now()))
        except httpx.TransportError:  # it was killed in the middle: it may have been kept or not
            return False
        assert answer.status_code == 202, answer.text
        self.acknowledged.add(name)
        return True

    async def on_the_timeline(self) -> list[str]:
        """The name of every alert on the member's timeline, once all that is stored has been handled."""
        async with asyncio.timeout(90):
            while not await self._settled():  # noqa: ASYNC110 - the work is another process's, which tells nobody
                await asyncio.sleep(0.05)
        found: list[str] = []
        page: dict[str, Any] = {"next": None}
        headers = {"Authorization": f"Bearer {self.token}"}
        async with httpx.AsyncClient(base_url=self.server.origin, headers=headers, timeout=60) as client:
            while not found or page["next"]:
                params = {"limit": 200, **({"cursor": page["next"]} if page["next"] else {})}
                page = (await client.get("/v1/me/timeline", params=params)).json()
                assert {entry["alerts"] for entry in page["items"]} == {1}
                found += [entry["institution"].replace("Bank ", "alert-") for entry in page["items"]]
        return found

    async def _settled(self) -> bool:
        rows = await counts(self.context.database)
        waiting = (await operations.accounts(self.context, self.organization_id))["waiting"]
        return waiting == 0 and rows["alert"] == rows["incident_alert"] == rows["receipt"]

    async def check(self) -> None:
        """Everything acknowledged is there once, nothing was invented, and the accounts close."""
        shown = await self.on_the_timeline()
        assert len(shown) == len(set(shown)), "an alert is there twice"
        assert self.acknowledged <= set(shown), f"lost: {self.acknowledged - set(shown)}"
        assert set(shown) <= {f"alert-{n}" for n in range(1, self.sent + 1)}, "an alert that nobody sent"
        found = await operations.accounts(self.context, self.organization_id)
        assert found["deliveries"] == found["receipts"] == found["events"] == found["new"] == found["alerts"] == len(shown)
        assert (found["repeats"], found["refused"], found["quarantined"], found["unmatched"]) == (0, {}, 0, {})


@pytest.fixture
async def union(database_url: str, tmp_path: Path) -> AsyncIterator[Union]:
    server = Server(database_url, tmp_path)
    create_key_file(tmp_path / "top.key")
    context = open_context(Settings(database_url=database_url, key_file=tmp_path / "top.key", base_url=server.origin))
    made = await operations.create_organization(context, "A union", "admin@example.org", None)
    own = made["organization"]
    connection = await operations.create_connection(context, own, "standard", "Monitor", Sender.PROVIDER)
    await operations.import_roster(context, own, ROSTER.encode(), dry_run=False)
    await operations.import_enrollments(context, own, connection["connection"], ENROLLED.encode(), dry_run=False)
    token = (await operations.member_token(context, own, "M-1", 1))["token"]
    yield Union(server, context, own, connection, token)
    if server.process is not None and server.process.poll() is None:
        server.kill()
    await context.database.close()


async def until_killed(union: Union, client: httpx.AsyncClient) -> None:
    while await union.send(client):
        pass


async def test_what_was_acknowledged_survives_every_kill(union: Union) -> None:
    seed = int(os.environ.get("HARMLINE_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    dice = random.Random(seed)
    print(f"seed {seed}")
    for kill in range(KILLS):
        await union.server.start()
        async with httpx.AsyncClient(base_url=union.server.origin, timeout=60) as client:
            if kill % 3 == 0:
                for _ in range(dice.randint(1, 4)):
                    assert await union.send(client)
                union.server.kill()
                continue
            senders = [asyncio.create_task(until_killed(union, client)) for _ in range(CLIENTS)]
            await asyncio.sleep(dice.uniform(0.02, 0.8))
            union.server.kill()
            await asyncio.gather(*senders)
    await union.server.start()
    print(f"{KILLS} kills, {union.sent} sent, {len(union.acknowledged)} acknowledged")
    assert len(union.acknowledged) > KILLS
    await union.check()
