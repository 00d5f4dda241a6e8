"""A fake Array on real HTTP: thin notices that anybody could send, lists the newest first, details in four dialects."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.sandboxing import Happening, Sandbox
from connectors.vocabulary import AlertKind, Bureau

TOKEN = "invented-client-token"  # noqa: S105 - not a secret: the fake provider's own
APP_KEY = "7b1f0c52-0000-4000-8000-000000000001"
MOST_A_PAGE = 10
"""Fewer than it is asked for, whatever that is."""

CASINGS = {"exp": ("EXP", "exp"), "efx": ("EFX", "efx"), "tui": ("tui", "TUI"), "idp": ("idp", "IDP")}
SOURCES = {Bureau.EXPERIAN: "exp", Bureau.EQUIFAX: "efx", Bureau.TRANSUNION: "tui"}
NEW_ACCOUNT = {"exp": "New Account/New Trade", "efx": "TradeLineAlert", "tui": "NewTrade"}
WORDS: Mapping[AlertKind, Mapping[str, str]] = {
    AlertKind.NEW_ACCOUNT_AUTHORIZED_USER: {"tui": "AuthorizedUserTrades"},
    AlertKind.INQUIRY_HARD: {"exp": "New Inquiry/New Inquiry", "efx": "InquiryAlert", "tui": "NewInquiry"},
    AlertKind.SSN_USE: {"idp": "SSN"},
    AlertKind.TAKEOVER_CARD: {
        "exp": "Potentially Negative/Card Over Limit",
        "efx": "AccountStatusChangeAlert",
        "tui": "BankCardGoesOverCreditLimit",
    },
    AlertKind.FILE_CHANGE_ADDRESS: {
        "exp": "New Address/Change Of Address",
        "efx": "AddressAlert",
        "tui": "NewAddress",
        "idp": "COA",
    },
    AlertKind.FILE_CHANGE_NAME: {"efx": "NameAlert", "idp": "NameChange"},
    AlertKind.FILE_CHANGE_EMPLOYMENT: {"tui": "NewEmployment"},
    AlertKind.COURT_CRIMINAL: {"idp": "CriminalData"},
    AlertKind.COURT_PUBLIC_RECORD: {
        "exp": "New Public/Public Record Bankruptcy",
        "efx": "BankruptcyAlert",
        "tui": "NewPublicRecord",
    },
    AlertKind.CONSEQUENCE_COLLECTION: {"exp": "Potentially Negative/New Collection", "efx": "CollectionAlert"},
    AlertKind.CONSEQUENCE_DELINQUENCY: {"exp": "Potentially Negative/Delinquent", "tui": "DelinquentAccount"},
    AlertKind.CONSEQUENCE_DEROGATORY: {"exp": "Potentially Negative/Major Derogatory", "tui": "DerogatoryTrade"},
    AlertKind.CONSEQUENCE_DECEASED_FLAG: {"exp": "Potentially Negative/Deceased"},
    AlertKind.CONSEQUENCE_FRAUD_STATEMENT: {"tui": "FraudAlert"},
    AlertKind.EXPOSURE_CONTACT: {"idp": "PIM"},
    AlertKind.EXPOSURE_CREDENTIALS: {"idp": "PIM"},
}
"""What each source calls it; Experian in two words, the group's and the alert's."""

ACCOUNTS: Mapping[AlertKind, tuple[str, str]] = {
    AlertKind.NEW_ACCOUNT_CREDIT_CARD: ("BC", "Credit cards"),
    AlertKind.NEW_ACCOUNT_AUTO: ("AN", "Auto dealers, new"),
    AlertKind.NEW_ACCOUNT_PERSONAL_LOAN: ("BI", "Installment loans"),
    AlertKind.NEW_ACCOUNT_MORTGAGE: ("BM", "Mortgage loans"),
    AlertKind.NEW_ACCOUNT_HELOC: ("BH", "Home equity loans"),
    AlertKind.NEW_ACCOUNT_STUDENT_LOAN: ("BS", "Student loans"),
}
UNSURE = ("BB", "Commercial banks")


@dataclass(frozen=True, slots=True)
class _Told:
    """One alert as the provider has it."""

    client_key: str
    source: str
    word: str
    made: datetime
    details: dict[str, Any]


class ArraySandbox(Sandbox):
    """Knows people by their client key. A list is in the order in which alerts were made, whenever they were told of."""

    name = "array"

    def __init__(self, now: Callable[[], datetime], seed: int = 0) -> None:
        """See `Sandbox`."""
        super().__init__(now, seed)
        self.people: set[str] = set()
        self.alerts: dict[str, _Told] = {}
        self.dated = True

    def routes(self) -> Sequence[BaseRoute]:
        """The list of somebody's alerts, and one alert's details."""
        return [Route("/monitor/v2/alerts", self._list), Route("/monitor/v2/alerts/{alert_id}", self._details)]

    def settings(self, base_url: str) -> dict[str, Any]:
        """The connector's settings for this sandbox; its notices come from this machine."""
        return {"base_url": base_url, "client_token": TOKEN, "sources": ["127.0.0.1/32"], "requests_per_minute": 60_000}

    def enrol(self, reference: str) -> None:
        """Monitor this person in all four sources."""
        self.people.add(reference)

    def tell(self, happening: Happening, *, announced: bool = True) -> str | None:
        """Learn of something; `happening.at` may be long ago. Not `announced`: no notice is sent, only the list has it."""
        words = WORDS.get(happening.kind, NEW_ACCOUNT if happening.kind.family == "new_account" else {})
        if not words or happening.reference not in self.people:
            return None
        number = len(self.alerts) + 1
        wanted = SOURCES.get(happening.bureau or Bureau.OTHER, "")
        source = wanted if wanted in words else sorted(words)[number % len(words)]
        alert_id = str(1_000_000_000 + self.seed * 1_000_000 + number)
        details = _WRITERS[source](words[source], happening, alert_id)
        self.alerts[alert_id] = _Told(happening.reference, source, words[source], happening.at, details)
        if announced:
            self.unsent.append(_notice(number, alert_id, self.alerts[alert_id]))
        return alert_id

    def made_up(self, number: int) -> bytes:
        """A notice of an alert that does not exist, about a stranger or somebody known; or a true one's, about somebody else."""
        known, true = sorted(self.people), sorted(self.alerts)
        whose = known[number % len(known)] if known and number % 2 else f"00000000-0000-4000-8000-{number:012d}"
        if true and number % 3 == 0:
            alert_id = true[number % len(true)]
            return _notice(number, alert_id, replace(self.alerts[alert_id], client_key=self._somebody_else(alert_id, whose)))
        return _notice(number, str(9_000_000_000 + number), _Told(whose, tuple(CASINGS)[number % 4], "Made Up", self.now(), {}))

    def _somebody_else(self, alert_id: str, stranger: str) -> str:
        return next((one for one in sorted(self.people) if one != self.alerts[alert_id].client_key), stranger)

    def _items(self, client_key: str, source: str) -> list[dict[str, Any]]:
        """Somebody's list; without `dated`, only what the documentation guarantees."""
        own = [(told.made, alert_id, told) for alert_id, told in self.alerts.items()]
        found = []
        for made, alert_id, told in sorted(own, key=lambda one: one[:2], reverse=True):
            if (told.client_key, told.source) == (client_key, source):
                item = {"alertId": alert_id if int(alert_id) % 2 else int(alert_id), "alertType": told.word.rpartition("/")[2]}
                found.append({**item, "createDate": _stamp(made), "updatedDate": _stamp(self.now())} if self.dated else item)
        return found

    async def _list(self, request: Request) -> Response:
        asked = request.query_params
        if asked.get("clientKey") not in self.people or asked.get("bureau") not in CASINGS:
            return _refusal(request) or JSONResponse({"message": "Not Found"}, status_code=404)
        first, most = int(asked.get("offset", "0")), min(int(asked.get("count", "10")), MOST_A_PAGE)
        items = self._items(asked["clientKey"], asked["bureau"])
        return _refusal(request) or JSONResponse({"userAlerts": items[first : first + most]})

    async def _details(self, request: Request) -> Response:
        """By the id alone: that the provider would look whose it is, is not documented."""
        told = self.alerts.get(request.path_params["alert_id"])
        if told is None:
            return _refusal(request) or JSONResponse({"message": "Not Found"}, status_code=404)
        return _refusal(request) or JSONResponse(told.details)


