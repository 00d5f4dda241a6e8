"""Mails that members forward: each is what the plan says, in whatever way it comes, and a signature is one that holds."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from app.demo.draw import draw_truth
from app.demo.enrollment import BY_HAND, MAIL_DOMAIN, Book, Service, draw_enrollments
from app.demo.expected import Told
from app.demo.expected_by_hand import expect_by_hand
from app.demo.forwarded import Brought, Forwarding, Mailed, as_it_comes, report_after, write_mails
from app.demo.plan import Meaning
from app.demo.population import draw_people
from app.demo.programme import steps
from app.demo.signing import NAME, MailServer, name_server
from app.demo.truth import BEGIN, END, Heard, Truth
from app.incidents.institutions import canonical_institution
from app.incidents.reporting import report_of
from app.kit import dns
from connectors.contract import Alert, ForAPerson, HandOn, NotAnAlert, RawEvent
from connectors.mail import connector
from connectors.verifiers import Grade
from connectors.vocabulary import AlertKind

seeds = st.integers(0, 2**32)
few = examples(max_examples=10)
MEANINGS = {Meaning.ALERT: Alert, Meaning.NOTHING: NotAnAlert, Meaning.UNREADABLE: ForAPerson}


def drawn(seed: int) -> tuple[Truth, Book, tuple[Mailed, ...]]:
    people = draw_people(seed, 60)
    truth = draw_truth(seed, people)
    book = draw_enrollments(seed, people, truth)
    return truth, book, write_mails(seed, truth, book)


def letter_of(mail: Mailed, written: bytes) -> RawEvent:
    """The event of what the sender wrote, the inner mail's where it is attached."""
    events = list(connector().split(as_it_comes(mail, written), {"to": mail.to}))
    assert all(isinstance(event, RawEvent) for event in events)
    if mail.forwarding is not Forwarding.ATTACHED:
        (event,) = events
        assert isinstance(event, RawEvent)
        return event
    cover, inner = events
    assert isinstance(cover, RawEvent)
    assert isinstance(inner, RawEvent)
    assert isinstance(connector().normalise(cover), NotAnAlert)
    handed = connector().normalise(inner)
    assert isinstance(handed, HandOn)
    assert handed.body == written, "byte for byte"
    (event,) = connector().split(handed.body, handed.asked)
    assert isinstance(event, RawEvent)
    return event


@given(seeds)
@few
def test_a_seed_always_writes_the_same_mails_in_every_way(seed: int) -> None:
    truth, book, mails = drawn(seed)
    assert mails == write_mails(seed, truth, book)
    assert [mail.at for mail in mails] == sorted(mail.at for mail in mails)
    assert BEGIN < mails[0].at <= mails[-1].at < END
    assert {mail.forwarding for mail in mails} == set(Forwarding)
    assert {mail.brought for mail in mails} == set(Brought)
    assert {mail.meaning for mail in mails} == set(Meaning)
    assert {mail.is_proven for mail in mails} == {True, False}
    addresses = {one.reference for one in book.enrolled[Service.MAIL]}
    assert all(mail.to in addresses for mail in mails if not mail.is_nobodys)
    assert all(address.endswith(f"@{MAIL_DOMAIN}") for address in addresses)
    assert truth.star in {one.external_id for one in book.enrolled[Service.MAIL]}
    assert book.enrolled[Service.OWN] == book.enrolled[Service.CARRIER] == ()


@given(seeds)
@few
def test_each_mail_says_what_is_true_and_is_known_by_its_name(seed: int) -> None:
    truth, book, mails = drawn(seed)
    incidents = {incident.key: incident for incident in truth.incidents}
    owner = {one.reference: one.external_id for one in book.enrolled[Service.MAIL]}
    names: dict[str, Mailed] = {}
    for mail in mails:
        event = letter_of(mail, mail.written)
        assert mail.name == (event.body["message_id"] or f"{event.asked['to']} {event.body['dated']}")
        assert names.setdefault(mail.name, mail).written == mail.written
        found = connector().normalise(event)
        assert isinstance(found, MEANINGS[mail.meaning])
        if mail.incident is None or not isinstance(found, Alert):
            continue
        incident = incidents[mail.incident]
        assert owner[mail.to] == incident.member
        assert mail.at >= incident.noticed.replace(microsecond=0)
        assert bool(found.details_requested) == (incident.heard is Heard.HINT)
        assert found.kind is (AlertKind.OTHER_UNCLASSIFIED if incident.looked else incident.kind)
        if incident.heard is not Heard.HINT and incident.institution:
            assert found.last_four == incident.last_four
            assert canonical_institution(found.institution or "") == canonical_institution(incident.institution.name)


