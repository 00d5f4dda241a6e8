"""Link one incident to one breach: the facts for and against, never a verdict. Pure.

Source: design section 5 "Links, exactly"; domain research 1.3 (F0 to F3, F10), 1.4, 1.5. No figure of likelihood is made here.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from app.breaches.catalogue import BreachSpec, MilestoneKind, Wave
from app.breaches.exposure import Exposure, ExposureBasis, ExposureStatus, weakest
from app.breaches.nexus import Matrix, Nexus, NexusStatus, assess, load_matrix
from app.breaches.sources import Mark
from app.linkage.chronology import Theft, before, order, overall, span, theft, time_facts
from app.linkage.findings import (
    AlertView,
    BreachView,
    CompetingBreach,
    Direction,
    Fact,
    History,
    IncidentView,
    LinkFinding,
    PriorIncident,
    Reference,
    TimeOrder,
    WaveFinding,
)
from app.linkage.wording import in_order, listed
from connectors.vocabulary import AlertKind

__all__ = [
    "AlertView",
    "BreachView",
    "CompetingBreach",
    "Direction",
    "Fact",
    "History",
    "IncidentView",
    "LinkFinding",
    "PriorIncident",
    "Reference",
    "TimeOrder",
    "WaveFinding",
    "attribute",
]

LOOK_BACK = timedelta(days=730)
"""How far before the theft a member's past must have been looked through: 24 months (domain research 1.3 F3)."""

Act = tuple[AlertKind, AlertKind | None]
_WORST_FIRST = (NexusStatus.NOT_ENABLED, NexusStatus.PARTLY, NexusStatus.ENABLED, NexusStatus.NOT_ASSESSABLE)


def attribute(
    incident: IncidentView,
    breach: BreachView,
    exposures: Sequence[Exposure],
    history: History,
    competing: Sequence[CompetingBreach] = (),
    matrix: Matrix | None = None,
) -> LinkFinding:
    """Everything known for and against a link between `incident` and `breach`, in a fixed order.

    `exposures` are this member's, of this breach; `competing` are the member's other breaches; `matrix` stands for counsel's
    override of the shipped table.
    """
    table = matrix or load_matrix()
    spec = breach.spec
    when = span(incident.occurred, incident.received_at)
    taken = theft(spec)
    facts = time_facts(spec, when, (alert.alert_id for alert in incident.alerts))
    exposure_facts: list[Fact] = []
    waves: list[WaveFinding] = []
    for wave in spec.waves:
        held = [e for e in exposures if e.breach == spec.key and e.wave == wave.key]
        answers = _answers(incident, held, table)
        chosen = min(answers.values(), key=lambda n: (_WORST_FIRST.index(n.status), n.fraction or 0))
        relied = _relied_on(chosen, held)
        facts += _element_facts(incident, wave, held, answers, table)
        exposure_facts += _exposure_facts(spec, wave, relied)
        time_order = order(when, taken, spec.interval(MilestoneKind.PUBLISHED, wave.key))
        waves.append(WaveFinding(wave.key, time_order, chosen, weakest(e.status for e in relied)))
    facts += exposure_facts
    facts += _prior_facts(incident, breach, taken, history)
    facts += _competing_facts(incident, spec, competing, table)
    facts += _claim_facts(breach)
    return LinkFinding(
        incident_id=incident.incident_id,
        breach_id=breach.breach_id,
        time_order=overall(w.time_order for w in waves),
        excluded_by_time=before(when, taken),
        waves=tuple(waves),
        facts=tuple(facts),
        matrix_version=table.version,
    )


def _answers(incident: IncidentView, held: Sequence[Exposure], table: Matrix) -> dict[Act, Nexus]:
    """The nexus of every distinct act, in a fixed order. Contents that nobody described are not the same as none."""
    acts = sorted({(a.kind, a.product) for a in incident.alerts}, key=lambda act: (act[0], act[1] or ""))
    if held:
        elements = frozenset(e.element for e in held)
        return {(kind, product): assess(kind, product, elements, table) for kind, product in acts}
    reason = "What data of yours was there is not known."
    unknown = Nexus(status=NexusStatus.NOT_ASSESSABLE, version=table.version, reason=reason)
    return dict.fromkeys(acts, unknown)


