"""A file on this machine, handed in to its end: some pieces a transaction, so that whoever is stopped goes on there."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from app.intake import handing_in
from app.kit.context import Context
from app.ledger.service import SYSTEM


async def hand_in_all(
    context: Context,
    organization_id: UUID,
    connection_id: UUID,
    file: Path,
    to: str = "",
    told: Callable[[handing_in.Come], None] = lambda come: None,
) -> handing_in.Come:
    """Hand a file in to its end, some pieces a transaction; `told` after each. Raises a 404, 409 or 422 Problem."""
    with file.open("rb") as opened:
        known = handing_in.measured(opened)
        while True:
            async with context.database.begin() as tx:
                where = (tx, context.keyring, organization_id, connection_id)
                come = await handing_in.hand_in(*where, opened, known, told=handing_in.told_beside(to), actor=SYSTEM)
            told(come)
            if come.finished_at is not None:
                return come
