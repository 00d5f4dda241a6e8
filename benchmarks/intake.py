"""What keeping costs: Harmline's door against a bare handler that verifies and answers, over real HTTP, in one run.

`./run bench intake` prints requests a second for each, taken in turns so that a noisy machine disturbs both, and last
one JSON line with the ratio. Client, server and database share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI, Request

from app.connections.service import Created, create_connection
from app.kit import clock, crypto
from app.kit.config import Settings
from app.kit.context import Context
from app.kit.database import Database
from app.kit.keyring import Keyring
from app.kit.mail import Mailer
from app.kit.migrate import upgrade
from app.main import create_app
from app.members.service import create_organization
from connectors.contract import Sender
from connectors.standard.sandbox import sign
from connectors.verifiers import Outcome, Secret, StandardWebhooks


def bare(secret: str) -> FastAPI:
    """The baseline: read the body, verify the same signature, answer 202."""
    app, verifier, secrets = FastAPI(), StandardWebhooks(), [Secret("only", secret)]

    @app.post("/", status_code=202)
    async def take(request: Request) -> dict[str, str]:
        found = verifier.check(await request.body(), request.headers, secrets, clock.now())
        return {"outcome": found.outcome if found.outcome is Outcome.AUTHENTIC else "refused"}

    return app


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """Serve an application on a free port of the loopback address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", access_log=False, lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it by a flag only
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await task


async def rate(url: str, secret: str, requests: int, connections: int, run: str) -> float:
    """Distinct bodies, `connections` at a time; requests a second. Raises on any answer but 202."""
    numbers = iter(range(requests))

    async def one(client: httpx.AsyncClient) -> None:
        for number in numbers:
            body = json.dumps({"id": f"{run}-{number}", "type": "ping"}).encode()
            headers = {"content-type": "application/json", **sign(secret, body, at=clock.now())}
            (await client.post(url, content=body, headers=headers)).raise_for_status()

    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=connections)) as client:
        begun = time.perf_counter()
        await asyncio.gather(*(one(client) for _ in range(connections)))
        return requests / (time.perf_counter() - begun)


async def prepared(folder: Path) -> tuple[Context, Created]:
    """A migrated database with one connection."""
    url = f"sqlite+aiosqlite:///{folder}/bench.db"
    await asyncio.to_thread(upgrade, url)
    context = Context(Settings(database_url=url), Database(url), Keyring(crypto.new_key()), Mailer(None, "bench@localhost"))
    async with context.database.begin() as tx:
        organization = await create_organization(tx, context.keyring, "Bench")
        made = await create_connection(
            tx, context.keyring, organization.id, connector="standard", title="Bench", sender=Sender.PROVIDER
        )
    return context, made


async def main(rounds: int, requests: int, connections: int) -> None:
    """Measure in turns and print."""
    rates: dict[str, list[float]] = {"bare": [], "harmline": []}
    with tempfile.TemporaryDirectory() as folder:
        context, made = await prepared(Path(folder))
        async with served(bare(made.secret)) as plain, served(create_app(context=context, work=False)) as ours:
            for number in range(rounds):
                rates["bare"].append(await rate(plain, made.secret, requests, connections, f"b{number}"))
                rates["harmline"].append(await rate(ours + made.path, made.secret, requests, connections, f"h{number}"))
                print(f"round {number + 1}: " + ", ".join(f"{name} {r[-1]:,.0f}/s" for name, r in rates.items()))
        await context.database.close()
    medians = {name: statistics.median(found) for name, found in rates.items()}
    shown = {name: round(found) for name, found in medians.items()}
    print(json.dumps({"database": "sqlite", **shown, "vs_bare": round(medians["harmline"] / medians["bare"], 3)}))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--requests", type=int, default=500)
    arguments.add_argument("--connections", type=int, default=16)
    given = arguments.parse_args()
    asyncio.run(main(given.rounds, given.requests, given.connections))
