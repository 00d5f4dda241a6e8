"""Patterns that an admin may write: of a kind that takes time in proportion to the text, of bounded size, compiled once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

Pattern = Any
"""A compiled pattern of google-re2, which has no type stubs: `search`, `finditer`, `groupindex`."""

LONGEST_PATTERN = 500
"""Characters of one pattern as it is written."""
LARGEST_PROGRAM = 2_000
"""Instructions that one pattern may become, forwards and backwards: what it costs for each letter at worst."""
MEMORY = 1024 * 1024
"""Bytes for one pattern's program and what it remembers while it runs."""
_ANYTHING = ("", "x", "0", ".", "\n", "\u00f1")


@lru_cache(maxsize=8192)
def compiled(pattern: str) -> Pattern:
    """The pattern, blind to case, `^` and `$` at every line, a space standing for any white space, line breaks too.

    ValueError, in words for whoever wrote it, when it is too long, becomes too large, is none or fits every text.
    """
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"is longer than {LONGEST_PATTERN} characters: write two patterns")
    for way in ("\\C", "\\Q", "[[:"):
        if way in pattern:
            raise ValueError(f"{way} is not allowed: write the letters themselves")
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = MEMORY
    try:
        found = re2.compile("(?m)" + _any_space(pattern), options)
    except (re2.error, UnicodeEncodeError) as error:
        raise ValueError(f"is no pattern that can be used here ({_complaint(error)})") from None
    if max(found.programsize, found.reverseprogramsize) > LARGEST_PROGRAM:
        raise ValueError("becomes too large: repeat less, or name fewer letters")
    if any(found.search(text) for text in _ANYTHING):
        raise ValueError("fits almost any text: name the words that only this mail holds")
    return found


def _complaint(error: Exception) -> str:
    said = error.args[0] if isinstance(error, re2.error) and error.args else "a letter that cannot be stored"
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)


def _any_space(pattern: str) -> str:
    """Each space outside of [...] as any run of white space."""
    out: list[str] = []
    place, in_set = 0, False
    while place < len(pattern):
        letter = pattern[place]
        piece = pattern[place : place + 2] if letter == "\\" else letter
        if in_set:
            in_set = piece != "]"
        elif piece == "[":
            in_set = True
            # A ] that stands first is a letter of the set.
            piece += "^" * pattern.startswith("^", place + 1)
            piece += "]" * pattern.startswith("]", place + len(piece))
        elif piece == " ":
            out.append(r"(?:\s+)")
            place += 1
            continue
        out.append(piece)
        place += len(piece)
    return "".join(out)
