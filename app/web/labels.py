"""The plain words of codes that pages show: kinds, families, bureaus, order of time, marks, queues. Pure data."""

from collections.abc import Sequence

from app.access.roles import Role
from app.breaches.catalogue import MilestoneKind
from app.breaches.exposure import ExposureStatus
from app.breaches.sources import Mark
from app.damages.schemas import Payer
from app.evidence import wording
from app.incidents.identity import Answer
from app.incidents.models import UnmatchedReason
from app.intake.handling import OTHER_PERSON
from app.ledger.service import Sight
from app.linkage.findings import TimeOrder
from app.timeline.wording import KINDS
from connectors.contract import Sender
from connectors.vocabulary import AlertKind

FAMILIES: dict[str, str] = {
    "new_account": "New accounts",
    "inquiry": "Credit checks",
    "freeze": "Credit freeze attacked",
    "ssn": "Social Security number used",
    "takeover": "Accounts taken over",
    "file_change": "Credit file changed",
    "tax": "Tax",
    "government": "Benefits and documents",
    "payroll": "Pay redirected",
    "medical": "Medical",
    "court": "Court records",
    "consequence": "Debts and marks",
    "exposure": "Data found elsewhere",
    "other": "Something else",
}
"""Families of kinds, as headings of statistics."""

_CHOOSABLE = {**KINDS, AlertKind.OTHER_UNCLASSIFIED: "Something else"}
CHOICES: Sequence[tuple[str, Sequence[tuple[AlertKind, str]]]] = tuple(
    (title, tuple((kind, text) for kind, text in _CHOOSABLE.items() if kind.family == family))
    for family, title in FAMILIES.items()
)
"""What can have happened, in plain words, family by family: for whoever has to choose."""

BUREAUS = wording.BUREAUS

OUTCOMES: dict[str, str] = {
    "new": "First report",
    "sighting": "Said the same again",
    "revision": "Said it again in other words",
}

DOCUMENTS: dict[str, str] = {
    "application/pdf": "PDF",
    "image/jpeg": "photo, JPEG",
    "image/png": "picture, PNG",
    "image/heic": "photo, HEIC",
    "image/tiff": "scan, TIFF",
    "text/plain": "plain text",
}
"""Sorts of documents that members hand in."""

DISPUTED_REPORT = "Doubtful: the organization is not sure that the service itself sent this."

ANSWER_BUTTONS: dict[Answer, str] = {
    Answer.NOT_ME: "No, this was not me",
    Answer.WAS_ME: "Yes, this was me",
    Answer.UNSURE: "I am not sure",
}

TIME_ORDERS: dict[TimeOrder, str] = {
    TimeOrder.BEFORE_THEFT: "This happened before the data can have been taken.",
    TimeOrder.BETWEEN: "This happened after the data may have been taken and before it was published.",
    TimeOrder.AFTER_PUBLICATION: "This happened after data was published.",
    TimeOrder.UNKNOWN: "Whether this happened before or after is not clear.",
}

EXPOSURES: dict[ExposureStatus, str] = {
    ExposureStatus.PROVEN: "Shown by a record or letter of your own",
    ExposureStatus.PROBABLE: "Likely by what is reported, no record of your own yet",
    ExposureStatus.UNPROVEN: "Not shown",
}

MILESTONES: dict[MilestoneKind, str] = {
    MilestoneKind.INTRUSION: "the break-in",
    MilestoneKind.DISCOVERED: "the discovery of it",
    MilestoneKind.EXFILTRATED: "the theft of the data",
    MilestoneKind.PUBLISHED: "the publication of the data",
    MilestoneKind.NOTIFIED: "the letters to those hit",
}

MARKS: dict[Mark, str] = {
    Mark.VERIFIED: "read in the source named",
    Mark.KNOWLEDGE: "generally known, source not read",
    Mark.COMPUTED: "worked out by us",
    Mark.ASSUMPTION: "our assumption",
}

PAYERS: dict[Payer, str] = {
    Payer.ISSUER: "The card company",
    Payer.BANK: "The bank",
    Payer.INSURER: "An insurer",
    Payer.CITY_MONITORING: "The monitoring the City paid for",
    Payer.SETTLEMENT: "A settlement",
    Payer.OTHER: "Somebody else",
}