def _relied_on(nexus: Nexus, held: Sequence[Exposure]) -> list[Exposure]:
    """The exposures that a nexus rests on, directly or through a derivation; all of the wave if it rests on none."""
    sources = {step.source for step in nexus.derived_steps}
    return [e for e in held if e.element in nexus.present or e.element in sources] or list(held)


def _refs(relied: Sequence[Exposure]) -> tuple[Reference, ...]:
    return tuple(Reference(f"exposure:{e.wave}:{e.element.value}") for e in sorted(relied, key=lambda e: e.element))


def _element_facts(
    incident: IncidentView, wave: Wave, held: Sequence[Exposure], answers: Mapping[Act, Nexus], table: Matrix
) -> list[Fact]:
    facts: list[Fact] = []
    for act, nexus in answers.items():
        told = tuple(
            Reference(f"alert:{a.alert_id}")
            for a in sorted(incident.alerts, key=lambda a: a.alert_id)
            if (a.kind, a.product) == act
        )
        if nexus.row is None:
            text = nexus.reason or ""
            facts.append(Fact(Direction.NOT_ASSESSABLE, "elements.not_assessable", text, told, wave.key))
            continue
        base = (*told, Reference(f"matrix:{table.version}:{nexus.row.code}"))
        facts += _coverage_facts(nexus, wave, held, base)
        facts += _derivation_facts(nexus, wave, held)
        if nexus.caution:
            facts.append(Fact(Direction.AGAINST, "elements.says_little", nexus.caution, base, wave.key))
    return facts


def _coverage_facts(nexus: Nexus, wave: Wave, held: Sequence[Exposure], base: tuple[Reference, ...]) -> list[Fact]:
    title = nexus.row.title if nexus.row else ""
    needs = f"For {title}, somebody usually needs the {listed(nexus.best_set)}."
    rests_on = (*base, *_refs(_relied_on(nexus, held)))
    facts: list[Fact] = []
    if nexus.status is NexusStatus.ENABLED:
        text = f"{needs} All of it was in {wave.title}, as reported or as it follows from the reports."
        facts.append(Fact(Direction.FOR, "elements.all_listed", text, rests_on, wave.key))
    elif nexus.present:
        text = f"{needs} In {wave.title} there was: {listed(nexus.present)}."
        direction = Direction.FOR if nexus.status is NexusStatus.PARTLY else Direction.NEUTRAL
        facts.append(Fact(direction, "elements.some_listed", text, rests_on, wave.key))
    if nexus.status is NexusStatus.NOT_ENABLED:
        text = (
            f"{needs} Not known to be in {wave.title}: {listed(nexus.missing)}. Without that, the rest is of little use for it."
        )
        facts.append(Fact(Direction.AGAINST, "elements.key_not_listed", text, base, wave.key))
    elif nexus.missing:
        text = f"Not known to be in {wave.title}: {listed(nexus.missing)}."
        facts.append(Fact(Direction.AGAINST, "elements.missing", text, base, wave.key))
    if nexus.raised_by:
        text = f"Also in {wave.title}, and of use for this: {listed(nexus.raised_by)}."
        facts.append(Fact(Direction.FOR, "elements.of_further_use", text, rests_on, wave.key))
    return facts


def _derivation_facts(nexus: Nexus, wave: Wave, held: Sequence[Exposure]) -> list[Fact]:
    facts: list[Fact] = []
    for step in nexus.derived_steps:
        new = in_order(nexus.present.intersection(step.gives))
        rests_on = (Reference(f"exposure:{wave.key}:{step.source.value}"), Reference(f"derivation:{step.rule}"))
        text = f"The reports do not name this separately: {listed(new)}. {step.says}"
        facts.append(Fact(Direction.NEUTRAL, "elements.derived", text, rests_on, wave.key))
    assumed = [e for e in _relied_on(nexus, held) if e.mark is Mark.ASSUMPTION]
    if assumed and nexus.present:
        text = (
            f"We assume that this was there, and have no source that says so for certain: {listed(e.element for e in assumed)}. "
            "Your own record or a letter about the breach can settle it."
        )
        facts.append(Fact(Direction.NOT_ASSESSABLE, "elements.assumed", text, _refs(assumed), wave.key))
    return facts


