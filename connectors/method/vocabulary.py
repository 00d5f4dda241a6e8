"""What the provider's words stand for. Source: its OpenAPI document of 2026-03-30 and its SDK; see the README."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from connectors.contract import Meaning
from connectors.vocabulary import AlertKind

OPENED = "account.opened"
LIABILITY, ACCOUNT = "liability", "account"

_HARD = "credit_health_hard_inquiries"
_MARKS = "credit_health_derogatory_marks"
_ALL = "credit_health_total_accounts"
_OPEN = "credit_health_open_accounts"
_SOFT = "credit_health_soft_inquiries"


def _both(name: str, meaning: Meaning) -> dict[str, Meaning]:
    """Both ways in which the provider writes that a number has grown."""
    return {f"attribute.{name}.increased": meaning, f"entity_attribute.{name}_value.increased": meaning}


EVENTS: Mapping[str, Meaning] = MappingProxyType(
    {
        "entity.new_accounts_pending_consent": AlertKind.NEW_ACCOUNT_UNKNOWN,
        "account.credit_limit_increased": AlertKind.TAKEOVER_CARD,
        "account.number.update": AlertKind.TAKEOVER_CARD,
        **_both(_HARD, AlertKind.INQUIRY_HARD),
        **_both(_MARKS, AlertKind.CONSEQUENCE_DEROGATORY),
        **_both(_ALL, AlertKind.NEW_ACCOUNT_UNKNOWN),
        **_both(_OPEN, AlertKind.NEW_ACCOUNT_UNKNOWN),
        **_both(_SOFT, None),
        **dict.fromkeys(
            (
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
"""Events that tell all there is to tell. `account.opened` is not among them: what was opened is looked up."""

SUMMARIES: Mapping[str, str] = MappingProxyType(
    {
        "entity.new_accounts_pending_consent": "A new account was found; the provider waits for consent to tell more.",
        "account.credit_limit_increased": "The credit limit of a card was raised.",
        "account.number.update": "The number of an account was changed.",
        **dict.fromkeys(_both(_HARD, None), "The number of hard inquiries in the credit file has grown."),
        **dict.fromkeys(_both(_MARKS, None), "The number of derogatory marks in the credit file has grown."),
        **dict.fromkeys(_both(_ALL, None), "The number of accounts in the credit file has grown."),
        **dict.fromkeys(_both(_OPEN, None), "The number of open accounts in the credit file has grown."),
    }
)

LIABILITIES: Mapping[str, AlertKind] = MappingProxyType(
    {
        "auto_loan": AlertKind.NEW_ACCOUNT_AUTO,
        "bnpl": AlertKind.NEW_ACCOUNT_BNPL_OR_PAYMENT,
        "collection": AlertKind.CONSEQUENCE_COLLECTION,
        "credit_builder": AlertKind.NEW_ACCOUNT_PERSONAL_LOAN,
        "credit_card": AlertKind.NEW_ACCOUNT_CREDIT_CARD,
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
"""What an account that was looked up can be: the type of its liability."""

KINDS_OF_ACCOUNT = ("ach", "clearing", "debit_card")
"""Accounts that are no debt: the customer's own, connected to pay from or into."""
