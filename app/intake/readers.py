"""Who reads what came over a connection: its connector, bound to the documents that were written for that connection."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar
from uuid import UUID

import structlog

from app.connections import documents
from app.connections.models import Connection
from app.kit.database import Transaction
from connectors.asking import NOTHING_ASKED, Asked
from connectors.contract import BrokenEvent, Connector, Malformed, Meaning, Normalised, RawEvent
from connectors.registry import registry

log = structlog.get_logger(__name__)

MOST_KEPT = 64
"""How many readers stay bound: to read the documents again with each batch would cost more than to read the batch."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A connector as it reads for one connection. `edition`: which documents it reads by, for the record; empty without any."""

    connector: Connector
    edition: str = ""


class _Unreadable(Connector):
    """In the place of a connector that does not take its documents any more: all is set aside until they are mended."""

    events: ClassVar[Mapping[str, Meaning]] = {}

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]  # for the record: whose documents they are

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """Nothing can be cut."""
        raise Malformed("the documents of this connection")

    def normalise(self, event: RawEvent) -> Normalised:
        """Nothing can be read."""
        raise Malformed("the documents of this connection")


async def readers_of(tx: Transaction, connections: Collection[Connection]) -> dict[UUID, Reader]:
    """The reader of each connection, by its id."""
    known, each = registry(), {row.id: row for row in connections}.values()
    by_documents = {row.id for row in each if reads_by_documents(known[row.connector])}
    written = await documents.present(tx, by_documents) if by_documents else {}
    return {row.id: reader(row.connector, written.get(row.id, {})) for row in each}


def reads_by_documents(connector: Connector) -> bool:
    """Whether documents can be written for a connection of this connector."""
    return type(connector).reading_by is not Connector.reading_by


def leaves_to_people(connector: str) -> bool:
    """Whether some of what comes by a connector is left to a person, who is shown it."""
    known = registry().get(connector)
    return known is not None and type(known).shown is not Connector.shown


def reader(connector: str, written: Mapping[str, str]) -> Reader:
    """The reader by these documents, name -> text."""
    return _bound(connector, tuple(sorted(written.items()))) if written else Reader(registry()[connector])


@lru_cache(maxsize=MOST_KEPT)
def _bound(name: str, written: tuple[tuple[str, str], ...]) -> Reader:
    edition = hashlib.sha256(repr(written).encode()).hexdigest()[:12]
    try:
        found = registry()[name].reading_by(dict(written))
    except ValueError:
        log.error("documents cannot be read", connector=name, edition=edition)
        return Reader(_Unreadable(name), f" by {edition}")
    return Reader(found, f" by {edition}")
