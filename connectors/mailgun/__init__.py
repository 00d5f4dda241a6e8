"""Mailgun: mails that a route posts here, raw, each with a signature that does not cover it."""

from connectors.mailgun.connector import Mailgun

connector = Mailgun

__all__ = ["connector"]
