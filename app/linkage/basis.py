"""What a finding is based on, in one hash: where it is the same, so is the finding, and nothing need be found again. Pure."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache

from app.breaches.catalogue import BreachSpec
from app.breaches.exposure import Exposure
from app.kit.memo import by_identity
from app.linkage.findings import BreachView, CompetingBreach, IncidentView

SEPARATOR = "\x1f"


def setting(rules: str, breach: BreachView, exposures: Sequence[Exposure], competing: Sequence[CompetingBreach]) -> str:
    """What all links of a member with one breach are based on, in one hash. `rules`: by which version of them."""
    parts = [rules, *_exposed(breach, tuple(exposures))]
    for other in competing:
        parts += ["beside", *_exposed(other.breach, other.exposures)]
    return hashlib.sha256(SEPARATOR.join(parts).encode()).hexdigest()


def basis(incident: IncidentView, setting: str) -> bytes:
    """SHA-256 over all that `attribute` is given, as far as it bears on what it finds."""
    return hashlib.sha256(SEPARATOR.join([setting, *_incident(incident)]).encode()).digest()


def _incident(incident: IncidentView) -> list[str]:
    told = [f"{alert.alert_id} {alert.kind.value} {alert.product}" for alert in incident.alerts]
    claimed = incident.occurred
    return [str(incident.incident_id), *told, str(claimed.earliest), str(claimed.latest), str(incident.received_at)]


def _exposed(breach: BreachView, exposures: tuple[Exposure, ...]) -> list[str]:
    return [str(breach.breach_id), _spec(breach.spec), _all(exposures)]


@lru_cache(maxsize=4096)
def _all(exposures: tuple[Exposure, ...]) -> str:
    return repr(exposures)


@by_identity
def _spec(spec: BreachSpec) -> str:
    return hashlib.sha256(spec.model_dump_json(by_alias=True).encode()).hexdigest()
