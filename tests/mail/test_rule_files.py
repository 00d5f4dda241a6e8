from __future__ import annotations

import time
from contextlib import suppress

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.mail.patterns import LONGEST_PATTERN, compiled
from connectors.mail.proposing import proposed
from connectors.mail.rule_file import LARGEST_DOCUMENT, MOST_TOLD, rule_file
from connectors.mail.rules import Found, decide, read_rules, shipped
from connectors.vocabulary import AlertKind
from tests.mail.rule_samples import DOMAINS, expected, letter, sample, with_domain

GOOD = """
title: A service
domains:
  - {domain: alerts.service.example, carries: alerts, mark: A, source: a mail of May}
dkim_domains:
  - {domain: mailer.example, mark: V, source: the same mail}
language: [en]
ignored:
  - {reason: advertising, subject: ['^deals']}
alerts:
  - {kind: inquiry.hard, subject: ['inquiry'], body: ['was made by (?P<institution>[^.]+)']}
yields: ['ending in (?P<last_four>[0-9]{4})']
"""


def _refusal(name: str, text: str) -> str | None:
    try:
        rule_file(name, text)
    except ValueError as error:
        return str(error)
    return None


def test_a_rule_says_how_each_address_is_known() -> None:
    file = rule_file("service", GOOD)
    assert [(entry.domain, entry.mark.value) for entry in file.domains] == [("alerts.service.example", "A")]
    assert [(entry.domain, entry.mark.value, entry.source) for entry in file.dkim_domains] == [
        ("mailer.example", "V", "the same mail")
    ]


def test_the_marks_of_the_research_are_kept() -> None:
    marks = {
        entry.domain: (sender.name, entry.mark.value, entry.carries.value)
        for sender in read_rules({}).senders.values()
        for entry in sender.file.domains
    }
    assert marks["s.usa.experian.com"] == ("experian", "V", "alerts")
    assert marks["e.usa.experian.com"] == ("experian", "V", "marketing")
    assert marks["alerts.transunion.com"] == ("transunion", "V", "alerts")
    assert marks["updates.transunion.com"] == ("transunion", "V", "marketing")
    assert marks["mail.creditkarma.com"] == ("creditkarma", "V", "alerts")
    assert marks["e.equifax.com"] == ("equifax", "V", "marketing")
    assert marks["idnotify.com"] == ("idnotify", "A", "alerts")


def test_a_document_replaces_the_shipped_rule_of_its_name_or_joins_them() -> None:
    mail = letter("a@alerts.service.example", "One inquiry", "An inquiry was made by Copper Kite Bank.")
    joined = decide(read_rules({"service": GOOD}), mail)
    assert isinstance(joined, Found)
    assert (joined.rule, joined.provider, joined.institution) == ("service", "A service", "Copper Kite Bank")
    replaced = read_rules({"example": GOOD})
    assert isinstance(decide(replaced, mail), Found)
    assert replaced.senders.keys() == shipped().keys()


