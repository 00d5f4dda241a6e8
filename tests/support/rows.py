"""What stands in a database, table by table: to see that something changed nothing, or just what it should."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Select, func, select

from app.kit.database import Database
from app.tables import metadata

BOOKKEEPING = frozenset({"session", "sign_in_link", "outbox_consumer"})
LOG = frozenset(f"ledger_{name}" for name in ("pending", "head", "leaf", "subtree", "checkpoint", "signer"))
"""What follows from the entries of the ledger alone."""


@cache
def _all_counts(names: tuple[str, ...]) -> Select[Any]:
    """One statement for all: a test counts before and after each thing that it does, and there are a hundred tables."""
    return select(*(select(func.count()).select_from(metadata.tables[name]).scalar_subquery().label(name) for name in names))


async def counts(database: Database) -> dict[str, int]:
    """How many rows each table has."""
    async with database.begin(read_only=True) as tx:
        return dict((await tx.execute(_all_counts(tuple(sorted(metadata.tables))))).one()._mapping)


async def contents(database: Database, *, without: frozenset[str] = BOOKKEEPING) -> dict[str, list[Any]]:
    """Every row of every table but some, in a fixed order; and without the log."""
    async with database.begin(read_only=True) as tx:
        return {
            name: [tuple(row) for row in (await tx.execute(select(table).order_by(*table.primary_key))).all()]
            for name, table in sorted(metadata.tables.items())
            if name not in without | LOG
        }


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """By how many rows each table grew; tables that did not are left out, and the log, which grows with the ledger."""
    return {name: after[name] - before[name] for name in after if name not in LOG and after[name] != before[name]}
