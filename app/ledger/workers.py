"""The ticks of the logs: entries get their places, what was written is read again, and once a day all of it is verified."""

from app.kit.context import Context
from app.ledger import cosigning
from app.ledger.full_look import verify_all
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


async def verify(context: Context) -> int:
    """Verify every log that is due; how many. What is wrong is written down with the log."""
    witnesses = context.settings.ledger_witnesses
    return await verify_all(context.database, [cosigning.witness_key(name, one.key) for name, one in witnesses.items()])
