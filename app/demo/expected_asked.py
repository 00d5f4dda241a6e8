"""What must come of asking the providers, worked out from what they learn, from when they knock and from when we ask.

By somebody who knows how each of them is asked, without the house's own code: what was polled when, page by page.
"""

import json
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from app.demo.enrollment import Book, Service
from app.demo.expected import Counted, Told
from app.demo.programme import MENDED, NEW_WORD, Ask, Doing, Down, Knock, Telling
from app.demo.truth import BEGIN
from connectors.sandboxing import Manner

DAILY, HOURLY, WEEKLY = timedelta(days=1), timedelta(hours=1), timedelta(days=7)


class _Due:
    """A grid from the beginning on: what was missed is done once, late."""

    def __init__(self, every: timedelta) -> None:
        self._every, self._done = every, -1

    def take(self, now: datetime) -> bool:
        step = (now - BEGIN) // self._every
        due, self._done = step > self._done, step
        return due


class _Books(ABC):
    """What one service told and we fetched, counted as it happens."""

    def __init__(self) -> None:
        self.counted = Counted()
        self.found: set[str] = set()
        self.down = False

    @abstractmethod
    def learn(self, telling: Telling) -> None:
        """It learns of something."""

    @abstractmethod
    def knock(self, knock: Knock) -> None:
        """It sends what waits."""

    @abstractmethod
    def ask(self, now: datetime) -> None:
        """We ask it."""

    def fetch(self, alerts: Iterable[str]) -> None:
        """The details of these alerts are fetched: one answer each, and one alert in it."""
        for alert in alerts:
            self.counted.keep(repeat=False)
            self.counted.events["new"] += 1
            self.found.add(alert)


class _Bureaus(_Books):
    """Thin notices, one an alert; a list for each person and source, polled whole each time; details once an alert."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[str] = []
        self.noticed: set[str] = set()
        self.lists: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self.polled: dict[tuple[str, str], int] = {}
        self._due = _Due(DAILY)

    def learn(self, telling: Telling) -> None:
        self.waiting.append(telling.alert)
        self.lists[telling.happening.reference, telling.under].append(telling.alert)

    def knock(self, knock: Knock) -> None:
        if knock.manner is Manner.FORGED:
            known: set[bytes] = set()
            for body in knock.made_up:
                self._notice(repeat=body in known)
                known.add(body)
            return
        told, self.waiting = self.waiting, []
        for alert in () if knock.lost else told:
            self.noticed.add(alert)
            self._notice(repeat=False)
            if knock.manner is Manner.TWICE:
                self._notice(repeat=True)

    def _notice(self, *, repeat: bool) -> None:
        self.counted.keep(repeat=repeat)
        self.counted.events["non_alert"] += not repeat

    def ask(self, now: datetime) -> None:
        if self._due.take(now):
            for place, alerts in self.lists.items():
                same = self.polled.get(place) == len(alerts)
                self.polled[place] = len(alerts)
                self.counted.keep(repeat=same)
                self.counted.events["non_alert"] += 0 if same else len(alerts)
                self.noticed.update(alerts)
        self.fetch(self.noticed - self.found)


class _Nightly(_Books):
    """One batch a night, and the details of each alert once."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[str] = []
        self.noticed: set[str] = set()

    def learn(self, telling: Telling) -> None:
        self.waiting.append(telling.alert)

    def knock(self, knock: Knock) -> None:
        if knock.manner is Manner.FORGED:
            self.counted.deliveries += len(knock.made_up)
            self.counted.refused["not_authentic"] += len(knock.made_up)
        elif self.waiting:
            self.counted.keep(repeat=False)
            self.counted.events["non_alert"] += len(self.waiting)
            self.noticed.update(self.waiting)
            self.waiting = []

    def ask(self, now: datetime) -> None:
        self.fetch(self.noticed - self.found)


class _Listings(_Books):
    """Everybody is asked about when a breach was added since, and once a week; each breach that is met is asked about too."""

    def __init__(self) -> None:
        super().__init__()
        self.listed: defaultdict[str, tuple[str, ...]] = defaultdict(tuple)
        self.added = self.asked = 0
        self.answers: set[tuple[str, tuple[str, ...]]] = set()
        self.swept: datetime | None = None
        self._due = _Due(HOURLY)

    def learn(self, telling: Telling) -> None:
        names = {name for held in self.listed.values() for name in held}
        self.added += telling.alert not in names
        self.listed[telling.happening.reference] += (telling.alert,)

    def knock(self, knock: Knock) -> None:
        """It never does."""

    def ask(self, now: datetime) -> None:
        if not self._due.take(now):
            return
        sweep = self.swept is None or now - self.swept >= WEEKLY
        self.swept = now if sweep else self.swept
        if not sweep and self.asked == self.added:
            return
        self.asked = self.added
        for name in {name for held in self.listed.values() for name in held}:
            self._answer("", (name,))
        for reference, names in self.listed.items():
            self._answer(reference, names)

    def _answer(self, question: str, names: tuple[str, ...]) -> None:
        repeat = (question, names) in self.answers
        self.answers.add((question, names))
        self.counted.keep(repeat=repeat)
        self.counted.events["breach_record"] += 0 if repeat else len(names)


def expect_asked(told: Told, programme: Iterable[Doing], book: Book) -> Told:
    """`told` with everything that comes from the providers that are asked."""
    books: dict[Service, _Books] = {Service.BUREAUS: _Bureaus(), Service.NIGHTLY: _Nightly(), Service.LISTINGS: _Listings()}
    forged: tuple[bytes, ...] = ()
    for doing in programme:
        match doing:
            case Telling():
                books[doing.service].learn(doing)
                if doing.incident is not None:
                    told.incidents[doing.incident].add((doing.service, doing.alert))
            case Knock():
                books[doing.service].knock(doing)
                forged = doing.made_up if doing.service is Service.BUREAUS and doing.made_up else forged
            case Down():
                books[doing.service].down = not doing.over
            case Ask():
                for one in books.values():
                    if not one.down:
                        one.ask(doing.at)
    for service, one in books.items():
        one.counted.look_ups["done"] = len(one.found)
        told.services[service] = one.counted
    told.services[Service.BUREAUS].look_ups.update(_never_found(forged, book))
    told.set_aside = _set_aside(programme)
    return told


def _never_found(forged: Iterable[bytes], book: Book) -> dict[str, int]:
    """The made-up notices: what is told of people whom we know is asked for in vain; about strangers nobody is asked."""
    known = {one.reference for one in book.enrolled[Service.BUREAUS]}
    details = [json.loads(body)["details"] for body in forged]
    wanted = {(told["bureau"].lower(), str(told["alertId"]), told["clientKey"]) for told in details}
    in_vain = sum(whose in known for _, _, whose in wanted)
    return {"unknown": in_vain, "given_up": len(wanted) - in_vain}


def _set_aside(programme: Iterable[Doing]) -> int:
    """How many alerts the older edition of the connector has met with a word that it does not know, when the newer one comes."""
    programme = tuple(programme)
    asked = max(doing.at for doing in programme if isinstance(doing, Ask) and doing.at < MENDED)
    knocked = [doing.at for doing in programme if isinstance(doing, Knock) and doing.service is Service.NIGHTLY]
    heard = max((at for at in knocked if at <= asked), default=BEGIN)
    new = (d for d in programme if isinstance(d, Telling) and d.service is Service.NIGHTLY and d.under == NEW_WORD)
    return sum(telling.at < heard for telling in new)