@given(seeds)
@few
def test_what_a_member_reports_after_logging_in_is_the_truth_and_can_be_reported(seed: int) -> None:
    truth, _, _ = drawn(seed)
    hints = truth.heard(Heard.HINT)
    looked = [incident for incident in hints if incident.looked]
    assert len(looked) == len(hints) - 2 > 0, "one member does not look, and the star does not"
    for incident in looked:
        report = report_of(report_after(incident))
        assert (report.kind, report.last_four) == (incident.kind, incident.last_four)
        assert incident.looked is not None
        assert incident.noticed < incident.looked
        assert all(said.at > incident.looked for said in incident.said)


def test_what_comes_by_people_is_counted_by_hand() -> None:
    soon = BEGIN.replace(hour=5)
    one = Mailed(soon, "m-1@x", b"one", "one", signed=True, incident="T-1")
    mails = (
        one,
        Mailed(soon, "m-1@x", b"one", "one", Forwarding.ATTACHED, signed=True, incident="T-1"),
        Mailed(soon, "m-1@x", b"two", "two", brought=Brought.TWICE, incident="T-2"),
        Mailed(soon, "m-1@x", b"offer", "offer", meaning=Meaning.NOTHING),
        Mailed(soon, "m-1@x", b"what", "what", meaning=Meaning.UNREADABLE),
        Mailed(soon, "m-0@x", b"whose", "whose", is_nobodys=True),
        Mailed(soon, "m-1@x", b"forged", "forged", brought=Brought.FORGED),
    )
    told = expect_by_hand(Told(), mails, Truth((), (), {}, ""))
    carrier, mail = told.services[Service.CARRIER], told.services[Service.MAIL]
    assert (carrier.deliveries, carrier.receipts, carrier.repeats, carrier.refused) == (8, 6, 1, {"not_authentic": 1})
    assert carrier.events == Counter(handed_on=6)
    assert (mail.deliveries, mail.receipts) == (7, 7)
    assert mail.events == Counter(new=3, sighting=1, non_alert=2, handed_on=1, quarantined=1)
    assert told.unmatched == {"no_enrollment": 1}
    assert told.incidents == {"T-1": {(Service.MAIL, "one")}, "T-2": {(Service.MAIL, "two")}}
    assert set(told.first.values()) == {next(steps())}, "handed on when work is done next"
    assert {*BY_HAND} == {*told.services}


@pytest.mark.parametrize("forwarding", Forwarding)
async def test_a_signature_holds_by_the_key_in_the_dns_unless_the_text_is_quoted(forwarding: Forwarding) -> None:
    _, _, mails = drawn(7)
    server = MailServer(7)
    assert server.record == MailServer(7).record != MailServer(8).record
    mail = next(one for one in mails if one.signed and one.forwarding is forwarding)
    signed = server.sign(mail.written, mail.at)
    assert signed == server.sign(mail.written, mail.at)
    letter_of(mail, signed)
    raw = signed if forwarding is Forwarding.ATTACHED else as_it_comes(mail, signed)
    async with name_server({NAME: server.record}) as address:
        keys = await dns.txt(dns.resolver(address), connector().names_to_ask(raw))
        assert await dns.txt(dns.resolver(address), ["nobody.example"]) == {}
    proof = connector().proof_of(raw, {"keys": json.dumps(keys)})
    assert proof.grade is (Grade.THIRD_PARTY if mail.is_proven else Grade.UNVERIFIABLE)
    if mail.is_proven:
        assert proof.signed_at == mail.at
