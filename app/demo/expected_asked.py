"""What must come of asking the providers, worked out from what they learn, from when they knock and from when we ask.

By somebody who knows how each of them is asked, without the house's own code: what was polled when, page by page.
"""

import json
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

from app.demo.enrollment import Book, Service
from app.demo.expected import Counted, Told
from app.demo.programme import MENDED, NEW_WORD, Ask, Doing, Down, Knock, Telling
from app.demo.truth import BEGIN
from connectors.method.sandbox import A_PAGE
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
        self.first: dict[str, datetime] = {}
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

    def fetch(self, alerts: Iterable[str], now: datetime) -> None:
        """The details of these alerts are fetched: one answer each, and one alert in it."""
        for alert in alerts:
            self.counted.keep(repeat=False)
            self.counted.events["new"] += 1
            self.found.add(alert)
            self.first[alert] = now


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
        self.fetch(self.noticed - self.found, now)


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
        self.fetch(self.noticed - self.found, now)


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


class _Method(_Books):
    """A notice an event, and a list of all events, asked sort by sort; what was opened is looked up, the rest is told at once."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Telling] = []
        self.listed: defaultdict[str, list[Telling]] = defaultdict(list)
        self.noticed: set[str] = set()
        self.pages: set[tuple[Telling, ...]] = set()
        self.said: defaultdict[str, set[str]] = defaultdict(set)
        self.newest: date | None = None
        self.swept: datetime | None = None
        self._due = _Due(HOURLY)

    def learn(self, telling: Telling) -> None:
        self.waiting.append(telling)
        self.listed[telling.under].append(telling)

    def knock(self, knock: Knock) -> None:
        if knock.manner is Manner.FORGED:
            self.counted.deliveries += len(knock.made_up)
            self.counted.refused["not_authentic"] += len(knock.made_up)
            return
        told, self.waiting = self.waiting, []
        for telling in () if knock.lost else told:
            self.counted.keep(repeat=False)
            self._event(telling, "a notice", knock.at)

    def _event(self, telling: Telling, words: str, now: datetime) -> None:
        """One event, in the words of a notice or of the list: they are not the same."""
        if telling.known_as:
            self.noticed.add(telling.name)
            self.counted.events["non_alert"] += 1
            return
        known = self.said[telling.name]
        self.counted.events["new" if not known else "sighting" if words in known else "revision"] += 1
        known.add(words)
        self.first.setdefault(telling.name, now)

    def ask(self, now: datetime) -> None:
        if self._due.take(now):
            self._poll(now)
        self.fetch(self.noticed - self.found, now)

    def _poll(self, now: datetime) -> None:
        """From the day before the newest one that it told of; once a week from the beginning."""
        sweep = self.swept is None or now - self.swept >= WEEKLY
        since = None if sweep or self.newest is None else self.newest - DAILY
        self.swept = now if sweep else self.swept
        for events in self.listed.values():
            fitting = [one for one in events if since is None or one.at.date() >= since]
            for start in range(0, len(fitting), A_PAGE):
                page = tuple(fitting[start : start + A_PAGE])
                self.counted.keep(repeat=page in self.pages)
                for telling in () if page in self.pages else page:
                    self._event(telling, "the list", now)
                self.pages.add(page)
                self.newest = max([one.at.date() for one in page] + [self.newest or date.min])


def expect_asked(told: Told, programme: Iterable[Doing], book: Book) -> Told:
    """`told` with everything that comes from the providers that are asked."""
    programme = tuple(programme)
    books: dict[Service, _Books] = {
        Service.BUREAUS: _Bureaus(),
        Service.NIGHTLY: _Nightly(),
        Service.LISTINGS: _Listings(),
        Service.METHOD: _Method(),
    }
    for doing in programme:
        _follow(books, doing)
    whose = {(d.service, d.name): d.incident for d in programme if isinstance(d, Telling) and d.incident is not None}
    for alert, incident in whose.items():
        told.incidents[incident].add(alert)
    for service, one in books.items():
        one.counted.look_ups["done"] = len(one.found)
        told.services[service] = one.counted
        for name, at in one.first.items():
            told.hear(whose[service, name], at)
    told.services[Service.BUREAUS].look_ups.update(_never_found(_forged(programme), book))
    told.set_aside = _set_aside(programme)
    return told


def _follow(books: Mapping[Service, _Books], doing: Doing) -> None:
    match doing:
        case Telling():
            books[doing.service].learn(doing)
        case Knock():
            books[doing.service].knock(doing)
        case Down():
            books[doing.service].down = not doing.over
        case Ask():
            for one in books.values():
                if not one.down:
                    one.ask(doing.at)


def _forged(programme: Iterable[Doing]) -> tuple[bytes, ...]:
    """What somebody made up in the name of the bureaus."""
    knocks = (doing for doing in programme if isinstance(doing, Knock) and doing.service is Service.BUREAUS)
    return tuple(body for knock in knocks for body in knock.made_up)


def _never_found(forged: Iterable[bytes], book: Book) -> dict[str, int]:
    """The made-up notices: what is told of people whom we know is asked for in vain; about strangers nobody is asked."""
    known = {one.reference for one in book.enrolled[Service.BUREAUS]}
    details = [json.loads(body)["details"] for body in forged]
    wanted = {(told["bureau"].lower(), str(told["alertId"]), told["clientKey"]) for told in details}
    in_vain = sum(whose in known for _, _, whose in wanted)
    return {"unknown": in_vain, "given_up": len(wanted) - in_vain}


def _set_aside(programme: Sequence[Doing]) -> int:
    """How many alerts the older edition of the connector has met with a word that it does not know, when the newer one comes."""
    asked = max(doing.at for doing in programme if isinstance(doing, Ask) and doing.at < MENDED)
    knocked = [doing.at for doing in programme if isinstance(doing, Knock) and doing.service is Service.NIGHTLY]
    heard = max((at for at in knocked if at <= asked), default=BEGIN)
    new = (d for d in programme if isinstance(d, Telling) and d.service is Service.NIGHTLY and d.under == NEW_WORD)
    return sum(telling.at < heard for telling in new)