UNMATCHED: dict[UnmatchedReason, str] = {
    UnmatchedReason.NO_ENROLLMENT: "Nobody on the roster has this number at the service",
    UnmatchedReason.SEVERAL_MEMBERS: "More than one person has this number at the service",
    UnmatchedReason.NO_CONSENT: "Waits for the member's yes or no",
    UnmatchedReason.REFUSED: "The member said no; nobody can read it any more",
    UnmatchedReason.EXPIRED: "Nobody answered in time; nobody can read it any more",
    UnmatchedReason.ERASED: "The member was erased",
}

NOT_UNDERSTOOD: dict[str, str] = {
    "unknown event type": "A kind of message that Harmline does not know yet",
    "malformed field": "A part of it is not written as this service should write it",
    "broken item": "It is damaged or incomplete",
    "a number or text without a canonical form": "A number or text in it cannot be kept exactly",
    OTHER_PERSON: "It bears the number of an alert about somebody else",
}
_OUR_MISTAKE = "Harmline could not deal with it. Tell whoever runs the service"


def not_understood(reason: str | None) -> str:
    """Why something was set aside, for a caseworker. What has no words of its own is a mistake of ours."""
    return NOT_UNDERSTOOD.get(reason or "", _OUR_MISTAKE)


SENDERS: dict[Sender, str] = {
    Sender.PROVIDER: "The monitoring service itself",
    Sender.ORGANIZATION: "The organization",
}

ROLES: dict[Role, str] = {
    Role.MEMBER: "Member",
    Role.STAFF: "Staff",
    Role.CASEWORKER: "Caseworker",
    Role.COUNSEL: "Counsel",
    Role.ADMIN: "Admin",
    Role.AUDITOR: "Auditor",
}

SIGHTS: dict[Sight, str] = {
    Sight.TIMELINE: "Your timeline",
    Sight.INCIDENT: "One incident",
    Sight.ORIGINAL: "What a service sent about an incident",
    Sight.DOCUMENT: "A document that you handed in",
    Sight.MAIL: "A mail that was forwarded for you",
    Sight.LOSSES: "The losses of an incident",
    Sight.MATTER_LIST: "An incident, in the list of a case",
    Sight.PACKET: "Everything about your incidents, put into a packet of evidence for a case",
    Sight.DOWNLOAD: "Everything about your incidents: a packet of evidence was downloaded",
    Sight.ROSTER: "Your name, number and e-mail address on the roster",
}

PASSKEY_KINDS = {"phone": "My phone", "computer": "My computer", "key": "A security key", "other": "Something else"}
"""What a passkey is on. To be chosen, not typed: what people would type names them, and is kept in plain."""

HOMES: dict[Role, str] = {
    Role.MEMBER: "/timeline",
    Role.STAFF: "/statistics",
    Role.CASEWORKER: "/queues",
    Role.COUNSEL: "/matters",
    Role.ADMIN: "/admin",
    Role.AUDITOR: "/ledger",
}
"""The page on which each role begins."""

NAVIGATION: dict[Role, tuple[tuple[str, str], ...]] = {
    Role.MEMBER: (("/timeline", "Your timeline"), ("/forwarding", "Forward mails"), ("/visits", "Who looked")),
    Role.STAFF: (("/statistics", "Statistics"),),
    Role.CASEWORKER: (("/queues", "Queues"), ("/emergency", "In an emergency")),
    Role.COUNSEL: (("/matters", "Matters"), ("/statistics", "Statistics")),
    Role.ADMIN: (("/admin", "Set-up"), ("/emergency", "In an emergency")),
    Role.AUDITOR: (("/ledger", "Ledger"),),
}

