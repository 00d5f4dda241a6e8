"""The Merkle tree of a log, as RFC 6962 and RFC 9162 (section 2.1) have it: roots, proofs, and their verification. No I/O."""

import hashlib
from collections.abc import Iterable, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()
"""The root of the tree without leaves."""
TILE_LEVELS = 8
"""A stored subtree of level n is the root over 256^n leaves: every eighth binary level."""

Range = tuple[int, int]
"""A half-open range of leaves, by their indexes from 0."""
Node = tuple[int, int]
"""Level and index: the root over the leaves [index * 2^level, (index + 1) * 2^level), all of which are there."""


class ProofError(ValueError):
    """A proof does not show what it is said to show; the text says why, in plain words."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf's bytes, 32 bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two children, 32 bytes each."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _paired(row: Sequence[bytes]) -> list[bytes]:
    sha256 = hashlib.sha256
    # written out, not by node_hash: a call for each node would halve the speed of a rebuilding
    return [sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=False)]


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root over these leaves (or over equally high whole subtrees, left to right)."""
    row = list(leaf_hashes)
    while len(row) > 1:
        above = _paired(row)
        # the last one without a neighbour goes up as it is: level by level this gives the tree that RFC 6962 splits from above
        row = [*above, row[-1]] if len(row) % 2 else above
    return row[0] if row else EMPTY_ROOT


def _split(count: int) -> int:
    """The largest power of two that is smaller than `count` (2 or more)."""
    return 1 << ((count - 1).bit_length() - 1)


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The ranges whose roots prove that leaf `index` is in the tree of `size` leaves, from the leaf's neighbour upwards.

    Raises ProofError where there is no such leaf.
    """
    if not 0 <= index < size:
        raise ProofError(f"there is no leaf {index} in a log of {size}")
    start, end, found = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found[::-1]


def consistency_ranges(old: int, new: int) -> list[Range]:
    """The ranges whose roots prove that the tree of `old` leaves is the beginning of that of `new`; none from 0 or to itself.

    Raises ProofError where the tree would shrink.
    """
    if not 0 <= old <= new:
        raise ProofError(f"a log of {old} cannot have become one of {new}")
    if old in (0, new):
        return []
    start, end, found = 0, new, []
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    # the old tree's own root is known to whoever asks; only a part of it has to be told
    return [*([(start, end)] if start else []), *found[::-1]]


def whole_nodes(start: int, end: int) -> list[Node]:
    """The complete subtrees that make up a range, left to right; `fold` over their hashes is the range's root.

    Raises ValueError for a range that is no subtree of any log, and so has no root.
    """
    count = end - start
    if start < 0 or count < 0 or start % (1 << max(count - 1, 0).bit_length()):
        raise ValueError(f"the leaves from {start} to {end} are no subtree")
    nodes, at = [], start
    for level in range(count.bit_length() - 1, -1, -1):
        if count >> level & 1:
            nodes.append((level, at >> level))
            at += 1 << level
    return nodes


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root of a range from the hashes of its `whole_nodes`, in their order."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in hashes[-2::-1]:
        root = node_hash(left, root)
    return root


class Frontier:
    """What has to be known of a tree in order to append to it: the hashes of `whole_nodes(0, size)`, at most one a level."""

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        """`hashes`: of `whole_nodes(0, size)`, left to right. Raises ValueError when it is not one for each."""
        self.size = size
        self._by_level = {level: value for (level, _), value in zip(whole_nodes(0, size), hashes, strict=True)}

    @property
    def hashes(self) -> list[bytes]:
        """Of `whole_nodes(0, size)`, left to right."""
        return [self._by_level[level] for level, _ in whole_nodes(0, self.size)]

    def root(self) -> bytes:
        """The root at this size."""
        return fold(self.hashes)

    def extend(self, leaf_hashes: Sequence[bytes]) -> dict[Node, bytes]:
        """Append leaves; returns the subtrees of every eighth level (8, 16, …) that they completed."""
        finished: dict[Node, bytes] = {}
        row, level = list(leaf_hashes), 0
        while row:
            first = self.size >> level
            if level and level % TILE_LEVELS == 0:
                finished |= {(level, first + place): value for place, value in enumerate(row)}
            if first & 1:
                row.insert(0, self._by_level.pop(level))
            if len(row) & 1:
                self._by_level[level] = row[-1]
            row, level = _paired(row), level + 1
        self.size += len(leaf_hashes)
        return finished


def _check_proof(hashes: Sequence[bytes], ranges: Sequence[Range]) -> None:
    if len(hashes) != len(ranges):
        raise ProofError(f"the proof has {len(hashes)} hashes and should have {len(ranges)}")
    if any(len(value) != HASH_BYTES for value in hashes):
        raise ProofError("a hash of the proof is not 32 bytes long")


def verify_inclusion(leaf: bytes, index: int, size: int, hashes: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf with this hash stands at `index` under `root`, the root over `size` leaves; raises ProofError."""
    ranges = inclusion_ranges(index, size)
    _check_proof([*hashes, leaf], [*ranges, (index, index + 1)])
    for (start, _), beside in zip(ranges, hashes, strict=True):
        leaf = node_hash(leaf, beside) if start > index else node_hash(beside, leaf)
    if leaf != root:
        raise ProofError("the proof leads to another root: this leaf is not at this place of this log")


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, hashes: Sequence[bytes]) -> None:
    """Check that the log of `new` leaves begins with the log of `old` leaves, as their two roots say; raises ProofError."""
    ranges = consistency_ranges(old, new)
    _check_proof(hashes, ranges)
    if old == 0:
        if old_root != EMPTY_ROOT:
            raise ProofError("the root of a log without entries is another")
        return
    if old & (old - 1) and old != new:
        first, ranges, hashes = hashes[0], ranges[1:], hashes[1:]
    else:
        first = old_root  # the whole old tree is one node of the new one
    before = after = first
    for (start, _), beside in zip(ranges, hashes, strict=True):
        if start < old:
            before, after = node_hash(beside, before), node_hash(beside, after)
        else:
            after = node_hash(after, beside)
    if before != old_root:
        raise ProofError("the proof does not lead to the older root")
    if after != new_root:
        raise ProofError("the proof does not lead to the newer root: the log was rewritten, or one of the two is another's")
