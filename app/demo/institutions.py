"""Invented companies and offices, each in the spellings that different bureaus use for it. No real one is meant."""

from dataclasses import dataclass

from connectors.vocabulary import AlertKind


@dataclass(frozen=True, slots=True)
class Institution:
    """One invented institution; all its spellings are one name after the house's own normalisation."""

    spellings: tuple[str, ...]

    @property
    def name(self) -> str:
        """How people write it."""
        return self.spellings[0]


def _bank(name: str) -> Institution:
    return Institution((f"{name} Bank", f"{name.upper()} BK", f"{name} Bank, N.A."))


def _company(name: str) -> Institution:
    return Institution((name, f"{name.upper()} INC", f"{name}, LLC"))


CARD_ISSUERS = tuple(
    map(_bank, ("Harbor Lantern", "Copper Kite", "Tidewater Plum", "Seven Acorns", "Slate & Sparrow", "Juniper Arc"))
)
BANKS = tuple(map(_bank, ("Old Orchard", "Granite Heron", "Saltmarsh", "Two Bridges", "Lamplighter")))
LENDERS = tuple(map(_company, ("Quick Heron Lending", "Bluebell Loans", "Marigold Finance")))
CAR_LENDERS = tuple(map(_company, ("Foxglove Auto Finance", "Gravel Road Motors")))
PHONES = tuple(map(_company, ("Pinecone Mobile", "Larkspur Wireless", "Signal Finch")))
OFFICES = (Institution(("Invented State Benefits Office",)), Institution(("Invented Jobless Fund",)))
TAX_OFFICES = (Institution(("Invented Tax Agency",)), Institution(("Invented State Tax Board",)))
PAYROLL = (Institution(("Invented City Payroll",)),)
CLINICS = tuple(map(_company, ("Willow Hill Clinics", "Maple Ridge Imaging")))
POST = (Institution(("Invented Post Service",)), *CARD_ISSUERS[:3])
COLLECTORS = tuple(map(_company, ("Hollow Reed Recovery", "Flat Stone Collections")))

WHERE: dict[AlertKind, tuple[Institution, ...]] = {
    AlertKind.NEW_ACCOUNT_CREDIT_CARD: CARD_ISSUERS,
    AlertKind.NEW_ACCOUNT_BANK: BANKS,
    AlertKind.NEW_ACCOUNT_PERSONAL_LOAN: LENDERS,
    AlertKind.NEW_ACCOUNT_AUTO: CAR_LENDERS,
    AlertKind.NEW_ACCOUNT_TELECOM_MOBILE: PHONES,
    AlertKind.INQUIRY_HARD: (*CARD_ISSUERS, *LENDERS, *CAR_LENDERS),
    AlertKind.TAKEOVER_BANK: BANKS,
    AlertKind.TAKEOVER_CARD: CARD_ISSUERS,
    AlertKind.TAKEOVER_PHONE: PHONES,
    AlertKind.FILE_CHANGE_ADDRESS: POST,
    AlertKind.TAX_FRAUD: TAX_OFFICES,
    AlertKind.GOVERNMENT_BENEFITS: OFFICES,
    AlertKind.PAYROLL_DIVERSION: PAYROLL,
    AlertKind.MEDICAL_SERVICES: CLINICS,
    AlertKind.CONSEQUENCE_COLLECTION: COLLECTORS,
}
"""Where each kind of act happens. A kind that is not here names no institution: data seen somewhere is nobody's account."""
