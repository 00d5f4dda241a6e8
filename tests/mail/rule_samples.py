"""Mails that we wrote in the styles of monitoring services, and the shipped rules with a domain for every sender."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from connectors.mail import forwards, message
from connectors.mail.letter import How, Letter
from connectors.mail.rules import Found, Rules, Undecided, read_rules, shipped

SAMPLES = Path(__file__).parent / "samples"
DOMAINS = {
    "aura": "aura.example",
    "id-watchdog": "idwatchdog.example",
    "identityforce": "identityforce.example",
    "idx": "idx.example",
    "kroll": "kroll.example",
    "lifelock": "lifelock.example",
    "equifax": "alerts.equifax.example",
}
"""Senders whose alerts come from a domain that no public source names: an admin adds it, as here."""


def with_domain(name: str, domain: str) -> str:
    """A shipped rule with one more domain, as an admin writes it."""
    document = yaml.safe_load(shipped()[name])
    document["domains"].append({"domain": domain, "mark": "A", "source": "a test"})
    return yaml.safe_dump(document, allow_unicode=True)


@cache
def rules() -> Rules:
    return read_rules({name: with_domain(name, domain) for name, domain in DOMAINS.items()})


def letter(sender: str, subject: str, text: str) -> Letter:
    return Letter(sender, "", subject, None, text, None, How.ORIGINAL)


def sample(folder: str, name: str) -> Letter:
    raw = (SAMPLES / folder / f"{name}.eml").read_bytes()
    return forwards.reading(message.read(raw)).letter


def expected(folder: str) -> dict[str, Any]:
    """Name of a mail -> what it is to be understood as; every mail of the folder is in it."""
    told: dict[str, Any] = yaml.safe_load((SAMPLES / f"{folder}.yaml").read_text(encoding="utf-8"))
    assert sorted(told) == sorted(path.stem for path in (SAMPLES / folder).glob("*.eml"))
    return told


def called(decided: Found | Undecided) -> str:
    """The kind, "not an alert" or "review"."""
    if isinstance(decided, Undecided):
        return "review"
    return "not an alert" if decided.kind is None else decided.kind.value
