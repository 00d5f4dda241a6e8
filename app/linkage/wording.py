"""The plain words of facts: elements, dates, lists. Members read these."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from connectors.contract import Interval
from connectors.vocabulary import DataElement

_ELEMENTS = {
    DataElement.NAME: "name",
    DataElement.SSN: "Social Security number",
    DataElement.DOB: "date of birth",
    DataElement.ADDR: "home address",
    DataElement.PHONE: "phone number",
    DataElement.EMAIL: "e-mail address",
    DataElement.DL: "driver's licence number",
    DataElement.DL_IMAGE: "picture of the driver's licence",
    DataElement.PASSPORT: "passport number",
    DataElement.PASSPORT_IMAGE: "picture of the passport page",
    DataElement.PHOTO: "photo",
    DataElement.BANKACCT: "bank account and routing number",
    DataElement.CARD: "card number",
    DataElement.CVV: "card security code",
    DataElement.PIN: "PIN",
    DataElement.PASSWORD: "password",
    DataElement.MMN: "mother's maiden name",
    DataElement.MEDID: "health insurance number",
    DataElement.MEDRECORD: "medical record",
    DataElement.EMPLOYER: "employer",
    DataElement.EMPLOYEE_ID: "employee number",
    DataElement.SALARY: "salary",
    DataElement.OCCUPATION: "occupation",
    DataElement.TAXINFO: "tax data",
    DataElement.PERSONNEL_FILE: "personnel file",
    DataElement.PAYROLL_FORM: "payroll form",
    DataElement.DIRECT_DEPOSIT_FORM: "direct-deposit form",
    DataElement.DL_BARCODE: "barcode of the driver's licence",
}
_ORDER = {element: place for place, element in enumerate(DataElement)}


def in_order(elements: Iterable[DataElement]) -> tuple[DataElement, ...]:
    """Elements in the order of the vocabulary, so that every text and list comes out the same."""
    return tuple(sorted(set(elements), key=_ORDER.__getitem__))


def listed(elements: Iterable[DataElement]) -> str:
    """Elements in plain words: "name, date of birth and home address"."""
    return _listed(frozenset(elements))


@lru_cache(maxsize=4096)
def _listed(elements: frozenset[DataElement]) -> str:
    words = [_ELEMENTS[element] for element in in_order(elements)]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


@lru_cache(maxsize=4096)
def day(moment: datetime, zone: ZoneInfo) -> str:
    """The day of a moment in the breach's time zone: "6 February 2023"."""
    local = moment.astimezone(zone)
    return f"{local.day} {local:%B %Y}"


def days(interval: Interval, zone: ZoneInfo) -> str:
    """A stretch of time in plain words: "on 3 March 2023", "between ... and ...", "before ...", "after ..."."""
    if interval.earliest and interval.latest:
        first, last = day(interval.earliest, zone), day(interval.latest, zone)
        return f"on {first}" if first == last else f"between {first} and {last}"
    if interval.latest:
        return f"not later than {day(interval.latest, zone)}"
    if interval.earliest:
        return f"not earlier than {day(interval.earliest, zone)}"
    return "at an unknown time"