def _exposure_facts(breach: BreachSpec, wave: Wave, relied: Sequence[Exposure]) -> list[Fact]:
    """One fact per way of knowing; a wave of which nothing is known of this member says so."""
    facts: list[Fact] = []
    for basis in ExposureBasis:
        known = [e for e in relied if e.basis is basis]
        if known:
            direction, text = _basis_words(breach, basis, known)
            facts.append(Fact(direction, f"exposure.{basis.value}", text, _refs(known), wave.key))
    if not facts:
        text = f"We do not know what data of yours was in {wave.title}."
        facts.append(Fact(Direction.NOT_ASSESSABLE, "exposure.not_known", text, (), wave.key))
    return facts


def _basis_words(breach: BreachSpec, basis: ExposureBasis, known: Sequence[Exposure]) -> tuple[Direction, str]:
    what = listed(e.element for e in known)
    people = breach.population.description if breach.population else "the people concerned"
    if basis is ExposureBasis.NOTICE_LETTER and any(e.status is not ExposureStatus.PROVEN for e in known):
        return Direction.FOR, f"A notice letter says that your data was there. It does not name each item ({what})."
    words = {
        ExposureBasis.OWN_RECORD_SEEN: (Direction.FOR, f"Your own record was seen in this data: {what}."),
        ExposureBasis.NOTICE_LETTER: (Direction.FOR, f"A notice letter says that your data was there: {what}."),
        ExposureBasis.HIBP: (
            Direction.FOR,
            f"A listing service names you in this breach, which is said to have held {what}. It does not say which was yours.",
        ),
        ExposureBasis.REPORTED_POPULATION: (
            Direction.FOR,
            f"It is reported that the data is that of {people}. Your employment dates fall in that time. "
            "No record of your own has been seen yet.",
        ),
        ExposureBasis.OUTSIDE_REPORTED_POPULATION: (
            Direction.AGAINST,
            f"It is reported that the data is that of {people}. The employment dates we have for you lie outside that "
            "time. Such reports can be incomplete; your own record or a letter about the breach counts for more.",
        ),
        ExposureBasis.EMPLOYMENT_UNKNOWN: (
            Direction.NOT_ASSESSABLE,
            f"It is reported that the data is that of {people}. We do not have your employment dates.",
        ),
        ExposureBasis.NO_POPULATION_REPORTED: (
            Direction.NOT_ASSESSABLE,
            "No source says whose data this was, and no record of your own has been seen yet.",
        ),
    }
    return words[basis]


def _prior_facts(incident: IncidentView, breach: BreachView, taken: Theft | None, history: History) -> list[Fact]:
    """F3: earlier incidents of the same family. None found means something only if the past was looked through."""
    whole = (Reference(f"breach:{breach.breach_id}"),)
    if taken is None:
        text = "No source says when the data was taken, so we cannot say what came before it."
        return [Fact(Direction.NOT_ASSESSABLE, "prior.theft_day_not_known", text, whole)]
    earlier, unclear = priors(incident, taken, history)
    facts: list[Fact] = []
    if earlier:
        text = f"Something of the same kind had already happened to you before the data was taken: {len(earlier)} in all."
        facts.append(Fact(Direction.AGAINST, "prior.same_kind_before", text, _prior_refs(earlier)))
    if unclear:
        text = "Something else of the same kind happened to you, and it may have been before the data was taken."
        facts.append(Fact(Direction.NOT_ASSESSABLE, "prior.date_unclear", text, _prior_refs(unclear)))
    return facts or [_look_back_fact(history, taken, whole)]


def bearing(history: History, breach: BreachView) -> History:
    """What of a history bears on links with this breach: whatever is not known to have happened after its theft."""
    taken = theft(breach.spec)
    if taken is None:
        return history
    spans = ((prior, span(prior.occurred, prior.received_at)) for prior in history.incidents)
    kept = tuple(prior for prior, when in spans if when.earliest is None or when.earliest < taken.begin)
    return History(kept, history.looked_back_from)


