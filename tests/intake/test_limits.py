"""How often somebody may knock: exact, bounded in memory, and nobody can use up what is another's."""

from __future__ import annotations

import random

import pytest

from app.intake.limits import MOST_LOOKED_AT, Admission
from app.kit.buckets import Buckets, source_of
from app.kit.limits import Limits


def limits(**change: float) -> Limits:
    rates = {"connection_rate": 5, "connection_burst": 10, "address_rate": 50, "address_burst": 100}
    return Limits(**{**rates, "forged_rate": 2, "forged_burst": 4, **change})


def test_so_many_at_once_and_then_so_many_a_second() -> None:
    buckets = Buckets(per_second=10, at_once=5)
    assert [buckets.take("a", 100.0) for _ in range(5)] == [0.0] * 5
    wait = buckets.take("a", 100.0)
    assert wait == pytest.approx(0.1)
    assert buckets.take("a", 100.0) == wait, "what is refused costs nothing"
    assert buckets.take("a", 100.0 + wait + 1e-9) == 0.0
    assert buckets.take("b", 100.0) == 0.0


@pytest.mark.parametrize("seed", range(20))
def test_in_any_stretch_of_time_no_more_than_allowed_and_whoever_keeps_to_it_is_never_refused(seed: int) -> None:
    dice, rate, burst = random.Random(seed), 20.0, 7
    buckets, now, taken = Buckets(rate, burst), 0.0, []
    for _ in range(600):
        now += dice.choice([0.0, 0.001, 0.04, 0.3])
        if not buckets.take("a", now):
            taken.append(now)
    for first in range(len(taken)):
        for last in range(first, min(first + 60, len(taken))):
            assert last - first + 1 <= burst + (taken[last] - taken[first]) * rate + 1e-6
    patient = Buckets(rate, burst)
    assert not any(patient.take("a", n / rate + 1e-6 * n) for n in range(1000))


def test_a_rate_of_nought_sets_the_limit_aside() -> None:
    buckets = Buckets(0, 1)
    assert not any(buckets.take("a", 0.0) for _ in range(10_000))
    assert len(buckets) == 0


def guess(admission: Admission, source: str | None, path: str) -> None:
    """One forgery, looked at and refused."""
    suspect = admission.suspect(source, path, 0.0, doubted=True)
    if not suspect.wait:
        admission.settle(suspect, 0.0, forged=True)


def test_many_addresses_gain_no_memory() -> None:
    buckets = Buckets(1, 1, most_kept=100)
    for number in range(10_000):
        assert buckets.take(number, 0.0) == 0.0
        assert len(buckets) <= 100
    assert buckets.take(9_999, 0.0) > 0, "the latest are the ones that are remembered"
    admission = Admission(limits(), most_kept=100)
    for number in range(1_000):
        address = f"198.51.{number // 250}.{number % 250}"
        assert not admission.knock(address, f"/webhooks/{number}", 0.0)
        guess(admission, address, f"/webhooks/{number}")
        assert not admission.authentic(number, address, f"/webhooks/{number}", 0.0)
    kept = (admission._by_address, admission._by_connection, admission._forged, admission._good)
    assert [len(one) for one in kept] == [100] * 4


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        (None, "", True),
        ("unix:", None, True),
        ("192.0.2.1", None, False),
    ],
)
def test_who_counts_as_one(one: str | None, other: str | None, same: bool) -> None:
    assert (source_of(one) == source_of(other)) is same


def test_who_proves_nothing_is_soon_not_looked_at_any_more_and_later_again() -> None:
    admission = Admission(limits())
    for _ in range(4):
        assert not admission.knock("192.0.2.1", "/p", 0.0)
        guess(admission, "192.0.2.1", "/p")
    assert admission.knock("192.0.2.1", "/other", 0.0) == pytest.approx(0.5), "guessing another path is guessing too"
    assert not admission.knock("192.0.2.2", "/p", 0.0)
    assert not admission.knock("192.0.2.1", "/p", 0.51)


