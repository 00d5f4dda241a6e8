"""Checks what is told of what came by people: how well each mail is proven, and whether members are asked for what is missing."""

from collections import Counter
from collections.abc import Iterable, Iterator

from app.demo.enrollment import Service
from app.demo.forwarded import Brought, Mailed
from app.demo.play import Script
from app.demo.reading import Found, describe
from app.demo.truth import Heard
from connectors.verifiers import Grade

ALWAYS = {Service.OWN: Grade.MEMBER, Service.EXPORT: Grade.ORGANIZATION}
"""What everything that comes by a way is proven by, whatever it is."""


def check_ways(script: Script, shelves: Iterable[Iterable[Found]]) -> Iterator[str]:
    """One line for each alert that is said to be proven better or worse than it is, and for each question too many or too few."""
    proven = proofs(script)
    found = [one for shelf in shelves for one in shelf]
    for alert, grades in ((alert, grades) for one in found for alert, grades in one.grades.items()):
        wanted = proven.get(alert[1]) if alert[0] is Service.MAIL else ALWAYS.get(alert[0])
        if wanted is not None and grades != {wanted}:
            yield f"{describe({alert})} is graded {', '.join(sorted(grades))} and should be {wanted.value}."
    hints = {alert: one.looked is None for one in script.truth.heard(Heard.HINT) for alert in script.told.incidents[one.key]}
    for one in found:
        asks = any(hints.get(alert, False) for alert in one.alerts)
        if one.asks != asks:
            yield f"The member of {describe(set(one.alerts))} is {'' if one.asks else 'not '}asked for details, which is wrong."


def proofs(script: Script) -> dict[str, Grade]:
    """How well each mail is proven, by its name: by its sender's own signature where that comes through, else not at all."""
    mails = [one for one in script.programme if isinstance(one, Mailed) and one.brought is not Brought.FORGED]
    return {mail.name: Grade.THIRD_PARTY if mail.is_proven else Grade.UNVERIFIABLE for mail in mails}


def graded_mails(found: Iterable[Found]) -> Counter[str]:
    """How many of the alerts that were forwarded are proven how well, by grade."""
    grades = (grades for one in found for (service, _), grades in one.grades.items() if service is Service.MAIL)
    return Counter(max(each, key=lambda grade: grade == Grade.THIRD_PARTY) for each in grades)
