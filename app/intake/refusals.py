"""What was refused, counted in memory and written at most once a second: a flood of forgeries must not be a flood of writes.

Nothing is lost when a process ends in order. One that is killed loses the counts of its last second: they are numbers about
what was never taken in, and no receipt depends on them.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

WRITE_EVERY = 1.0
"""Seconds between two writes."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What is counted together. Nil ids stand for "no such connection"."""

    organization_id: UUID
    connection_id: UUID
    day: date
    reason: str


class Refusals:
    """The counts of one process that are not written yet. As many as there are connections and reasons, never more."""

    def __init__(self) -> None:
        """Nothing refused yet."""
        self._counts: Counter[Refused] = Counter()

    def count(self, organization_id: UUID, connection_id: UUID, reason: str, now: datetime) -> None:
        """One more. `now` is aware, UTC: it decides the day."""
        self._counts[Refused(organization_id, connection_id, now.date(), reason)] += 1

    @contextmanager
    def taken(self) -> Iterator[Counter[Refused]]:
        """All that is not written yet, to be written inside the block; it is here again if the block raises."""
        counts, self._counts = self._counts, Counter()
        try:
            yield counts
        except BaseException:  # also when the request is cancelled: what was not written is not lost
            self._counts.update(counts)
            raise
