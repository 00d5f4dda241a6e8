"""Files that people hand in: tried out first if they like, then kept piece by piece, each piece with how far the file has come.

So a million rows take no more memory than a thousand, and whoever is killed in the middle goes on where the last COMMIT was.
"""

import asyncio
import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import BinaryIO
from uuid import UUID

from sqlalchemy import select

from app.connections import repository as connections
from app.connections.models import Connection
from app.intake import receive
from app.intake import understanding as reading
from app.intake.models import Channel, EventOutcome, HandedIn
from app.intake.readers import readers_of
from app.intake.receive import Arrival
from app.kit import clock
from app.kit.database import Transaction, upsert
from app.kit.errors import FieldError, Problem, not_found
from app.kit.keyring import Keyring
from app.kit.scoped import scoped_index
from app.ledger.service import Act, Actor, append
from connectors.contract import Connector, Malformed, Piece, storable

PIECES_AT_ONCE = 16
PIECES_IN_A_STATEMENT = 64
MOST_NAMED = 1_000
MOST_SHOWN = 10
MOST_LISTED = 20
LONGEST_ADDRESS = 320
READ_AT_ONCE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Measured:
    """A file before it is read: the hash of all of it, and how many bytes it has."""

    sha256: str
    size: int


@dataclass
class Tried:
    """What a file would become. `wrong`: row by row, as many as are named; `wrong_rows`: all of them; `first`: some alerts.

    `handed_on`: mails inside of mails, which are read by themselves once the file is kept.
    """

    rows: int = 0
    alerts: dict[str, int] = field(default_factory=dict)
    ignored: int = 0
    handed_on: int = 0
    for_a_person: int = 0
    wrong_rows: int = 0
    wrong: list[str] = field(default_factory=list)
    first: list[Mapping[str, object]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Come:
    """How far a file has come: bytes and rows; `finished_at`: when all of it was kept; `already`: before it was handed in now."""

    place: int
    rows: int
    size: int
    finished_at: datetime | None
    already: bool = False


def takes_files(connector: Connector) -> bool:
    """Whether people can hand in files to this connector."""
    return connector.by_hand and type(connector).pieces is not Connector.pieces


def told_beside(to: str) -> dict[str, str]:
    """What stands beside every piece of a file. `to`: for mails, the address that they came to. Raises a 422 Problem."""
    address = to.strip().lower()
    if len(address) > LONGEST_ADDRESS or not storable(address):
        message = f"Write the address that these mails came to, in at most {LONGEST_ADDRESS} ordinary characters."
        raise Problem(422, message, errors=[FieldError(field="body.to", message=message)])
    return {"to": address} if address else {}


def measured(file: BinaryIO) -> Measured:
    """Read a file once through."""
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while more := file.read(READ_AT_ONCE):
        digest.update(more)
        size += len(more)
    return Measured(digest.hexdigest(), size)


def tried(connector: Connector, file: BinaryIO, told: Mapping[str, str]) -> Tried:
    """Read a file as it would be read, and keep nothing. Raises a 422 Problem for one that cannot be read at all."""
    found = Tried()
    for piece in _cut(connector, file, told, Come(0, 0, 0, None)):
        found.rows += piece.rows
        try:
            events = reading.split(connector, piece.body, piece.asked)
        except reading.Unsplittable as error:
            _is_wrong(found, str(error))
            continue
        for event in events:
            _count(found, reading.understand(connector, event))
    return found


def _count(found: Tried, understood: reading.Understood) -> None:
    if understood.alert is not None:
        kind = understood.alert.kind.value
        found.alerts[kind] = found.alerts.get(kind, 0) + 1
        if len(found.first) < MOST_SHOWN:
            found.first.append(understood.alert.model_dump(mode="json", exclude_none=True, exclude={"identity"}))
    elif understood.outcome is EventOutcome.HANDED_ON:
        found.handed_on += 1
    elif understood.outcome is not EventOutcome.QUARANTINED:
        found.ignored += 1
    elif understood.path == reading.FOR_A_PERSON:
        found.for_a_person += 1
    else:
        _is_wrong(found, understood.path or understood.reason or "")


def _is_wrong(found: Tried, where: str) -> None:
    found.wrong_rows += 1
    if len(found.wrong) < MOST_NAMED:
        found.wrong.append(where)


async def open_target(tx: Transaction, organization_id: UUID, connection_id: UUID) -> tuple[Connection, Connector]:
    """The connection that a file is for, and its reader. Raises a 404 or 409 Problem."""
    connection = await connections.connection_of(tx, organization_id, connection_id)
    if connection is None:
        raise not_found()
    if connection.closed_at is not None:
        raise Problem(409, "This connection was removed. Nothing can be handed in to it any more.")
    reader = (await readers_of(tx, [connection]))[connection.id].connector
    if not takes_files(reader):
        raise Problem(409, "This connection takes no files. Set up one for files or for mail, and hand it in there.")
    return connection, reader


async def hand_in(
    tx: Transaction,
    keyring: Keyring,
    organization_id: UUID,
    connection_id: UUID,
    file: BinaryIO,
    known: Measured,
    *,
    told: Mapping[str, str],
    actor: Actor,
    at_once: int | None = PIECES_AT_ONCE,
) -> Come:
    """Keep the next pieces of a file, as many as `at_once` (None: all that are left), and say how far it has come.

    A file that is finished is left alone. Raises a 404, 409 or 422 Problem.
    """
    connection, reader = await open_target(tx, organization_id, connection_id)
    row = await _row(tx, keyring, connection, known, actor)
    if row.finished_at is not None:
        return replace(_come(row), already=True)
    cutting = itertools.islice(_cut(reader, file, {**told, "file": known.sha256}, _come(row)), at_once)
    pieces = await asyncio.to_thread(list, cutting)  # of a whole file that takes seconds
    await _keep(tx, keyring, connection, reader, pieces)
    if pieces:
        row.place, row.rows = pieces[-1].end, row.rows + sum(piece.rows for piece in pieces)
    if at_once is None or len(pieces) < at_once:
        row.finished_at = clock.now()
        facts = {"change": "file handed in", "file_sha256": known.sha256, "size": known.size, "rows": row.rows}
        await append(tx, keyring, organization_id, Act.CONNECTION, facts=facts, actor=actor, connection=connection_id)
    await tx.flush()
    return _come(row)


def _cut(connector: Connector, file: BinaryIO, told: Mapping[str, str], come: Come) -> Iterator[Piece]:
    try:
        yield from connector.pieces(file, told, start=come.place, rows=come.rows)
    except Malformed as error:
        message = f"This file cannot be read here. {error}".rstrip(". ") + "."
        raise Problem(422, message, errors=[FieldError(field="body.file", message=message)]) from None


async def _keep(tx: Transaction, keyring: Keyring, connection: Connection, reader: Connector, pieces: Sequence[Piece]) -> None:
    for first in range(0, len(pieces), PIECES_IN_A_STATEMENT):
        arrivals = [
            Arrival(piece.body, reader.proof_of(piece.body, piece.asked), Channel.HANDED_IN, asked=piece.asked)
            for piece in pieces[first : first + PIECES_IN_A_STATEMENT]
        ]
        await receive.keep_from_a_person(tx, keyring, connection, arrivals)


async def latest(tx: Transaction, organization_id: UUID, connection_id: UUID) -> Sequence[HandedIn]:
    """The files that came last to a connection, the newest first, and how far each has come."""
    mine = (HandedIn.organization_id == organization_id, HandedIn.connection_id == connection_id)
    query = select(HandedIn).where(*mine).order_by(HandedIn.started_at.desc(), HandedIn.file_index).limit(MOST_LISTED)
    return (await tx.execute(query)).scalars().all()


async def _row(tx: Transaction, keyring: Keyring, connection: Connection, known: Measured, actor: Actor) -> HandedIn:
    """How far this very file has come on this connection, held for this transaction: two who hand it in follow one another."""
    whose = connection.id.bytes + bytes.fromhex(known.sha256)
    index = await scoped_index(tx, keyring, connection.organization_id, connection.id, "handed_in.file", whose)
    values = {
        "connection_id": connection.id,
        "file_index": index,
        "organization_id": connection.organization_id,
        "size": known.size,
        "place": 0,
        "rows": 0,
        "started_at": clock.now(),
        "started_by": actor.id,
    }
    await tx.execute(upsert(tx, HandedIn).values(values).on_conflict_do_nothing())
    query = select(HandedIn).where(HandedIn.connection_id == connection.id, HandedIn.file_index == index).with_for_update()
    return (await tx.execute(query)).scalar_one()


def _come(row: HandedIn) -> Come:
    return Come(row.place, row.rows, row.size, row.finished_at)
