"""The witness that anybody can run follows an organization's log over real HTTP, with a program's token and nothing else."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from app.access.roles import Role
from app.kit.acting import ITSELF
from app.kit.database import Database
from app.ledger.reading import log_keys
from app.ledger.witness import Witness
from tests.access.scene import Scene
from tests.ledger.tampering import Rig, grow, rewrite_everything, take_triggers_away
from tests.ledger.test_sequencing import lengthen, noted
from tests.support.commands import RUNNER, cli
from tests.support.postgres import free_port
from tests.support.world import World
from tests.watch.served import served


async def test_a_witness_follows_a_served_log_and_refuses_what_its_owner_rewrote(world: World, tmp_path: Path) -> None:
    _, secret = await Scene(world).token(Role.AUDITOR, frozenset({"ledger:read"}))
    (tmp_path / "token").write_text(secret)
    await world.workers.drain()
    grown = await grow(world.context.database, world.context.keyring, world.union.id, (3, 20, 1))
    async with served(world, port := free_port()):
        async with world.context.database.begin(read_only=True) as tx:
            keys = await log_keys(tx, world.union.id)

        async def look() -> tuple[int, str]:
            where = [f"http://127.0.0.1:{port}/v1/ledger", "--token-file", str(tmp_path / "token")]
            own = ["--state", str(tmp_path / "witness"), "--log", str(keys[0])]
            ended = await asyncio.to_thread(RUNNER.invoke, cli.cli, ["witness", "follow", *where, *own, "--once"])
            return ended.exit_code, ended.output

        code, said = await look()
        assert (code, f"to {grown.size} entries" in said) == (0, True), said
        await noted(world, 300)
        await lengthen(world)
        code, said = await look()
        assert (code, f"the log has grown from {grown.size} to " in said) == (0, True), said
        known = Witness(tmp_path / "witness", keys).known(keys[0].name)
        assert known is not None

        owner = Database(world.owner_url, ITSELF)
        async with owner.begin() as tx:
            await take_triggers_away(await tx.connection())
            await rewrite_everything(Rig(tx, world.union.id, grown.signer, random.Random(1), grown.copied))
        await owner.close()
        code, said = await look()
        assert (code, "REFUSED" in said) == (1, True), said
        assert Witness(tmp_path / "witness", keys).known(keys[0].name) == known
        assert list((tmp_path / "witness" / "refused").iterdir())
