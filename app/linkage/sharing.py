"""A stored finding in two parts: what it shares with all findings alike, kept once by its hash, and what is its own. Pure.

Its own are ids of its incident and of its alerts, so of one member; nothing of the kind is in the shared part. A fact that
rests on alerts has a number there instead: the how-manieth of its own lists of alerts. Which other breaches a member was in
can tell who it is, so facts about these are wholly its own; so are those about other incidents, which earlier versions stored.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from app.kit import canonical

Json = dict[str, Any]

_ALERT = "alert:"
_OWN = ("prior.", "competing.")
_NO_OTHER = "competing.none_known"
_HOLE = secrets.token_hex(16)
_HOLES = re.compile(rf'"alert:{_HOLE}([0-9]++)"|{_HOLE}'.encode())
"""Places in the text of a finding that are filled; nothing that is stored or comes from outside can look like one."""


def split(data: Mapping[str, Any]) -> tuple[Json, Json]:
    """A stored finding (`stored.to_json`) as what it shares and what is its own.

    That is `alerts`, lists of ids without their "alert:", and `facts` where there are any.
    """
    alerts: list[list[str]] = []
    own: list[Json] = []
    facts: list[Json | int] = []
    for fact in data["facts"]:
        if fact["code"].startswith(_OWN) and fact["code"] != _NO_OTHER:
            facts.append(len(own))
            own.append(fact)
        else:
            facts.append({**fact, "rests_on": _numbered(fact["rests_on"], alerts)})
    shared = {name: value for name, value in data.items() if name != "incident_id"}
    return {**shared, "facts": facts}, {"alerts": alerts, "facts": own} if own else {"alerts": alerts}


def join(shared: Mapping[str, Any], own: Mapping[str, Any], incident_id: UUID | str) -> Json:
    """The whole finding again, as `to_json` wrote it."""
    facts = [
        own["facts"][fact] if isinstance(fact, int) else {**fact, "rests_on": _named(fact["rests_on"], own["alerts"])}
        for fact in shared["facts"]
    ]
    return {**shared, "incident_id": str(incident_id), "facts": facts}


def key_of(shared: Mapping[str, Any]) -> bytes:
    """SHA-256 of a shared part in canonical form (RFC 8785): where all that say the same are kept."""
    return hashlib.sha256(canonical.dumps_simple(shared)).digest()


def _numbered(rests_on: Sequence[str], alerts: list[list[str]]) -> list[str | int]:
    """Each unbroken list of alerts as its number; lists that are new are added."""
    found: list[str | int] = []
    run: list[str] = []
    for reference in [*rests_on, None]:
        if reference is not None and reference.startswith(_ALERT):
            run.append(reference.removeprefix(_ALERT))
            continue
        if run:
            if run not in alerts:
                alerts.append(run)
            found.append(alerts.index(run))
            run = []
        if reference is not None:
            found.append(reference)
    return found


def _named(rests_on: Sequence[str | int], alerts: Sequence[Sequence[str]]) -> list[str]:
    return [
        reference
        for one in rests_on
        for reference in ([f"{_ALERT}{alert}" for alert in alerts[one]] if isinstance(one, int) else (one,))
    ]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A shared part, ready to be filled: of how many findings, they differ in ids only.

    `text`: it in canonical form; `sha256`: of that. `pieces`: a whole finding's canonical form, cut where ids of its own stand;
    `holes`: what stands between two of them, the number of a list of alerts, or None for the incident.
    """

    text: bytes
    sha256: bytes
    pieces: tuple[bytes, ...]
    holes: tuple[int | None, ...]

    @classmethod
    def of(cls, shared: Mapping[str, Any], lists: int, facts: Sequence[Json] = ()) -> Self:
        """The pattern of a shared part that numbers so many lists of alerts. `facts`: those of its own, without alerts."""
        text = canonical.dumps_simple(shared)
        holed = [[f"{_HOLE}{number}"] for number in range(lists)]
        whole = join(shared, {"alerts": holed, "facts": facts}, _HOLE)
        cut = _HOLES.split(canonical.dumps_simple(whole))
        holes = tuple(None if number is None else int(number) for number in cut[1::2])
        return cls(text, hashlib.sha256(text).digest(), tuple(cut[::2]), holes)

    def said(self) -> Json:
        """The shared part."""
        part: Json = json.loads(self.text)
        return part

    def digest(self, alerts: Sequence[Sequence[str]], incident_id: UUID) -> str:
        """What `stored.digest` says of the whole finding, in hex."""
        named = [",".join(f'"{_ALERT}{alert}"' for alert in one).encode() for one in alerts]
        incident = str(incident_id).encode()
        whole = [self.pieces[0]]
        for hole, piece in zip(self.holes, self.pieces[1:], strict=True):
            whole += (incident if hole is None else named[hole], piece)
        return hashlib.sha256(b"".join(whole)).hexdigest()
