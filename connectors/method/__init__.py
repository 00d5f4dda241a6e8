"""Method Financial: debts that are opened in somebody's name, pushed, looked up one by one, and listed."""

from connectors.method.connector import Method

connector = Method

__all__ = ["connector"]
