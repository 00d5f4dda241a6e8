"""The words of the field: kinds of alert, data elements, FTC types.

Source: the normalised alert taxonomy of the provider research (FTC Consumer Sentinel types and subtypes). A kind is
written `family.detail`; its family is what stands before the dot.
"""

from enum import StrEnum


class AlertKind(StrEnum):
    """What one alert says happened. The value is `family.detail`."""

    NEW_ACCOUNT_CREDIT_CARD = "new_account.credit_card"
    NEW_ACCOUNT_AUTHORIZED_USER = "new_account.authorized_user"
    NEW_ACCOUNT_PERSONAL_LOAN = "new_account.personal_loan"
    NEW_ACCOUNT_PAYDAY_LOAN = "new_account.payday_loan"
    NEW_ACCOUNT_BUSINESS_LOAN = "new_account.business_loan"
    NEW_ACCOUNT_AUTO = "new_account.auto"
    NEW_ACCOUNT_STUDENT_LOAN = "new_account.student_loan"
    NEW_ACCOUNT_MORTGAGE = "new_account.mortgage"
    NEW_ACCOUNT_HELOC = "new_account.heloc"
    NEW_ACCOUNT_HOME_TITLE = "new_account.home_title"
    NEW_ACCOUNT_RENTAL = "new_account.rental"
    NEW_ACCOUNT_BANK = "new_account.bank"
    NEW_ACCOUNT_TELECOM_MOBILE = "new_account.telecom_mobile"
    NEW_ACCOUNT_TELECOM_LANDLINE = "new_account.telecom_landline"
    NEW_ACCOUNT_UTILITY = "new_account.utility"
    NEW_ACCOUNT_BNPL_OR_PAYMENT = "new_account.bnpl_or_payment"
    NEW_ACCOUNT_SECURITIES = "new_account.securities"
    NEW_ACCOUNT_INSURANCE = "new_account.insurance"
    NEW_ACCOUNT_UNKNOWN = "new_account.unknown"
    INQUIRY_HARD = "inquiry.hard"
    INQUIRY_BLOCKED = "inquiry.blocked"
    FREEZE_BAD_PIN = "freeze.bad_pin"
    SSN_USE = "ssn.use"
    TAKEOVER_CARD = "takeover.card"
    TAKEOVER_BANK = "takeover.bank"
    TAKEOVER_PHONE = "takeover.phone"
    TAKEOVER_EMAIL_SOCIAL = "takeover.email_social"
    FILE_CHANGE_ADDRESS = "file_change.address"
    FILE_CHANGE_NAME = "file_change.name"
    FILE_CHANGE_PHONE = "file_change.phone"
    FILE_CHANGE_EMPLOYMENT = "file_change.employment"
    TAX_FRAUD = "tax.fraud"
    GOVERNMENT_BENEFITS = "government.benefits"
    GOVERNMENT_DRIVERS_LICENSE = "government.drivers_license"
    GOVERNMENT_PASSPORT = "government.passport"
    GOVERNMENT_OTHER_DOCUMENT = "government.other_document"
    PAYROLL_DIVERSION = "payroll.diversion"
    MEDICAL_SERVICES = "medical.services"
    COURT_CRIMINAL = "court.criminal"
    COURT_PUBLIC_RECORD = "court.public_record"
    CONSEQUENCE_COLLECTION = "consequence.collection"
    CONSEQUENCE_DELINQUENCY = "consequence.delinquency"
    CONSEQUENCE_DEROGATORY = "consequence.derogatory"
    CONSEQUENCE_CHARGE_OFF = "consequence.charge_off"
    CONSEQUENCE_DECEASED_FLAG = "consequence.deceased_flag"
    CONSEQUENCE_FRAUD_STATEMENT = "consequence.fraud_statement"
    EXPOSURE_SSN = "exposure.ssn"
    EXPOSURE_GOVERNMENT_ID = "exposure.government_id"
    EXPOSURE_FINANCIAL = "exposure.financial"
    EXPOSURE_CREDENTIALS = "exposure.credentials"
    EXPOSURE_INFOSTEALER = "exposure.infostealer"
    EXPOSURE_CONTACT = "exposure.contact"
    EXPOSURE_PASTE = "exposure.paste"
    EXPOSURE_BREACH_LISTING = "exposure.breach_listing"
    OTHER_UNCLASSIFIED = "other.unclassified"

    @property
    def family(self) -> str:
        """The coarse family: the part of the kind before the dot."""
        return self.value.partition(".")[0]


class DataElement(StrEnum):
    """One sort of personal data that a breach can expose or a fraud can need."""

    NAME = "NAME"
    SSN = "SSN"
    DOB = "DOB"
    ADDR = "ADDR"
    PHONE = "PHONE"
    EMAIL = "EMAIL"
    DL = "DL"
    DL_IMAGE = "DL_IMAGE"
    PASSPORT = "PASSPORT"
    PASSPORT_IMAGE = "PASSPORT_IMAGE"
    PHOTO = "PHOTO"
    BANKACCT = "BANKACCT"
    CARD = "CARD"
    CVV = "CVV"
    PIN = "PIN"
    PASSWORD = "PASSWORD"  # noqa: S105 - the name of a sort of data, not a password
    MMN = "MMN"
    MEDID = "MEDID"
    MEDRECORD = "MEDRECORD"
    EMPLOYER = "EMPLOYER"
    EMPLOYEE_ID = "EMPLOYEE_ID"
    SALARY = "SALARY"
    OCCUPATION = "OCCUPATION"
    TAXINFO = "TAXINFO"
    PERSONNEL_FILE = "PERSONNEL_FILE"
    PAYROLL_FORM = "PAYROLL_FORM"
    DIRECT_DEPOSIT_FORM = "DIRECT_DEPOSIT_FORM"
    DL_BARCODE = "DL_BARCODE"


class Bureau(StrEnum):
    """Whose file an alert speaks of, where it speaks of one."""

    EQUIFAX = "equifax"
    EXPERIAN = "experian"
    TRANSUNION = "transunion"
    INNOVIS = "innovis"
    CHEXSYSTEMS = "chexsystems"
    OTHER = "other"
