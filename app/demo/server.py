"""The real application on a free port of the loopback interface, and senders that post to it over real HTTP."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta

import uvicorn

from app.connections.service import Created
from app.demo.cast import StageError
from app.demo.plan import Delivery, Way
from app.kit import clock
from app.kit.context import Context
from app.kit.serving import server_options
from app.main import Workers, create_app
from connectors.http import Client, client
from connectors.standard.sandbox import StandardSender, sign

LONG_AGO = timedelta(days=2)
_START_SECONDS = 20


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave Ctrl-C to the program around."""
        yield


@dataclass(frozen=True)
class Stage:
    """The running application: where it answers, its workers, and a client to talk to it."""

    origin: str
    workers: Workers
    http: Client


@asynccontextmanager
async def running(context: Context) -> AsyncIterator[Stage]:
    """Serve the application while the block lasts. Its workers stand still until somebody drains them."""
    app = create_app(context=context, work=False)
    server = _Server(uvicorn.Config(app, lifespan="on", **server_options(context.settings)))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn tells of its start by this flag only
                    await asyncio.sleep(0.01)
            if not server.started:
                raise StageError("the application did not start")
            async with client(base_url=origin) as http:
                yield Stage(origin, app.state.workers, http)
            await app.state.workers.asker.close()
        finally:
            server.should_exit = True
            await serving


@dataclass
class Post:
    """Posts deliveries and counts the answers: `(how it was sent, status)`."""

    stage: Stage
    answers: Counter[tuple[Way, int]]

    async def send(self, made: Created, delivery: Delivery) -> None:
        """Post one delivery as its way says, now."""
        status = await self._send(made, delivery)
        self.answers[delivery.way, status] += 1

    async def _send(self, made: Created, delivery: Delivery) -> int:
        now, body, url = clock.now(), delivery.body, self.stage.origin + made.path
        sender = StandardSender(url, made.secret, self.stage.http)
        match delivery.way:
            case Way.SIGNED | Way.TOO_LARGE:
                return (await sender.send(body, at=now)).status
            case Way.FORGED:
                return (await sender.send_forged(body, at=now)).status
            case Way.STALE:
                return (await sender.send(body, at=now - LONG_AGO)).status
            case Way.NO_ADDRESS:
                return (await StandardSender(url + "x", made.secret, self.stage.http).send(body, at=now)).status
        headers = sign(made.secret, body, at=now)
        if delivery.way is Way.WRONG_TYPE:
            headers["content-type"] = "text/plain"
        else:
            body = bytes([*body[:-2], body[-2] ^ 1, body[-1]])
        return (await self.stage.http.post(url, content=body, headers=headers)).status_code
