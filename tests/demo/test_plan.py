"""What is sent: the same for a seed, complete, and each item really what the plan says it is."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.demo.check_accounts import closes
from app.demo.draw import draw_truth
from app.demo.enrollment import SENDING, Enrolled, Service, draw_enrollments, enrollment_csv
from app.demo.expected import STRAYS, expect
from app.demo.plan import Delivery, Item, Meaning, Way, batch, ping, single
from app.demo.play import Script, write_script
from app.demo.population import draw_people
from app.demo.truth import BEGIN, END, Heard, Truth
from app.incidents.correlation import AlertFacts, same_incident
from app.incidents.institutions import canonical_institution
from app.intake.understanding import Unsplittable, split, understand
from app.members.roster import read_enrollments
from connectors.contract import Alert, NotAnAlert, RawEvent
from connectors.standard import connector

seeds = st.integers(0, 2**32)
LARGEST = connector.webhook.largest_body
NOTHING = Truth((), (), {}, "")


def kept(script: Script) -> list[Delivery]:
    """What is taken in, each body once."""
    authentic = (d for d in script.deliveries if d.way in (Way.SIGNED, Way.STALE))
    return list({(d.service, d.body): d for d in authentic}.values())


@pytest.mark.long
@given(seeds)
def test_a_seed_always_sends_the_same(seed: int) -> None:
    assert write_script(seed, 60) == write_script(seed, 60)


@pytest.mark.long
@given(seeds)
def test_everything_is_sent_in_order_in_every_way_and_within_the_two_years(seed: int) -> None:
    script = write_script(seed, 60)
    moments = [delivery.at for delivery in script.deliveries]
    assert moments == sorted(moments)
    assert BEGIN < moments[0] <= moments[-1] < END
    assert {delivery.way for delivery in script.deliveries} == set(Way)
    assert {delivery.service for delivery in script.deliveries} == set(SENDING)
    for delivery in script.deliveries:
        assert (len(delivery.body) > LARGEST) == (delivery.way is Way.TOO_LARGE)


@pytest.mark.long
@given(seeds)
def test_each_item_is_what_the_plan_says(seed: int) -> None:
    sender = connector()
    script = write_script(seed, 60)
    meanings = {Meaning.ALERT: Alert, Meaning.NOTHING: NotAnAlert}
    odd = 0
    for delivery in kept(script):
        if not delivery.splittable:
            with pytest.raises(Unsplittable):
                split(sender, delivery.body)
            continue
        events = split(sender, delivery.body)
        assert len(events) == len(delivery.items)
        for event, item in zip(events, delivery.items, strict=True):
            understood = understand(sender, event)
            if item.meaning is Meaning.UNREADABLE:
                odd += understood.reason is not None
                continue
            assert isinstance(event, RawEvent)
            assert isinstance(sender.normalise(event), meanings[item.meaning])
    assert odd == 3, "a broken item, a malformed field, an unknown type; the fourth is another person's id"


@pytest.mark.long
@given(seeds)
def test_the_alerts_of_one_act_belong_together_and_of_two_do_not(seed: int) -> None:
    script = write_script(seed, 60)
    members = {incident.key: incident.member for incident in script.truth.heard(Heard.SERVICES)}
    sender = connector()
    told: dict[str, list[AlertFacts]] = {}
    for delivery in kept(script):
        for item in delivery.items:
            if item.incident and item.meaning is Meaning.ALERT and delivery.service is not Service.ELSEWHERE:
                alert = sender.normalise(RawEvent(item.body["type"], item.body["id"], item.body))
                assert isinstance(alert, Alert)
                facts = AlertFacts(
                    alert.kind,
                    delivery.at,
                    canonical_institution(alert.institution),
                    alert.last_four,
                    alert.occurred,
                    alert.opened,
                    alert.reported,
                )
                told.setdefault(item.incident, []).append(facts)
    assert told.keys() == members.keys()
    for key, versions in told.items():
        if versions[0].institution is not None:
            assert all(same_incident(versions[0], other) for other in versions)
        rest = (other for name, others in told.items() if name != key and members[name] == members[key] for other in others)
        assert not any(same_incident(versions[0], other) for other in rest)


@pytest.mark.long
@given(seeds)
def test_what_must_come_of_it_closes_and_has_something_of_everything(seed: int) -> None:
    script = write_script(seed, 60)
    accounts = script.told.accounts()
    assert all(closes(counted.accounts()) for counted in script.told.services.values())
    assert accounts.deliveries == accounts.receipts + accounts.repeats + sum(accounts.refused.values())
    assert accounts.repeats > 20
    assert set(accounts.refused) == {"not_authentic", "too_large", "wrong_type"}
    assert (accounts.stale, accounts.unsplittable, accounts.quarantined) == (1, 2, 6)
    assert set(accounts.unmatched) == {*STRAYS, "no_consent", "expired", "refused"}
    assert script.told.astray == 1
    assert set(script.told.incidents) == {incident.key for incident in script.truth.incidents}


def test_expectations_are_counted_by_hand() -> None:
    first = {"id": "a", "type": "tax.fraud", "member": "m", "summary": "One."}
    one, other = Item(first, incident="T-1"), Item({**first, "summary": "Two."}, incident="T-1")
    deliveries = [
        single(BEGIN, Service.WATCH, one, Way.STALE),
        single(BEGIN, Service.WATCH, one),
        single(BEGIN, Service.WATCH, one),
        batch(BEGIN, Service.WATCH, [one, other, ping("1"), Item({"id": "b"}, Meaning.UNREADABLE)]),
        single(BEGIN, Service.IDENTITY, one),
        single(BEGIN, Service.WATCH, other, Way.FORGED),
        single(BEGIN, Service.WATCH, other, Way.NO_ADDRESS),
        single(BEGIN, Service.ELSEWHERE, one),
        Delivery(BEGIN, Service.WATCH, b"{", (), splittable=False),
    ]
    told = expect(deliveries, NOTHING)
    total = told.total
    assert (total.deliveries, total.receipts, total.repeats, total.refused, told.astray) == (7, 4, 2, {"not_authentic": 1}, 1)
    assert total.events == Counter(new=2, sighting=1, revision=1, non_alert=1, quarantined=1)
    assert told.incidents == {"T-1": {(Service.WATCH, "a"), (Service.IDENTITY, "a")}}
    assert (total.stale, total.unsplittable) == (0, 1)
    watch, identity = told.services[Service.WATCH], told.services[Service.IDENTITY]
    assert (watch.deliveries, watch.receipts, watch.events["new"]) == (6, 3, 1)
    assert (identity.deliveries, identity.receipts, identity.events["new"]) == (1, 1, 1)
    assert expect(deliveries, NOTHING, elsewhere=True).total.events == Counter(new=1)


@given(seeds)
def test_enrollments_read_back_and_one_reference_is_held_twice(seed: int) -> None:
    people = draw_people(seed, 60)
    book = draw_enrollments(seed, people, draw_truth(seed, people))
    for service in Service:
        entries, problems = read_enrollments(enrollment_csv(book.enrolled[service]))
        assert problems == []
        assert {Enrolled(e.external_id, e.reference, e.consent) for e in entries} == set(book.enrolled[service])
    first, second = book.shared
    assert (first.reference, first.external_id != second.external_id) == (second.reference, True)
    assert sum(not enrolled.consent for enrolled in book.enrolled[Service.WATCH]) == 4
    theirs = {person.external_id for person in book.neighbours}
    assert theirs <= {person.external_id for person in people}
    assert not {person.name for person in book.neighbours} & {person.name for person in people}
