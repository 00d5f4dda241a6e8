"""Documents by which a connection's connector reads: rules about senders, the meaning of a file's columns.

Each has a name and versions; a version is never changed, so that it can be told by what any alert was read.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select

from app.connections import repository
from app.connections.models import ReadingDocument
from app.connections.service import refused
from app.kit import clock
from app.kit.database import Transaction
from app.kit.errors import Problem, not_found
from app.kit.keyring import Keyring
from app.ledger.service import Act, Actor, append
from connectors.drafting import Drafting
from connectors.registry import registry

LONGEST_NAME = 60
LONGEST_TEXT = 100_000
MOST_DOCUMENTS = 200


@dataclass(frozen=True, slots=True)
class Written:
    """One version of a document; `text` None: from this version on it is withdrawn."""

    name: str
    version: int
    text: str | None
    written_by: UUID | None
    written_at: datetime


async def present(tx: Transaction, connection_ids: Collection[UUID]) -> dict[UUID, dict[str, str]]:
    """The newest text of each document that is not withdrawn, by connection and name."""
    found: dict[UUID, dict[str, str]] = {}
    for row in await _newest(tx, connection_ids):
        if row.text is not None:
            found.setdefault(row.connection_id, {})[row.name] = row.text
    return found


async def versions(tx: Transaction, organization_id: UUID, connection_id: UUID, name: str | None = None) -> list[Written]:
    """Every version of every document of a connection, or of one, newest first."""
    query = select(ReadingDocument).where(
        ReadingDocument.organization_id == organization_id, ReadingDocument.connection_id == connection_id
    )
    if name is not None:
        query = query.where(ReadingDocument.name == name)
    rows = (await tx.execute(query.order_by(ReadingDocument.name, ReadingDocument.version.desc()))).scalars()
    return [Written(row.name, row.version, row.text, row.written_by, row.written_at) for row in rows]


def shipped(connector: str) -> Mapping[str, str]:
    """The documents that come with a connector, name -> text; none for one that is not installed."""
    known = registry().get(connector)
    return known.shipped_documents() if isinstance(known, Drafting) else {}


async def write(
    tx: Transaction,
    keyring: Keyring,
    organization_id: UUID,
    connection_id: UUID,
    *,
    name: str,
    text: str | None,
    actor: Actor,
    after: int | None = None,
) -> int:
    """Write the next version of a document, or withdraw it (`text` None); returns the version.

    `after`: the version that its writer looked at; 409 when there is a newer one. Raises a 404, 409 or 422 Problem.
    """
    row = await repository.connection_of(tx, organization_id, connection_id, lock=True)
    if row is None:
        raise not_found()
    if row.closed_at is not None:
        raise Problem(409, "This connection was removed. Nothing about it can be changed any more.")
    kept = {one.name: one for one in await _newest(tx, [connection_id])}
    last = kept[name].version if name in kept else 0
    if after is not None and after != last:
        raise Problem(409, "Somebody has changed this document meanwhile. Look at it again, then retry.")
    texts = {one.name: one.text for one in kept.values() if one.text is not None}
    require_readable(row.connector, texts, name, text)
    tx.add(
        ReadingDocument(
            connection_id=connection_id,
            name=name,
            version=last + 1,
            organization_id=organization_id,
            text=text,
            written_by=actor.id,
            written_at=clock.now(),
        )
    )
    await tx.flush()
    facts = {"change": "document withdrawn" if text is None else "document written", "document": name, "version": last + 1}
    await append(tx, keyring, organization_id, Act.CONNECTION, facts=facts, actor=actor, connection=connection_id)
    return last + 1


def require_readable(connector: str, texts: Mapping[str, str], name: str, text: str | None) -> None:
    """Raises a 422 Problem for a document that the connector would not read by."""
    if text is None:
        if name not in texts:
            raise not_found()
        return
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise refused("name", f"Give it a name of 1 to {LONGEST_NAME} letters.")
    if len(text) > LONGEST_TEXT or "\x00" in text:
        raise refused("text", f"It may have {LONGEST_TEXT:,} letters, and no NUL.")
    if len({*texts, name}) > MOST_DOCUMENTS:
        raise refused("name", f"A connection reads by {MOST_DOCUMENTS} documents at most. Withdraw one first.")
    try:
        registry()[connector].reading_by({**texts, name: text})
    except ValueError as error:
        raise refused("text", str(error)) from None


async def _newest(tx: Transaction, connection_ids: Collection[UUID]) -> Sequence[ReadingDocument]:
    last = (
        select(ReadingDocument.connection_id, ReadingDocument.name, func.max(ReadingDocument.version).label("version"))
        .where(ReadingDocument.connection_id.in_(connection_ids))
        .group_by(ReadingDocument.connection_id, ReadingDocument.name)
        .subquery()
    )
    same = (
        (ReadingDocument.connection_id == last.c.connection_id)
        & (ReadingDocument.name == last.c.name)
        & (ReadingDocument.version == last.c.version)
    )
    return (await tx.execute(select(ReadingDocument).join(last, same))).scalars().all()
