"""E-mail: one connection that every mail comes to in the end, whatever brought it."""

from connectors.mail.connector import Mail

connector = Mail

__all__ = ["connector"]
