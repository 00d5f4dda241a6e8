"""What must stay erased, in a file outside the database and its backups: an old backup holds the keys that were destroyed since.

One line for each deletion, each with the hash of the line before it, so that no line in the middle can be changed or taken
out without being noticed. Only ids are in it. `restore` does again what it says, before anybody can read what was restored.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import select

from app.kit import canonical
from app.kit.database import Database, Transaction
from app.ledger.deletions import STAYS_GONE
from app.ledger.models import Deletion
from app.watch.repository import moved

LOOKS_BACK = timedelta(days=1)
"""Ids are made before the commit that shows them: how much older than the newest one a row may be that appears after it."""

_FIRST = "0" * 64
_NIL = UUID(int=0)
_NO_TEXT = "surrogateescape"
"""How bytes are read that are no text: so that the line they are in is told like any other that was changed."""


class JournalBroken(Exception):
    """The file is not a journal any more; says at which line, and what to do."""


class Record(BaseModel):
    """One deletion that must not be undone, as its row in the table `deletion` tells it."""

    id: UUID
    organization_id: UUID | None
    what: str
    count: int
    reason: str
    subjects: dict[str, Any]
    actor_id: UUID | None
    actor_role: str | None
    at: datetime


def _hash(before: str, record: dict[str, Any]) -> str:
    return hashlib.sha256(before.encode() + canonical.dumps(record)).hexdigest()


def _parsed(number: int, line: str, before: str) -> tuple[Record, str]:
    try:
        told = json.loads(line)
        found = told.pop("hash")
        if found != _hash(before, told):
            raise ValueError
        return Record.model_validate(told), found
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise JournalBroken(
            f"Line {number} of the list of erasures was changed, or one before it is missing. Take another copy of it."
        ) from None


class Journal:
    """The file, and what of it is known to this process."""

    def __init__(self, path: Path) -> None:
        """`path`: where the file is, or is to be."""
        self.path = path
        self.known: set[UUID] = set()
        self.newest = _NIL

    def read(self) -> list[Record]:
        """Every record. A last line without its end was being written when the power failed, and is left out.

        Raises FileNotFoundError or JournalBroken.
        """
        return self._read(self.path.read_text("utf-8", _NO_TEXT))[0]

    def _read(self, text: str) -> tuple[list[Record], str]:
        records, last = [], _FIRST
        for number, line in enumerate(text.split("\n")[:-1], start=1):
            record, last = _parsed(number, line, last)
            records.append(record)
        self.known = {record.id for record in records}
        self.newest = max(self.known, default=_NIL)
        return records, last

    def add(self, records: Iterable[Record]) -> int:
        """Write those that are not there yet and flush them to the disk; how many. The file is made where it is missing."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(handle, "r+", encoding="utf-8", errors=_NO_TEXT, newline="") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # other processes of this machine write to it, too
            text = file.read()
            _, last = self._read(text)
            file.seek(len(text[: text.rfind("\n") + 1].encode("utf-8", _NO_TEXT)))
            file.truncate()
            written = [record for record in records if record.id not in self.known]
            for record in written:
                told = record.model_dump(mode="json")
                last = _hash(last, told)
                file.write(json.dumps({**told, "hash": last}, ensure_ascii=True) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.known |= {record.id for record in written}
        self.newest = max(self.known, default=_NIL)
        return len(written)


async def stays_gone(tx: Transaction, after: UUID = _NIL) -> Sequence[Record]:
    """What the database says must not come back, from an id on."""
    query = select(Deletion).where(Deletion.what.in_(STAYS_GONE), Deletion.id > after).order_by(Deletion.id)
    return [Record.model_validate(row, from_attributes=True) for row in (await tx.execute(query)).scalars()]


async def not_yet_written(database: Database, journal: Journal) -> list[Record]:
    """What the database says must not come back, and the journal does not say yet."""
    after = moved(journal.newest, -LOOKS_BACK)
    async with database.begin(read_only=True) as tx:
        return [record for record in await stays_gone(tx, after) if record.id not in journal.known]


async def keep(database: Database, journal: Journal) -> int:
    """Bring the journal up to date; how many lines were written. Every process keeps its machine's own."""
    missing = await not_yet_written(database, journal)
    return journal.add(missing) if missing else 0
