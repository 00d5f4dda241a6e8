"""NordStellar: hits on monitored hashes in leaks, credential lists and stealer logs, pushed under HTTP Basic."""

from connectors.nordstellar.connector import NordStellar

connector = NordStellar

__all__ = ["connector"]
