"""How a mail came, by the marks that programs leave: English and Spanish, text and HTML, quoted or not, once or twice."""

from datetime import UTC, datetime

import pytest

from connectors.mail.forwards import Reading, reading
from connectors.mail.letter import How
from connectors.mail.message import read

SENDER = "notices@alerts.monitor.example"
INNER = "What we found: new credit card.\n\nCompany: Lakeside Card Bank"


def read_as(text: str, subject: str = "Fwd: alert", kind: str = "text/plain") -> Reading:
    raw = f"From: Avery <avery@example.net>\nSubject: {subject}\nDate: Tue, 3 Mar 2026 08:30:00 -0500\n"
    raw += "Message-ID: <outer@x.example>\n"
    return reading(read(f"{raw}Content-Type: {kind}; charset=utf-8\n\n{text}".encode()))


def quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


GMAIL = f"""Not mine.

---------- Forwarded message ---------
From: Example Monitor <{SENDER}>
Date: Mon, Mar 2, 2026 at 9:14\u202fAM
Subject: A new account
To: Avery <avery@example.net>

{INNER}"""
GMAIL_SPANISH = f"""---------- Mensaje reenviado ---------
De: Example Monitor <{SENDER}>
Date: lun, 2 mar 2026 a las 9:14
Subject: A new account
To: <avery@example.net>


{INNER}"""
THUNDERBIRD = f"""

-------- Forwarded Message --------
Subject: A new account
Date: Mon, 2 Mar 2026 09:14:00 -0800
From: Example Monitor <{SENDER}>
To: avery@example.net

{INNER}"""
OUTLOOK = f"""-----Original Message-----
From: Example Monitor [mailto:{SENDER}]
Sent: Monday, March 2, 2026 9:14 AM
To: avery@example.net
Subject: A new account

{INNER}"""
OUTLOOK_SPANISH = f"""-----Mensaje original-----
De: Example Monitor <{SENDER}>
Enviado el: lunes, 2 de marzo de 2026 9:14
Para: avery@example.net
Asunto: A new account

{INNER}"""
OUTLOOK_RULE = f"""Look.

________________________________
From: Example Monitor <{SENDER}>
Sent: Monday, March 2, 2026 9:14 AM
To: Avery <avery@example.net>; Blake <blake@example.net>
Subject: A new account

{INNER}"""
OUTLOOK_BARE = f"""*De:* Example Monitor <{SENDER}>
*Fecha:* lunes, 2 de marzo de 2026, 9:14
*Para:* avery@example.net
*Asunto:* A new account

{INNER}"""
APPLE = f"""

Begin forwarded message:

{quoted(f"From: Example Monitor <{SENDER}>")}
{quoted("Subject: A new account")}
{quoted("Date: March 2, 2026 at 9:14:00 AM PST")}
{quoted("To: avery@example.net")}
>
{quoted(INNER)}"""
APPLE_SPANISH = f"""Inicio del mensaje reenviado:

> De: Example Monitor <{SENDER}>
> Fecha: 2 de marzo de 2026, 9:14:00 PST
> Para: avery@example.net
> Asunto: A new account
>
{quoted(INNER)}"""
OUTLOOK_HTML = f"""<html><body><p>Look.</p><hr><div><p>
<b>From:</b> Example Monitor &lt;<a href="mailto:{SENDER}">{SENDER}</a>&gt;<br>
<b>Sent:</b> Monday, March 2, 2026 9:14 AM<br><b>To:</b> avery@example.net<br><b>Subject:</b> A new account</p></div>
<p>What we found: new credit card.</p><p>Company: Lakeside Card Bank</p></body></html>"""
APPLE_HTML = f"""<div>See<br><blockquote type="cite"><div>Begin forwarded message:</div><br>
<div><b>From: </b>Example Monitor &lt;{SENDER}&gt;</div>
<div><b>Subject: </b>A new account</div><div><b>Date: </b>March 2, 2026 at 9:14:00 AM PST</div>
<div><b>To: </b>avery@example.net</div><br>
<div><p>What we found: new credit card.</p><p>Company: Lakeside Card Bank</p></div></blockquote></div>"""
STYLES = {
    "gmail": (GMAIL, How.INLINE_GMAIL),
    "gmail spanish": (GMAIL_SPANISH, How.INLINE_GMAIL),
    "thunderbird": (THUNDERBIRD, How.INLINE_OTHER),
    "outlook": (OUTLOOK, How.INLINE_OUTLOOK),
    "outlook spanish": (OUTLOOK_SPANISH, How.INLINE_OUTLOOK),
    "outlook with a rule": (OUTLOOK_RULE, How.INLINE_OUTLOOK),
    "outlook without": (OUTLOOK_BARE, How.INLINE_OUTLOOK),
    "apple": (APPLE, How.INLINE_APPLE),
    "apple spanish": (APPLE_SPANISH, How.INLINE_APPLE),
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_the_inner_mail_is_read_in_every_style(style: str, ends: str) -> None:
    text, how = STYLES[style]
    found = read_as(text.replace("\n", ends))
    letter = found.letter
    assert (letter.how, letter.sender, letter.sender_name) == (how, SENDER, "Example Monitor")
    assert (letter.subject, letter.text, letter.message_id) == ("A new account", INNER, None)
    assert "2" in found.dated
    assert letter.date == (datetime(2026, 3, 2, 17, 14, tzinfo=UTC) if style == "thunderbird" else None)


@pytest.mark.parametrize("page", [OUTLOOK_HTML, APPLE_HTML])
def test_the_inner_mail_is_read_out_of_html(page: str) -> None:
    letter = read_as(page, kind="text/html").letter
    assert (letter.how.by_hand, letter.sender, letter.subject, letter.text) == (True, SENDER, "A new account", INNER)


def outer(text: str, subject: str = "FW: A new account") -> str:
    """Another forward around it, by somebody else."""
    block = OUTLOOK_RULE.replace(SENDER, "blake@example.net").replace("Subject: A new account", f"Subject: {subject}")
    return "Can you file this?\n\n" + block.replace(INNER, text)


def test_of_a_forward_of_a_forward_the_innermost_is_taken() -> None:
    for text in (f"fyi\n\n{quoted(GMAIL)}", APPLE_SPANISH, outer(GMAIL, "RV: A new account")):
        letter = read_as(outer(text, "Fwd: RV: A new account")).letter
        assert (letter.sender, letter.text) == (SENDER, INNER)


@pytest.mark.parametrize(
    "text",
    [
        GMAIL + "\n\n" + GMAIL,
        GMAIL + "\n\n" + GMAIL.replace("A new account", "Another"),
        OUTLOOK + "\n\n" + OUTLOOK_RULE,
        outer(GMAIL, "A new account"),
        outer("It is a long mail. " * 60 + GMAIL),
    ],
)
def test_of_two_mails_side_by_side_none_is_taken_for_the_other(text: str) -> None:
    """The outer one stands, as forwarded by hand: nobody is to lose one of two alerts by a guess."""
    letter = read_as(text).letter
    assert (letter.how, letter.sender, letter.message_id) == (How.INLINE_OTHER, "avery@example.net", "outer@x.example")
    assert "Lakeside Card Bank" in letter.text


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Fwd: alert", "---------- Weitergeleitete Nachricht ---------\nVon: x"),
        ("RV: aviso", "nada"),
        ("alert", "On Mon, Mar 2, 2026 at 9:14 AM Example Monitor <x@y.example> wrote:\n> a card"),
        ("alert", "El lun, 2 mar 2026 a las 9:14, Example Monitor\n(<x@y.example>) escribió:\n\n> a"),
        ("alert", "see\n> a\n> b\n> c"),
    ],
)
def test_what_is_forwarded_in_a_manner_that_is_not_known_is_not_taken_for_original(subject: str, text: str) -> None:
    letter = read_as(text, subject).letter
    assert (letter.how, letter.sender) == (How.INLINE_OTHER, "avery@example.net")


