"""How well a shipped fact is known: the marks of the domain research (its section 0)."""

from enum import StrEnum


class Mark(StrEnum):
    """V read in the named source · K general knowledge, source not read · T computed · A our assumption."""

    VERIFIED = "V"
    KNOWLEDGE = "K"
    COMPUTED = "T"
    ASSUMPTION = "A"
