"""Enzoic: what of somebody's was found in leaked data, pushed under HTTP Basic."""

from connectors.enzoic.connector import Enzoic

connector = Enzoic

__all__ = ["connector"]
