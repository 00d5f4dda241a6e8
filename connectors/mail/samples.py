"""Mails of an invented monitoring service, for sandboxes and the demonstration. The shipped rule `example` understands them."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from types import MappingProxyType

from connectors.vocabulary import AlertKind

DOMAIN = "alerts.monitor.example"
SENDER = Address("Example Monitor", "notices", DOMAIN)

WORDS: Mapping[AlertKind, str] = MappingProxyType(
    {
        AlertKind.NEW_ACCOUNT_CREDIT_CARD: "new credit card",
        AlertKind.NEW_ACCOUNT_AUTHORIZED_USER: "new authorized user",
        AlertKind.NEW_ACCOUNT_PERSONAL_LOAN: "new personal loan",
        AlertKind.NEW_ACCOUNT_PAYDAY_LOAN: "new payday loan",
        AlertKind.NEW_ACCOUNT_BUSINESS_LOAN: "new business loan",
        AlertKind.NEW_ACCOUNT_AUTO: "new auto loan",
        AlertKind.NEW_ACCOUNT_STUDENT_LOAN: "new student loan",
        AlertKind.NEW_ACCOUNT_MORTGAGE: "new mortgage",
        AlertKind.NEW_ACCOUNT_HELOC: "new home equity line",
        AlertKind.NEW_ACCOUNT_HOME_TITLE: "change of a home title",
        AlertKind.NEW_ACCOUNT_RENTAL: "new rental agreement",
        AlertKind.NEW_ACCOUNT_BANK: "new bank account",
        AlertKind.NEW_ACCOUNT_TELECOM_MOBILE: "new mobile phone account",
        AlertKind.NEW_ACCOUNT_TELECOM_LANDLINE: "new telephone line",
        AlertKind.NEW_ACCOUNT_UTILITY: "new utility account",
        AlertKind.NEW_ACCOUNT_BNPL_OR_PAYMENT: "new payment account",
        AlertKind.NEW_ACCOUNT_SECURITIES: "new brokerage account",
        AlertKind.NEW_ACCOUNT_INSURANCE: "new insurance policy",
        AlertKind.NEW_ACCOUNT_UNKNOWN: "new account",
        AlertKind.INQUIRY_HARD: "credit inquiry",
        AlertKind.INQUIRY_BLOCKED: "blocked credit inquiry",
        AlertKind.SSN_USE: "use of your Social Security number",
        AlertKind.TAKEOVER_CARD: "change of a card account",
        AlertKind.TAKEOVER_BANK: "change of a bank account",
        AlertKind.TAKEOVER_PHONE: "move of a phone number",
        AlertKind.TAKEOVER_EMAIL_SOCIAL: "takeover of an online account",
        AlertKind.FILE_CHANGE_ADDRESS: "change of address",
        AlertKind.FILE_CHANGE_NAME: "change of name",
        AlertKind.FILE_CHANGE_PHONE: "change of phone number",
        AlertKind.FILE_CHANGE_EMPLOYMENT: "change of employer",
        AlertKind.TAX_FRAUD: "tax return in your name",
        AlertKind.GOVERNMENT_BENEFITS: "claim for benefits in your name",
        AlertKind.GOVERNMENT_DRIVERS_LICENSE: "driver's license in your name",
        AlertKind.GOVERNMENT_PASSPORT: "passport in your name",
        AlertKind.GOVERNMENT_OTHER_DOCUMENT: "document in your name",
        AlertKind.MEDICAL_SERVICES: "medical services in your name",
        AlertKind.COURT_CRIMINAL: "criminal record in your name",
        AlertKind.COURT_PUBLIC_RECORD: "public record in your name",
        AlertKind.CONSEQUENCE_COLLECTION: "debt in collection",
        AlertKind.CONSEQUENCE_DELINQUENCY: "past due account",
        AlertKind.CONSEQUENCE_DEROGATORY: "derogatory mark",
        AlertKind.CONSEQUENCE_CHARGE_OFF: "charged-off account",
        AlertKind.CONSEQUENCE_DECEASED_FLAG: "report of a death",
        AlertKind.CONSEQUENCE_FRAUD_STATEMENT: "fraud statement in your file",
        AlertKind.EXPOSURE_SSN: "Social Security number seen on the dark web",
        AlertKind.EXPOSURE_GOVERNMENT_ID: "identity document seen on the dark web",
        AlertKind.EXPOSURE_FINANCIAL: "card or bank number seen on the dark web",
        AlertKind.EXPOSURE_CREDENTIALS: "password seen on the dark web",
        AlertKind.EXPOSURE_INFOSTEALER: "data taken by malware",
        AlertKind.EXPOSURE_CONTACT: "contact data seen on the dark web",
        AlertKind.EXPOSURE_PASTE: "data seen in a paste",
        AlertKind.EXPOSURE_BREACH_LISTING: "data seen in a breach",
        AlertKind.OTHER_UNCLASSIFIED: "something to review",
    }
)
"""What the invented service calls each kind. Those that are missing are not told by mail: banks and payroll offices tell them."""

SEE_FOR_YOURSELF = "For your protection this message holds no details. Please log in to see what we have found."


def alert_mail(
    kind: AlertKind, to: str, at: datetime, number: int, institution: str | None, last_four: str | None
) -> bytes | None:
    """One mail about `kind`, raw (RFC 5322, lines end in CR LF), text and HTML; None for kinds that mails do not tell.

    `to`: the address it is written to; `at`: aware. Without `institution` and `last_four` it asks to log in. The same
    arguments make the same bytes; the Message-ID differs for each (number, to).
    """
    if kind not in WORDS:
        return None
    digest = hashlib.sha256(f"{number} {to}".encode()).hexdigest()[:32]
    mail = EmailMessage(policy=SMTP)
    mail["From"] = SENDER
    mail["To"] = to
    mail["Date"] = at
    mail["Message-ID"] = f"<{digest}@{DOMAIN}>"
    mail["Subject"] = f"Example Monitor alert: {WORDS[kind]}"
    lines = _lines(kind, institution, last_four)
    mail.set_content("\n\n".join(lines) + "\n")
    mail.add_alternative(_page(lines), subtype="html")
    mail.set_boundary(f"=_{digest}")
    return mail.as_bytes()


def _lines(kind: AlertKind, institution: str | None, last_four: str | None) -> list[str]:
    details = []
    if institution is not None:
        details.append(f"Company: {' '.join(institution.split())}")
    if last_four is not None:
        details.append(f"Account ending in: {last_four}")
    return [
        "This is an alert of Example Monitor, an invented service.",
        f"What we found: {WORDS[kind]}.",
        *(details or [SEE_FOR_YOURSELF]),
        "Was this you? Tell us, and tell your union.",
    ]


def _page(lines: list[str]) -> str:
    shown = "".join(f"<p>{html.escape(line)}</p>\n" for line in lines)
    return f"<!doctype html>\n<html><head><title>Example Monitor</title></head><body>\n{shown}</body></html>\n"
