"""What the providers learn: drawn from the truth alone, told of later than by the first service, and counted by hand."""

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from app.demo.draw import draw_truth
from app.demo.editions import without
from app.demo.enrollment import ASKED, Book, Enrolled, Service, draw_enrollments
from app.demo.expected import Told
from app.demo.expected_asked import expect_asked
from app.demo.play import Script, write_script
from app.demo.population import draw_people
from app.demo.programme import LAST_TOLD, MENDED, NEW_WORD, Ask, Doing, Down, Knock, Mend, Outage, Telling, asks, write_programme
from app.demo.truth import BEGIN, END
from connectors.registry import registry
from connectors.sandboxing import Happening, Manner
from connectors.vocabulary import AlertKind

seeds = st.integers(0, 2**32)
few = examples(max_examples=15)
DAY = timedelta(days=1)


def tellings(script: Script, service: Service) -> list[Telling]:
    return [one for one in script.programme if isinstance(one, Telling) and one.service is service]


@given(seeds)
@few
def test_a_seed_always_writes_the_same_programme_in_order(seed: int) -> None:
    people = draw_people(seed, 60)
    truth = draw_truth(seed, people)
    book = draw_enrollments(seed, people, truth)
    programme = write_programme(seed, truth, book)
    assert programme == write_programme(seed, truth, book)
    assert [one.at for one in programme] == sorted(one.at for one in programme)
    assert {type(one) for one in programme} >= {Telling, Knock, Ask, Mend}
    assert programme[0].at > BEGIN
    assert programme[-1] == Ask(END)


@given(seeds)
@few
def test_what_a_provider_learns_is_true_later_than_the_first_word_and_of_somebody_who_agreed(seed: int) -> None:
    script = write_script(seed, 60)
    incidents = {incident.key: incident for incident in script.truth.incidents}
    for service in (Service.BUREAUS, Service.NIGHTLY):
        owner = {one.reference: one.external_id for one in script.book.enrolled[service]}
        told = tellings(script, service)
        assert len({one.alert for one in told}) == len(told) > 0
        for one in told:
            incident = incidents[one.incident or ""]
            assert owner[one.happening.reference] == incident.member
            assert incident.member not in script.truth.consents
            assert script.told.first[incident.key] < one.at <= LAST_TOLD
            assert one.happening.institution in (incident.institution.spellings if incident.institution else ())
    assert {one.alert for one in tellings(script, Service.LISTINGS)} == {"InventedParcelPortal", "InventedFitnessClub"}


@given(seeds)
@few
def test_every_trouble_is_in_every_programme(seed: int) -> None:
    script = write_script(seed, 60)
    at_bureaus = [one for one in script.programme if isinstance(one, Knock) and one.service is Service.BUREAUS]
    assert any(one.lost for one in at_bureaus), "a week in which nothing arrives"
    down, back = (one for one in script.programme if isinstance(one, Down))
    assert (down.over, back.over, back.at - down.at) == (False, True, 7 * DAY)
    assert [one for one in script.programme if isinstance(one, Ask) and down.at < one.at < back.at], (
        "and in which it is asked in vain"
    )
    assert [one for one in tellings(script, Service.BUREAUS) if down.at <= one.at < back.at]
    assert any(one.manner is Manner.FORGED and len(one.made_up) == 24 for one in at_bureaus)
    known = {one.external_id for one in script.book.enrolled[Service.BUREAUS]}
    assert script.truth.star in known - {one.external_id for one in script.book.enrolled[Service.NIGHTLY]}
    assert script.told.services[Service.BUREAUS].look_ups["unknown"] > 0
    assert script.told.services[Service.BUREAUS].look_ups["given_up"] > 0
    outage = [one for one in script.programme if isinstance(one, Outage)]
    assert len(outage) in (0, 3)
    assert all(one.at > MENDED for one in outage)


def test_the_whole_scenario_has_its_outage_and_its_new_word() -> None:
    script = write_script()
    assert sum(isinstance(one, Outage) for one in script.programme) == 3
    assert script.told.set_aside > 3
    words = Counter(one.under for one in tellings(script, Service.NIGHTLY))
    assert len(words) > 3
    assert words[NEW_WORD] > script.told.set_aside, "some come after the newer edition"
    assert {one.under for one in tellings(script, Service.BUREAUS)} == {"exp", "efx", "tui"}


def test_an_older_edition_does_not_know_the_word_and_the_newer_one_does() -> None:
    crs = registry()["crs"]
    with without("crs", NEW_WORD):
        assert NEW_WORD not in crs.events
        assert len(crs.events) > 20
    assert crs.events[NEW_WORD] is AlertKind.NEW_ACCOUNT_UNKNOWN


