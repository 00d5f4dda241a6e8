"""The invented members of the scenario. Names are put together from words for trees, stones and places: nobody is meant."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product
from random import Random

MEMBERS = 714
POPULATION_FROM = date(2010, 7, 1)
POPULATION_TO = date(2022, 1, 31)
"""The population that the press reported: people employed on any day from the first to the second, both included."""

FIRST_HIRED = date(1995, 1, 1)
LAST_HIRED = date(2023, 1, 31)

GIVEN = [
    "Acacia",
    "Alder",
    "Amber",
    "Ashlar",
    "Aspen",
    "Basalt",
    "Beryl",
    "Birch",
    "Briar",
    "Bryony",
    "Calder",
    "Cedar",
    "Clover",
    "Coral",
    "Cypress",
    "Dune",
    "Elder",
    "Fennel",
    "Fern",
    "Fjord",
    "Flint",
    "Garnet",
    "Ginger",
    "Hazel",
    "Heath",
    "Holm",
    "Indigo",
    "Jasper",
    "Juniper",
    "Laurel",
    "Linden",
    "Lichen",
    "Maple",
    "Marl",
    "Myrtle",
    "Olive",
    "Onyx",
    "Opal",
    "Pebble",
    "Quartz",
    "Reed",
    "Rowan",
    "Sable",
    "Sage",
    "Sedge",
    "Slate",
    "Sorrel",
    "Spruce",
    "Tamarind",
    "Tansy",
    "Teasel",
    "Thistle",
    "Topaz",
    "Umber",
    "Willow",
    "Yarrow",
]
_STEMS = [
    "Amble",
    "Bracken",
    "Cinder",
    "Dapple",
    "Ember",
    "Fallow",
    "Gable",
    "Harrow",
    "Inkle",
    "Kettle",
    "Larch",
    "Mallow",
    "Nettle",
    "Otter",
    "Pewter",
    "Quill",
    "Russet",
    "Saddle",
]
_ENDS = ["brook", "croft", "dale", "field", "ford", "gate", "holm", "mere", "moor", "stead", "wick"]


@dataclass(frozen=True, slots=True)
class Job:
    """One employment interval, both days included; no end for who still works there."""

    started_on: date
    ended_on: date | None


@dataclass(frozen=True, slots=True)
class Person:
    """One invented member, with the organization's own number for them."""

    external_id: str
    name: str
    email: str
    jobs: tuple[Job, ...]

    @property
    def reported(self) -> bool:
        """Whether any day of their employment lies in the reported population."""
        return any(
            job.started_on <= POPULATION_TO and (job.ended_on is None or job.ended_on >= POPULATION_FROM) for job in self.jobs
        )


def draw_people(seed: int, size: int = MEMBERS) -> tuple[Person, ...]:
    """`size` members, always the same for a seed: most inside the reported population, some who left before, some hired after."""
    rng = Random(f"{seed}:people")
    names = rng.sample([f"{first} {stem}{end}" for first, stem, end in product(GIVEN, _STEMS, _ENDS)], size)
    careers = [_two_outside, *[_before] * 2, *[_after] * 2, *[_two_inside] * 2, *[_inside] * 13]
    order = [careers[place % len(careers)] for place in range(size)]
    rng.shuffle(order)
    people = []
    for place, (name, career) in enumerate(zip(names, order, strict=True), 1):
        number = f"M-{place:04d}"
        people.append(Person(number, name, f"{number.lower()}@example.org", career(rng)))
    return tuple(people)


def _between(rng: Random, first: date, last: date) -> date:
    return first + timedelta(days=rng.randint(0, (last - first).days))


def _inside(rng: Random) -> tuple[Job, ...]:
    start = _between(rng, FIRST_HIRED, POPULATION_TO)
    left = rng.random() < 0.35
    return (Job(start, _between(rng, max(start, POPULATION_FROM), LAST_HIRED) if left else None),)


def _before(rng: Random) -> tuple[Job, ...]:
    start = _between(rng, FIRST_HIRED, date(2009, 6, 30))
    return (Job(start, _between(rng, start, POPULATION_FROM - timedelta(days=1))),)


def _after(rng: Random) -> tuple[Job, ...]:
    return (Job(_between(rng, POPULATION_TO + timedelta(days=1), LAST_HIRED), None),)


def _two_inside(rng: Random) -> tuple[Job, ...]:
    start = _between(rng, FIRST_HIRED, date(2012, 12, 31))
    left = _between(rng, start, date(2014, 12, 31))
    return Job(start, left), Job(_between(rng, left + timedelta(days=90), date(2019, 12, 31)), None)


def _two_outside(rng: Random) -> tuple[Job, ...]:
    """Away during the whole of the reported population: the case that a single pair of dates would get wrong."""
    return *_before(rng), *_after(rng)


def roster_csv(people: Sequence[Person]) -> str:
    """The roster as an organization would export it: one line for each employment interval."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("external_id", "name", "email", "employed_from", "employed_to"))
    for person in people:
        for job in person.jobs:
            writer.writerow((person.external_id, person.name, person.email, job.started_on, job.ended_on or ""))
    return out.getvalue()
