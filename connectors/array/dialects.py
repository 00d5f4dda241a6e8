"""The four ways in which details are written: each bureau's own, and that of the identity protection. What stands where, as data.

Every detail is optional but its type: what is not told stays unsaid, what cannot be read is Malformed. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from connectors.array.vocabulary import event_type
from connectors.claimed import bureau_interval
from connectors.contract import Interval, Malformed
from connectors.fields import last_digits
from connectors.fields import text as text_of
from connectors.vocabulary import AlertKind, Bureau

AMOUNT = r"\$?(?P<dollars>[0-9]{1,3}(,[0-9]{3}){1,3}|[0-9]{1,12})(?P<cents>\.[0-9]{1,2})?"

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """Which field says what, the first that is there; a name that ends in * stands for the one field that begins so.

    `by` dates a state (over the limit, overdue, found): it had come about by then, and when it began is not told.
    """

    bureau: Bureau | None
    named: Callable[[Fields], str | None]
    fields: Callable[[Fields], Fields]
    institution: tuple[str, ...]
    number: tuple[str, ...] = ()
    account: tuple[str, ...] = ()
    amount: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    occurred: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    reported: tuple[str, ...] = ()


def _exp_named(body: Fields) -> str | None:
    return _word(body, "alertSubType") or _word(body, "alertType")


def _efx_named(body: Fields) -> str | None:
    """The type; behind a dot what makes it mean something else: an old account, a payment overdue, a card lost."""
    word = _word(body, "alertType")
    name = event_type("efx", word or "").partition(".")[2]
    if name == "TradeLineAlert" and (_word(body, "changeType") or "").upper() == "CHANGE":
        return f"{name}.CHANGE"
    told = " ".join(_descriptions(body)).casefold()
    if name == "AccountStatusChangeAlert" and not re.search(r"\b(not|never|no longer|was|were)\b", told):
        if re.search(r"\b(lost|stolen)\b", told):
            return f"{name}.LostOrStolen"
        if re.search(r"\b(past due|days late|delinquent)\b", told):
            return f"{name}.Late"
    return word


def _tui_named(body: Fields) -> str | None:
    generic = _object(_object(body, "AlertType"), "GenericAlert")
    return _word(generic, "GAType")


def _idp_named(body: Fields) -> str | None:
    word = _word(body, "class")
    found = (_word(_object(body, "properties"), "passwordFound") or "").casefold() == "yes"
    return f"{word}.Password" if word is not None and word.casefold() == "pim" and found else word


def _efx_fields(body: Fields) -> Fields:
    """What the one object of the body holds; its key, and often that of one more object in it, is the type's name."""
    objects = [value for value in body.values() if isinstance(value, Mapping)]
    if len(objects) != 1:
        raise Malformed("*")
    inner = objects[0]
    while len(inner) == 1 and isinstance(only := next(iter(inner.values())), Mapping):
        inner = only
    contact = _object(inner, "contactInformation")
    return {name: _described(value) for name, value in {**contact, **inner}.items()}


def _tui_fields(body: Fields) -> Fields:
    """The list of keys and values as an object. A key that stands twice says nothing that could be relied on."""
    alert = _object(body, "AlertType")
    place = "AlertType.GenericAlert.GAElement"
    elements = _object(alert, "GenericAlert").get("GAElement", [])
    if not isinstance(elements, list) or not all(isinstance(element, Mapping) for element in elements):
        raise Malformed(place)
    keys = [element.get("Key") for element in elements]
    if not all(isinstance(key, str) for key in keys) or len(set(keys)) != len(keys):
        raise Malformed(f"{place}.Key")
    return {**{element["Key"]: element.get("Value") for element in elements}, "ProcessedDate": alert.get("ProcessedDate")}


DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        "exp": Dialect(
            Bureau.EXPERIAN,
            _exp_named,
            lambda body: body,
            institution=("name", "courtName"),
            account=("businessType",),
            amount=("balanceAmount", "amount"),
            opened=("openDate",),
            occurred=("inquiryDate", "filedDate"),
            by=("statusDate",),
            reported=("alertDate",),
        ),
        "efx": Dialect(
            Bureau.EQUIFAX,
            _efx_named,
            _efx_fields,
            institution=("creditorName", "customerName", "courtName"),
            number=("accountNumber",),
            account=("accountType", "industry"),
            amount=("amount",),
            opened=("dateOpened",),
            occurred=("dateFiled", "assignedDate"),
        ),
        "tui": Dialect(
            Bureau.TRANSUNION,
            _tui_named,
            _tui_fields,
            institution=("CreditLongName", "COURTNAME"),
            amount=("Balanceof*", "LIABILITYAMOUNT"),
            opened=("OpenDateof*",),
            by=("DateVerifiedof*",),
            reported=("ProcessedDate", "DateReported"),
        ),
        "idp": Dialect(
            None,
            _idp_named,
            lambda body: {**body, **_object(body, "properties")},
            institution=("publicAcctName",),
            by=("dateFound",),
            reported=("createDate",),
        ),
    }
)
"""By the provider's word for the source, in small letters."""


def text(fields: Fields, names: tuple[str, ...]) -> str | None:
    """The text of the first of these fields that is there; a blank one is not. Malformed with its name."""
    for name in names:
        found = [key for key in fields if key.startswith(name[:-1])] if name.endswith("*") else [name]
        told = text_of({name: fields.get(found[0])}, name) if len(found) == 1 else None
        if told is not None:
            return told
    return None


def day(fields: Fields, names: tuple[str, ...]) -> Interval | None:
    """The day that the first of these fields names, wherever on Earth it was. Malformed with their names."""
    told = text(fields, names)
    try:
        return None if told is None else bureau_interval(told)
    except ValueError:
        raise Malformed(", ".join(names)) from None


def dates(kind: AlertKind, dialect: Dialect, fields: Fields) -> dict[str, Interval | None]:
    """When it happened, and when the account was opened, which only of a new account is what happened.

    An authorized user was added after the opening; a state that bears a date had come about by then.
    """
    occurred, opened, by = (day(fields, names) for names in (dialect.occurred, dialect.opened, dialect.by))
    if kind is AlertKind.NEW_ACCOUNT_AUTHORIZED_USER:
        return {"occurred": Interval(earliest=opened.earliest) if opened else None, "opened": opened}
    if kind.family == "new_account":
        return {"occurred": None, "opened": opened}
    return {"occurred": occurred or (Interval(latest=by.latest) if by else None), "opened": None}


def dollars(fields: Fields, names: tuple[str, ...]) -> Decimal | None:
    """An amount: "$1,655.00", or whole dollars with zeros before them. Malformed with their names."""
    told = text(fields, names)
    if told is None:
        return None
    found = re.fullmatch(AMOUNT, told)
    if found is None:
        raise Malformed(", ".join(names))
    return Decimal(found["dollars"].replace(",", "") + (found["cents"] or ""))


def last_four(fields: Fields, names: tuple[str, ...]) -> str | None:
    """The last two to four digits of an account number; None when it does not end in any."""
    return last_digits(text(fields, names))


def _word(body: Fields, name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) and value.strip() else None


def _object(body: Fields, name: str) -> Fields:
    value = body.get(name)
    return value if isinstance(value, Mapping) else {}


def _described(value: Any) -> Any:
    """Equifax writes codes as {"code", "description"}."""
    return value.get("description") if isinstance(value, Mapping) else value


def _descriptions(node: Any) -> Iterator[str]:
    for name, value in node.items():
        if isinstance(value, Mapping):
            yield from _descriptions(value)
        elif name == "description" and isinstance(value, str):
            yield value
