"""The plain words for each kind of alert, grade and answer, for an officer on a phone."""

from app.incidents.identity import Answer
from connectors.verifiers import Grade
from connectors.vocabulary import AlertKind

KINDS: dict[AlertKind, str] = {
    AlertKind.NEW_ACCOUNT_CREDIT_CARD: "A credit card was opened in your name",
    AlertKind.NEW_ACCOUNT_AUTHORIZED_USER: "You were added to somebody's credit card",
    AlertKind.NEW_ACCOUNT_PERSONAL_LOAN: "A personal loan was taken out in your name",
    AlertKind.NEW_ACCOUNT_PAYDAY_LOAN: "A payday loan was taken out in your name",
    AlertKind.NEW_ACCOUNT_BUSINESS_LOAN: "A business loan was taken out in your name",
    AlertKind.NEW_ACCOUNT_AUTO: "A car loan or lease was taken out in your name",
    AlertKind.NEW_ACCOUNT_STUDENT_LOAN: "A student loan was taken out in your name",
    AlertKind.NEW_ACCOUNT_MORTGAGE: "A mortgage was taken out in your name",
    AlertKind.NEW_ACCOUNT_HELOC: "A home equity loan was taken out in your name",
    AlertKind.NEW_ACCOUNT_HOME_TITLE: "The title of a home changed in your name",
    AlertKind.NEW_ACCOUNT_RENTAL: "A home was rented in your name",
    AlertKind.NEW_ACCOUNT_BANK: "A bank account was opened in your name",
    AlertKind.NEW_ACCOUNT_TELECOM_MOBILE: "A mobile phone account was opened in your name",
    AlertKind.NEW_ACCOUNT_TELECOM_LANDLINE: "A landline account was opened in your name",
    AlertKind.NEW_ACCOUNT_UTILITY: "A utility account was opened in your name",
    AlertKind.NEW_ACCOUNT_BNPL_OR_PAYMENT: "A payment account was opened in your name",
    AlertKind.NEW_ACCOUNT_SECURITIES: "A brokerage account was opened in your name",
    AlertKind.NEW_ACCOUNT_INSURANCE: "An insurance policy was taken out in your name",
    AlertKind.NEW_ACCOUNT_UNKNOWN: "An account was opened in your name",
    AlertKind.INQUIRY_HARD: "Somebody applied for credit in your name",
    AlertKind.INQUIRY_BLOCKED: "A try to see your credit file was blocked",
    AlertKind.FREEZE_BAD_PIN: "Somebody tried to lift your credit freeze with a wrong PIN",
    AlertKind.SSN_USE: "Your Social Security number was used",
    AlertKind.TAKEOVER_CARD: "Something changed on one of your cards",
    AlertKind.TAKEOVER_BANK: "Something changed on one of your bank accounts",
    AlertKind.TAKEOVER_PHONE: "Your phone number was moved or its SIM replaced",
    AlertKind.TAKEOVER_EMAIL_SOCIAL: "Somebody got into an e-mail or social media account of yours",
    AlertKind.FILE_CHANGE_ADDRESS: "A new address was put in your credit file",
    AlertKind.FILE_CHANGE_NAME: "A new name was put in your credit file",
    AlertKind.FILE_CHANGE_PHONE: "A new phone number was put in your credit file",
    AlertKind.FILE_CHANGE_EMPLOYMENT: "A new employer was put in your credit file",
    AlertKind.TAX_FRAUD: "A tax return was filed in your name",
    AlertKind.GOVERNMENT_BENEFITS: "Government benefits were claimed in your name",
    AlertKind.GOVERNMENT_DRIVERS_LICENSE: "A driver's licence was issued or forged in your name",
    AlertKind.GOVERNMENT_PASSPORT: "A passport was issued or forged in your name",
    AlertKind.GOVERNMENT_OTHER_DOCUMENT: "A government document was issued or forged in your name",
    AlertKind.PAYROLL_DIVERSION: "Somebody tried to redirect your pay",
    AlertKind.MEDICAL_SERVICES: "Medical services were used in your name",
    AlertKind.COURT_CRIMINAL: "A criminal record appeared under your name",
    AlertKind.COURT_PUBLIC_RECORD: "A court or public record appeared under your name",
    AlertKind.CONSEQUENCE_COLLECTION: "A debt in your name went to collection",
    AlertKind.CONSEQUENCE_DELINQUENCY: "A payment in your name is overdue",
    AlertKind.CONSEQUENCE_DEROGATORY: "A bad mark was put in your credit file",
    AlertKind.CONSEQUENCE_CHARGE_OFF: "A debt in your name was written off as a loss",
    AlertKind.CONSEQUENCE_DECEASED_FLAG: "You were marked as deceased in your credit file",
    AlertKind.CONSEQUENCE_FRAUD_STATEMENT: "A fraud statement was added to your credit file",
    AlertKind.EXPOSURE_SSN: "Your Social Security number was found where it should not be",
    AlertKind.EXPOSURE_GOVERNMENT_ID: "A number of a government document of yours was found where it should not be",
    AlertKind.EXPOSURE_FINANCIAL: "A card or account number of yours was found where it should not be",
    AlertKind.EXPOSURE_CREDENTIALS: "A password of yours was found where it should not be",
    AlertKind.EXPOSURE_INFOSTEALER: "Data taken from an infected computer names you",
    AlertKind.EXPOSURE_CONTACT: "Your contact details were found where they should not be",
    AlertKind.EXPOSURE_PASTE: "Your details were found in a public paste",
    AlertKind.EXPOSURE_BREACH_LISTING: "Your details are listed in a data breach",
    AlertKind.OTHER_UNCLASSIFIED: "Something else was reported",
}

GRADES: dict[Grade, str] = {
    Grade.THIRD_PARTY: "Anybody can check the sender's signature.",
    Grade.SHARED_SECRET: "The sender proved itself to us with a shared secret; an outsider cannot check that.",
    Grade.FETCHED: "We fetched it from the monitoring service ourselves over a secure connection.",
    Grade.UNVERIFIABLE: "Nothing proves who sent it.",
    Grade.ORGANIZATION: "Your organization entered it.",
    Grade.MEMBER: "You entered it yourself.",
}

_TO_COUNSEL: dict[Grade, str] = {
    Grade.ORGANIZATION: "The member's organization entered it.",
    Grade.MEMBER: "The member entered it.",
}


def grade_text(grade: Grade, *, own: bool) -> str:
    """What a grade means, to the member whose it is (`own`) or to counsel."""
    return GRADES[grade] if own else _TO_COUNSEL.get(grade, GRADES[grade])


ONLY_A_HINT = "A monitoring service has something for you"
"""The title of an incident of which nothing is known but that there is something."""

DETAILS = "Your monitoring service says only that there is something: log in there, and tell us what it says."
"""What is asked of the member while an alert says only that there is something."""

DISPUTED = (
    "The organization doubts that the service itself sent this: at that time somebody else may have sent alerts in its name. "
    "It is kept, and it is left out of the statistics until that is settled."
)
"""What it means that an incident is disputed."""

ANSWERS: dict[Answer, str] = {
    Answer.NOT_ME: "You said: this was not me.",
    Answer.WAS_ME: "You said: this was me.",
    Answer.UNSURE: "You are not sure.",
    Answer.UNANSWERED: "You have not answered yet.",
}
