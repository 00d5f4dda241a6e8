"""Count what stands in a database, by one transaction that sees one moment."""

from typing import Any

from sqlalchemy import func, inspect, select, text

from app.incidents.repository import unmatched_counts
from app.intake.service import accounts
from app.kit.database import Transaction
from app.ledger.models import LedgerEntry
from app.upkeep.manifest import LedgerEnd
from app.watch.repository import organizations

REVISIONS = "alembic_version"


async def table_names(tx: Transaction) -> list[str]:
    """Every table that is really there, whatever this code knows of it."""
    connection = await tx.connection()
    return sorted(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def revision(tx: Transaction) -> str | None:
    """The schema's revision; None for an empty database."""
    if REVISIONS not in await table_names(tx):
        return None
    return (await tx.execute(text(f"SELECT version_num FROM {REVISIONS}"))).scalar_one_or_none()


async def rows_by_table(tx: Transaction) -> dict[str, int]:
    """How many rows each table has."""
    quote = (await tx.connection()).dialect.identifier_preparer.quote
    return {name: (await tx.execute(text(f"SELECT count(*) FROM {quote(name)}"))).scalar_one() for name in await table_names(tx)}


async def ledger_end(tx: Transaction) -> LedgerEnd:
    """How long the ledger is, and its last entry by id."""
    entries = (await tx.execute(select(func.count()).select_from(LedgerEntry))).scalar_one()
    newest = select(LedgerEntry.id, LedgerEntry.commitment).order_by(LedgerEntry.id.desc()).limit(1)
    last = (await tx.execute(newest)).one_or_none()
    return LedgerEnd(entries=entries, last=last and str(last[0]), commitment=last and last[1].hex())


async def books(tx: Transaction) -> dict[str, dict[str, Any]]:
    """The accounts of intake by organization. The schema must be this code's own."""
    told = {}
    for organization_id in await organizations(tx):
        found = await accounts(tx, organization_id)
        found.unmatched = await unmatched_counts(tx, organization_id)
        told[str(organization_id)] = found.model_dump(mode="json")
    return told
