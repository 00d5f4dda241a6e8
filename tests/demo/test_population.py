"""The invented members: how many, when they worked, and that the organization's own import takes them."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from app.breaches.catalogue import load_breaches
from app.demo.population import FIRST_HIRED, MEMBERS, POPULATION_FROM, POPULATION_TO, draw_people, roster_csv
from app.members.roster import read_roster

seeds = st.integers(0, 2**32)


def test_there_are_714_with_names_of_their_own() -> None:
    people = draw_people(1)
    assert len(people) == MEMBERS == 714
    assert len({person.name for person in people}) == len({person.external_id for person in people}) == 714
    assert all(person.email.endswith("@example.org") for person in people)


def test_the_population_is_the_one_that_the_catalogue_reports() -> None:
    population = load_breaches("oakland")[0].population
    assert population is not None
    assert (population.employed_from, population.employed_to) == (POPULATION_FROM, POPULATION_TO)


@given(seeds, st.integers(20, 120))
def test_a_seed_always_draws_the_same_people(seed: int, size: int) -> None:
    assert draw_people(seed, size) == draw_people(seed, size)
    assert draw_people(seed, size) != draw_people(seed + 1, size)


@given(seeds)
def test_some_left_before_some_came_after_some_came_back(seed: int) -> None:
    people = draw_people(seed, 60)
    jobs = [job for person in people for job in person.jobs]
    assert all(FIRST_HIRED <= job.started_on <= (job.ended_on or date(2023, 12, 31)) for job in jobs)
    assert all((job.ended_on or POPULATION_TO) < date(2024, 1, 1) for job in jobs)
    outside = [person for person in people if not person.reported]
    assert any(job.started_on > POPULATION_TO for person in outside for job in person.jobs)
    assert any(len(person.jobs) == 2 for person in outside)
    assert any(len(person.jobs) == 2 for person in people if person.reported)
    assert any((person.jobs[-1].ended_on or POPULATION_TO) < POPULATION_FROM for person in outside)


@given(seeds)
def test_the_roster_reads_back_as_it_was_drawn(seed: int) -> None:
    people = draw_people(seed, 40)
    entries, problems = read_roster(roster_csv(people))
    assert problems == []
    read = {entry.external_id: (entry.name, {(job.started_on, job.ended_on) for job in entry.jobs}) for entry in entries}
    assert read == {p.external_id: (p.name, {(job.started_on, job.ended_on) for job in p.jobs}) for p in people}
