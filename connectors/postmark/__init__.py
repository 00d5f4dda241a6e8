"""Postmark: inbound mails as JSON with the raw mail in it, under HTTP Basic."""

from connectors.postmark.connector import Postmark

connector = Postmark

__all__ = ["connector"]
