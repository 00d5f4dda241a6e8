"""Heads of damage: what sort of loss an entry is, with a plain label and a hint. Pure data.

Source: domain research 3.1. A head that is not offered is one that counsel works out, or that courts have turned down.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Head(StrEnum):
    """The sort of a loss; the value is the ledger code of the domain research."""

    FRAUD_LOSS = "fraud_loss"
    OOP = "oop"
    MONITORING = "monitoring"
    MONITORING_FUTURE = "monitoring_future"
    TIME = "time"
    WAGES = "wages"
    CREDIT_HARM = "credit_harm"
    BARGAIN = "bargain"
    PII_VALUE = "pii_value"
    DISTRESS = "distress"
    SAFETY = "safety"
    STATUTORY = "statutory"


@dataclass(frozen=True, slots=True)
class HeadInfo:
    """What a person reads for a head, and whether a member may enter one."""

    label: str
    hint: str
    offered: bool = True


HEADS: Mapping[Head, HeadInfo] = MappingProxyType(
    {
        Head.FRAUD_LOSS: HeadInfo("Money taken", "What was taken or charged. Enter what was paid back beside it."),
        Head.OOP: HeadInfo("Costs of putting it right", "Reports, notary, postage, travel, phone, freezes, locks."),
        Head.MONITORING: HeadInfo("Credit monitoring or insurance", "What you paid for monitoring or identity insurance."),
        Head.TIME: HeadInfo("Your time", "Hours on calls, letters and reports, as an amount of money. Say how many hours."),
        Head.WAGES: HeadInfo("Lost pay or leave", "Pay you did not get, or the worth of leave you used."),
        Head.CREDIT_HARM: HeadInfo("Harm to your credit", "What a refused loan or a higher rate cost you."),
        Head.SAFETY: HeadInfo("Safety at home", "Cameras, moving, taking your address off public lists."),
        Head.DISTRESS: HeadInfo("Distress", "What care or treatment cost you."),
        Head.MONITORING_FUTURE: HeadInfo("Monitoring in years to come", "Worked out by counsel.", offered=False),
        Head.BARGAIN: HeadInfo("What was promised and not given", "Worked out by counsel.", offered=False),
        Head.PII_VALUE: HeadInfo("Worth of the data itself", "Courts have turned this down.", offered=False),
        Head.STATUTORY: HeadInfo("Amounts set by law", "Worked out by counsel.", offered=False),
    }
)

OFFERED: tuple[Head, ...] = tuple(head for head, info in HEADS.items() if info.offered)
"""The heads that a member may enter, in the order in which they are offered."""