@pytest.mark.parametrize(
    "text",
    [
        "A card was opened.\n\nFrom: our desk\n\nTo: you",
        "Date: today\nSubject: card\nFrom: a lender\nAmount: $5",
        "---------- Forwarded message ---------\nnothing of a mail here",
        "Original message: none",
        "Begin forwarded message:",
        "On Monday a card was opened.\nEl lunes también.",
        "",
    ],
)
def test_a_services_own_words_are_no_forward(text: str) -> None:
    assert read_as(text, "A new account").letter.how is How.ORIGINAL


def test_a_redirected_mail_is_read_as_it_was_sent() -> None:
    raw = f"Resent-From: avery@example.net\nX-Forwarded-For: a b\nFrom: Example Monitor <{SENDER}>\n"
    raw += "Message-ID: <in@x.example>\n\nhello"
    letter = reading(read(raw.encode())).letter
    assert (letter.how, letter.sender, letter.message_id) == (How.ORIGINAL, SENDER, "in@x.example")


def test_a_name_without_an_address_is_no_sender() -> None:
    letter = read_as(GMAIL.replace(f"<{SENDER}>", "")).letter
    assert (letter.how, letter.sender, letter.sender_name) == (How.INLINE_GMAIL, "", "Example Monitor")


def test_a_subject_and_addresses_that_a_program_wrapped_are_put_together() -> None:
    many = "; ".join(f"member{n}@example.net" for n in range(9))
    wrapped = OUTLOOK_RULE.replace("Avery <avery@example.net>; Blake <blake@example.net>", many[:60] + "\n" + many[60:])
    letter = read_as(wrapped).letter
    assert (letter.subject, letter.text) == ("A new account", INNER)


def test_the_outer_subject_stands_in_for_one_that_is_not_quoted() -> None:
    letter = read_as(GMAIL.replace("Subject: A new account\n", ""), "Fwd: RV: A new account").letter
    assert letter.subject == "A new account"
