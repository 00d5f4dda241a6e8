"""SpyCloud: what was found of the watched e-mail addresses in leaks, and in what malware took from devices."""

from connectors.spycloud.connector import SpyCloud

connector = SpyCloud

__all__ = ["connector"]
