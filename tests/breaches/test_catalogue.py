"""The Oakland breach as data."""

from datetime import UTC, datetime, timedelta
from importlib import resources

import pytest
import yaml
from pydantic import ValidationError

from app.breaches.catalogue import MilestoneKind, load_breaches, parse_breaches
from app.breaches.sources import Mark
from connectors.vocabulary import DataElement as D

TEXT = resources.files("app.breaches").joinpath("data/oakland.yaml").read_text(encoding="utf-8")


def test_a_local_day_is_the_whole_day_in_the_citys_own_time() -> None:
    oakland = load_breaches("oakland")[0]
    wave_one = oakland.interval(MilestoneKind.PUBLISHED, "wave-1")
    assert wave_one is not None
    assert wave_one.earliest == datetime(2023, 3, 3, 8, tzinfo=UTC)
    assert wave_one.latest == datetime(2023, 3, 4, 8, tzinfo=UTC) - timedelta(microseconds=1)


def test_about_a_day_is_wider_than_the_day_and_follows_summer_time() -> None:
    wave_two = load_breaches("oakland")[0].interval(MilestoneKind.PUBLISHED, "wave-2")
    assert wave_two is not None
    assert wave_two.earliest == datetime(2023, 4, 1, 7, tzinfo=UTC)
    assert wave_two.latest == datetime(2023, 4, 8, 7, tzinfo=UTC) - timedelta(microseconds=1)


def test_the_milestones_follow_one_another() -> None:
    oakland = load_breaches("oakland")[0]
    intrusion = oakland.interval(MilestoneKind.INTRUSION)
    theft = oakland.interval(MilestoneKind.EXFILTRATED)
    published = [oakland.interval(MilestoneKind.PUBLISHED, wave.key) for wave in oakland.waves]
    assert intrusion is not None
    assert theft is not None
    assert intrusion.earliest == theft.earliest == datetime(2023, 2, 6, 8, tzinfo=UTC)
    starts = [p.earliest for p in published if p is not None and p.earliest is not None]
    assert len(starts) == 2
    assert datetime(2023, 2, 6, 8, tzinfo=UTC) < starts[0] < starts[1]


def test_the_birth_date_is_not_listed_in_wave_one_and_pictures_are_marked_as_assumed() -> None:
    wave_one = {e.element: e.mark for e in load_breaches("oakland")[0].waves[0].elements}
    assert D.DOB not in wave_one
    assert {e for e, mark in wave_one.items() if mark is Mark.VERIFIED} == {D.ADDR, D.SSN, D.DL, D.PASSPORT, D.BANKACCT}
    assert wave_one[D.DL_IMAGE] is wave_one[D.PASSPORT_IMAGE] is Mark.ASSUMPTION


def test_the_earlier_breach_is_the_same_defendants_and_says_nothing_of_its_contents() -> None:
    focal, earlier = load_breaches("oakland")
    assert earlier.defendant.key == focal.defendant.key
    assert earlier.waves[0].elements == ()
    assert {d.domain for d in focal.defendant_email_domains} == {"oaklandca.gov"}


def test_the_union_count_of_days_keeps_its_note() -> None:
    [claim] = [f for f in load_breaches("oakland")[0].filings if f.note]
    start = load_breaches("oakland")[0].interval(MilestoneKind.INTRUSION)
    assert start is not None
    assert start.earliest is not None
    assert (claim.day - start.earliest.date()).days == 52
    assert "50 days" in (claim.note or "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("volume_gb: 10\n", "volume_gb: 10\n        colour: red\n"),
        ("wave: wave-2\n", "wave: wave-9\n"),
        ("mark: K", "mark: Q"),
        ("element: PASSPORT,", "element: SSN,"),
        ("        from: 2023-02-06\n        to: 2023-02-09", "        from: 2023-02-09\n        to: 2023-02-06"),
        ("        day: 2023-02-08\n", ""),
        ("kind: discovered\n", "kind: discovered\n        wave: wave-1\n"),
        ("America/Los_Angeles", "America/Nowhere"),
    ],
)
def test_a_catalogue_with_a_mistake_is_refused(old: str, new: str) -> None:
    assert old in TEXT
    with pytest.raises((ValidationError, LookupError)):
        parse_breaches(TEXT.replace(old, new))


def test_every_fact_has_a_mark_and_a_source() -> None:
    def walk(node: object) -> None:
        if isinstance(node, dict):
            if {"kind", "element", "domain", "actor", "employed_from"} & set(node) and "key" not in node:
                assert node["mark"]
                assert node["source"]
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(yaml.safe_load(TEXT))
