"""Which alerts of one member are one incident. Pure, and independent of the order in which alerts came in.

Source: design section 5 "Incidents, exactly" (connected components of a pairwise rule); the provider research, de-duplication
hints (45 days: a new account takes up to that long to reach a bureau).

The rule: same kind family, same institution, dates not more than 45 days apart, last four equal where both are known. Or: one
tells more of the other (`completes`), because the member says so; then nothing else matters.
- Family only: an inquiry does not join the account of its product. That is a later, wider rule.
- An unknown institution joins nothing, not even on equal last four: four digits agree by chance once in 10,000 pairs, and two
  frauds wrongly made one would lose the member a loss. Two incidents too many can still be seen side by side.
- Dates: any `occurred` or `opened` claim of one against any of the other, by the gap between the intervals; if an alert claims
  neither, its `reported`, and without that its receipt. A claim with one open end stands for its known end, because an open
  end would touch every alert there is. An interval that both alerts lie in has no gap.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, product
from typing import NamedTuple
from uuid import UUID

from connectors.contract import Interval
from connectors.vocabulary import AlertKind

WINDOW = timedelta(days=45)


class AlertFacts(NamedTuple):
    """What one version of an alert says. `institution` is canonical (or its keyed token); intervals are aware UTC.

    `completes`: the alert of the same member that it tells more of.
    """

    kind: AlertKind
    received_at: datetime
    institution: str | None = None
    last_four: str | None = None
    occurred: Interval | None = None
    opened: Interval | None = None
    reported: Interval | None = None
    completes: UUID | None = None

    @property
    def spans(self) -> tuple[tuple[datetime, datetime], ...]:
        """The dates that the rule compares, each (first, last); at least one."""
        for claims in ((self.occurred, self.opened), (self.reported,)):
            known = tuple(ends for claim in claims if claim and (ends := _ends(claim)))
            if known:
                return known
        return ((self.received_at, self.received_at),)


class AlertNode(NamedTuple):
    """One alert with all its versions (the first and its revisions). `committed_order` grows with each commit."""

    alert_id: UUID
    committed_order: int
    versions: frozenset[AlertFacts]


@dataclass(frozen=True, slots=True)
class Component:
    """The alerts of one incident as (committed order, alert id), the earliest committed first."""

    alerts: tuple[tuple[int, UUID], ...]

    @property
    def alert_ids(self) -> frozenset[UUID]:
        """Which alerts belong to it."""
        return frozenset(alert_id for _, alert_id in self.alerts)

    @property
    def survivor(self) -> UUID:
        """The earliest-committed alert; its incident's id is the one that stays."""
        return self.alerts[0][1]


def _ends(claim: Interval) -> tuple[datetime, datetime] | None:
    first, last = claim.earliest or claim.latest, claim.latest or claim.earliest
    return (first, last) if first and last else None


def _same_last_four(a: str | None, b: str | None) -> bool:
    """Equal as far as both go (a provider may give two to four digits); unknown agrees with everything."""
    return not a or not b or a.endswith(b) or b.endswith(a)


def completed(a: AlertNode, b: AlertNode) -> bool:
    """Whether any version of one of two alerts of the same member says that it tells more of the other. Symmetric."""
    return any(told.completes == b.alert_id for told in a.versions) or any(told.completes == a.alert_id for told in b.versions)


def same_incident(a: AlertFacts, b: AlertFacts) -> bool:
    """The pairwise rule on two versions of two alerts of the same member, where neither completes the other. Symmetric."""
    return (
        a.kind.family == b.kind.family
        and a.institution is not None
        and a.institution == b.institution
        and _same_last_four(a.last_four, b.last_four)
        and any(max(p[0], q[0]) - min(p[1], q[1]) <= WINDOW for p, q in product(a.spans, b.spans))
    )


def components(nodes: Iterable[AlertNode]) -> tuple[Component, ...]:
    """The incidents of one member: connected components under "any version of one pairs with any version of the other".

    The same alert given twice counts once, with all versions. Sorted by earliest commit. Alerts of other families or
    institutions, or outside the window, are never compared. What an alert completes need not be there.
    """
    order: dict[UUID, int] = {}
    said: list[tuple[UUID, UUID]] = []
    buckets: defaultdict[tuple[str, str], list[_Row]] = defaultdict(list)
    for node in nodes:
        order[node.alert_id] = min(node.committed_order, order.get(node.alert_id, node.committed_order))
        for version in node.versions:
            if version.completes is not None:
                said.append((node.alert_id, version.completes))
            if version.institution is not None:
                rows = [_Row(first, last, node.alert_id, version.last_four) for first, last in version.spans]
                buckets[version.kind.family, version.institution].extend(rows)
    parent = {alert_id: alert_id for alert_id in order}
    found = chain((pair for pair in said if pair[1] in parent), *map(_pairs, buckets.values()))
    for a, b in found:
        parent[_root(parent, a)] = _root(parent, b)
    groups: defaultdict[UUID, list[tuple[int, UUID]]] = defaultdict(list)
    for alert_id, place in order.items():
        groups[_root(parent, alert_id)].append((place, alert_id))
    return tuple(sorted((Component(tuple(sorted(group))) for group in groups.values()), key=lambda c: c.alerts))


class _Row(NamedTuple):
    first: datetime
    last: datetime
    alert_id: UUID
    last_four: str | None


def _root(parent: dict[UUID, UUID], alert_id: UUID) -> UUID:
    while parent[alert_id] != alert_id:
        parent[alert_id] = parent[parent[alert_id]]
        alert_id = parent[alert_id]
    return alert_id


def _pairs(rows: Iterable[_Row]) -> Iterator[tuple[UUID, UUID]]:
    """Enough pairs of one bucket to connect it, by a sweep over first dates.

    Of rows with the same last four that are all still near, only the one that lasts longest is kept: they are already paired with
    one another, and whatever pairs with one of them pairs with that one.
    """
    near: dict[str | None, _Row] = {}
    for row in sorted(rows, key=lambda r: (r.first, r.last, r.alert_id)):
        near = {digits: other for digits, other in near.items() if row.first - other.last <= WINDOW}
        for other in near.values():
            if _same_last_four(row.last_four, other.last_four):
                yield other.alert_id, row.alert_id
        kept = near.get(row.last_four)
        if kept is None or kept.last < row.last:
            near[row.last_four] = row


def claimed_occurrence(alerts: Iterable[AlertFacts]) -> Interval:
    """When an incident may have happened, as its alerts claim: all their `occurred` claims, `opened` where one is missing.

    It reaches from the earliest claim to the latest, and is open where one of them is. An alert without a claim adds nothing:
    `reported` and `received_at` say when somebody told of it, not when it happened.
    """
    claims = [claim for facts in alerts for claim in _first_claim(facts)]
    if len(claims) == 1:
        return claims[0]
    firsts = [claim.earliest for claim in claims]
    lasts = [claim.latest for claim in claims]
    return Interval(
        earliest=None if None in firsts else min((f for f in firsts if f), default=None),
        latest=None if None in lasts else max((t for t in lasts if t), default=None),
    )


def _first_claim(facts: AlertFacts) -> list[Interval]:
    return [claim for claim in (facts.occurred, facts.opened) if claim and _ends(claim)][:1]
