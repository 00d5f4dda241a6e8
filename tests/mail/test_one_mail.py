"""One mail is one alert, about whose address it came to, as a rule or a person reads it; what is attached is handed on."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from connectors.asking import Asked
from connectors.contract import Alert, BrokenEvent, ForAPerson, HandOn, Interval, Malformed, Normalised, NotAnAlert, RawEvent
from connectors.mail import connector, events
from connectors.mail.claims import reported
from connectors.mail.connector import COVER, TOO_DEEP, WHOSE_IS_UNKNOWN, MailConfig
from connectors.mail.phrases import WHAT
from connectors.mail.samples import alert_mail
from connectors.mail.sandbox import attached
from connectors.vocabulary import AlertKind

AT = datetime(2026, 3, 2, 9, 14, tzinfo=UTC)
TO = "m-7f3a91c2@alerts.example.org"
UNKNOWN = b"From: Harbor <alerts@harborwatch.example>\r\nMessage-ID: <1@h.example>\r\n\r\nSomething happened.\r\n"


def sample(kind: AlertKind = AlertKind.NEW_ACCOUNT_CREDIT_CARD, institution: str | None = "Lakeside Card Bank") -> bytes:
    mail = alert_mail(kind, TO, AT, 1, institution, "4417" if institution else None)
    assert mail is not None
    return mail


def cut(raw: bytes, asked: Asked | None = None) -> list[RawEvent]:
    found = list(connector().split(raw, {"to": TO} if asked is None else asked))
    assert all(isinstance(event, RawEvent) for event in found)
    return [event for event in found if isinstance(event, RawEvent)]


def said_of(raw: bytes, asked: Asked | None = None) -> list[Normalised]:
    return [connector().normalise(event) for event in cut(raw, asked)]


def one_alert(raw: bytes, asked: Asked | None = None) -> Alert:
    (said,) = said_of(raw, asked)
    assert isinstance(said, Alert)
    return said


def answered(raw: bytes, answer: object) -> Normalised:
    (event,) = cut(raw, {"to": TO})
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return connector().normalise(RawEvent(event.event_type, event.external_id, event.body, {**event.asked, "answer": text}))


def test_one_mail_by_two_carriers_is_the_same_event_whatever_they_add() -> None:
    above = b"Received: from a by b; Mon, 2 Mar 2026 17:20:01 +0000\r\nDelivered-To: x@y.example\r\nX-Spam-Score: 1\r\n"
    one, two = cut(sample(), {"to": TO, "via": "ses"}), cut(above + sample().replace(b"\r\n", b"\n"), {"to": TO, "via": "imap"})
    assert [event.body for event in one] == [event.body for event in two]
    assert one_alert(sample()).identity == (TO, "message-id", one[0].external_id)


def test_the_same_mail_to_two_members_is_two_alerts() -> None:
    assert one_alert(sample(), {"to": TO}).identity != one_alert(sample(), {"to": "other@alerts.example.org"}).identity


def test_whose_it_is_says_the_envelope_and_never_the_mail() -> None:
    alert = one_alert(sample(), {"to": " Other@Alerts.example.org "})
    assert alert.member_ref == "other@alerts.example.org"
    for asked in ({}, {"to": ""}, {"to": "  "}):
        assert said_of(b"Delivered-To: " + TO.encode() + b"\r\n" + sample(), asked) == [ForAPerson(WHOSE_IS_UNKNOWN)]


def test_a_mail_without_a_message_id_is_known_by_what_it_says() -> None:
    bare = sample().replace(b"Message-ID", b"X-Was")
    alert = one_alert(bare)
    assert alert.identity[:2] == (TO, "written")
    assert one_alert(bare).identity == alert.identity
    assert one_alert(bare.replace(b"Lakeside", b"Seaside")).identity != alert.identity


def test_its_date_is_when_it_was_reported_and_never_when_anything_happened() -> None:
    alert = one_alert(sample())
    assert (alert.reported, alert.occurred, alert.opened) == (Interval.at(AT), None, None)


@pytest.mark.parametrize(
    ("dated", "day"),
    [
        ("Mon, Mar 2, 2026 at 9:14\u202fAM", "2026-03-02"),
        ("Monday, March 2, 2026 9:14 AM", "2026-03-02"),
        ("lun, 2 mar 2026 a las 9:14", "2026-03-02"),
        ("lunes, 2 de enero de 2026 9:14", "2026-01-02"),
        ("2 de diciembre de 2026", "2026-12-02"),
        ("Dec 31 2026", "2026-12-31"),
        ("3/2/2026 9:14", None),
        ("31 feb 2026", None),
        ("2 foo 2026", None),
        ("", None),
    ],
)
def test_a_day_without_an_offset_is_that_day_anywhere_on_earth(dated: str, day: str | None) -> None:
    found = reported(None, dated)
    assert (found is None) == (day is None)
    if found is not None and day is not None:
        assert found.earliest is not None
        assert found.latest is not None
        assert (found.latest - found.earliest).total_seconds() == pytest.approx(50 * 3600, abs=1)
        assert found.earliest.date() < datetime.fromisoformat(day).date() < found.latest.date()


def test_the_summary_quotes_nothing_and_says_who_says_so() -> None:
    marked = sample(institution="<b>Lakeside\u202e</b>")
    assert one_alert(marked).summary == "Example Monitor wrote: a credit card was opened in your name."
    forwarded = (
        b"From: a@b.example\n\n---------- Forwarded message ---------\nFrom: Example Monitor <notices@alerts.monitor.example>\n"
        b"Date: x\nSubject: Example Monitor alert: new credit card\n\n"
        b"What we found: new credit card.\n\nCompany: Lakeside Card Bank\n"
    )
    assert one_alert(forwarded).summary == (
        "A mail that was forwarded by hand says that Example Monitor wrote: a credit card was opened in your name."
    )


def test_every_kind_has_its_words() -> None:
    assert set(WHAT) == set(AlertKind)


def test_an_unknown_sender_is_left_to_a_person_who_is_told_about_whom() -> None:
    assert said_of(UNKNOWN) == [ForAPerson("no rule knows this sender", TO)]
    (event,) = cut(UNKNOWN)
    assert connector().shown(event) == {
        "Sent from": "harborwatch.example",
        "From": "Harbor <alerts@harborwatch.example>",
        "To": TO,
        "How it came": "original",
        "Text": "Something happened.",
    }


def test_a_persons_answer_says_what_it_is() -> None:
    alert = answered(
        UNKNOWN,
        {"kind": "inquiry.hard", "institution": " North Auto ", "amount": "1200.50", "currency": "USD", "bureau": "experian"},
    )
    assert isinstance(alert, Alert)
    assert (alert.kind, alert.institution, alert.amount, alert.currency) == (
        "inquiry.hard",
        "North Auto",
        Decimal("1200.50"),
        "USD",
    )
    assert alert.identity == (TO, "message-id", "1@h.example")
    assert alert.summary == (
        "Harborwatch.example wrote: somebody asked for your credit file, as for a loan (so read by a caseworker)."
    )
    assert answered(UNKNOWN, {"not_an_alert": True}) == NotAnAlert("no alert, by a person's word")


def test_an_answer_goes_before_a_rule_and_keeps_what_the_rule_found_of_the_same_kind() -> None:
    same = answered(sample(), {"kind": "new_account.credit_card", "last_four": "9999"})
    other = answered(sample(), {"kind": "takeover.card"})
    assert isinstance(same, Alert)
    assert isinstance(other, Alert)
    assert (same.institution, same.last_four) == ("Lakeside Card Bank", "9999")
    assert (other.kind, other.institution, other.last_four) == ("takeover.card", None, None)
    assert answered(sample(), {"not_an_alert": True}) == NotAnAlert("no alert, by a person's word")


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "[]",
        "{",
        {},
        {"kind": "nothing.known"},
        {"kind": "inquiry.hard", "not_an_alert": True},
        {"not_an_alert": False},
        {"kind": "inquiry.hard", "amount": "5"},
        {"kind": "inquiry.hard", "amount": 5.5, "currency": "USD"},
        {"kind": "inquiry.hard", "last_four": "12345"},
        {"kind": "inquiry.hard", "institution": "a\x00"},
        {"kind": "inquiry.hard", "more": 1},
    ],
)
def test_an_answer_that_is_none_is_malformed(answer: object) -> None:
    with pytest.raises(Malformed):
        answered(UNKNOWN, answer)


def test_an_attached_mail_is_handed_on_exactly_with_what_was_told() -> None:
    inner = sample()
    cover, handed = said_of(
        attached(inner, TO), {"to": TO, "via": "imap", "from": "a@b.example", "keys": "{}", "answer": "{"} | {}
    )
    del cover
    assert isinstance(handed, HandOn)
    assert (handed.to, handed.body) == ("mail", inner)
    assert {**handed.asked, "inside": ""} == {"to": TO, "via": "imap", "from": "a@b.example", "inside": "", "depth": "1"}
    assert one_alert(handed.body, handed.asked).kind is AlertKind.NEW_ACCOUNT_CREDIT_CARD


def test_a_short_note_above_an_attached_mail_is_a_cover_and_a_long_one_a_question() -> None:
    short, _ = said_of(attached(sample(), TO))
    assert short == NotAnAlert(COVER)
    long = attached(sample(), TO).replace(b"This came today.", b"This came today. " * 60)
    assert isinstance(said_of(long)[0], ForAPerson)
    raw = attached(sample(), TO)
    end = raw[raw.rindex(b"\r\n--") :]
    file = end.replace(b"--\r\n", b"\r\nContent-Type: application/vnd.ms-outlook; name=alert.msg\r\n\r\nMSG")
    assert isinstance(said_of(raw[: -len(end)] + file + end)[0], ForAPerson)


def test_how_deep_a_mail_may_lie_in_others_is_bounded() -> None:
    mail, asked = sample(), {"to": TO}
    for _ in range(events.DEEPEST + 1):
        mail = attached(mail, TO)
    for deep in range(1, events.DEEPEST + 1):
        handed = said_of(mail, asked)[1]
        assert isinstance(handed, HandOn)
        assert handed.asked["depth"] == str(deep)
        mail, asked = handed.body, dict(handed.asked)
    assert said_of(mail, asked)[1] == ForAPerson(TOO_DEEP, TO)
    event = cut(mail, asked)[1]
    said = {**event.asked, "answer": '{"not_an_alert": true}'}
    assert connector().normalise(RawEvent("attached", "1", event.body, said)) == NotAnAlert("no alert, by a person's word")


def in_a_file(*mails: bytes) -> bytes:
    return b"".join(b"From x@y Mon Mar  2 17:14:00 2026\n" + mail + b"\n" for mail in mails)


def test_a_file_of_mails_is_each_of_them_with_its_exact_bytes() -> None:
    one = b"Delivered-To: A@alerts.example.org\nFrom: a@b.example\n\nFrom here it goes.\nto the end\n"
    two = b"X-Original-To: <b@alerts.example.org>\nFrom: a@b.example\n\nhello\n"
    both = b"X-Original-To: c@x.example\n" + one
    none = b"To: d@alerts.example.org\nFrom: a@b.example\n\nhello\n"
    found = said_of(in_a_file(*(mail.replace(b"\nFrom here", b"\n>From here") for mail in (one, two, both, none))), {})
    assert all(isinstance(said, HandOn) for said in found)
    handed = [said for said in found if isinstance(said, HandOn)]
    assert [said.body for said in handed] == [one, two, both, none]
    assert [said.asked.get("to", "") for said in handed] == [
        "a@alerts.example.org",
        "b@alerts.example.org",
        "a@alerts.example.org",
        "",
    ]
    undated = b"From x\n" + two + b"\nFrom y\n" + none
    assert [said.body for said in said_of(undated, {}) if isinstance(said, HandOn)] == [two, none]
    told = said_of(in_a_file(one), {"to": TO})
    assert isinstance(told[0], HandOn)
    assert told[0].asked["to"] == TO


def test_what_is_no_mail_in_a_file_of_mails_takes_no_neighbour_along() -> None:
    found = list(connector().split(in_a_file(sample(), b"\x00 nothing\n", sample()), {}))
    assert [type(event) for event in found] == [RawEvent, BrokenEvent, RawEvent]
    with pytest.raises(Malformed):
        connector().split(b"From x", {})


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({"raw": "%%%", "to": ""}, {}),
        ({"raw": "", "to": ""}, {}),
        ({"raw": 5, "to": ""}, {}),
        ({"raw": "QQ=="}, {}),
        ({"raw": "QQ==", "to": "a\x00"}, {}),
        ({"raw": "QQ==", "to": ""}, {"depth": "many"}),
        ({"raw": "QQ==", "to": ""}, {"depth": "-1"}),
        ({"raw": "QQ==", "to": ""}, {"via": "x" * 2000}),
    ],
)
def test_a_stored_event_that_was_tampered_with_is_malformed(body: Mapping[str, object], asked: Mapping[str, str]) -> None:
    with pytest.raises(Malformed):
        connector().normalise(RawEvent("attached", "1", body, asked))


def test_a_connection_is_read_by_its_own_documents() -> None:
    with pytest.raises(ValueError, match="mine"):
        connector().reading_by({"mine": "nonsense: ["})
    assert isinstance(connector().reading_by({}).normalise(cut(sample())[0]), Alert)


@pytest.mark.parametrize("domain", ["", "nodots", "a b.org", "x.local", "1.2.3.4"])
def test_the_domain_of_the_forwarding_addresses_is_one(domain: str) -> None:
    assert MailConfig(domain="Alerts.Example.ORG").domain == "alerts.example.org"
    with pytest.raises(ValueError, match="not a domain"):
        MailConfig(domain=domain)
