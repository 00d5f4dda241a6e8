"""A mail server that hangs holds up its own letters and nothing else: no delivery, no work, no writer of SQLite."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from app.access import service as access
from app.kit.letters import LetterState
from tests.notices.mailed import Mailed
from tests.support.mail_server import Post
from tests.support.world import Filled, World, alert, make_world

PATIENCE = 5.0


class Hanging:
    """A server that takes connections and never says a word."""

    def __init__(self) -> None:
        self.came = asyncio.Event()

    async def __call__(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        writer.close()


async def _asked(world: World) -> None:
    async with world.context.database.begin() as tx:
        await access.request_link(tx, world.context.keyring, "avery@example.org")


async def test_a_delivery_is_taken_and_handled_while_the_mail_server_hangs(filled_database: tuple[str, Filled]) -> None:
    hanging = Hanging()
    server = await asyncio.start_server(hanging, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with make_world(*filled_database, smtp_url=f"smtp://127.0.0.1:{port}") as world:
        await _asked(world)
        await world.workers.tick()
        sending = asyncio.create_task(world.workers.send_letters())
        async with asyncio.timeout(PATIENCE):
            await hanging.came.wait()
            assert (await world.deliver({"alerts": [alert()]})).status_code == 202
            await world.workers.tick()
            async with world.browser() as browser:
                assert (await browser.post("/sign-in", data={"email": "avery@example.org"})).status_code == 200
        assert not sending.done()
        states = {letter.state for letter in await Mailed(world, Post()).letters()}
        assert states == {LetterState.SENDING, LetterState.WAITING}, "links that were begun, and the notice of the alert"
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending
    server.close()
