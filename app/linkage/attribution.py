"""Link one incident to one breach: the facts for and against, never a verdict. Pure.

Source: design section 5 "Links, exactly"; domain research 1.3 (F0 to F2, F10), 1.4, 1.5. No figure of likelihood is made here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from app.breaches.catalogue import BreachSpec, Wave
from app.breaches.exposure import Exposure, ExposureBasis, ExposureStatus, weakest
from app.breaches.nexus import Matrix, Nexus, NexusStatus, assess, load_matrix
from app.breaches.sources import Mark
from app.kit.memo import by_identity
from app.linkage.chronology import Span, before, order, overall, published, span, theft, time_facts
from app.linkage.findings import (
    AlertView,
    BreachView,
    CompetingBreach,
    Direction,
    Fact,
    IncidentView,
    LinkFinding,
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
    "IncidentView",
    "LinkFinding",
    "Reference",
    "TimeOrder",
    "WaveFinding",
    "attribute",
]

Act = tuple[AlertKind, AlertKind | None]
_WORST_FIRST = (NexusStatus.NOT_ENABLED, NexusStatus.PARTLY, NexusStatus.ENABLED, NexusStatus.NOT_ASSESSABLE)


def attribute(
    incident: IncidentView,
    breach: BreachView,
    exposures: Sequence[Exposure],
    competing: Sequence[CompetingBreach] = (),
    matrix: Matrix | None = None,
) -> LinkFinding:
    """Everything known for and against a link between `incident` and `breach`, in a fixed order, but for the member's other
    incidents: those are told when it is read (`priors.with_priors`), so that a new one changes no link but its own.

    `exposures` are this member's, of this breach; `competing` are the member's other breaches; `matrix` stands for counsel's
    override of the shipped table.
    """
    table, spec, told = matrix or load_matrix(), breach.spec, _told_by(incident)
    when, taken, acts = span(incident.occurred, incident.received_at), theft(spec), _same(tuple(told))
    grounds = [_ground(acts, spec, wave, tuple(exposures), table) for wave in spec.waves]
    waves = [
        WaveFinding(wave.key, order(when, taken, published(spec, wave)), ground.nexus, ground.exposure_status)
        for wave, ground in zip(spec.waves, grounds, strict=True)
    ]
    facts = time_facts(spec, when, (alert.alert_id for alert in incident.alerts))
    facts += [_naming(fact, told[act]) if act else fact for ground in grounds for act, fact in ground.elements]
    facts += [fact for ground in grounds for fact in ground.exposure]
    facts += _competing_facts(acts, spec, when, competing, table)
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


def _told_by(incident: IncidentView) -> dict[Act, tuple[Reference, ...]]:
    """The distinct acts of an incident, in a fixed order, each with the alerts that tell of it."""
    told: dict[Act, list[Reference]] = {}
    alerts = sorted(incident.alerts, key=lambda alert: (alert.kind, alert.product or "", alert.alert_id))
    for alert in alerts:
        told.setdefault((alert.kind, alert.product), []).append(Reference(f"alert:{alert.alert_id}"))
    return {act: tuple(references) for act, references in told.items()}


@lru_cache(maxsize=4096)
def _same(acts: tuple[Act, ...]) -> tuple[Act, ...]:
    """One object for the same acts."""
    return acts


def _naming(fact: Fact, told: tuple[Reference, ...]) -> Fact:
    return Fact(fact.direction, fact.code, fact.text, told + fact.rests_on, fact.wave)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What some acts and one member's exposures in one wave come to, whoever's they are: many incidents stand on the same.

    `elements`: facts, and of those that rest on the alerts of an act first of all, that act. Nothing names an alert here.
    """

    nexus: Nexus
    exposure_status: ExposureStatus
    elements: tuple[tuple[Act | None, Fact], ...]
    exposure: tuple[Fact, ...]


@by_identity
def _ground(acts: tuple[Act, ...], spec: BreachSpec, wave: Wave, exposures: tuple[Exposure, ...], table: Matrix) -> _Ground:
    held = [e for e in exposures if e.breach == spec.key and e.wave == wave.key]
    answers = _answers(acts, held, table)
    chosen = min(answers.values(), key=lambda n: (_WORST_FIRST.index(n.status), n.fraction or 0))
    relied = _relied_on(chosen, held)
    elements = tuple(_element_facts(wave, held, answers, table))
    return _Ground(chosen, weakest(e.status for e in relied), elements, tuple(_exposure_facts(spec, wave, relied)))


