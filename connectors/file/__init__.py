"""Files of alerts: exports of a monitoring service, as CSV, JSON or JSON lines."""

from connectors.file.connector import File

connector = File

__all__ = ["connector"]
