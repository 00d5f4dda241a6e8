"""Spinwheel: new debts in somebody's Equifax file, pushed as they are reported."""

from connectors.spinwheel.connector import Spinwheel

connector = Spinwheel

__all__ = ["connector"]
