"""SendGrid Inbound Parse: raw mails, signed with a key of SendGrid's where a security policy says so."""

from connectors.sendgrid.connector import SendGrid

connector = SendGrid

__all__ = ["connector"]
