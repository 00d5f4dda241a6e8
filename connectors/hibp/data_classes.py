"""Which kind of data each of the provider's data classes is. Source: its `/dataclasses` list, as public client code spells it.

Left out on purpose, because no element of ours says the same: `Government issued IDs` (which one is not said), `Partial credit
card data`, `Partial dates of birth`, `Security questions and answers`, `Password hints`. A class that is not here is not read.
"""

from collections.abc import Mapping
from types import MappingProxyType

from connectors.vocabulary import DataElement

ELEMENTS: Mapping[str, DataElement] = MappingProxyType(
    {
        "Bank account numbers": DataElement.BANKACCT,
        "Credit card CVV": DataElement.CVV,
        "Credit cards": DataElement.CARD,
        "Dates of birth": DataElement.DOB,
        "Driver's licenses": DataElement.DL,
        "Email addresses": DataElement.EMAIL,
        "Employers": DataElement.EMPLOYER,
        "Health insurance information": DataElement.MEDID,
        "Historical passwords": DataElement.PASSWORD,
        "Job titles": DataElement.OCCUPATION,
        "Mothers maiden names": DataElement.MMN,
        "Names": DataElement.NAME,
        "Occupations": DataElement.OCCUPATION,
        "Passport numbers": DataElement.PASSPORT,
        "Passwords": DataElement.PASSWORD,
        "Personal health data": DataElement.MEDRECORD,
        "Phone numbers": DataElement.PHONE,
        "Photos": DataElement.PHOTO,
        "Physical addresses": DataElement.ADDR,
        "PINs": DataElement.PIN,
        "Social security numbers": DataElement.SSN,
        "Tax records": DataElement.TAXINFO,
        "Taxation records": DataElement.TAXINFO,
    }
)