def priors(incident: IncidentView, taken: Theft, history: History) -> tuple[list[UUID], list[UUID]]:
    """The other incidents of the same kind that lie before a theft, and those that may: all of a history that bears on a link."""
    same = [p for p in history.incidents if p.incident_id != incident.incident_id and p.families & incident.families]
    spans = {p.incident_id: span(p.occurred, p.received_at) for p in same}
    earlier = sorted(i for i, s in spans.items() if before(s, taken))
    unclear = sorted(i for i, s in spans.items() if not before(s, taken) and (s.earliest is None or s.earliest < taken.begin))
    return earlier, unclear


def _prior_refs(ids: Sequence[object]) -> tuple[Reference, ...]:
    return tuple(Reference(f"prior_incident:{i}") for i in ids)


def _look_back_fact(history: History, taken: Theft, whole: tuple[Reference, ...]) -> Fact:
    since = history.looked_back_from
    if since is None:
        text = "We have not looked through the time before the data was taken, so we do not know of earlier incidents."
        return Fact(Direction.NOT_ASSESSABLE, "prior.no_look_back", text, whole)
    if since > taken.begin - LOOK_BACK:
        text = "We have looked through less than two years before the data was taken and found nothing of the same kind."
        return Fact(Direction.NOT_ASSESSABLE, "prior.short_look_back", text, whole)
    text = "In the two years before the data was taken, nothing of the same kind happened to you."
    return Fact(Direction.FOR, "prior.none_in_look_back", text, whole)


def _competing_facts(incident: IncidentView, spec: BreachSpec, competing: Sequence[CompetingBreach], table: Matrix) -> list[Fact]:
    """F10: other breaches that may have held the same data, those of the same defendant named as such."""
    others = sorted((c for c in competing if c.breach.spec.key != spec.key), key=lambda c: c.breach.breach_id)
    if not others:
        text = "We know of no other breach with your data. That does not mean that there was none."
        return [Fact(Direction.NOT_ASSESSABLE, "competing.none_known", text, ())]
    return [_competing_fact(incident, spec, other, table) for other in others]


def _competing_fact(incident: IncidentView, spec: BreachSpec, other: CompetingBreach, table: Matrix) -> Fact:
    rival = other.breach.spec
    same = rival.defendant.key == spec.defendant.key
    named = f"another breach at the same place, {rival.name}" if same else f"another breach, {rival.name}"
    rival_id = other.breach.breach_id
    held = sorted(other.exposures, key=lambda e: (e.wave, e.element))
    listed_there = (Reference(f"competing_exposure:{rival_id}:{e.wave}:{e.element.value}") for e in held)
    rests_on = (Reference(f"breach:{rival_id}"), *listed_there)
    suffix = "_same_defendant" if same else ""
    if before(span(incident.occurred, incident.received_at), theft(rival)):
        text = f"There was {named}, but only after this had happened."
        return Fact(Direction.NEUTRAL, f"competing.later{suffix}", text, rests_on)
    if not other.exposures:
        text = f"There was {named}. What data it held is not known, so the data may also have come from there."
        return Fact(Direction.AGAINST, f"competing.contents_unknown{suffix}", text, rests_on)
    answers = _answers(incident, other.exposures, table).values()
    shared = {e for nexus in answers for e in nexus.present if nexus.status is not NexusStatus.NOT_ENABLED}
    if shared:
        text = f"There was {named}. It may have held your {listed(shared)} too, so the data may have come from there."
        return Fact(Direction.AGAINST, f"competing.same_data{suffix}", text, rests_on)
    if all(nexus.status is NexusStatus.NOT_ASSESSABLE for nexus in answers):
        text = f"There was {named}. Whether its data was enough for this, we cannot say."
        return Fact(Direction.NOT_ASSESSABLE, f"competing.not_assessable{suffix}", text, rests_on)
    text = f"There was {named}, but it is not known to have held the data that matters most for this."
    return Fact(Direction.NEUTRAL, f"competing.other_data{suffix}", text, rests_on)


def _claim_facts(breach: BreachView) -> list[Fact]:
    """Others who say that they hit the same defendant. A denied claim stays on the page, as neutral."""
    facts = []
    for claim in breach.spec.competing_claims:
        direction = Direction.NEUTRAL if claim.denied_by_defendant else Direction.AGAINST
        rests_on = (Reference(f"breach:{breach.breach_id}"), Reference(f"claim:{claim.actor}"))
        facts.append(Fact(direction, "claim.other_actor", claim.says, rests_on))
    return facts
