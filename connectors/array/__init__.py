"""Array: alerts of the three credit bureaus and of its own identity protection; told in a few words, looked up, and listed."""

from connectors.array.connector import Array

connector = Array

__all__ = ["connector"]
