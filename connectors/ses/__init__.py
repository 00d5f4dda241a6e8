"""Amazon SES: mails that a receipt rule publishes to an SNS topic, which posts them here, signed by Amazon."""

from connectors.ses.connector import Ses

connector = Ses

__all__ = ["connector"]
