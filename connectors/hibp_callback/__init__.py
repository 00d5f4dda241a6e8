"""Have I Been Pwned calls back: a breach that was added lists somebody whose address has this hash."""

from connectors.hibp_callback.connector import HibpCallback

connector = HibpCallback

__all__ = ["connector"]
