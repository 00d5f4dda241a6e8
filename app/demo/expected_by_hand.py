"""What must come of what people bring: mails that they forward, what they report after logging in, a file."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from app.demo.enrollment import Service
from app.demo.expected import Counted, Told
from app.demo.export import HandIn
from app.demo.forwarded import Brought, Forwarding, Mailed, report_after
from app.demo.plan import Meaning
from app.demo.programme import Ask, Doing, Mend, steps
from app.demo.truth import Truth


class _Known:
    """Which alerts of one service are there, each in which words."""

    def __init__(self) -> None:
        self._said: defaultdict[str, set[object]] = defaultdict(set)

    def outcome(self, meaning: Meaning, name: str, words: object = "") -> str:
        """What becomes of one event."""
        if meaning is Meaning.NOTHING:
            return "non_alert"
        if meaning is Meaning.UNREADABLE:
            return "quarantined"
        known = self._said[name]
        outcome = "new" if not known else "sighting" if words in known else "revision"
        known.add(words)
        return outcome


def expect_by_hand(told: Told, programme: Iterable[Doing], truth: Truth) -> Told:
    """`told` with everything that comes by people."""
    programme = tuple(programme)
    worked = sorted([*steps(), *(d.at for d in programme if isinstance(d, Mend) or (isinstance(d, Ask) and not d.in_peace))])
    mails = [doing for doing in programme if isinstance(doing, Mailed)]
    told.services[Service.CARRIER] = _carried(mails)
    told.services[Service.MAIL] = _mails(told, mails, worked)
    told.services[Service.OWN] = _reports(told, truth)
    told.services[Service.EXPORT] = _rows(told, [doing for doing in programme if isinstance(doing, HandIn)])
    nobodys = sum(mail.is_nobodys for mail in mails)
    told.unmatched["no_enrollment"] = told.unmatched.get("no_enrollment", 0) + nobodys
    return told


def _carried(mails: Iterable[Mailed]) -> Counted:
    """Each mail is a delivery, in which there is nothing but the mail."""
    counted = Counted()
    for mail in mails:
        if mail.brought is Brought.FORGED:
            counted.deliveries += 1
            counted.refused["not_authentic"] += 1
            continue
        counted.keep(repeat=False)
        counted.events["handed_on"] += 1
        if mail.brought is Brought.TWICE:
            counted.keep(repeat=True)
    return counted


def _mails(told: Told, mails: Sequence[Mailed], worked: Sequence[datetime]) -> Counted:
    """A mail is handed on when work is done next. One that is attached comes by itself; the note around it is no alert."""
    counted, known = Counted(), _Known()
    for mail in mails:
        if mail.brought is Brought.FORGED:
            continue
        counted.keep(repeat=False)
        if mail.forwarding is Forwarding.ATTACHED:
            counted.events.update(("non_alert", "handed_on"))
            counted.keep(repeat=False)
        counted.events[known.outcome(mail.meaning, mail.name)] += 1
        if mail.incident is not None:
            told.incidents[mail.incident].add((Service.MAIL, mail.name))
            told.hear(mail.incident, worked[bisect_left(worked, mail.at)])
    return counted


def _reports(told: Told, truth: Truth) -> Counted:
    counted = Counted()
    for incident in truth.incidents:
        if incident.looked is not None:
            counted.keep(repeat=False)
            counted.events["new"] += 1
            told.incidents[incident.key].add((Service.OWN, report_after(incident)["note"]))
    return counted


def _rows(told: Told, hand_ins: Iterable[HandIn]) -> Counted:
    """So short a file is one delivery. The very same file is left alone."""
    counted, known = Counted(), _Known()
    for one in hand_ins:
        if one.again:
            continue
        counted.keep(repeat=False)
        for row in one.rows:
            counted.events[known.outcome(row.meaning, row.name, row.values)] += 1
            if row.incident is not None:
                told.incidents[row.incident].add((Service.EXPORT, row.name))
                told.hear(row.incident, one.at)
    return counted
