"""Which kind each of the provider's event types is, and plain words for it; and which account a code or a text names.

An event type is `source.word`: the source in small letters as the provider writes it (exp, efx, tui, idp), the word its own.
A third part is ours, where one word of the provider means several things. New accounts are declared as unknown; which account it
is, the alert says. Sources: the provider's alert pages; for the standard TransUnion words and some of Experian's, client code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from connectors.vocabulary import AlertKind

_NEW_ACCOUNT = (AlertKind.NEW_ACCOUNT_UNKNOWN, "A new account was reported.")
_INQUIRY = (AlertKind.INQUIRY_HARD, "Somebody asked for your credit report.")
_ADDRESS = (AlertKind.FILE_CHANGE_ADDRESS, "An address in your credit file was added or changed.")
_COLLECTION = (AlertKind.CONSEQUENCE_COLLECTION, "A debt in collection was reported or changed.")
_BANKRUPTCY = (AlertKind.COURT_PUBLIC_RECORD, "A bankruptcy was reported or changed.")
_COURT = (AlertKind.COURT_PUBLIC_RECORD, "A court record was reported.")
_LATE = (AlertKind.CONSEQUENCE_DELINQUENCY, "An account was reported as not paid in time.")
_BAD_MARK = (AlertKind.CONSEQUENCE_DEROGATORY, "A bad mark on an account was reported.")
_LOST_CARD = (AlertKind.TAKEOVER_CARD, "A card was reported lost or stolen.")
_OVER_LIMIT = (AlertKind.TAKEOVER_CARD, "A card was reported to be over its limit.")
_STATEMENT = (AlertKind.CONSEQUENCE_FRAUD_STATEMENT, "A fraud statement was put in your credit file.")
_KINDS: Mapping[str, tuple[AlertKind, str]] = {
    "exp.NewTrade": _NEW_ACCOUNT,
    "exp.NewAccount": _NEW_ACCOUNT,
    "exp.NewInquiry": _INQUIRY,
    "exp.ChangeOfAddress": _ADDRESS,
    "exp.NewAddress": _ADDRESS,
    "exp.LostOrStolenCard": _LOST_CARD,
    "exp.CardOverLimit": _OVER_LIMIT,
    "exp.Delinquent": _LATE,
    "exp.MajorDerogatory": _BAD_MARK,
    "exp.SkipCannotLocate": (AlertKind.CONSEQUENCE_DEROGATORY, "A lender reported that it cannot find you."),
    "exp.Settlement": (AlertKind.CONSEQUENCE_DEROGATORY, "An account was reported as settled for less than was owed."),
    "exp.NewCollection": _COLLECTION,
    "exp.CollectionChange": _COLLECTION,
    "exp.NewPublic": _COURT,
    "exp.PublicRecordBankruptcy": _BANKRUPTCY,
    "exp.TradelineBankruptcy": _BANKRUPTCY,
    "exp.BankruptcyChange": _BANKRUPTCY,
    "exp.Deceased": (AlertKind.CONSEQUENCE_DECEASED_FLAG, "An account was reported as that of somebody who has died."),
    "exp.FraudStatement": _STATEMENT,
    "efx.TradeLineAlert": _NEW_ACCOUNT,
    "efx.TradeLineAlert.CHANGE": (AlertKind.OTHER_UNCLASSIFIED, "What is reported of an account was changed."),
    "efx.InquiryAlert": _INQUIRY,
    "efx.AddressAlert": _ADDRESS,
    "efx.NameAlert": (AlertKind.FILE_CHANGE_NAME, "A name in your credit file was added or changed."),
    "efx.CollectionAlert": _COLLECTION,
    "efx.BankruptcyAlert": _BANKRUPTCY,
    "efx.TaxLienAlert": (AlertKind.COURT_PUBLIC_RECORD, "A tax lien was reported or changed."),
    "efx.AccountStatusChangeAlert": (AlertKind.OTHER_UNCLASSIFIED, "The status of an account was changed."),
    "efx.AccountStatusChangeAlert.Late": _LATE,
    "efx.AccountStatusChangeAlert.LostOrStolen": _LOST_CARD,
    "tui.AuthorizedUserTrades": (AlertKind.NEW_ACCOUNT_AUTHORIZED_USER, "You were reported as an authorized user of an account."),
    "tui.NewTrade": _NEW_ACCOUNT,
    "tui.NewAccount": _NEW_ACCOUNT,
    "tui.NewInquiry": _INQUIRY,
    "tui.NewAddress": _ADDRESS,
    "tui.NewEmployment": (AlertKind.FILE_CHANGE_EMPLOYMENT, "An employer in your credit file was added."),
    "tui.NewPublicRecord": _COURT,
    "tui.NewBankruptcy": _BANKRUPTCY,
    "tui.TradeBankrupt": _BANKRUPTCY,
    "tui.BankCardGoesOverCreditLimit": _OVER_LIMIT,
    "tui.DelinquentAccount": _LATE,
    "tui.DerogatoryTrade": _BAD_MARK,
    "tui.FraudAlert": _STATEMENT,
    "tui.FraudStatement": _STATEMENT,
    "idp.SSN": (AlertKind.SSN_USE, "Your Social Security number was used to prove who somebody is."),
    "idp.COA": (AlertKind.FILE_CHANGE_ADDRESS, "A change of your address was reported."),
    "idp.NameChange": (AlertKind.FILE_CHANGE_NAME, "A change of your name was reported."),
    "idp.CriminalData": (AlertKind.COURT_CRIMINAL, "A criminal record was found under your name."),
    "idp.PIM": (AlertKind.EXPOSURE_CONTACT, "Your details were found on the dark web."),
    "idp.PIM.Password": (AlertKind.EXPOSURE_CREDENTIALS, "A password of yours was found on the dark web."),
}
_NO_ALERT = (
    "exp.AccountInformation",
    "exp.ImprovedAccount",
    "efx.AccountActivityDesignatorChangeAlert",
    "efx.AccountNarrativeChangeAlert",
    "tui.ClosedTradeLines",
    "tui.ImprovedTrade",
    "tui.ScoreChange",
)

TYPES: Mapping[str, AlertKind | None] = MappingProxyType(
    {**{name: kind for name, (kind, _) in _KINDS.items()}, **dict.fromkeys(_NO_ALERT)}
)
"""Every event type of the details, with its kind; None: known, and no alert."""

WORDS: Mapping[str, str] = MappingProxyType({name: words for name, (_, words) in _KINDS.items()})
"""What an event type says in plain words. The provider's own texts can hold whole account numbers, and are not carried."""

