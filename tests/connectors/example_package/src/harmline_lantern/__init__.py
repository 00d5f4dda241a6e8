"""Lantern Watch, an invented provider."""

from harmline_lantern.connector import Lantern

connector = Lantern

__all__ = ["connector"]
