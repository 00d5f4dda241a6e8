"""Have I Been Pwned: in which known breaches a member's address is listed, and what those breaches held."""

from connectors.hibp.connector import Hibp

connector = Hibp

__all__ = ["connector"]
