from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.mail import forwards, message
from connectors.mail.letter import Letter
from connectors.mail.rules import Found, Undecided, decide, read_rules, shipped
from connectors.mail.samples import WORDS, alert_mail
from connectors.mail.telling import suggested
from connectors.mail.yielding import last_four
from connectors.vocabulary import AlertKind, Bureau
from tests.mail.rule_samples import called, expected, letter, rules, sample, with_domain

KNOWN = expected("known")
EXPERIAN = "support@s.usa.experian.com"
CARD = "A new credit card account was opened in your name at Harbor Lantern Bank."
FOOTERS = (
    "You receive this mail because you are enrolled.",
    "Unsubscribe | Privacy policy | Manage your alerts",
    "Get 20% off when you upgrade to our family plan.",
    "We monitor for new accounts, hard inquiries, changes of address and the dark web.",
    "We'll alert you when a new account is opened in your name.",
    "Learn how to tell if your Social Security number was found on the dark web.",
    "See offers for a new credit card that match your score.",
    "If you received this message in error, please delete it.",
    "Never share your password or your Social Security number by e-mail.",
    "Did you know? A new account could be opened with stolen data.",
    "Le avisaremos si se abre una cuenta nueva a su nombre.",
    "Vigilamos su informe de crédito, su dirección y la web oscura.",
    "¿Necesita una tarjeta de crédito nueva? Vea nuestras ofertas.",
    "© 2026 Example Monitoring, 12 Invented Lane. All rights reserved.",
)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_a_mail_in_a_known_style_is_understood(name: str) -> None:
    decided, wanted = decide(rules(), sample("known", name)), KNOWN[name]
    if wanted.get("undecided"):
        assert isinstance(decided, Undecided)
        return
    assert isinstance(decided, Found), decided
    assert decided.kind == wanted.get("kind")
    assert decided.ignored == wanted.get("ignored")
    shown = {**asdict(decided), "amount": str(decided.amount)}
    assert {field: shown[field] for field in wanted} == wanted
    assert (decided.currency == "USD") == (decided.amount is not None)


def test_the_known_styles_are_many() -> None:
    tongues = Counter("es" if "-es-" in name else "en" for name in KNOWN)
    assert len(KNOWN) >= 40
    assert tongues["es"] >= 6


def _went(folder: str) -> dict[str, int]:
    """How many mails of a folder went where; no find may name a company that the mail does not hold."""
    went: Counter[str] = Counter()
    for name, right in expected(folder).items():
        mail = sample(folder, name)
        decided = decide(rules(), mail)
        if isinstance(decided, Found) and decided.institution is not None:
            assert decided.institution in mail.text
        got = called(decided)
        went["review" if got == "review" else "right kind" if got in right else "wrong kind"] += 1
        assert got == "review" or got in right, f"{name}: {got}"
    return dict(went)


def test_mails_in_words_that_no_rule_was_written_for_never_become_a_wrong_kind() -> None:
    """Twenty, written as by other copywriters and kept away from the rules: 9 went to their right kind, 11 to review, 0 wrong."""
    assert _went("held_out") == {"right kind": 9, "review": 11}


def test_mails_that_lead_astray_become_no_wrong_kind() -> None:
    """Five of these did once, which made the rules stricter: they are kept so that they never do again."""
    went = _went("near_misses")
    assert went.keys() == {"right kind", "review"}
    assert sum(went.values()) == 85


@pytest.mark.parametrize("kind", AlertKind)
@pytest.mark.parametrize(("institution", "last_four"), [("Harbor Lantern Bank", "1234"), (None, None), ("Banco Ñandú", None)])
def test_the_invented_service_is_understood_exactly(kind: AlertKind, institution: str | None, last_four: str | None) -> None:
    raw = alert_mail(kind, "m-1@in.example", datetime(2026, 3, 2, tzinfo=UTC), 7, institution, last_four)
    if raw is None:
        assert kind in {AlertKind.FREEZE_BAD_PIN, AlertKind.PAYROLL_DIVERSION}
        return
    decided = decide(read_rules({}), forwards.reading(message.read(raw)).letter)
    assert isinstance(decided, Found)
    assert (decided.rule, decided.kind) == ("example", kind)
    assert (decided.institution, decided.last_four) == (institution, last_four)
    assert decided.details_requested == (institution is None and kind.family != "exposure")


def test_mails_of_the_invented_service_are_one_for_each_number_and_recipient() -> None:
    def identity(to: str, number: int) -> bytes:
        raw = alert_mail(AlertKind.INQUIRY_HARD, to, datetime(2026, 3, 2, tzinfo=UTC), number, None, None)
        assert raw is not None
        assert raw == alert_mail(AlertKind.INQUIRY_HARD, to, datetime(2026, 3, 2, tzinfo=UTC), number, None, None)
        return next(line for line in raw.split(b"\r\n") if line.startswith(b"Message-ID"))

    assert len({identity(to, number) for to in ("a@in.example", "b@in.example") for number in range(3)}) == 6
    assert len(set(WORDS.values())) == len(WORDS)