def _answers(acts: Sequence[Act], held: Sequence[Exposure], table: Matrix) -> dict[Act, Nexus]:
    """The nexus of every act. Contents that nobody described are not the same as none."""
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
    wave: Wave, held: Sequence[Exposure], answers: Mapping[Act, Nexus], table: Matrix
) -> Iterator[tuple[Act | None, Fact]]:
    for act, nexus in answers.items():
        if nexus.row is None:
            text = nexus.reason or ""
            yield act, Fact(Direction.NOT_ASSESSABLE, "elements.not_assessable", text, (), wave.key)
            continue
        base = (Reference(f"matrix:{table.version}:{nexus.row.code}"),)
        yield from ((act, fact) for fact in _coverage_facts(nexus, wave, held, base))
        yield from ((None, fact) for fact in _derivation_facts(nexus, wave, held))
        if nexus.caution:
            yield act, Fact(Direction.AGAINST, "elements.says_little", nexus.caution, base, wave.key)


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
            f"A listing service names you in this breach, which is said to have held {what}. "
            "Not every such service says which of it was yours.",
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


def _competing_facts(
    acts: tuple[Act, ...], spec: BreachSpec, when: Span, competing: Sequence[CompetingBreach], table: Matrix
) -> list[Fact]:
    """F10: other breaches that may have held the same data, those of the same defendant named as such."""
    others = sorted((c for c in competing if c.breach.spec.key != spec.key), key=lambda c: c.breach.breach_id)
    if not others:
        text = "We know of no other breach with your data. That does not mean that there was none."
        return [Fact(Direction.NOT_ASSESSABLE, "competing.none_known", text, ())]
    return [_competing_fact(acts, spec, when, other, table) for other in others]


def _competing_fact(acts: tuple[Act, ...], spec: BreachSpec, when: Span, other: CompetingBreach, table: Matrix) -> Fact:
    rival = other.breach.spec
    same = rival.defendant.key == spec.defendant.key
    named = f"another breach at the same place, {rival.name}" if same else f"another breach, {rival.name}"
    rival_id, suffix = other.breach.breach_id, "_same_defendant" if same else ""
    rests_on = (Reference(f"breach:{rival_id}"), *_listed_there(str(rival_id), other.exposures))
    if before(when, theft(rival)):
        text = f"There was {named}, but only after this had happened."
        return Fact(Direction.NEUTRAL, f"competing.later{suffix}", text, rests_on)
    if not other.exposures:
        text = f"There was {named}. What data it held is not known, so the data may also have come from there."
        return Fact(Direction.AGAINST, f"competing.contents_unknown{suffix}", text, rests_on)
    direction, code, text = _held_there(acts, other.exposures, table)
    return Fact(direction, f"competing.{code}{suffix}", f"There was {named}{text}", rests_on)


@lru_cache(maxsize=4096)
def _listed_there(rival_id: str, exposures: tuple[Exposure, ...]) -> tuple[Reference, ...]:
    held = sorted(exposures, key=lambda e: (e.wave, e.element))
    return tuple(Reference(f"competing_exposure:{rival_id}:{e.wave}:{e.element.value}") for e in held)


@by_identity
def _held_there(acts: tuple[Act, ...], exposures: tuple[Exposure, ...], table: Matrix) -> tuple[Direction, str, str]:
    """What the contents of another breach come to for some acts: direction, code, and how the sentence goes on."""
    answers = _answers(acts, exposures, table).values()
    shared = {e for nexus in answers for e in nexus.present if nexus.status is not NexusStatus.NOT_ENABLED}
    if shared:
        text = f". It may have held your {listed(shared)} too, so the data may have come from there."
        return Direction.AGAINST, "same_data", text
    if all(nexus.status is NexusStatus.NOT_ASSESSABLE for nexus in answers):
        return Direction.NOT_ASSESSABLE, "not_assessable", ". Whether its data was enough for this, we cannot say."
    text = ", but it is not known to have held the data that matters most for this."
    return Direction.NEUTRAL, "other_data", text


def _claim_facts(breach: BreachView) -> list[Fact]:
    """Others who say that they hit the same defendant. A denied claim stays on the page, as neutral."""
    facts = []
    for claim in breach.spec.competing_claims:
        direction = Direction.NEUTRAL if claim.denied_by_defendant else Direction.AGAINST
        rests_on = (Reference(f"breach:{breach.breach_id}"), Reference(f"claim:{claim.actor}"))
        facts.append(Fact(direction, "claim.other_actor", claim.says, rests_on))
    return facts
