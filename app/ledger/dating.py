"""Whether what entries say of when they were written fits their places: whoever has the database can date one back. Pure.

An entry gets its place within seconds. One of long ago may come late and be honest: the sequencer stood still, and then no entry
and no checkpoint came in between; a backup was restored, and then what came in between is gone; a transaction was long, by
minutes. So an entry is told of only if by its own time it is more than a day older than an entry placed before it, than the
checkpoint before its place, and than the one after it. The last of these is for a clock that was ahead for a while: what is
written when it is right again is as old as its own checkpoint.

An entry's own time is under the log's signature; a checkpoint's is not. So it is told, too, if a checkpoint is more than a day
older than the one before it, or than an entry that it is the first to cover.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.ledger.findings import Found, Kind

APART = timedelta(days=1)
MOST_WAITING = 10_000
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_DAY = len("2026-11-27")


@dataclass
class Dates:
    """One look at a log's moments, fed in order: entries by their places, each checkpoint behind the last entry it covers.

    `newest`: the highest moment of an entry so far, and `day`: its own; `late`: those older than it that wait for
    the checkpoint over them, each with its place and id; `batch`: the highest moment since the last checkpoint, to the day.
    `before`: the size of that one, and when it says that it was signed.
    """

    found: Found
    day: str = ""
    newest: datetime = _BEGINNING
    batch: datetime = _BEGINNING
    before: tuple[int, datetime] | None = None
    late: list[tuple[int, str, datetime]] = field(default_factory=list)

    def entry(self, position: int, entry_id: str, at: str) -> None:
        """The next entry. `entry_id`: in any form; `at`: as leaves have it.

        What is no moment is passed over: no packet with it would be taken.
        """
        if at[:_DAY] == self.day:  # it cannot be a day older, and needs no closer look
            self.batch = self.newest
            return
        try:
            moment = datetime.fromisoformat(at)
        except ValueError:
            return
        if moment.tzinfo is None:
            return
        self.batch = max(self.batch, moment)
        if moment > self.newest:
            self.day, self.newest = at[:_DAY], moment
        elif self.newest - moment > APART and len(self.late) < MOST_WAITING:
            self.late.append((position, entry_id, moment))

    def checkpoint(self, size: int, at: datetime) -> None:
        """The next checkpoint, and when it says that it was signed."""
        before = self.before
        for position, entry_id, moment in self.late:
            if before is not None and min(before[1], at) - moment > APART:
                self.found.add(Kind.DATED_BACK, _says(position, entry_id, moment, *before), "entry")
        reference = self.batch if before is None else max(self.batch, before[1])
        if reference - at > APART:
            says = (
                f"The checkpoint over {size} entries says that it is from {_told(at)}, and what stands before it in the log is "
            )
            self.found.add(Kind.DATED_BACK, f"{says}from {_told(reference)}: a clock was wrong, or a moment was changed.", "note")
        self.before, self.batch = (size, at), _BEGINNING
        self.late.clear()


def _says(position: int, entry_id: str, moment: datetime, size: int, before: datetime) -> str:
    return (
        f"Entry {UUID(entry_id)} at position {position} says that it is from {_told(moment)}, and got its place only after the "
        f"checkpoint of {_told(before)}, which is over {size} entries: it was put in later and dated back, or a clock was wrong."
    )


def _told(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