@pytest.mark.parametrize(
    "sender",
    ["", "hi@nobody.example", "a@experian.com", "a@s.usa.experian.com.evil.example", "a@xs.usa.experian.com", "a@example"],
)
def test_an_unknown_sender_is_never_decided(sender: str) -> None:
    mail = letter(sender, "A new credit card account was opened", CARD)
    assert decide(rules(), mail) == Undecided("no rule knows this sender")
    assert suggested(mail) is AlertKind.NEW_ACCOUNT_UNKNOWN


def test_a_subdomain_is_its_senders() -> None:
    assert isinstance(decide(rules(), letter("a@eu.s.usa.experian.com", "New credit card opened", CARD)), Found)


def test_a_rule_without_a_domain_matches_nothing() -> None:
    assert not read_rules({}).senders["lifelock"].file.domains
    assert isinstance(decide(read_rules({}), letter("a@lifelock.example", "New credit card opened", CARD)), Undecided)


def test_an_address_for_advertising_never_tells_of_an_alert() -> None:
    decided = decide(rules(), letter("support@e.usa.experian.com", "New credit card opened", CARD))
    assert decided == Undecided("it tells of an alert, and comes from an address for advertising")


@pytest.mark.parametrize(
    "text",
    [
        "No new credit card account was opened in your name.",
        "Good news: a new credit card account was not opened in your name.",
        "We have not found that a new credit card\naccount was opened in your name.",
        "We looked at all three bureaus this month, and we did not find that\na new credit card account was opened in your name.",
        "If a new credit card account was opened in your name, we tell you.",
        "Was a new credit card account opened in your name? A new credit card account was opened in your name?",
        "No hemos encontrado que se abrió una tarjeta de crédito a su nombre.",
        "Si se abrió una tarjeta de crédito a su nombre, le avisamos.",
        "Ninguna tarjeta de crédito a su nombre fue abierta.",
        "A new credit card account was opened in your name. This is a test.",
        "We told you that a new credit card account was opened in your name.",
        "A new credit card account was opened in someone's name.",
        "Your new credit card account was opened at Harbor Lantern Bank.",
        "A new credit card account was opened in your name at One Bank.\n\nCreditor: Another Bank",
        "A new credit card account was opened in your name.\n\nA hard inquiry was made by Copper Kite Bank.",
        "A new credit card account was opened in your name.\n\nInquiries: 2",
        "A new credit card account was opened in your name.\n\nNo new credit card account was opened in your name.",
        "A new credit card account was opened\nNone",
        "A new credit card account was opened by criminals at a bank in Reno.",
        "A new credit card account was opened if we are not mistaken.",
        "In our review of the files at all bureaus we did not see that\nOne Bank says a new credit card account was opened.",
    ],
)
def test_what_is_denied_supposed_or_doubtful_is_for_a_person(text: str) -> None:
    assert isinstance(decide(rules(), letter(EXPERIAN, "New credit card account opened", text)), Undecided)


@pytest.mark.parametrize(
    "subject", ["No new accounts opened", "Is your new account opened?", "New account, explained", "Resolved: new account opened"]
)
def test_a_subject_that_denies_or_explains_is_for_a_person(subject: str) -> None:
    assert isinstance(decide(rules(), letter(EXPERIAN, subject, CARD)), Undecided)


@pytest.mark.parametrize(
    "text",
    [
        "A new account was reported.",
        "Account type: Credit card",
        "1 new account",
        "New accounts: 1",
        CARD,
        "A hard inquiry was made by Harbor Lantern Bank.",
    ],
)
def test_what_may_tell_of_an_alert_is_not_put_away(text: str) -> None:
    assert isinstance(decide(rules(), letter(EXPERIAN, "Your credit score changed", text)), Undecided)


@pytest.mark.parametrize(
    ("subject", "text", "kind"),
    [
        ("New account opened", "A new account was opened in your name.\n\nAccount type: Auto loan", AlertKind.NEW_ACCOUNT_AUTO),
        ("You have a new alert: new credit card", f"{CARD}\n\nLog in for more.", AlertKind.NEW_ACCOUNT_CREDIT_CARD),
        ("Dark web alert", "Your email address, password and SSN were found on the dark web.", AlertKind.EXPOSURE_SSN),
        ("Dark web alert", "Your information was exposed. Your password was found in a breach.", AlertKind.EXPOSURE_CREDENTIALS),
        ("New collection", "A new collection account was added to your credit report.", AlertKind.CONSEQUENCE_COLLECTION),
        ("Bank account alert", "The address on your bank account was changed.", AlertKind.TAKEOVER_BANK),
    ],
)
def test_what_says_more_is_what_a_mail_tells_of(subject: str, text: str, kind: AlertKind) -> None:
    decided = decide(rules(), letter(EXPERIAN, subject, text))
    assert isinstance(decided, Found)
    assert decided.kind is kind


