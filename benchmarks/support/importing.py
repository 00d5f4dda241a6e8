"""Hands a file in to a database of its own, and says how long it took: `python -m benchmarks.support.importing URL FILE`."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from pathlib import Path

from app.connections.service import create_connection
from app.kit.config import Settings
from app.kit.context import open_context
from app.kit.migrate import upgrade
from app.kit.vault import create_key_file
from app.members.service import create_organization
from app.whole_files import hand_in_all
from connectors.contract import Sender


async def handed_in(url: str, file: Path) -> dict[str, object]:
    """Rows, rows a second, and megabytes of memory at the height."""
    key_file = file.with_name("top.key")
    key_file.unlink(missing_ok=True)
    create_key_file(key_file)
    context = open_context(Settings(database_url=url, key_file=key_file))
    async with context.database.begin() as tx:
        union = await create_organization(tx, context.keyring, "Invented Union")
        made = await create_connection(
            tx, context.keyring, union.id, connector="file", title="Exports", sender=Sender.ORGANIZATION
        )
    begun = time.perf_counter()
    come = await hand_in_all(context, union.id, made.connection.id, file)
    took = time.perf_counter() - begun
    await context.database.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rows": come.rows, "rows_per_s": round(come.rows / took), "seconds": round(took, 1), "peak_mb": round(peak, 1)}


if __name__ == "__main__":
    URL, FILE = sys.argv[1], Path(sys.argv[2])
    upgrade(URL)
    print(json.dumps(asyncio.run(handed_in(URL, FILE))), flush=True)
