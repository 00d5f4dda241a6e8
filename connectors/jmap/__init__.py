"""A mailbox that is read over JMAP: every mail in a folder, once."""

from connectors.jmap.connector import Jmap

connector = Jmap

__all__ = ["connector"]
