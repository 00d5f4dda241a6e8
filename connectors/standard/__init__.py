"""The standard connector: any sender that writes our own schema."""

from connectors.standard.connector import Standard

connector = Standard
