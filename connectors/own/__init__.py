"""What members report themselves, with or without a document."""

from connectors.own.connector import Own

connector = Own

__all__ = ["connector"]
