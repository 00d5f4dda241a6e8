"""Which kind each of the provider's alert types is, and plain words for it. Source: the enumeration in public client code.

The types are upper case, and spelt as the provider spells them (MINIMUNLEVELSCORE). Those that say nothing of an act against the
member (scores, balances, notes, a freeze put on) are known and no alert.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from connectors.contract import Meaning
from connectors.vocabulary import AlertKind, Bureau

_KINDS: Mapping[str, tuple[AlertKind, str]] = {
    "TRADELINE": (AlertKind.NEW_ACCOUNT_UNKNOWN, "A new account was reported."),
    "TELCOUTILITY": (AlertKind.NEW_ACCOUNT_UTILITY, "A new phone or utility account was reported."),
    "HARDINQUIRY": (AlertKind.INQUIRY_HARD, "Somebody asked for your credit report."),
    "INQUIRY": (AlertKind.INQUIRY_HARD, "Somebody asked for your credit report."),
    "BLOCKEDINQUIRY": (AlertKind.INQUIRY_BLOCKED, "Somebody asked for your credit report and did not get it."),
    "CRCACCESSWITHINVALIDPIN": (AlertKind.FREEZE_BAD_PIN, "Somebody tried to lift your credit freeze with a wrong PIN."),
    "ADDRESS": (AlertKind.FILE_CHANGE_ADDRESS, "The address in your credit file was changed."),
    "NAME": (AlertKind.FILE_CHANGE_NAME, "The name in your credit file was changed."),
    "COLLECTION": (AlertKind.CONSEQUENCE_COLLECTION, "A debt was reported as sent to collection."),
    "BANKRUPTCY": (AlertKind.COURT_PUBLIC_RECORD, "A bankruptcy was reported."),
    "TAXLIEN": (AlertKind.COURT_PUBLIC_RECORD, "A tax lien was reported."),
    "LEGALITEM": (AlertKind.COURT_PUBLIC_RECORD, "A court record was reported."),
    "GARNISHMENT": (AlertKind.COURT_PUBLIC_RECORD, "A garnishment of wages was reported."),
    "ACCOUNTNUMBERCHANGE": (AlertKind.TAKEOVER_CARD, "The number of an account was changed."),
    "CREDITLIMIT": (AlertKind.TAKEOVER_CARD, "The credit limit of an account was changed."),
    "DORMANTMONTHS": (AlertKind.TAKEOVER_CARD, "An account that had not been used for long was reported again."),
    "ACCOUNTSTATUSCHANGE": (AlertKind.CONSEQUENCE_DELINQUENCY, "The status of an account was changed."),
    "UNKNOWN": (AlertKind.OTHER_UNCLASSIFIED, "The provider reported something without saying what it is."),
}
_NO_ALERT = (
    "ACCOUNTACTIVITYDESIGNATORCHANGE",
    "ACCOUNTDESIGNATORCHANGE",
    "ACCOUNTNARRATIVECHANGE",
    "BALANCEAMOUNT",
    "BALANCEPERCENT",
    "CHANGEVALUESCORE",
    "CRCSTATEFREEZE",
    "MINIMUNLEVELSCORE",
    "SCORECHANGE",
    "TARGETSCORE",
)

TYPES: Mapping[str, Meaning] = MappingProxyType(
    {**{name: kind for name, (kind, _) in _KINDS.items()}, **dict.fromkeys(_NO_ALERT)}
)
"""Every documented alert type, with its kind; None: it is no alert."""

WORDS: Mapping[str, str] = MappingProxyType({name: words for name, (_, words) in _KINDS.items()})
"""What an alert type says in plain words, for an alert without a text of the provider's own."""

BUREAUS: Mapping[str, Bureau] = MappingProxyType({"EFX": Bureau.EQUIFAX, "EXP": Bureau.EXPERIAN, "TU": Bureau.TRANSUNION})
