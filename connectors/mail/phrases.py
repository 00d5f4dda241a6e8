"""What a mail says, in our own words: nothing of its text is quoted. For the summary of an alert."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from connectors.vocabulary import AlertKind

WHAT: Mapping[AlertKind, str] = MappingProxyType(
    {
        AlertKind.NEW_ACCOUNT_CREDIT_CARD: "a credit card was opened in your name",
        AlertKind.NEW_ACCOUNT_AUTHORIZED_USER: "you were added to somebody's credit card",
        AlertKind.NEW_ACCOUNT_PERSONAL_LOAN: "a personal loan was taken out in your name",
        AlertKind.NEW_ACCOUNT_PAYDAY_LOAN: "a payday loan was taken out in your name",
        AlertKind.NEW_ACCOUNT_BUSINESS_LOAN: "a business loan was taken out in your name",
        AlertKind.NEW_ACCOUNT_AUTO: "a car loan or lease was taken out in your name",
        AlertKind.NEW_ACCOUNT_STUDENT_LOAN: "a student loan was taken out in your name",
        AlertKind.NEW_ACCOUNT_MORTGAGE: "a mortgage was taken out in your name",
        AlertKind.NEW_ACCOUNT_HELOC: "a home equity loan was taken out in your name",
        AlertKind.NEW_ACCOUNT_HOME_TITLE: "the title of a home changed in your name",
        AlertKind.NEW_ACCOUNT_RENTAL: "a home was rented in your name",
        AlertKind.NEW_ACCOUNT_BANK: "a bank account was opened in your name",
        AlertKind.NEW_ACCOUNT_TELECOM_MOBILE: "a mobile phone account was opened in your name",
        AlertKind.NEW_ACCOUNT_TELECOM_LANDLINE: "a landline account was opened in your name",
        AlertKind.NEW_ACCOUNT_UTILITY: "a utility account was opened in your name",
        AlertKind.NEW_ACCOUNT_BNPL_OR_PAYMENT: "a payment account was opened in your name",
        AlertKind.NEW_ACCOUNT_SECURITIES: "a brokerage account was opened in your name",
        AlertKind.NEW_ACCOUNT_INSURANCE: "an insurance policy was taken out in your name",
        AlertKind.NEW_ACCOUNT_UNKNOWN: "an account was opened in your name",
        AlertKind.INQUIRY_HARD: "somebody asked for your credit file, as for a loan",
        AlertKind.INQUIRY_BLOCKED: "a try to see your credit file was blocked",
        AlertKind.FREEZE_BAD_PIN: "somebody tried to lift your credit freeze with a wrong PIN",
        AlertKind.SSN_USE: "your Social Security number was used",
        AlertKind.TAKEOVER_CARD: "something changed on one of your cards",
        AlertKind.TAKEOVER_BANK: "something changed on one of your bank accounts",
        AlertKind.TAKEOVER_PHONE: "your phone number was moved or its SIM replaced",
        AlertKind.TAKEOVER_EMAIL_SOCIAL: "somebody got into an e-mail or social media account of yours",
        AlertKind.FILE_CHANGE_ADDRESS: "a new address was put in your credit file",
        AlertKind.FILE_CHANGE_NAME: "a new name was put in your credit file",
        AlertKind.FILE_CHANGE_PHONE: "a new phone number was put in your credit file",
        AlertKind.FILE_CHANGE_EMPLOYMENT: "a new employer was put in your credit file",
        AlertKind.TAX_FRAUD: "a tax return was filed in your name",
        AlertKind.GOVERNMENT_BENEFITS: "government benefits were claimed in your name",
        AlertKind.GOVERNMENT_DRIVERS_LICENSE: "a driver's license was issued or forged in your name",
        AlertKind.GOVERNMENT_PASSPORT: "a passport was issued or forged in your name",
        AlertKind.GOVERNMENT_OTHER_DOCUMENT: "a government document was issued or forged in your name",
        AlertKind.PAYROLL_DIVERSION: "somebody tried to redirect your pay",
        AlertKind.MEDICAL_SERVICES: "medical services were used in your name",
        AlertKind.COURT_CRIMINAL: "a criminal record appeared under your name",
        AlertKind.COURT_PUBLIC_RECORD: "a court or public record appeared under your name",
        AlertKind.CONSEQUENCE_COLLECTION: "a debt in your name went to collection",
        AlertKind.CONSEQUENCE_DELINQUENCY: "a payment in your name is overdue",
        AlertKind.CONSEQUENCE_DEROGATORY: "a bad mark was put in your credit file",
        AlertKind.CONSEQUENCE_CHARGE_OFF: "a debt in your name was written off as a loss",
        AlertKind.CONSEQUENCE_DECEASED_FLAG: "you were marked as deceased in your credit file",
        AlertKind.CONSEQUENCE_FRAUD_STATEMENT: "a fraud statement was added to your credit file",
        AlertKind.EXPOSURE_SSN: "your Social Security number was found where it should not be",
        AlertKind.EXPOSURE_GOVERNMENT_ID: "a number of a government document of yours was found where it should not be",
        AlertKind.EXPOSURE_FINANCIAL: "a card or account number of yours was found where it should not be",
        AlertKind.EXPOSURE_CREDENTIALS: "a password of yours was found where it should not be",
        AlertKind.EXPOSURE_INFOSTEALER: "data taken from an infected computer names you",
        AlertKind.EXPOSURE_CONTACT: "your contact details were found where they should not be",
        AlertKind.EXPOSURE_PASTE: "your details were found in a public paste",
        AlertKind.EXPOSURE_BREACH_LISTING: "your details are listed in a data breach",
        AlertKind.OTHER_UNCLASSIFIED: "there is something for you to look at",
    }
)


def summary(provider: str, kind: AlertKind, *, by_hand: bool, by_a_person: bool) -> str:
    """One sentence. `provider`: as a rule names the sender, or the sender's domain; "" when neither is known.

    `by_hand`: it was forwarded as text, so that only its forwarder says who wrote it; `by_a_person`: somebody here read it.
    """
    whose = provider or "a sender that it does not name"
    writer = f"A mail that was forwarded by hand says that {whose} wrote" if by_hand else f"{whose[:1].upper()}{whose[1:]} wrote"
    return f"{writer}: {WHAT[kind]}{' (so read by a caseworker)' if by_a_person else ''}."