_SPELLINGS = MappingProxyType(
    {**{name.casefold(): name for name in TYPES}, "efx.accountstatuschange": "efx.AccountStatusChangeAlert"}
)


def event_type(source: str, word: str) -> str:
    """`source.word` as it is declared, however it is spelt: in words, "Lost or Stolen Card", or in other letters.

    A word that is not known comes back as it came.
    """
    parts = re.split(r"[\s/]+", word.strip())
    return _SPELLINGS.get(f"{source}.{''.join(parts)}".casefold(), f"{source}.{word}")


_STORES = ("CB", "CG", "CO", "CS", "CU", "CW", "DC", "DG", "DN", "DO", "DP", "DV")
CODES: Mapping[str, AlertKind] = MappingProxyType(
    {
        **dict.fromkeys(("AC", "AL", "AN", "AU", "BA"), AlertKind.NEW_ACCOUNT_AUTO),
        **dict.fromkeys(("BC", *_STORES), AlertKind.NEW_ACCOUNT_CREDIT_CARD),
        "BH": AlertKind.NEW_ACCOUNT_HELOC,
        "BI": AlertKind.NEW_ACCOUNT_PERSONAL_LOAN,
        "BM": AlertKind.NEW_ACCOUNT_MORTGAGE,
        **dict.fromkeys(("BS", "EL"), AlertKind.NEW_ACCOUNT_STUDENT_LOAN),
    }
)
"""Industry codes of the provider's page of that name that leave no doubt what account it is; a store's is its card."""

_TEXTS: tuple[tuple[str, AlertKind], ...] = (
    ("credit cards?|charge account", AlertKind.NEW_ACCOUNT_CREDIT_CARD),
    ("home equity", AlertKind.NEW_ACCOUNT_HELOC),
    ("mortgage", AlertKind.NEW_ACCOUNT_MORTGAGE),
    ("student loans?", AlertKind.NEW_ACCOUNT_STUDENT_LOAN),
    ("auto(mobile)? (loans?|leases?|leasing|dealers?|financing)|auto/truck leasing", AlertKind.NEW_ACCOUNT_AUTO),
    ("personal loans?|installment loans?", AlertKind.NEW_ACCOUNT_PERSONAL_LOAN),
    ("payday loans?", AlertKind.NEW_ACCOUNT_PAYDAY_LOAN),
    ("business loans?", AlertKind.NEW_ACCOUNT_BUSINESS_LOAN),
    ("utility|utilities", AlertKind.NEW_ACCOUNT_UTILITY),
    ("cellular|wireless|mobile phones?", AlertKind.NEW_ACCOUNT_TELECOM_MOBILE),
)


def account(named: str) -> AlertKind | None:
    """The account that an industry code or a text names; None when it names none, or more than one."""
    if named.upper() in CODES:
        return CODES[named.upper()]
    found = {kind for words, kind in _TEXTS if re.search(rf"\b({words})\b", named.casefold())}
    return found.pop() if len(found) == 1 else None
