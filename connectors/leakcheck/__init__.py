"""LeakCheck: in which named leaks a member's e-mail address stands, asked for by the address or by its hash."""

from connectors.leakcheck.connector import LeakCheck

connector = LeakCheck

__all__ = ["connector"]