def test_two_rules_of_one_sender_that_differ_decide_nothing() -> None:
    other = GOOD.replace("inquiry.hard", "ssn.use")
    mail = letter("a@alerts.service.example", "One inquiry", "It was made by Copper Kite Bank.")
    assert not isinstance(decide(read_rules({"one": GOOD, "two": other}), mail), Found)
    assert isinstance(decide(read_rules({"one": GOOD, "two": GOOD}), mail), Found)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("title: A service", "titel: A service", "titel: there is no such field"),
        ("title: A service", "", "title: is missing"),
        ("mark: A", "mark: X", "domains.0.mark: is none of the words"),
        ("mark: A, ", "", "domains.0.mark: is missing"),
        ("alerts.service.example", "gmail.com", "domains.0.domain: is a domain where anybody"),
        ("alerts.service.example", "co.uk", "domains.0.domain: is no domain"),
        ("alerts.service.example", "a@service.example", "domains.0.domain: is no domain"),
        ("inquiry.hard", "inquiry.soft", "alerts.0.kind: is none of the words"),
        ("(?P<institution>", "(?P<bank>", "alerts.0.body.0: names a group that yields nothing"),
        ("(?P<last_four>", "(?:", "yields.0: yields nothing"),
        ("'inquiry'", "'inquiry('", "alerts.0.subject.0: is no pattern"),
        ("'inquiry'", "'(?=inquiry)'", "alerts.0.subject.0: is no pattern"),
        ("'inquiry'", r"'(i)nquiry\1'", "alerts.0.subject.0: is no pattern"),
        ("'inquiry'", "'.*'", "alerts.0.subject.0: fits almost any text"),
        ("'inquiry'", "'x?.*'", "alerts.0.subject.0: fits almost any text"),
        ("'inquiry'", "'(?:inquiry{900}){900}'", "alerts.0.subject.0: is no pattern"),
        ("'inquiry'", r"'(?:[\pL\pN]{50}x){9}'", "alerts.0.subject.0: is no pattern"),
        ("'inquiry'", r"'i\Cnquiry'", "alerts.0.subject.0: \\C is not allowed"),
        ("'inquiry'", "'" + "i" * (LONGEST_PATTERN + 1) + "'", "alerts.0.subject.0: is longer than"),
        ("'inquiry'", "5", "alerts.0.subject.0: is a text"),
        (", body: ['was made by (?P<institution>[^.]+)']", "", "alerts.0: needs a pattern of the subject and one of the body"),
        (", subject: ['^deals']", "", "ignored.0: needs a pattern of the subject"),
        ("language: [en]", "uses: [nobody]", "uses.0: is the name of no other rule"),
        ("language: [en]", "language: [en]\nlanguage: [es]", "has a field twice, in line 8"),
        ("language: [en]", "language: &a [en]", "& and * of YAML"),
        ("language: [en]", "language: [en", "is no YAML in line"),
        ("language: [en]", "language: " + "[" * 50 + "]" * 50, "is nested deeper"),
        ("language: [en]", "note: '" + "n" * LARGEST_DOCUMENT + "'", "is longer than"),
        ("language: [en]", "language: !!python/name:os.system []", "! of YAML"),
        ("language: [en]", "language: !!bool perhaps", "! of YAML"),
        ("language: [en]", f"language: 1{':59' * 200}.0", "a number that is too large"),
    ],
)
def test_what_is_wrong_in_a_rule_is_told_with_its_place(old: str, new: str, told: str) -> None:
    assert old in GOOD
    with pytest.raises(ValueError, match="rule service: ") as caught:
        read_rules({"service": GOOD.replace(old, new, 1)})
    assert told in str(caught.value)


def test_what_is_wrong_is_told_with_its_line() -> None:
    told = _refusal("service", GOOD.replace("inquiry.hard", "inquiry.soft").replace("mark: A", "mark: X"))
    assert told == (
        "rule service: domains.0.mark: is none of the words that may stand here (line 4); "
        "alerts.0.kind: is none of the words that may stand here (line 11)"
    )


def test_a_thousand_mistakes_cost_as_much_as_one() -> None:
    """Where they stand is looked up in what was read once, not in the text again for each of them."""
    began = time.process_time()
    told = _refusal("service", GOOD + "".join(f"a{n}:\n" for n in range(1000)))
    assert told is not None
    assert told.count("(line ") == MOST_TOLD
    assert time.process_time() - began < 5


