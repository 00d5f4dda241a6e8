"""What was just written is read again and hashed again, within a minute: a bit that fell over on its way to the disk is told.

How far that has come is in `ledger_head.read_back`. It stops before the first leaf that is not its entry's, and stays there until
the entry is again what it was: so any process, and whoever looks later, finds the log behind.
"""

from uuid import UUID

import structlog
from sqlalchemy import select, update

from app.kit.database import Database, Transaction
from app.ledger.models import Head
from app.ledger.stored import WIDTH, columns, fetched, hash_of

log = structlog.get_logger(__name__)

AT_ONCE = 5000


async def read_back(database: Database) -> int:
    """Read again what is new in every log; how many leaves were found whole."""
    async with database.begin(read_only=True) as tx:
        query = select(Head.organization_id, Head.size, Head.read_back).where(Head.read_back < Head.size)
        behind = (await tx.execute(query.order_by(Head.organization_id))).all()
    done = 0
    for organization_id, size, start in behind:
        while start < size:
            whole = await _some(database, organization_id, start, min(size, start + AT_ONCE))
            done, start = done + whole, start + whole
            if not whole:
                break
    return done


async def _some(database: Database, organization_id: UUID, start: int, end: int) -> int:
    """Look at the leaves from `start` to before `end`; how many are whole before the first that is not."""
    async with database.begin(read_only=True) as tx:
        at = await first_other(tx, organization_id, start, end)
    if at is not None:
        log.error("a leaf of the ledger is not its entry's", organization=str(organization_id), position=at)
    whole = (end if at is None else at) - start
    if whole:
        here = update(Head).where(Head.organization_id == organization_id, Head.read_back == start)
        async with database.begin() as tx:
            await tx.execute(here.values(read_back=start + whole).execution_options(synchronize_session=False))
    return whole


async def first_other(tx: Transaction, organization_id: UUID, start: int, end: int) -> int | None:
    """The first position in a range whose leaf is not there, or not that of its entry as it is stored now."""
    statement = (
        f"SELECT {columns(tx)}, l.position, l.hash FROM ledger_leaf AS l LEFT JOIN ledger_entry AS e"
        " ON e.id = l.entry_id WHERE l.organization_id = ? AND l.position >= ? AND l.position < ? ORDER BY l.position"
    )
    rows = await fetched(tx, statement, organization_id, start, end)
    for expected, row in enumerate(rows, start):
        position, stored = row[WIDTH:]
        if position != expected or hash_of(row[:WIDTH]) != stored:
            return expected
    return None if len(rows) == end - start else start + len(rows)
