"""The tick of the logs: entries get their places, and what was written is read again."""

from app.kit.context import Context
from app.ledger.reading_back import read_back
from app.ledger.sequencing import integrate

EVERY = 3.0
"""Seconds between two turns."""


async def go_on(context: Context) -> int:
    """One turn; how many entries got their places, and leaves were found whole. Raises what is wrong with a log, at the end."""
    try:
        placed = await integrate(context.database, context.keyring, str(context.settings.base_url.host))
    finally:
        whole = await read_back(context.database)
    return placed + whole
