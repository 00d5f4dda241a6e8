"""A whole log held against its ledger, its checkpoints and whoever saw it before: what was changed, and where.

All rows are read in order, a few thousand at a time, in a transaction that sees one moment. Each entry's hash is made anew and
compared with its leaf; out of the leaves the tree is built anew and compared with every stored subtree, every checkpoint, and
every copy from outside. Only a copy tells of somebody who rewrote everything and signed it again.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, exists, func, select, true
from sqlalchemy.exc import SQLAlchemyError

from app.kit.database import Transaction
from app.ledger import findings, models, notes, timestamping
from app.ledger.dating import Dates
from app.ledger.findings import Finding, Found, Kind, Odd
from app.ledger.reading import log_keys
from app.ledger.stored import WIDTH, columns, fetched, hashes_of, hyphened
from app.ledger.tree import EMPTY_ROOT, TILE_LEVELS, Frontier

AT_ONCE = 2_000
MOST_ODD = 10_000
_HIGHEST = 7
"""Levels of stored subtrees: 256^8 leaves would be more than any number counts."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A checkpoint from outside: an old one, or a witness's. `name`: what it is called, a file's for instance."""

    name: str
    checkpoint: notes.Checkpoint
    note: notes.Note


@dataclass(frozen=True, slots=True)
class Report:
    """How a log was found. `remarks`: moments that do not fit, which a wrong clock leaves in an honest log, too."""

    organization_id: UUID
    leaves: int
    checkpoints: int
    copies: int
    findings: Sequence[Finding]
    remarks: Sequence[Finding] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def read_copy(name: str, raw: bytes) -> Copy:
    """Read a checkpoint from outside; raises NoteError. What it says is believed only once it is known who signed it."""
    note = notes.parse_note(raw)
    return Copy(name, notes.parse_checkpoint(note.text), note)


def is_of(copy: Copy, organization_id: UUID) -> bool:
    """Whether it says that it is of this organization's log."""
    return copy.checkpoint.origin.endswith(f"/ledger/{organization_id}")


async def organizations(tx: Transaction) -> list[UUID]:
    """Every organization with entries, or a log."""
    found: set[UUID] = set()
    for table in (models.Head, models.Pending, models.Checkpoint, models.LedgerEntry):
        found |= set((await tx.execute(select(table.organization_id).distinct())).scalars())
    return sorted(found)


async def verify(
    tx: Transaction, organization_id: UUID, copies: Sequence[Copy] = (), witnesses: Sequence[notes.Key] = ()
) -> Report:
    """Look at one organization's log from first to last. `witnesses`: keys that are believed without the database."""
    walk = _Walk(tx, organization_id, copies, witnesses, await log_keys(tx, organization_id))
    await walk.count()
    try:
        await walk.leaves()
    except (SQLAlchemyError, ValueError) as error:
        here = walk.tree.size
        walk.found.add(Kind.CHANGED, f"What is stored from position {here} on cannot be read ({type(error).__name__}).")
        return walk.report()
    await walk.what_is_left()
    return walk.report()


