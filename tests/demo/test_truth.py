"""What must hold of every truth, whatever the seed: the stories that have to be there, and that they can be true."""

from collections import Counter
from datetime import UTC, datetime, time, timedelta

from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from app.breaches.catalogue import MilestoneKind, load_breaches
from app.demo.draw import draw_truth
from app.demo.institutions import WHERE
from app.demo.population import draw_people
from app.demo.truth import BEGIN, END, KNOWN, THEFT, Agreement, Cause, Heard, Phase, TrueIncident, Truth
from app.incidents.identity import Answer
from app.incidents.institutions import canonical_institution
from connectors.vocabulary import AlertKind

seeds = st.integers(0, 2**32)


def drawn(seed: int, size: int = 60) -> Truth:
    return draw_truth(seed, draw_people(seed, size))


def begins(incident: TrueIncident) -> datetime:
    return datetime.combine(incident.happened_on, time(), UTC)


@given(seeds)
def test_a_seed_always_draws_the_same_truth(seed: int) -> None:
    assert drawn(seed) == drawn(seed)


@given(seeds, st.sampled_from((60, 90)))
def test_everything_is_heard_of_in_the_two_years_and_after_it_happened(seed: int, size: int) -> None:
    truth = drawn(seed, size)
    assert len({incident.key for incident in truth.incidents}) == len(truth.incidents)
    for incident in truth.incidents:
        assert BEGIN < incident.noticed < END
        assert begins(incident) < incident.noticed
        assert all(said.at > incident.noticed for said in incident.said)
        assert [said.at for said in incident.said] == sorted({said.at for said in incident.said})
        for cost in incident.costs:
            assert cost.incurred_on <= cost.at.date()
            assert cost.at > incident.noticed
            assert sum(back.amount for back in cost.back) <= cost.amount
    assert all(KNOWN < letter.at < END for letter in truth.letters)


@given(seeds)
def test_phases_lie_where_their_names_say(seed: int) -> None:
    spec = load_breaches("oakland")[0]
    taken = spec.interval(MilestoneKind.EXFILTRATED)
    first, second = (spec.interval(MilestoneKind.PUBLISHED, wave.key) for wave in spec.waves)
    assert taken is not None
    assert first is not None
    assert second is not None
    assert taken.earliest == THEFT
    assert first.earliest is not None
    assert second.earliest is not None
    a_day = timedelta(days=2)
    for incident in drawn(seed).incidents:
        match incident.phase:
            case Phase.BEFORE_THEFT:
                assert begins(incident) + a_day < THEFT
                assert incident.cause is not Cause.FOCAL
            case Phase.BETWEEN:
                assert THEFT < begins(incident) - a_day < begins(incident) + a_day < first.earliest
            case Phase.WAVE_TWO_EARLY:
                assert first.earliest < begins(incident) < begins(incident) + a_day < second.earliest
            case Phase.LATER:
                assert begins(incident) - a_day > THEFT
        assert incident.dated or incident.phase is Phase.LATER


@given(seeds)
def test_no_two_acts_against_one_member_could_be_taken_for_one(seed: int) -> None:
    truth = drawn(seed)
    places = Counter(
        (i.member, i.kind.family, i.institution.name, i.last_four if i.member == truth.star else None)
        for i in truth.incidents
        if i.institution is not None
    )
    assert max(places.values()) == 1


@given(seeds)
def test_every_story_is_told(seed: int) -> None:
    truth = drawn(seed)
    assert {incident.phase for incident in truth.incidents} == set(Phase)
    assert {incident.cause for incident in truth.incidents} == set(Cause)
    assert {consent.agreement for consent in truth.consents.values()} == {*Agreement} - {Agreement.GIVEN}
    assert AlertKind.PAYROLL_DIVERSION in {i.kind for i in truth.incidents if i.phase is Phase.WAVE_TWO_EARLY}
    star = [incident for incident in truth.incidents if incident.member == truth.star]
    assert {incident.phase for incident in star} == set(Phase)
    assert {Answer.NOT_ME, Answer.WAS_ME, Answer.UNANSWERED} <= {incident.answer for incident in star}
    assert any(len(incident.said) > 1 for incident in star)
    assert any(cost.back for incident in star for cost in incident.costs)


@examples(max_examples=10)
@given(seeds)
def test_at_least_120_of_714_are_hit_by_others(seed: int) -> None:
    truth = drawn(seed, 714)
    hit = Counter(incident.member for incident in truth.readable() if incident.cause is not Cause.OWN)
    assert len(hit) >= 120
    assert sum(times > 1 for times in hit.values()) >= 20


@given(seeds)
def test_what_only_one_way_tells_of_is_of_members_who_have_other_things_too(seed: int) -> None:
    truth = drawn(seed)
    others = {incident.member for incident in truth.heard(Heard.SERVICES)} - truth.consents.keys()
    by_one_way = truth.heard(*set(Heard) - {Heard.SERVICES})
    assert {incident.heard for incident in by_one_way} == set(Heard) - {Heard.SERVICES}
    assert {incident.member for incident in by_one_way} <= others
    assert [incident.heard for incident in by_one_way if incident.member == truth.star] == [Heard.HINT]


def test_each_institution_is_one_however_it_is_spelled() -> None:
    places = {place for several in WHERE.values() for place in several}
    names = [{canonical_institution(spelling) for spelling in place.spellings} for place in places]
    assert all(len(name) == 1 for name in names)
    assert len(set().union(*names)) == len(places)
