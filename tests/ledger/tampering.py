"""Tampers with a log as somebody may who owns the database: every trigger is taken away, every row can be written."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

LOGGED = ("entry", "leaf", "subtree", "checkpoint", "cosignature", "timestamp")


async def take_triggers_away(owner: AsyncConnection) -> None:
    """Let rows be changed that nobody may change, until the end of the transaction."""
    if owner.dialect.name == "sqlite":
        named = text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'ledger_%'")
        for name in (await owner.execute(named)).scalars().all():
            await owner.execute(text(f"DROP TRIGGER {name}"))
        return
    for table in LOGGED:
        await owner.execute(text(f"ALTER TABLE ledger_{table} DISABLE TRIGGER USER"))
