"""What can be wrong with a log, in plain words. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

MOST_NAMED = 20
"""How many of one kind are named; the others are counted."""


class Kind(StrEnum):
    """What was done to a log. UNPROVEN: something that should prove it proves nothing. DATED_BACK is a remark, see `dating`."""

    CHANGED = "changed"
    REMOVED = "removed"
    INSERTED = "inserted"
    REORDERED = "reordered"
    ROLLED_BACK = "rolled back"
    REWRITTEN = "rewritten"
    UNPROVEN = "unproven"
    DATED_BACK = "dated back"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and a sentence about it."""

    kind: Kind
    says: str


@dataclass(frozen=True, slots=True)
class Odd:
    """One leaf that is not its entry's. `found`: the hash of the entry as it is now (None: it cannot be one, or is gone)."""

    position: int
    entry_id: str
    is_gone: bool
    found: bytes | None
    logged: bytes


@dataclass
class Found:
    """All that is wrong, as it is found; what is much the same is counted after the first few."""

    _by_sort: dict[tuple[Kind, str], tuple[list[Finding], int]] = field(default_factory=dict)

    def add(self, kind: Kind, says: str, sort: str = "") -> None:
        """Tell of one more. `sort`: of which not all are to be named."""
        named, count = self._by_sort.get((kind, sort), ([], 0))
        if len(named) < MOST_NAMED:
            named.append(Finding(kind, says))
        self._by_sort[kind, sort] = named, count + 1

    def told(self) -> list[Finding]:
        """Everything, in the order in which each sort was first found."""
        findings: list[Finding] = []
        for (kind, _), (named, count) in self._by_sort.items():
            findings += named
            if count > len(named):
                findings.append(Finding(kind, f"... and {count - len(named)} more of the same."))
        return findings


def about_leaves(odd: Sequence[Odd]) -> Iterator[tuple[Kind, str]]:
    """What happened to entries whose leaves are not theirs."""
    logged = {one.logged: one.position for one in odd}
    for one in odd:
        who = f"Entry {one.entry_id} at position {one.position}"
        place = logged.get(one.found) if one.found is not None else None
        if one.is_gone:
            yield Kind.REMOVED, f"{who} was removed: the log holds its hash, and the ledger has no such entry."
        elif place is not None and place != one.position:
            yield Kind.REORDERED, f"{who} was moved: it belongs at position {place}."
        else:
            yield Kind.CHANGED, f"{who} was changed: it is not what the log holds the hash of."


def gap(start: int, end: int) -> tuple[Kind, str]:
    """Places of a log that are not there, from `start` to before `end`."""
    many = f"The leaf at position {start} is" if end == start + 1 else f"The leaves from position {start} to {end - 1} are"
    return Kind.REMOVED, f"{many} missing: what stood there was removed."


def out_of_order(entry_ids: Iterable[str], start: int) -> tuple[int, str] | None:
    """The first entry of one batch whose id comes before its neighbour's; a batch is in order of ids."""
    before = ""
    for position, one in enumerate(entry_ids, start):
        if one < before:
            return position, one
        before = one
    return None


def other_root(start: int, end: int, longer: int, moved: tuple[int, str] | None) -> tuple[Kind, str]:
    """A checkpoint has another root than its leaves, for the first time. `start`: up to where the log is as it was signed.

    `longer`: by how many leaves the log is longer than its newest checkpoint; `moved`: what `out_of_order` found.
    """
    where = f"among the positions from {start} to {end - 1}"
    signed = f"the checkpoint over {end} entries was signed over other leaves; up to {start} all is as it was signed"
    if longer > 0:
        return Kind.INSERTED, f"Entries were inserted {where} or the ones after: there are {longer} too many, and {signed}."
    if longer < 0:
        return Kind.REMOVED, f"Entries were removed {where} or the ones after: {-longer} are missing, and {signed}."
    if moved is not None:
        return Kind.REORDERED, f"Entries were reordered {where} (entry {moved[1]} at {moved[0]} is out of order): {signed}."
    return Kind.CHANGED, f"Something {where} was changed, with the hash that the log holds of it: {signed}."


def copy_differs(name: str, size: int, agreed: int) -> tuple[Kind, str]:
    """A checkpoint from outside has another root than the log at its size. `agreed`: up to where other copies agree."""
    return Kind.REWRITTEN, (
        f"The log was rewritten: {name} saw other entries among the first {size}. "
        f"What was changed, removed, inserted or reordered stands at a position from {agreed} to {size - 1}."
    )


def copy_is_longer(name: str, size: int, leaves: int) -> tuple[Kind, str]:
    """A checkpoint from outside is over more leaves than there are."""
    return Kind.ROLLED_BACK, (
        f"The log was rolled back: {name} saw {size} entries, and {leaves} are there. The last {size - leaves} are gone."
    )
