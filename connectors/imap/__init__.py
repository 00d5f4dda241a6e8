"""A mailbox that is read over IMAP: every mail in a folder, once."""

from connectors.imap.connector import Imap

connector = Imap

__all__ = ["connector"]
