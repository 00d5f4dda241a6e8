"""What the provider's words stand for. Source: its OpenAPI document of 2026-03-30 and its SDK; see the README."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from connectors.contract import Meaning
from connectors.vocabulary import AlertKind

OPENED = "account.opened"
LIABILITY, ACCOUNT = "liability", "account"

CARD, AUTHORIZED, UNSPECIFIED = "credit_card", "authorized_user", "unspecified"

_HARD = ("attribute.credit_health_hard_inquiries.increased", "entity_attribute.credit_health_hard_inquiries_value.increased")
_ALL = ("attribute.credit_health_total_accounts.increased", "entity_attribute.credit_health_total_accounts_value.increased")
_OPEN = ("attribute.credit_health_open_accounts.increased", "entity_attribute.credit_health_open_accounts_value.increased")
_MARKS = "attribute.credit_health_derogatory_marks.increased"

EVENTS: Mapping[str, Meaning] = MappingProxyType(
    {
        "entity.new_accounts_pending_consent": AlertKind.NEW_ACCOUNT_UNKNOWN,
        "account.credit_limit_increased": AlertKind.TAKEOVER_CARD,
        "account.number.update": AlertKind.TAKEOVER_CARD,
        **dict.fromkeys(_HARD, AlertKind.INQUIRY_HARD),
        **dict.fromkeys(_ALL, AlertKind.NEW_ACCOUNT_UNKNOWN),
        _MARKS: AlertKind.CONSEQUENCE_DEROGATORY,
        **dict.fromkeys(
            (
                *_OPEN,
                "entity_attribute.credit_health_soft_inquiries_value.increased",
                "account.closed",
                "account.create",
                "account.update",
                "account.credit_limit_decreased",
                "account.balance_increased",
                "account.balance_decreased",
                "credit_score.increased",
                "credit_score.decreased",
                "identity.create",
                "identity.update",
            )
        ),
    }
)
"""Events that tell all there is to tell. `account.opened` is not among them: what was opened is looked up. Whatever is open is
among all accounts: that there are more open ones says nothing besides.
"""

SUMMARIES: Mapping[str, str] = MappingProxyType(
    {
        "entity.new_accounts_pending_consent": "A new account was found; the provider waits for consent to tell more.",
        "account.credit_limit_increased": "The credit limit of a card was raised.",
        "account.number.update": "The number of an account was changed.",
        **dict.fromkeys(_HARD, "The number of hard inquiries in the credit file has grown."),
        **dict.fromkeys(_ALL, "The number of accounts in the credit file has grown."),
        _MARKS: "The number of derogatory marks in the credit file has grown.",
    }
)

OPENED_AS: Mapping[AlertKind, str] = MappingProxyType(
    {AlertKind.NEW_ACCOUNT_AUTHORIZED_USER: "This person was made an authorized user of a card"}
)

LIABILITIES: Mapping[str, AlertKind] = MappingProxyType(
    {
        "auto_loan": AlertKind.NEW_ACCOUNT_AUTO,
        "bnpl": AlertKind.NEW_ACCOUNT_BNPL_OR_PAYMENT,
        "collection": AlertKind.CONSEQUENCE_COLLECTION,
        "credit_builder": AlertKind.NEW_ACCOUNT_PERSONAL_LOAN,
        CARD: AlertKind.NEW_ACCOUNT_CREDIT_CARD,
        "fintech": AlertKind.NEW_ACCOUNT_PERSONAL_LOAN,
        "insurance": AlertKind.NEW_ACCOUNT_INSURANCE,
        "loan": AlertKind.NEW_ACCOUNT_PERSONAL_LOAN,
        "medical": AlertKind.MEDICAL_SERVICES,
        "mortgage": AlertKind.NEW_ACCOUNT_MORTGAGE,
        "personal_loan": AlertKind.NEW_ACCOUNT_PERSONAL_LOAN,
        "student_loan": AlertKind.NEW_ACCOUNT_STUDENT_LOAN,
        "student_loans": AlertKind.NEW_ACCOUNT_STUDENT_LOAN,
        "utility": AlertKind.NEW_ACCOUNT_UTILITY,
    }
)
"""What the provider calls the sorts of liability."""

ACCOUNTS: Mapping[str, AlertKind] = MappingProxyType(
    {
        **{f"{LIABILITY}.{word}": kind for word, kind in LIABILITIES.items()},
        f"{ACCOUNT}.{AUTHORIZED}": AlertKind.NEW_ACCOUNT_AUTHORIZED_USER,
        f"{ACCOUNT}.{UNSPECIFIED}": AlertKind.NEW_ACCOUNT_UNKNOWN,
    }
)
"""What an account that was looked up can be, as events: sorts of liability, and two words of ours for others."""

KINDS_OF_ACCOUNT = ("ach", "clearing", "debit_card")
"""Accounts that are no debt: the customer's own, connected to pay from or into."""
