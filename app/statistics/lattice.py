"""How the cells hang together: which lies inside which, and which together make up another.

This is what anyone can work out from the labels alone, so it is what an attacker may use. Kinds about which nothing was ever
shown are folded into one node: whatever is true of one of them could be true of any other, so bounding the node bounds each.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from app.statistics.cubes import ALL, FAMILIES, Cell, Scope, Span, canonical_kind

REST = "*"
"""The name of a folded node: the kinds, or families, of which nothing was ever shown."""


class Row(NamedTuple):
    """A node and the nodes that together make it up (indexes): each child <= parent <= the children's sum."""

    parent: int
    children: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Lattice:
    """The nodes, the rows between them, what lies in what (child, parent), and where each hidden cell is found.

    `folded` holds the nodes that stand for two or more cells of which any one could be empty.
    """

    nodes: tuple[Cell, ...]
    rows: tuple[Row, ...]
    inside: tuple[tuple[int, int], ...]
    folded: frozenset[int]
    targets: Mapping[int, tuple[Cell, ...]]


class _Folds:
    """Which node a kind bucket belongs to, given the kinds about which something was shown."""

    def __init__(self, lit: Collection[str]) -> None:
        self.node: dict[str, str] = {ALL: ALL}
        self.children: dict[str, tuple[str, ...]] = {}
        self.many: set[str] = set()
        dark = [family for family in FAMILIES if not self._is_lit(family, lit)]
        top: dict[str, None] = {}
        for family, kinds in FAMILIES.items():
            node = REST if family in dark and len(dark) > 1 else family
            top[node] = None
            self.node.update(dict.fromkeys(kinds, node))
            self.node[family] = node
            self._split(family, [canonical_kind(kind) for kind in kinds], lit)
        self.children[ALL] = tuple(top)
        if len(dark) > 1:
            self.many.add(REST)

    @staticmethod
    def _is_lit(family: str, lit: Collection[str]) -> bool:
        return family in lit or any(kind in lit for kind in FAMILIES[family])

    def _split(self, family: str, kinds: list[str], lit: Collection[str]) -> None:
        if not any(kind in lit for kind in kinds) or kinds == [family]:
            return
        dark = [kind for kind in kinds if kind not in lit]
        rest = f"{family}.{REST}" if len(dark) > 1 else "".join(dark)
        if len(dark) > 1:
            self.many.add(rest)
        self.node.update({kind: kind if kind in lit else rest for kind in kinds})
        self.children[family] = tuple(dict.fromkeys(self.node[kind] for kind in kinds))

    def above(self, node: str) -> Iterator[str]:
        """The node itself and every node that holds it."""
        yield node
        if node != ALL:
            family = node.partition(".")[0]
            if family != node:
                yield family
            yield ALL


def build_lattice(shown: Collection[Cell], hidden: Iterable[Cell]) -> Lattice:
    """The lattice over the shown cells, the hidden ones (folded where nothing tells them apart) and what joins them."""
    folds = _Folds({cell.kind for cell in shown})
    placed = {cell: Cell(cell.scope, folds.node[cell.kind], cell.span) for cell in sorted(hidden)}
    columns: dict[tuple[Scope, str], set[Span]] = defaultdict(set)
    for cell in (*sorted(shown), *placed.values()):
        for kind in folds.above(cell.kind):
            for scope in (cell.scope, Scope.ANY):
                columns[scope, kind].add(cell.span)
    cuts = {column: _cut(spans) for column, spans in columns.items()}
    index: dict[Cell, int] = {}
    for column, tilings in cuts.items():
        for whole, parts in tilings:
            for span in (whole, *parts):
                index.setdefault(Cell(*column, span), len(index))
    rows = [
        Row(index[Cell(*column, whole)], tuple(index[Cell(*column, part)] for part in parts))
        for column, tilings in cuts.items()
        for whole, parts in tilings
        if parts
    ]
    rows.extend(_kind_rows(index, folds))
    targets: dict[int, list[Cell]] = defaultdict(list)
    known = set(shown)
    for cell, node in placed.items():
        if node not in known:
            targets[index[node]].append(cell)
    return Lattice(
        nodes=tuple(index),
        rows=tuple(rows),
        inside=tuple(sorted({*_row_pairs(rows), *_pairs_across(index, folds)})),
        folded=frozenset(at for node, at in index.items() if _stands_for_many(node, targets.get(at, ()), folds)),
        targets={at: tuple(cells) for at, cells in targets.items()},
    )


def _stands_for_many(node: Cell, targets: Collection[Cell], folds: _Folds) -> bool:
    return node.kind in folds.many or (bool(targets) and node not in targets)


def _row_pairs(rows: Iterable[Row]) -> Iterator[tuple[int, int]]:
    for row in rows:
        yield from ((child, row.parent) for child in row.children)


def _pairs_across(index: Mapping[Cell, int], folds: _Folds) -> Iterator[tuple[int, int]]:
    """What lies in what along the axes of kind and of scope."""
    for cell, at in index.items():
        for kind in folds.above(cell.kind):
            parent = index.get(Cell(cell.scope, kind, cell.span), at)
            if parent != at:
                yield at, parent
        if cell.scope is Scope.NOT_ME:
            parent = index.get(Cell(Scope.ANY, cell.kind, cell.span), at)
            if parent != at:
                yield at, parent


def _kind_rows(index: Mapping[Cell, int], folds: _Folds) -> Iterator[Row]:
    for cell, at in index.items():
        children = [index.get(Cell(cell.scope, kind, cell.span)) for kind in folds.children.get(cell.kind, ())]
        found = tuple(child for child in children if child is not None)
        if children and len(found) == len(children):
            yield Row(at, found)


def _cut(spans: Collection[Span]) -> list[tuple[Span, tuple[Span, ...]]]:
    """Every way to make up a span from the widest spans inside it, gaps filled by the stretches between the ends in use."""
    ends = sorted({edge for span in spans for edge in (span.first, span.last + 1)})
    cuts: list[tuple[Span, tuple[Span, ...]]] = []
    for whole in sorted(spans):
        inner = [span for span in spans if span != whole and whole.holds(span)]
        widest = [span for span in inner if not any(other != span and other.holds(span) for other in inner)]
        ways = {
            (
                *_tile(Span(whole.first, part.first - 1), inner, ends),
                part,
                *_tile(Span(part.last + 1, whole.last), inner, ends),
            )
            for part in widest
        }
        cuts.extend((whole, way) for way in sorted(ways))
        if not ways:
            cuts.append((whole, ()))
    return cuts


def _tile(region: Span, spans: Collection[Span], ends: list[int]) -> tuple[Span, ...]:
    parts: list[Span] = []
    at = region.first
    while at <= region.last:
        starting = [span for span in spans if span.first == at and span.last <= region.last]
        gap = Span(at, min(edge for edge in ends if edge > at) - 1)
        parts.append(max(starting, key=lambda span: span.last, default=gap))
        at = parts[-1].last + 1
    return tuple(parts)
