"""What the log holds, read for the tree: rows of one level, and the roots of whole subtrees out of them. Reading only.

The rows of level 0 are the leaves, those of level L the roots over 256^L leaves; 256 rows in a row are a C2SP tile.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select

from app.kit.database import Transaction
from app.ledger.models import Leaf, Subtree
from app.ledger.tree import TILE_LEVELS, Frontier, Node, Range, fold, root_of, whole_nodes

TILE_WIDTH = 1 << TILE_LEVELS


class Missing(LookupError):
    """The log lacks what it should hold: somebody has been at it."""


async def level_rows(tx: Transaction, organization_id: UUID, level: int, start: int, end: int) -> list[bytes]:
    """The hashes from `start` to before `end` of one tile level; raises Missing where one is not there."""
    if level:
        query = select(Subtree.hash).where(Subtree.organization_id == organization_id, Subtree.level == level)
        query = query.where(Subtree.position >= start, Subtree.position < end).order_by(Subtree.position)
    else:
        query = select(Leaf.hash).where(Leaf.organization_id == organization_id)
        query = query.where(Leaf.position >= start, Leaf.position < end).order_by(Leaf.position)
    found = list((await tx.execute(query)).scalars())
    if len(found) != end - start:
        raise Missing(f"of level {level}, of the rows from {start} to {end}, {len(found)} are there")
    return found


async def node_hashes(tx: Transaction, organization_id: UUID, nodes: Collection[Node]) -> dict[Node, bytes]:
    """The hashes of whole subtrees; one look for each tile that they lie in. Raises Missing."""
    tiles: dict[tuple[int, int], list[Node]] = {}
    for level, index in nodes:
        first = index << level % TILE_LEVELS
        tiles.setdefault((level // TILE_LEVELS, first // TILE_WIDTH), []).append((level, index))
    found: dict[Node, bytes] = {}
    for (tile_level, _), inside in tiles.items():
        spans = {node: (node[1] << node[0] % TILE_LEVELS, node[1] + 1 << node[0] % TILE_LEVELS) for node in inside}
        start, end = min(first for first, _ in spans.values()), max(last for _, last in spans.values())
        rows = await level_rows(tx, organization_id, tile_level, start, end)
        found |= {node: root_of(rows[first - start : last - start]) for node, (first, last) in spans.items()}
    return found


async def range_roots(tx: Transaction, organization_id: UUID, ranges: Sequence[Range]) -> list[bytes]:
    """The roots of ranges of leaves, as proofs ask for them. Raises Missing."""
    parts = [whole_nodes(*one) for one in ranges]
    hashes = await node_hashes(tx, organization_id, {node for nodes in parts for node in nodes})
    return [fold([hashes[node] for node in nodes]) for nodes in parts]


async def frontier(tx: Transaction, organization_id: UUID, size: int) -> Frontier:
    """What it takes to append to the log of this size. Raises Missing."""
    nodes = whole_nodes(0, size)
    hashes = await node_hashes(tx, organization_id, nodes)
    return Frontier(size, [hashes[node] for node in nodes])