def test_the_nearest_domain_says_what_an_address_is_for() -> None:
    document = with_domain("experian", "experian.com")
    assert document.index("e.usa.experian.com") < document.index("domain: experian.com")
    flipped = yaml.safe_load(document)
    flipped["domains"].reverse()
    for text in (document, yaml.safe_dump(flipped)):
        read = read_rules({"experian": text})
        assert isinstance(decide(read, letter("a@b.experian.com", "New credit card opened", CARD)), Found)
        assert isinstance(decide(read, letter("a@e.usa.experian.com", "New credit card opened", CARD)), Undecided)


def test_a_heap_of_marks_takes_no_time() -> None:
    began = time.monotonic()
    decide(rules(), letter(EXPERIAN, "New credit card opened", "a" + "\u0316\u0300" * 49_000))
    assert time.monotonic() - began < 5


def test_a_line_that_a_program_broke_is_still_read() -> None:
    text = CARD.replace("credit card account", "credit card\naccount")
    decided = decide(rules(), letter(EXPERIAN, "New credit card account opened", text))
    assert isinstance(decided, Found)
    assert (decided.kind, decided.institution) == (AlertKind.NEW_ACCOUNT_CREDIT_CARD, "Harbor Lantern Bank")


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ("Creditor: Copper Kite Bank", {"institution": "Copper Kite Bank"}),
        ("Creditor: COPPER KITE BANK\nCompany: Copper Kite Bank", {"institution": "Copper Kite Bank"}),
        ("Creditor: https://evil.example/x", {"institution": None}),
        ("Creditor: " + "x" * 79 + " y", {"institution": None}),
        ("Creditor: see your account", {"institution": None}),
        ("Creditor: Experian", {"institution": None}),
        ("Creditor: account 123456789", {"institution": None}),
        ("Account ending in: 1234", {"last_four": "1234"}),
        ("Account: ****5678", {"last_four": "5678"}),
        ("Account ending in: 1234\nAccount ending in: 5678", {"last_four": None}),
        ("Your Social Security number ending in 6789 is safe", {"last_four": None}),
        ("Amount: $1,234.56", {"amount": Decimal("1234.56"), "currency": "USD"}),
        ("Amount: 1,234.56", {"amount": None, "currency": None}),
        ("Amount: MX$1,234.56", {"amount": None, "currency": None}),
        ("Amount: $1.234,56", {"amount": None, "currency": None}),
        ("Bureau: TransUnion", {"bureau": Bureau.TRANSUNION}),
        ("Bureau: Trans Union\nBureau: Equifax", {"bureau": None}),
    ],
)
def test_what_a_mail_names_is_sane_or_left_out(lines: str, wanted: dict[str, Any]) -> None:
    text = f"A new credit card account was opened in your name.\n\n{lines}"
    decided = decide(rules(), letter(EXPERIAN, "New credit card account opened", text))
    assert isinstance(decided, Found)
    assert {field: getattr(decided, field) for field in wanted} == wanted
    bare = decided.institution is None and decided.last_four is None and decided.amount is None
    assert decided.details_requested == bare


def test_a_last_four_has_two_digits_at_least() -> None:
    assert [last_four(text) for text in ("7", "x", "**27", "1234-5678")] == [None, None, "27", "5678"]


def test_a_mail_that_is_too_long_is_for_a_person() -> None:
    assert isinstance(decide(rules(), letter(EXPERIAN, "New credit card opened", CARD + " " * 100_000)), Undecided)


WILD = st.text(st.characters(codec=None), max_size=300) | st.sampled_from(
    [CARD, "\ud800", "\x00", "e\u0301" * 50, "\u202e$1", ""]
)


@settings(max_examples=300, deadline=None)
@given(WILD, st.lists(WILD, max_size=5).map("\n".join))
def test_no_text_makes_it_raise(subject: str, text: str) -> None:
    for sender in (EXPERIAN, "a@idx.example", "\ud800@x", "a@" + "b." * 50):
        assert isinstance(decide(rules(), letter(sender, subject, text)), Found | Undecided)
    suggested(letter("", subject, text))


def _footed(mail: Letter, lines: list[str], gap: str) -> Letter:
    return replace(mail, text=gap.join([mail.text, *lines]))


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(KNOWN)), st.lists(st.sampled_from(FOOTERS), min_size=1, max_size=8), st.sampled_from(["\n\n", "\n"])
)
def test_a_footer_never_changes_what_a_mail_is(name: str, lines: list[str], gap: str) -> None:
    mail = sample("known", name)
    assert called(decide(rules(), _footed(mail, lines, "\n\n" if mail.text[-1:] not in ".!?" else gap))) == called(
        decide(rules(), mail)
    )


def test_every_shipped_rule_is_of_a_sender_or_used_by_one() -> None:
    senders = read_rules({}).senders
    assert {"experian", "transunion", "equifax", "creditkarma", "idnotify", "experian-identityworks"} < shipped().keys()
    assert {"lifelock", "idx", "kroll", "id-watchdog", "aura", "identityforce", "example"} < shipped().keys()
    used = {name for sender in senders.values() for name in sender.file.uses}
    for name, sender in senders.items():
        assert sender.file.domains or "[A]" in sender.file.note or "No public source" in sender.file.note, name
        assert name in used or sender.alerts or sender.ignored, name