@pytest.mark.parametrize("text", ["", "5", "- a", "title", "? [a]\n: b", "\x00", "a: 2001-99-99", "%", "\ud800"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="rule service: "):
        read_rules({"service": text})


def test_a_name_is_a_name() -> None:
    for name in ("", "A", "../x", "x" * 65, "a b"):
        with pytest.raises(ValueError, match="name"):
            read_rules({name: GOOD})


def test_too_much_of_it_is_refused() -> None:
    many = "\n".join(f"  - 'word{number} (?P<institution>x)'" for number in range(101))
    with pytest.raises(ValueError, match="yields"):
        read_rules({"service": GOOD.replace("yields: ['ending in (?P<last_four>[0-9]{4})']", f"yields:\n{many}")})
    with pytest.raises(ValueError, match="more than"):
        read_rules({f"r{number}": GOOD for number in range(201)})


def test_no_pattern_takes_long() -> None:
    """Each is known to keep a backtracking engine busy for ever."""
    for pattern in (r"(a+)+$x", r"(a|aa)+$x", r"(.*a){12}x", r"(?:a?){50}a{50}x", r"(\s*\w+\s*)+:x"):
        text = GOOD.replace("'inquiry'", f"'{pattern}'")
        began = time.monotonic()
        found = decide(read_rules({"service": text}), letter("a@alerts.service.example", "a" * 1000, "a" * 99_999))
        assert not isinstance(found, Found)
        assert compiled(pattern).search("a" * 99_999) is None
        assert time.monotonic() - began < 5


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80) | st.from_regex(r"[a-z(\[{*+?.|)\]}\\^$: 0-9]{1,40}", fullmatch=True))
def test_any_pattern_is_taken_or_refused_with_a_word(pattern: str) -> None:
    with suppress(ValueError):
        compiled(pattern).search("A new account was opened at Harbor Lantern Bank." * 20)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200) | st.from_regex(r"([a-z]{1,6}: ?[\[{'\"&*!|>-]?[a-z]{0,5}\n?){1,10}"))
def test_any_text_is_a_rule_or_refused_with_its_name(text: str) -> None:
    told = _refusal("service", text)
    assert told is None or told.startswith("rule service: ")


def test_spaces_of_a_pattern_are_any_white_space() -> None:
    assert compiled("new account").search("New\naccount")
    assert compiled("a[ x]b").search("a b")
    assert not compiled("a[ x]b").search("a\nb")
    assert compiled("[]] x").search("]  x")
    assert compiled("new ?account").search("newaccount")


KINDS = {name: wanted["kind"] for name, wanted in expected("known").items() if "kind" in wanted}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_draft_made_from_a_mail_understands_it_and_holds_nothing_of_it(name: str) -> None:
    mail = sample("known", name)
    draft = proposed(mail, AlertKind(KINDS[name]))
    read = {each: with_domain(each, domain) for each, domain in DOMAINS.items()}
    decided = decide(read_rules({**read, "a-draft": draft}), mail)
    assert isinstance(decided, Found)
    assert decided.kind == KINDS[name]


def test_a_draft_holds_no_name_and_no_number() -> None:
    subject = "Fwd: [Urgent] Maria Lopez: new inquiry from Harbor Lantern, ref 99812, $500 (SSN 123-45-6789)!"
    draft = proposed(letter("x@alerts.service.example", subject, "Maria Lopez, 99812"), AlertKind.INQUIRY_HARD)
    document = yaml.safe_load(draft)
    (pattern,) = document["alerts"][0]["subject"]
    for word in ("maria", "lopez", "harbor", "lantern", "99812", "500", "123", "6789"):
        assert word not in draft.lower()
    assert compiled(pattern).search(subject)
    assert document["domains"][0]["domain"] == "alerts.service.example"
    assert not any(letter.isdigit() for letter in draft)


@pytest.mark.parametrize("subject", ["", "Hello Maria", "Maria 12", "\ud800", "the of and"])
def test_a_subject_that_tells_nothing_makes_no_pattern(subject: str) -> None:
    draft = proposed(letter("maria@gmail.com", subject, "text"), AlertKind.INQUIRY_HARD)
    assert "gmail" not in draft
    with pytest.raises(ValueError, match=r"alerts\.0: needs a pattern of the subject"):
        read_rules({"a-draft": draft})


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            (
                "New",
                "account",
                "opened",
                "at",
                "Zqx",
                "123",
                "$5",
                "[x]",
                "(a)",
                "¡Alerta!",
                "cuenta,",
                "-",
                ":",
                "*",
                "+",
                "?",
                "|",
            )
        )
    ).map(" ".join)
)
def test_any_draft_can_be_read_or_says_what_is_missing(subject: str) -> None:
    draft = proposed(letter("x@alerts.service.example", subject, ""), AlertKind.INQUIRY_HARD)
    told = _refusal("a-draft", draft)
    if told is not None:
        assert "needs a pattern of the subject" in told
        return
    assert compiled(rule_file("a-draft", draft).alerts[0].subject[0]).search(subject)
    assert "zqx" not in draft.lower()
