"""YAML as people write it by hand: no references, no tags, not deep. What it holds besides is for its reader to judge."""

from __future__ import annotations

from typing import Any

import yaml

DEEPEST = 8


class NotPlain(ValueError):
    """A document with more in it than anybody writes by hand; the message says what, and how to mend it."""


def read(text: str) -> Any:
    """What a document says. yaml.YAMLError, RecursionError or ValueError where it is no YAML, NotPlain where it is more.

    References let a small document stand for one that fills the memory. Tags lead into code of the library that raises whatever
    it likes.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise NotPlain("& and * of YAML are not used here: write it out, or put the text in quotes")
        if getattr(event, "tag", None):
            raise NotPlain("! of YAML is not used here: leave it out, or put the text in quotes")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise NotPlain("is nested deeper than anything here is")
    try:
        return yaml.safe_load(text)
    except OverflowError:
        raise NotPlain("holds a number that is too large: put it in quotes, or leave it out") from None