def test_what_is_fetched_is_counted_by_hand() -> None:
    ours = Enrolled("M-1", "us")
    book = Book(dict.fromkeys(ASKED, (ours,)), (ours, ours), ())

    def told(service: Service, after: timedelta, alert: str, under: str = "exp") -> Telling:
        return Telling(BEGIN + after, service, Happening("us", AlertKind.INQUIRY_HARD, BEGIN), alert, under, "T-1")

    def made_up(whose: str) -> bytes:
        return f'{{"details": {{"bureau": "EXP", "alertId": 7, "clientKey": "{whose}"}}}}'.encode()

    hour = timedelta(hours=1)
    programme: tuple[Doing, ...] = (
        told(Service.BUREAUS, hour, "one"),
        Knock(BEGIN + hour, Service.BUREAUS, Manner.TWICE),
        told(Service.BUREAUS, hour, "lost", "efx"),
        Knock(BEGIN + hour, Service.BUREAUS, lost=True),
        Knock(BEGIN + hour, Service.BUREAUS, Manner.FORGED, made_up=(made_up("us"), made_up("us"), made_up("them"))),
        told(Service.NIGHTLY, hour, "night", NEW_WORD),
        told(Service.NIGHTLY, hour, "night-2"),
        Knock(BEGIN + 2 * hour, Service.NIGHTLY),
        Knock(BEGIN + 2 * hour, Service.NIGHTLY, Manner.FORGED, made_up=(b"",) * 2),
        told(Service.LISTINGS, hour, "Portal"),
        Ask(asks()[0]),
        Ask(asks()[0] + timedelta(minutes=1)),
        Ask(asks()[0] + 2 * DAY),
    )
    expected = expect_asked(Told(), programme, book)
    bureaus, nightly, listings, _ = (expected.services[service] for service in ASKED)
    # Two notices and three made-up ones (one a repeat of another), two details, two lists polled twice.
    assert (bureaus.deliveries, bureaus.receipts, bureaus.repeats) == (2 + 3 + 2 + 4, 1 + 2 + 2 + 2, 1 + 1 + 2)
    assert bureaus.events == Counter(new=2, non_alert=1 + 2 + 2)
    assert (nightly.deliveries, nightly.receipts, nightly.refused) == (1 + 2 + 2, 1 + 2, {"not_authentic": 2})
    assert nightly.events == Counter(new=2, non_alert=2)
    # One listing and one description; after two days nothing was added, and the week is not over.
    assert (listings.deliveries, listings.repeats, listings.events) == (2, 0, Counter(breach_record=2))
    assert dict(expected.services[Service.BUREAUS].look_ups) == {"done": 2, "unknown": 1, "given_up": 1}
    assert expected.set_aside == 1
    assert expected.incidents["T-1"] >= {(Service.BUREAUS, "lost"), (Service.NIGHTLY, "night")}


def test_what_method_tells_is_counted_by_hand() -> None:
    ours = Enrolled("M-1", "us")
    book = Book(dict.fromkeys(ASKED, (ours,)), (ours, ours), ())
    happening = Happening("us", AlertKind.INQUIRY_HARD, BEGIN)

    def told(days: int, alert: str, under: str, opened: str = "") -> Telling:
        return Telling(BEGIN + days * DAY, Service.METHOD, happening, alert, under, f"T-{alert}", opened)

    def knock(days: int, manner: Manner = Manner.HONEST, *, lost: bool = False) -> Knock:
        return Knock(BEGIN + days * DAY, Service.METHOD, manner, lost=lost, made_up=(b"",) * (manner is Manner.FORGED))

    first, second = Ask(BEGIN + 10 * DAY), Ask(BEGIN + 20 * DAY)
    programme: tuple[Doing, ...] = (
        *(told(1, "one", "account.opened", "acc-one"), knock(1)),
        *(told(2, "count", "inquiries"), knock(2)),
        *(told(3, "lost", "inquiries"), knock(3, lost=True)),
        knock(4, Manner.FORGED),
        first,
        *(told(15, "late", "account.opened", "acc-late"), knock(15, lost=True)),
        second,
        Ask(second.at + timedelta(hours=2)),
    )
    expected = expect_asked(Told(), programme, book)
    method = expected.services[Service.METHOD]
    # Two notices, one forged; two pages, then three, of which one is the same; two look-ups.
    assert (method.deliveries, method.receipts, method.repeats) == (2 + 1 + 2 + 2 + 1 + 2, 2 + 2 + 1 + 1 + 2, 1)
    assert method.refused == {"not_authentic": 1}
    # Opened: a notice, three times in the list, and once more. Counts: a notice, then the list in other words.
    assert method.events == Counter(new=2 + 2, non_alert=1 + 1 + 2 + 1, revision=1)
    assert method.look_ups == {"done": 2}
    assert expected.first == {
        "T-one": first.at,
        "T-count": BEGIN + 2 * DAY,
        "T-lost": first.at,
        "T-late": second.at,
    }
    assert expected.incidents["T-one"] == {(Service.METHOD, "acc-one")}