_SHORT_KINDS: dict[AlertKind, str] = {
    AlertKind.NEW_ACCOUNT_CREDIT_CARD: "Credit card",
    AlertKind.NEW_ACCOUNT_AUTHORIZED_USER: "Added to another's card",
    AlertKind.NEW_ACCOUNT_PERSONAL_LOAN: "Personal loan",
    AlertKind.NEW_ACCOUNT_PAYDAY_LOAN: "Payday loan",
    AlertKind.NEW_ACCOUNT_BUSINESS_LOAN: "Business loan",
    AlertKind.NEW_ACCOUNT_AUTO: "Car loan or lease",
    AlertKind.NEW_ACCOUNT_STUDENT_LOAN: "Student loan",
    AlertKind.NEW_ACCOUNT_MORTGAGE: "Mortgage",
    AlertKind.NEW_ACCOUNT_HELOC: "Home equity loan",
    AlertKind.NEW_ACCOUNT_HOME_TITLE: "Home title",
    AlertKind.NEW_ACCOUNT_RENTAL: "Home rented",
    AlertKind.NEW_ACCOUNT_BANK: "Bank account",
    AlertKind.NEW_ACCOUNT_TELECOM_MOBILE: "Mobile phone account",
    AlertKind.NEW_ACCOUNT_TELECOM_LANDLINE: "Landline account",
    AlertKind.NEW_ACCOUNT_UTILITY: "Utility account",
    AlertKind.NEW_ACCOUNT_BNPL_OR_PAYMENT: "Payment account",
    AlertKind.NEW_ACCOUNT_SECURITIES: "Brokerage account",
    AlertKind.NEW_ACCOUNT_INSURANCE: "Insurance policy",
    AlertKind.NEW_ACCOUNT_UNKNOWN: "Account of an unknown sort",
    AlertKind.INQUIRY_HARD: "Application for credit",
    AlertKind.INQUIRY_BLOCKED: "Blocked look at the credit file",
    AlertKind.TAKEOVER_CARD: "Card",
    AlertKind.TAKEOVER_BANK: "Bank account",
    AlertKind.TAKEOVER_PHONE: "Phone number",
    AlertKind.TAKEOVER_EMAIL_SOCIAL: "E-mail or social media",
    AlertKind.FILE_CHANGE_ADDRESS: "New address",
    AlertKind.FILE_CHANGE_NAME: "New name",
    AlertKind.FILE_CHANGE_PHONE: "New phone number",
    AlertKind.FILE_CHANGE_EMPLOYMENT: "New employer",
    AlertKind.GOVERNMENT_BENEFITS: "Benefits claimed",
    AlertKind.GOVERNMENT_DRIVERS_LICENSE: "Driver's licence",
    AlertKind.GOVERNMENT_PASSPORT: "Passport",
    AlertKind.GOVERNMENT_OTHER_DOCUMENT: "Another document",
    AlertKind.COURT_CRIMINAL: "Criminal record",
    AlertKind.COURT_PUBLIC_RECORD: "Public record",
    AlertKind.CONSEQUENCE_COLLECTION: "Debt in collection",
    AlertKind.CONSEQUENCE_DELINQUENCY: "Payment overdue",
    AlertKind.CONSEQUENCE_DEROGATORY: "Bad mark",
    AlertKind.CONSEQUENCE_CHARGE_OFF: "Debt written off",
    AlertKind.CONSEQUENCE_DECEASED_FLAG: "Marked as deceased",
    AlertKind.CONSEQUENCE_FRAUD_STATEMENT: "Fraud statement",
    AlertKind.EXPOSURE_SSN: "Social Security number",
    AlertKind.EXPOSURE_GOVERNMENT_ID: "Document number",
    AlertKind.EXPOSURE_FINANCIAL: "Card or account number",
    AlertKind.EXPOSURE_CREDENTIALS: "Password",
    AlertKind.EXPOSURE_INFOSTEALER: "Infected computer",
    AlertKind.EXPOSURE_CONTACT: "Contact details",
    AlertKind.EXPOSURE_PASTE: "Public paste",
    AlertKind.EXPOSURE_BREACH_LISTING: "Breach listing",
}


def bucket_label(kind: str) -> str:
    """The heading of one kind bucket of the statistics: everything, a family, or a kind with its family before it."""
    if kind in FAMILIES:
        return FAMILIES[kind]
    if kind not in KINDS:
        return "All kinds"
    short = _SHORT_KINDS.get(AlertKind(kind))
    family = FAMILIES[AlertKind(kind).family]
    return f"{family}: {short[0].lower()}{short[1:]}" if short else family
