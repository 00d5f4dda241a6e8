"""B11 and B12 while senders never pause: a secret is replaced, others forge, and no authentic delivery is refused."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID

import httpx

from app.access.roles import Role
from app.main import create_app
from tests.malice.serving import listening, served
from tests.malice.test_authenticity import BODY, a_wrong, post
from tests.support.world import World

SENDERS = 8
BETWEEN = 100
"""So many deliveries under the newest secret, and as many under the one before, are answered between two changes."""


@dataclass
class Load:
    """Senders without a pause: every second one has the newest secret, the others are still one behind."""

    world: World
    client: httpx.AsyncClient
    secrets: list[str]
    statuses: Counter[int] = field(default_factory=Counter)
    under_way: Counter[str] = field(default_factory=Counter)
    since: Counter[str] = field(default_factory=Counter)
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    going: bool = True

    @property
    def sides(self) -> list[str]:
        """The newest secret and the one before."""
        return self.secrets[-2:]

    async def send(self, which: int) -> None:
        """One sender, until all are told to end."""
        for number in itertools.count():
            if not self.going:
                return
            secret = self.sides[which % len(self.sides)]
            self.under_way[secret] += 1
            body = json.dumps({"id": f"p-{which}-{number}", "type": "ping"}).encode()
            self.statuses[(await post(self.client, self.world, body, secret=secret)).status_code] += 1
            self.under_way[secret] -= 1
            self.since[secret] += 1
            if min(self.since[side] for side in self.sides) >= BETWEEN:
                self.enough.set()

    async def loaded(self) -> None:
        """Wait until enough was answered on each side, with more under way on each."""
        self.since.clear()
        self.enough.clear()
        async with asyncio.timeout(120):  # else a side that is answered no more would wait for ever
            await self.enough.wait()
        assert all(self.under_way[side] for side in self.sides)


async def test_b11_a_secret_is_replaced_under_load_and_nobody_authentic_is_refused(world: World) -> None:
    """It changes five times with an overlap, each time amid deliveries under the newest and the one before; then the old end."""
    async with await world.sign_in(Role.ADMIN) as admin, served(world) as (_, client):
        load = Load(world, client, [world.union.connection.secret])
        place = f"/v1/connections/{world.union.connection.connection.id}"
        async with asyncio.TaskGroup() as senders:
            for which in range(SENDERS):
                senders.create_task(load.send(which))
            for _ in range(5):
                await load.loaded()
                made = await admin.post(f"{place}/secret", json={"overlap_hours": 24})
                assert made.status_code == 200, made.text
                load.secrets.append(made.json()["secret"])
            await load.loaded()
            load.going = False
        still = [(await post(client, world, secret=secret)).status_code for secret in load.secrets]
        assert (await admin.post(f"{place}/retire")).status_code == 200
        after = [(await post(client, world, secret=secret)).status_code for secret in load.secrets]
    print(f"{load.statuses.total()} deliveries while the secret changed five times: {dict(load.statuses)}")
    assert set(load.statuses) == {202}
    assert load.statuses.total() >= BETWEEN * (1 + 2 * 5)
    assert still == [202] * 6
    assert after == [401] * 5 + [202]


async def test_b12_a_flood_of_forgeries_does_not_keep_good_deliveries_waiting(world: World) -> None:
    """From the same address, as if behind one proxy: the forger is soon told to wait, the good sender is not."""
    limited = world.context.settings.model_copy(update={"forged_rate": 1, "forged_burst": 20})
    app = create_app(context=type(world.context)(**{**vars(world.context), "settings": limited}), work=False)
    forged, took, going = Counter[int](), list[float](), True
    async with (
        listening(app, limited) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as other,
    ):
        assert (await post(client, world, b'{"id": "first", "type": "ping"}')).status_code == 202

        async def forger(number: int) -> None:
            path = a_wrong(world.union.connection.path) if number % 2 else f"/webhooks/{UUID(int=number)}/x"
            while going:
                answer = await post(other, world, BODY, path=path)
                forged[answer.status_code] += 1
                assert answer.status_code == 401 or int(answer.headers["retry-after"]) >= 1

        forgers = [asyncio.create_task(forger(number)) for number in range(12)]
        for number in range(40):
            began = time.monotonic()
            answer = await post(client, world, json.dumps({"id": f"g-{number}", "type": "ping"}).encode())
            took.append(time.monotonic() - began)
            assert answer.status_code == 202
        going = False
        await asyncio.gather(*forgers)
    took.sort()
    print(f"{sum(forged.values())} forgeries {dict(forged)}; good ones: median {took[20]:.3f} s, worst {took[-1]:.3f} s")
    assert set(forged) == {401, 429}
    assert took[-1] < 5, "a second on a machine that is not busy with other tests"
