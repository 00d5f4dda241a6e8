"""What goes wrong on the way: forgeries, broken bodies, unknown types, alerts about nobody. Each once or twice, on purpose."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from app.demo.enrollment import Book, Service
from app.demo.plan import Delivery, Item, Meaning, Way, batch, ping, single
from app.demo.truth import Truth

LARGEST = 1024 * 1024
_AFTER_BOTH = datetime(2023, 5, 1, tzinfo=UTC)


def troubled(rng: Random, truth: Truth, book: Book, deliveries: Sequence[Delivery]) -> list[Delivery]:
    """The deliveries with every trouble among them."""
    with_broken = _broken_item(list(deliveries))
    return [
        *with_broken,
        *_stale_first(rng, with_broken),
        *_refused(deliveries),
        *_unreadable(deliveries, book),
        *_unmatched(book),
    ]


def _at(month: int, day: int, hour: int = 3) -> datetime:
    """Early hours of 2023, when nothing else is sent."""
    return datetime(2023, month, day, hour, tzinfo=UTC)


def _alert(number: str, reference: str, kind: str = "new_account.credit_card") -> dict[str, str]:
    return {"id": f"watch-{number}", "type": kind, "member": reference, "summary": "Invented."}


def _broken_item(deliveries: list[Delivery]) -> list[Delivery]:
    """One body gets a broken item in its middle; its neighbours must come through."""
    place = next(n for n, d in enumerate(deliveries) if d.service is Service.WATCH and d.items[0].incident)
    whole = deliveries[place]
    broken = Item({"id": "watch-broken", "member": "nobody in particular"}, Meaning.UNREADABLE)
    items = [whole.items[0], broken, *whole.items[1:], ping("after-a-broken-one")]
    deliveries[place] = batch(whole.at, whole.service, items)
    return deliveries


def _stale_first(rng: Random, deliveries: Sequence[Delivery]) -> Iterator[Delivery]:
    """A delivery that came with an old signature first; its second attempt is in time. And one that stays old."""
    often = [item.alert for d in deliveries for item in d.items]
    once = [
        d
        for d in deliveries
        if d.at > _AFTER_BOTH and d.service is Service.WATCH and len(d.items) == 1 and often.count(d.items[0].alert) == 1
    ]
    alerts = [d for d in once if d.items[0].meaning is Meaning.ALERT and d.items[0].incident]
    chosen = rng.choice(alerts)
    yield replace(chosen, at=chosen.at - timedelta(hours=20), way=Way.STALE)
    yield single(_at(8, 3), Service.WATCH, ping("old"), Way.STALE)


def _refused(deliveries: Sequence[Delivery]) -> Iterator[Delivery]:
    """What must leave no trace but a count: nothing of it is ever understood."""
    for day in (3, 9):
        yield single(_at(4, day), Service.WATCH, Item(_alert(f"forged-{day}", "watch-000000")), Way.FORGED)
    yield single(_at(4, 11), Service.IDENTITY, Item(_alert("forged", "identity-000000")), Way.FORGED)
    copied = next(d for d in deliveries if d.service is Service.WATCH and d.at > _AFTER_BOTH)
    yield replace(copied, at=_at(5, 20), way=Way.FLIPPED)
    yield Delivery(_at(6, 6), Service.WATCH, b" " * (LARGEST + 1), (), Way.TOO_LARGE)
    yield single(_at(6, 7), Service.WATCH, Item(_alert("as-text", "watch-000000")), Way.WRONG_TYPE)
    yield single(_at(6, 8), Service.WATCH, Item(_alert("astray", "watch-000000")), Way.NO_ADDRESS)


def _unreadable(deliveries: Sequence[Delivery], book: Book) -> Iterator[Delivery]:
    """Authentic, and not to be understood: kept, set aside, never guessed at."""
    reference = book.enrolled[Service.WATCH][0].reference
    yield Delivery(_at(5, 2), Service.WATCH, b'{"alerts": [{"id": "watch-cut-o', (), splittable=False)
    yield Delivery(_at(5, 3), Service.IDENTITY, json.dumps(["not", "an", "object"]).encode(), (), splittable=False)
    comma = _alert("comma", reference) | {"amount": "12,50", "currency": "USD"}
    yield single(_at(5, 4), Service.WATCH, Item(comma, Meaning.UNREADABLE))
    yield single(_at(5, 5), Service.WATCH, Item(_alert("new-kind", reference, "new_account.space_ship"), Meaning.UNREADABLE))
    known = next(item for d in deliveries if d.service is Service.WATCH and d.at < _at(6, 1) for item in d.items if item.incident)
    other = next(e.reference for e in book.enrolled[Service.WATCH] if e.reference != known.body["member"])
    yield single(_at(6, 12), Service.WATCH, Item({**known.body, "member": other}, Meaning.UNREADABLE))


def _unmatched(book: Book) -> Iterator[Delivery]:
    """Understood, and nobody's: references that are on no list, one of them told twice, and one that two people hold."""
    for number in (1, 2, 3):
        stray = Item(_alert(f"stray-{number}", f"watch-not-on-any-list-{number}"))
        yield single(_at(7, number), Service.WATCH, stray)
    yield batch(_at(7, 9), Service.WATCH, [stray, ping("beside-a-stray")])
    yield single(_at(7, 10), Service.WATCH, Item(_alert("two-people", book.shared[0].reference)))