@dataclass
class _Walk:
    """One look at one log. `signed`: up to where its leaves are as a checkpoint says."""

    tx: Transaction
    organization_id: UUID
    copies: Sequence[Copy]
    witnesses: Sequence[notes.Key]
    keys: Sequence[notes.Key]
    found: Found = field(default_factory=Found)
    dates: Dates = field(default_factory=lambda: Dates(Found()))
    tree: Frontier = field(default_factory=Frontier)
    odd: list[Odd] = field(default_factory=list)
    total: int = 0
    last: int = -1
    newest: int = 0
    checkpoints: int = 0
    signed: int = 0
    agreed: int = 0
    is_broken: bool = False
    is_unlike: bool = False
    unlike_subtrees: int = 0

    def report(self) -> Report:
        for kind, says in findings.about_leaves(self.odd):
            self.found.add(kind, says, "leaf")
        told, remarks = self.found.told(), self.dates.found.told()
        return Report(self.organization_id, self.total, self.checkpoints, len(self.copies), told, remarks)

    async def count(self) -> None:
        """How many leaves there are, and over how many the newest checkpoint is. What copies there are that nobody signed."""
        of = select(func.count(), func.max(models.Leaf.position)).where(models.Leaf.organization_id == self.organization_id)
        self.total, last = (await self.tx.execute(of)).one()
        self.last = -1 if last is None else last
        mine = models.Checkpoint.organization_id == self.organization_id
        newest = (await self.tx.execute(select(func.max(models.Checkpoint.size)).where(mine))).scalar_one()
        self.newest = newest or 0
        self.copies = sorted(filter(self._is_believed, self.copies), key=lambda one: one.checkpoint.size)

    async def _of(self, table: Any) -> int:
        """How many rows of a table are this organization's."""
        own = table.organization_id == self.organization_id
        return (await self.tx.execute(select(func.count()).select_from(table).where(own))).scalar_one()

    def _is_believed(self, copy: Copy) -> bool:
        try:
            if notes.verify(copy.note, [*self.keys, *self.witnesses]):
                return True
        except notes.NoteError as error:
            self.found.add(Kind.UNPROVEN, f"{copy.name} proves nothing: {error}.")
            return False
        says = "none of the log's keys, and no witness that was named, signed it"
        self.found.add(Kind.UNPROVEN, f"{copy.name} proves nothing: {says}. If it is real, somebody has replaced the log's keys.")
        return False

    async def leaves(self) -> None:
        """From the first leaf to the last."""
        self._copies_here(0, EMPTY_ROOT)
        start, rows = 0, await self._rows(0)
        while rows:
            end = rows[-1][WIDTH] + 1
            made, more = await self._hashed(rows, end)
            self._compare(rows, made, start)
            await self._grow(rows, made, start, end)
            start, rows = end, more

    async def _hashed(self, rows: Sequence[Sequence[Any]], end: int) -> tuple[list[bytes | None], Sequence[Sequence[Any]]]:
        """The hashes of these rows' leaves, and the rows from `end` on, which PostgreSQL looks for meanwhile."""
        if self._by_text:
            made, more = await asyncio.gather(asyncio.to_thread(hashes_of, rows), self._rows(end))
            return made, more
        await asyncio.sleep(0)  # SQLite reads and hashes on the event loop, where others have work, too
        return hashes_of(rows), await self._rows(end)

    async def _rows(self, start: int) -> Sequence[Sequence[Any]]:
        """The leaves that come next at a position or behind it, with their entries; none behind the last.

        Between two positions: for a number of rows from one on, PostgreSQL without statistics sorts all that are left.
        """
        statement = (
            f"SELECT {columns(self.tx)}, l.position, l.hash, {'l.entry_id::text' if self._by_text else 'l.entry_id'}"
            " FROM ledger_leaf AS l LEFT JOIN ledger_entry AS e ON e.id = l.entry_id"
            " WHERE l.organization_id = ? AND l.position >= ? AND l.position < ? ORDER BY l.position"
        )
        while start <= self.last:
            if rows := await fetched(self.tx, statement, self.organization_id, start, start + AT_ONCE):
                return rows
            leaf = models.Leaf
            behind = select(func.min(leaf.position)).where(leaf.organization_id == self.organization_id, leaf.position >= start)
            start = (await self.tx.execute(behind)).scalar_one()
        return ()

    @property
    def _by_text(self) -> bool:
        return self.tx.get_bind().dialect.name == "postgresql"

    def _compare(self, rows: Sequence[Sequence[Any]], hashes: Sequence[bytes | None], start: int) -> None:
        """Each leaf with its entry, and whether they stand one behind another."""
        expected = start
        for row, made in zip(rows, hashes, strict=True):
            position, logged = row[WIDTH], row[WIDTH + 1]
            if position != expected:
                self.found.add(*findings.gap(expected, position), "gap")
                self.is_broken = True
            expected = position + 1
            if made != logged and len(self.odd) < MOST_ODD:
                self.odd.append(Odd(position, hyphened(row[WIDTH + 2]) or "", row[0] is None, made, logged))

    async def _grow(self, rows: Sequence[Sequence[Any]], made: Sequence[bytes | None], start: int, end: int) -> None:
        """Put the leaves into the tree, and look at it wherever somebody has said what it was."""
        said = await self._checkpoints(start, end)
        self.checkpoints += len(said)
        for size, root, note, _ in said:
            self._signed(size, root, note)
        self._date(rows, made, [(size, at) for size, _, _, at in said])
        if self.is_broken:
            return
        hashes, here = [row[WIDTH + 1] for row in rows], start
        roots = {size: root for size, root, _, _ in said}
        copied = {copy.checkpoint.size for copy in self.copies if start < copy.checkpoint.size <= end}
        finished: dict[tuple[int, int], bytes] = {}
        for stop in sorted({*roots, *copied, end}):
            finished |= self.tree.extend(hashes[here - start : stop - start])
            here = stop
            if stop in roots or stop in copied:
                root = self.tree.root()
                self._checkpoint_here(stop, roots.get(stop, root) == root, stop in roots, rows, start)
                self._copies_here(stop, root)
        await self._subtrees(finished, start, end)

    def _date(self, rows: Sequence[Sequence[Any]], made: Sequence[bytes | None], signed: Sequence[tuple[int, datetime]]) -> None:
        """Hold the moments of entries that are as the log has them against one another, and against those of checkpoints."""
        waiting = deque(signed)
        for row, value in zip(rows, made, strict=True):
            while waiting and waiting[0][0] <= row[WIDTH]:
                self.dates.checkpoint(*waiting.popleft())
            if value == row[WIDTH + 1]:
                self.dates.entry(row[WIDTH], row[WIDTH + 2], row[WIDTH - 1])
        for size, at in waiting:
            self.dates.checkpoint(size, at)

    async def _checkpoints(self, start: int, end: int) -> Sequence[tuple[int, bytes, bytes, datetime]]:
        one = models.Checkpoint
        query = select(one.size, one.root, one.note, one.at).where(one.organization_id == self.organization_id)
        rows = await self.tx.execute(query.where(one.size > start, one.size <= end).order_by(one.size))
        return [(size, root, note, at) for size, root, note, at in rows.all()]

    def _signed(self, size: int, root: bytes, raw: bytes) -> None:
        """Whether a stored checkpoint says what its row says, and the log has signed it."""
        try:
            checkpoint, _ = notes.open_checkpoint(raw, self.keys)
        except notes.NoteError as error:
            self.found.add(Kind.UNPROVEN, f"The stored checkpoint over {size} entries proves nothing: {error}.", "note")
            return
        if (checkpoint.size, checkpoint.root) != (size, root):
            self.found.add(Kind.CHANGED, f"The stored checkpoint over {size} entries was changed: its note says another.", "note")

    def _checkpoint_here(self, size: int, agrees: bool, is_signed: bool, rows: Sequence[Sequence[Any]], start: int) -> None:
        if self.is_unlike or not is_signed:
            return
        if agrees:
            self.signed = size
            return
        self.is_unlike = True  # every later one is another too, and says no more than this
        here = max(self.signed, start)
        moved = findings.out_of_order((row[WIDTH + 2] for row in rows[here - start : size - start]), here)
        self.found.add(*findings.other_root(self.signed, size, self.total - self.newest, moved))

    def _copies_here(self, size: int, root: bytes) -> None:
        for copy in self.copies:
            if copy.checkpoint.size == size:
                if copy.checkpoint.root == root:
                    self.agreed = size
                else:
                    self.found.add(*findings.copy_differs(copy.name, size, self.agreed), "copy")

    async def _subtrees(self, finished: dict[tuple[int, int], bytes], start: int, end: int) -> None:
        """The roots over 256 leaves, and 256 times as many, that are stored beside those that the leaves give."""
        one, stored = models.Subtree, dict[tuple[int, int], bytes]()
        for level in range(1, _HIGHEST + 1):
            first, last = start >> level * TILE_LEVELS, end >> level * TILE_LEVELS
            if first == last:
                break
            query = select(one.position, one.hash).where(one.organization_id == self.organization_id, one.level == level)
            rows = await self.tx.execute(query.where(one.position >= first, one.position < last))
            stored |= {(level * TILE_LEVELS, position): value for position, value in rows.all()}
        for level, position in sorted(finished):
            if stored.get((level, position)) != finished[level, position]:
                self.unlike_subtrees += 1
                where = f"positions {position << level} to {(position + 1 << level) - 1}"
                self.found.add(Kind.CHANGED, f"The stored root over the {where} is not that of its leaves.", "subtree")

    async def what_is_left(self) -> None:
        """What stands behind the last leaf, or beside the log."""
        await self._behind_the_end()
        await self._cosignatures()
        await self._timestamps()
        await self._entries()

    async def _behind_the_end(self) -> None:
        end = self.tree.size if not self.is_broken else self.total
        for copy in self.copies:
            if copy.checkpoint.size > end:
                self.found.add(*findings.copy_is_longer(copy.name, copy.checkpoint.size, end), "copy")
        if self.newest > end and not self.is_broken:
            gone = f"The log ends after {end} entries, and its newest checkpoint is over {self.newest}"
            self.found.add(Kind.REMOVED, f"{gone}: the last {self.newest - end} were removed.")
        if self.newest < end and not self.is_broken and not self.is_unlike:
            more = f"{end - self.newest} leaves stand behind the newest checkpoint, which is over {self.newest} entries"
            self.found.add(Kind.INSERTED, f"{more}: the sequencer writes none without one.")
        head = await self.tx.get(models.Head, self.organization_id, populate_existing=True)
        size = head.size if head is not None else 0
        if size != end and not self.is_broken:
            self.found.add(Kind.CHANGED, f"The log's head says {size} entries, and {end} are there.")
        full = sum(self.total >> level * TILE_LEVELS for level in range(1, _HIGHEST + 1))
        there = await self._of(models.Subtree)
        if there != full and not self.unlike_subtrees:
            self.found.add(Kind.CHANGED, f"{there} roots over parts of the log are stored, and there should be {full}.")

    async def _cosignatures(self) -> None:
        """What witnesses wrote under checkpoints. Without a witness's key, only whether its checkpoint is still there."""
        one, checkpoint = models.Cosignature, models.Checkpoint
        same = (checkpoint.organization_id == one.organization_id) & (checkpoint.size == one.size)
        query = select(one.size, one.witness, one.line, checkpoint.note).outerjoin(checkpoint, same)
        names = [key.name for key in self.witnesses]
        asked = one.witness.in_(names) if names else true()
        query = query.where(one.organization_id == self.organization_id, checkpoint.size.is_(None) | asked)
        rows = await self.tx.stream(query.order_by(one.size).execution_options(yield_per=1000))
        async for size, witness, line, raw in rows:
            if raw is None:
                gone = f"The witness {witness} has signed a checkpoint over {size} entries that is not there any more"
                self.found.add(Kind.ROLLED_BACK, f"{gone}.", "cosignature")
                continue
            try:
                note = notes.parse_note(raw).with_lines([notes.parse_signature(line.removesuffix("\n"))])
                notes.verify(note, self.witnesses)
            except notes.NoteError as error:
                says = f"The witness {witness} has not signed the checkpoint over {size} entries that is stored: {error}."
                self.found.add(Kind.REWRITTEN, says, "cosignature")

    async def _timestamps(self) -> None:
        """What authorities stamped: whoever rewrites a log has no answer of theirs to its new checkpoints of old times."""
        one, checkpoint = models.Timestamp, models.Checkpoint
        same = (checkpoint.organization_id == one.organization_id) & (checkpoint.size == one.size)
        query = select(one.size, one.authority, one.response, checkpoint.note).outerjoin(checkpoint, same)
        query = query.where(one.organization_id == self.organization_id).order_by(one.size)
        async for size, authority, response, raw in await self.tx.stream(query.execution_options(yield_per=100)):
            if raw is None:
                gone = f"The authority {authority} has stamped a checkpoint over {size} entries that is not there any more"
                self.found.add(Kind.ROLLED_BACK, f"{gone}.", "timestamp")
            elif not timestamping.is_over(response, raw.partition(b"\n\n")[0] + b"\n"):
                says = (
                    f"The authority {authority} has stamped another checkpoint over {size} entries than the one that is stored."
                )
                self.found.add(Kind.REWRITTEN, says, "timestamp")

    async def _entries(self) -> None:
        """Entries that have no place and do not wait for one; what waits and is no entry. A count may say that there are none."""
        is_even = await self._of(models.LedgerEntry) == self.total and await self._of(models.Pending) == 0
        if is_even and not self.odd and not self.is_broken:
            return
        for kind, statement, says in _BESIDE:
            for one in (
                await self.tx.execute(statement.limit(_MOST_BESIDE), {"organization_id": self.organization_id})
            ).scalars():
                self.found.add(kind, says.format(one), "beside")


_ENTRY, _MOST_BESIDE = models.LedgerEntry, 1000
_own = bindparam("organization_id", type_=_ENTRY.organization_id.type)
_placed = exists().where(models.Leaf.entry_id == _ENTRY.id)
_waits = exists().where(models.Pending.organization_id == _ENTRY.organization_id, models.Pending.entry_id == _ENTRY.id)
_WITHOUT_PLACE = select(_ENTRY.id).where(_ENTRY.organization_id == _own, ~_placed, ~_waits)
_NO_ENTRY = select(models.Pending.entry_id).where(
    models.Pending.organization_id == _own, ~exists().where(_ENTRY.id == models.Pending.entry_id)
)
_BESIDE = (
    (Kind.INSERTED, _WITHOUT_PLACE, "Entry {} has no place in the log and does not wait for one: it was put in past it."),
    (Kind.REMOVED, _NO_ENTRY, "Entry {} was removed while it waited for its place in the log."),
)
"""What no statement of the service leaves behind: the entry and its waiting are one."""