def test_a_neighbour_who_guesses_holds_up_nobody_whose_deliveries_are_good() -> None:
    admission = Admission(limits())
    assert not admission.knock("192.0.2.1", "/good", 0.0)
    assert not admission.authentic("connection", "192.0.2.1", "/good", 0.0)
    for number in range(50):
        guess(admission, "192.0.2.1", f"/guess/{number}")
    assert admission.knock("192.0.2.1", "/guess", 0.0) > 0
    assert not admission.knock("192.0.2.1", "/good", 0.0)


@pytest.mark.parametrize("doubted", [True, False])
def test_who_was_suspected_and_cleared_has_lost_nothing(doubted: bool) -> None:
    admission, place = Admission(limits()), ("192.0.2.1", "/p", 0.0)
    for _ in range(50):
        suspects = [admission.suspect(*place, doubted=doubted) for _ in range(5)]
        assert [bool(one.wait) for one in suspects] == [False] * 4 + [True], "as many as may be looked at at once"
        for one in suspects[:4]:
            admission.settle(one, 0.0, forged=False)
    assert len(admission._forged) == admission._looked_at == 0
    suspects = [admission.suspect(*place, doubted=doubted) for _ in range(5)]
    assert [bool(one.wait) for one in suspects] == [False] * 4 + [True], "nobody gains by being cleared"


def test_of_doubted_strangers_few_are_looked_at_at_a_time_and_everybody_else_always() -> None:
    """A flood from many addresses leaves room for a known sender with a new secret, and for an address never heard of."""
    admission = Admission(limits())
    assert not admission.authentic("connection", "192.0.2.1", "/good", 0.0)
    suspects = [admission.suspect(f"198.51.100.{number}", "/good", 0.0, doubted=True) for number in range(100)]
    assert [one.wait for one in suspects] == [0.0] * MOST_LOOKED_AT + [1.0] * (100 - MOST_LOOKED_AT)
    known = admission.suspect("192.0.2.1", "/good", 0.0, doubted=True)
    assert not known.wait
    admission.settle(known, 0.0, forged=True)
    assert not admission.suspect("198.51.100.200", "/new", 0.0, doubted=False).wait
    admission.settle(suspects[0], 0.0, forged=True)
    assert not admission.suspect("198.51.100.80", "/good", 0.0, doubted=True).wait
    assert admission.suspect("198.51.100.81", "/good", 0.0, doubted=True).wait == 1.0
    for _ in range(3):
        admission.suspect("198.51.100.82", "/good", 0.0, doubted=True)
    assert admission.knock("198.51.100.82", "/good", 0.0), "who was not looked at is refused sooner the next time"


def test_a_forgery_that_was_no_suspect_counts_too() -> None:
    admission = Admission(limits())
    for _ in range(4):
        assert not admission.knock("192.0.2.1", "/p", 0.0)
        admission.proved_nothing("192.0.2.1", "/p", 0.0)
    assert admission.knock("192.0.2.1", "/p", 0.0)


def test_forgeries_use_up_nothing_of_a_connections_own() -> None:
    admission = Admission(limits())
    for _ in range(1_000):
        guess(admission, "192.0.2.66", "/good")
    assert [admission.authentic("connection", "192.0.2.1", "/good", 0.0) for _ in range(10)] == [0.0] * 10
    assert admission.authentic("connection", "192.0.2.1", "/good", 0.0) == pytest.approx(0.2)
    assert not admission.authentic("another", "192.0.2.1", "/another", 0.0)


def test_one_address_has_its_share_whatever_it_sends_to() -> None:
    admission = Admission(limits())
    waits = [admission.knock("2001:db8::" + format(n, "x"), f"/{n}", 0.0) for n in range(150)]
    assert waits.count(0.0) == 100
    assert waits[-1] == pytest.approx(0.02)