def _refusal(request: Request) -> Response | None:
    if request.headers.get("x-credmo-client-token") != TOKEN:
        return JSONResponse({"message": "Unauthorized"}, status_code=401)
    return None


def _notice(number: int, alert_id: str, told: _Told) -> bytes:
    """A thin webhook; the source in one or the other casing, the id as text or as a number, now and then an old payload."""
    details: dict[str, Any] = {
        "appKey": APP_KEY,
        "clientKey": told.client_key,
        "bureau": CASINGS[told.source][number // 2 % 2],
        "alertId": alert_id if number % 2 else int(alert_id),
        "alertType": "IDPAlert" if told.source == "idp" else "".join(told.word.rpartition("/")[2].split()),
    }
    if told.source == "idp":
        details["alertSubType"] = "Darkweb" if told.word == "PIM" else told.word
    if number % 5 == 0:
        details["alertDetails"] = {"disputeStatus": "Completion"}
    return json.dumps({"service": "alerts", "method": "push", "event": "push", "details": details}).encode()


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _opened(happening: Happening) -> date:
    return happening.opened or (happening.at - timedelta(days=20)).date()


def _account(happening: Happening) -> tuple[str, str]:
    return ACCOUNTS.get(happening.product or happening.kind, UNSURE)


def _experian(word: str, happening: Happening, _: str) -> dict[str, Any]:
    group, _, sub_type = word.partition("/")
    opened = _opened(happening).strftime("%m/%d/%Y")
    at = happening.at.strftime("%m/%d/%Y")
    dates = {
        "New Inquiry": {"inquiryDate": opened},
        "New Public": {"filedDate": opened},
        "New Address": {"moveDate": opened, "oldAddress": "1 Old St", "currentAddress": "2 New St"},
    }
    account = {"openDate": opened, "statusDate": at, "isCollection": "No", "paymentStatus": "Invented"}
    amount = {} if happening.amount is None else {"balanceAmount": f"${happening.amount:,.2f}"}
    return {
        "alertType": group,
        "alertSubType": sub_type,
        "source": "Experian",
        "alertDate": at,
        **dates.get(group, account),
        **amount,
        "name": happening.institution or "",
        "phone": "(000) 555-0100",
        "businessType": _account(happening)[0],
        "streetAddress": "PO BOX 1",
        "city": "NOWHERE",
        "state": "ZZ",
        "zip": "00000-0001",
    }


def _equifax(word: str, happening: Happening, alert_id: str) -> dict[str, Any]:
    opened = f"{_opened(happening).isoformat()}Z"
    account = {
        "accountNumber": f"40000000{happening.last_four or '0000'}",
        "creditorId": "ABCDEFGH",
        "creditorName": happening.institution,
    }
    address = {"previousAddress": {"line1": "1 Old St"}, "newAddress": {"line1": "2 New St"}}
    inside: dict[str, dict[str, Any]] = {
        "TradeLineAlert": {**account, "accountType": _account(happening)[1], "dateOpened": opened},
        "InquiryAlert": {"customerName": happening.institution, "industry": _account(happening)[1], "phone": "0005550100"},
        "AccountStatusChangeAlert": {
            "contactInformation": {"customerId": "ABCDEFGH", "address": {"line1": "PO BOX 1"}},
            **account,
            "accountStatus": {"code": "3", "description": "Card lost or stolen"},
            "dateOpened": opened,
        },
        "AddressAlert": address,
        "NameAlert": {"previousName": {"last": "INVENTED"}, "newName": {"last": "MADE-UP"}},
        "BankruptcyAlert": {"courtName": happening.institution, "caseNumber": "00-00001", "dateFiled": opened},
        "CollectionAlert": {**account, "customerName": "INVENTED RECOVERY", "amount": _whole(happening), "assignedDate": opened},
    }
    key = word[0].lower() + word[1:]
    return {
        "alertType": word,
        key: {key.removesuffix("Alert"): inside[word]},
        "alertId": f"CFM:{alert_id}",
        "changeType": "NEW",
    }


def _whole(happening: Happening) -> str:
    return str(int(happening.amount or Decimal(0)))


def _transunion(word: str, happening: Happening, _: str) -> dict[str, Any]:
    opened, balance = _opened(happening).strftime("%Y%m%d"), f"{int(happening.amount or 0):09d}"
    keys: dict[str, dict[str, str]] = {
        "AuthorizedUserTrades": {
            "OpenDateofMostRecentlyOpenedAutherizedUserTrade": opened,
            "CreditLimitofMostRecentlyOpenedAutherizedUserTrade": "000005000",
            "BalanceofMostRecentlyOpenedAutherizedUserTrade": balance,
            "CountofAuthorizedUserTrades": "1",
        },
        "BankCardGoesOverCreditLimit": {
            "CreditLimitofMostRecentBankCard": "000000200",
            "BalanceofMostRecentBankCard": balance,
            "DateVerifiedofMostRecentBankCard": opened,
            "CountofBankCardOverLimit": "1",
        },
    }
    elements = {"CreditLongName": happening.institution or "", **keys.get(word, {}), "ArtifactType": "EnhancedAlert"}
    generic = {
        "GAType": word,
        "Bureau": "TransUnion",
        "GAElement": [{"Key": key, "Value": value} for key, value in elements.items()],
    }
    processed = happening.at.date().isoformat()
    return {"AlertType": {"currentversion": "2.0", "GenericAlert": generic, "ProcessedDate": processed}}


def _protection(word: str, happening: Happening, alert_id: str) -> dict[str, Any]:
    properties: dict[str, dict[str, Any]] = {
        "SSN": {"useCase": "Invented", "publicAcctName": happening.institution, "channel": "Online", "result": "Pass"},
        "COA": {"friendlyMoveDate": "August 2020", "newAddress": "2 New St", "originalAddress": "1 Old St"},
        "PIM": {
            "type": "Breach",
            "dateFound": _opened(happening).strftime("%m/%d/%Y"),
            "passwordFound": "Yes" if happening.kind is AlertKind.EXPOSURE_CREDENTIALS else "No",
            "description": "An invented <b>site</b> has been reported.",
            "source": "Dark Web",
        },
    }
    return {
        "id": int(alert_id),
        "class": word,
        "status": "Alert",
        "canDismiss": 1,
        "canRedAlert": 0,
        "createDate": _stamp(happening.at),
        "updatedDate": _stamp(happening.at + timedelta(seconds=5)),
        **dict.fromkeys(("alertCenterMsg", "emailMsg", "smsMsg"), ""),
        "emailSubject": "An invented alert",
        "properties": {"firstname": "Avery", "lastname": "Invented", **properties.get(word, {})},
    }


_WRITERS: Mapping[str, Callable[[str, Happening, str], dict[str, Any]]] = {
    "exp": _experian,
    "efx": _equifax,
    "tui": _transunion,
    "idp": _protection,
}

sandbox = ArraySandbox
