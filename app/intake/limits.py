"""How many deliveries may come in: by connection, by source address, and of those that prove nothing. Pure, and in memory.

To be sure that a delivery proves nothing its connection is read again, and while that takes it counts as a forgery already:
else a thousand that come at once would all be looked at, whatever the limit.

Who knows no secret must not be able to use up what somebody else may send. So a connection's own limit counts only what was
authentic, and failures count against the address they come from; but a sender whose deliveries were good on one path has a
count of its own there, so that it is not held up by a neighbour behind the same address who guesses.
"""

from collections.abc import Hashable
from dataclasses import dataclass

from app.kit.buckets import MOST_KEPT, Buckets, source_of
from app.kit.limits import Limits

MOST_LOOKED_AT = 32
"""How many deliveries of strangers may be looked at closer at a time: the place of the others is for whoever is known."""


_ANYWHERE = ""
"""Instead of a path: whatever a stranger sends to counts together."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """One delivery that is looked at closer. `wait`: seconds after which to come again instead, 0: it is looked at now."""

    guesser: tuple[str, str]
    wait: float
    among_few: bool


class Admission:
    """The limits of one process: ask `knock` before anything else, then tell what the verification found."""

    def __init__(self, limits: Limits, most_kept: int = MOST_KEPT) -> None:
        """`limits`: rates and how much may come at once."""
        self._most = most_kept
        self._by_address = Buckets(limits.address_rate, limits.address_burst, most_kept)
        self._by_connection = Buckets(limits.connection_rate, limits.connection_burst, most_kept)
        self._forged = Buckets(limits.forged_rate, limits.forged_burst, most_kept)
        self._good: dict[tuple[str, str], None] = {}
        self._looked_at = 0

    def knock(self, source: str | None, path: str, now: float) -> float:
        """A delivery is there, nothing of it read: seconds after which to come again, 0: come in.

        `path` is the address that it came by, with its token; it is not logged or kept unless it turns out to be good.
        """
        return self._forged.wait(self._guesser(source, path), now) or self._by_address.take(source_of(source), now)

    def suspect(self, source: str | None, path: str, now: float, *, doubted: bool) -> Suspect:
        """It must be looked at closer: come again after its `wait`, or look, then `settle` it. Till then it counts as a forgery.

        `doubted`: by what is remembered it proves nothing. Of strangers who do, a few are looked at at a time, wherever they come
        from; for the others it counts all the same, so that a flood is soon refused before anything is checked.
        """
        guesser = self._guesser(source, path)
        wait, among_few = self._forged.take(guesser, now), doubted and guesser[1] == _ANYWHERE
        if not wait and among_few and self._looked_at >= MOST_LOOKED_AT:
            wait = 1.0
        if not wait:
            self._looked_at += among_few
        return Suspect(guesser, wait, among_few)

    def settle(self, suspect: Suspect, now: float, *, forged: bool) -> None:
        """What became of one that was looked at."""
        self._looked_at -= suspect.among_few
        if not forged:
            self._forged.put_back(suspect.guesser, now)

    def proved_nothing(self, source: str | None, path: str, now: float) -> None:
        """It was a forgery, and was never a suspect."""
        self._forged.take(self._guesser(source, path), now)

    def authentic(self, connection: Hashable, source: str | None, path: str, now: float) -> float:
        """It was authentic: seconds after which to come again, 0: it may be kept."""
        sender = source_of(source), path
        if sender not in self._good and len(self._good) >= self._most:
            del self._good[next(iter(self._good))]
        self._good[sender] = None
        return self._by_connection.take(connection, now)

    def _guesser(self, source: str | None, path: str) -> tuple[str, str]:
        """Whom it counts against that a delivery proves nothing: the address, unless authentic ones come from there to here."""
        sender = source_of(source), path
        return sender if sender in self._good else (sender[0], _ANYWHERE)
