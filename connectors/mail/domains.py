"""Whose domain a domain is, as far as its name tells: for the alignment of a signature with a sender.

Which domains are open to everybody is written in the Public Suffix List, which is not kept here: it changes weekly, and a proof
must read the same in ten years. Instead a rule that errs to the side of "not the same": below a country (two letters) a short or
a common second label belongs to the country, so that an owner's domain has three labels there; elsewhere it has two. A domain
such as t.co is thereby taken for open to everybody, and a signature by it proves nothing here.
"""

from __future__ import annotations

import re

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
LONGEST = 253
_PUBLIC_SECONDS = frozenset(
    {
        *("com", "org", "net", "gov", "edu", "mil", "info", "name", "firm", "store", "web", "press", "coop", "museum", "tourism"),
        *("govt", "gouv", "gob", "gub", "nom", "conf", "priv", "ltd", "plc", "nhs", "police", "sch", "school", "asn"),
    }
)
SHORT = 3
_NOT_IN_DNS = frozenset(
    {"local", "localhost", "internal", "intranet", "lan", "home", "corp", "private", "invalid", "onion", "arpa", "test"}
)
"""Top labels below which no signer's key stands: our own networks', and those that lead nowhere. `example` is for our tests."""

PEOPLES = frozenset(
    {
        *(
            "gmail.com",
            "googlemail.com",
            "outlook.com",
            "hotmail.com",
            "live.com",
            "msn.com",
            "yahoo.com",
            "ymail.com",
            "rocketmail.com",
        ),
        *("aol.com", "icloud.com", "me.com", "mac.com", "proton.me", "protonmail.com", "pm.me", "gmx.com", "gmx.net", "mail.com"),
        *("fastmail.com", "zoho.com", "zohomail.com", "yandex.com", "tutanota.com", "tuta.com", "hey.com", "comcast.net"),
        *("verizon.net", "att.net", "sbcglobal.net", "bellsouth.net", "cox.net", "charter.net", "earthlink.net", "frontier.com"),
    }
)
"""Where people have their mailboxes [K]. A signature of one of these stands under what a person wrote, not a service."""


def is_peoples(domain: str) -> bool:
    """Whether people have their mailboxes at this domain, or below it."""
    return domain in PEOPLES or any(domain.endswith(f".{known}") for known in PEOPLES)


def is_name(domain: str) -> bool:
    """Whether it can be asked of the public DNS: lower-case labels, at least two, no address, none of a private network."""
    labels = domain.split(".")
    if len(domain) > LONGEST or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        return False
    return not labels[-1].isdigit() and labels[-1] not in _NOT_IN_DNS


def is_owned(domain: str) -> bool:
    """Whether a single owner stands behind it, by the rule above."""
    labels = domain.split(".")
    if not is_name(domain):
        return False
    of_a_country = len(labels[-1]) == 2
    public = of_a_country and (len(labels[-2]) <= SHORT or labels[-2] in _PUBLIC_SECONDS)
    return len(labels) >= (3 if public else 2)


def aligned(signer: str, sender: str) -> bool:
    """Whether a signature by one domain speaks for a sender at the other: the same, or one below the other, both owned."""
    if not (is_owned(signer) and is_owned(sender)):
        return False
    return signer == sender or signer.endswith(f".{sender}") or sender.endswith(f".{signer}")
