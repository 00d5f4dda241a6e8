"""One name for one institution, however a bureau writes it. Pure, but for reading its own table.

Source: the provider research, de-duplication hints (strip "/", "BK", "NA", known aliases such as SYNCB/AMAZON, THD/CBNA).
"""

import re
import unicodedata
from functools import cache, lru_cache
from importlib import resources
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, model_validator

_DROPPED = re.compile(r"['’`.]")
_SPLIT_NA = re.compile(r"\bN A$")


class InstitutionTable(BaseModel):
    """Fillers, words written short, and whole names with their other spellings. All upper case, single spaces."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    fillers: frozenset[str]
    words: dict[str, str]
    names: dict[str, tuple[str, ...]]

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        spellings = [s for variants in self.names.values() for s in variants]
        if len(set(spellings)) != len(spellings) or set(spellings) & set(self.names):
            raise ValueError("a spelling stands for two names")
        return self


@cache
def load_institutions() -> InstitutionTable:
    """The table shipped with this package. Raises pydantic.ValidationError if it is not whole."""
    text = resources.files("app.incidents").joinpath("data/institutions.yaml").read_text(encoding="utf-8")
    return InstitutionTable.model_validate(yaml.safe_load(text))


@cache
def _spellings() -> dict[str, str]:
    return {s: name for name, variants in load_institutions().names.items() for s in variants}


@lru_cache(maxsize=4096)
def canonical_institution(name: str | None) -> str | None:
    """The one name of an institution: upper case, no punctuation, known short forms written out.

    None only for no name, or one without a letter or digit. Idempotent: its own result comes back unchanged.
    """
    text = _folded(name or "")
    seen: set[str] = set()
    while text not in seen:
        seen.add(text)
        text = _reduced(_folded(text))
    return text or None


def _folded(name: str) -> str:
    """Upper case, no accents, every other sign a space, apostrophes and full stops gone."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).upper())
    unmarked = "".join(c for c in plain if not unicodedata.combining(c))
    signs = _DROPPED.sub("", unmarked.replace("&", " AND "))
    return " ".join("".join(c if c.isalnum() else " " for c in signs).split())


def _reduced(text: str) -> str:
    """One pass: a known spelling, else words written out and fillers dropped (never the first word)."""
    table = load_institutions()
    if text in table.names:
        return text
    if text in _spellings():
        return _spellings()[text]
    words = " ".join(table.words.get(word, word) for word in _SPLIT_NA.sub("NA", text).split()).split()
    kept = words[:1] + [word for word in words[1:] if word not in table.fillers]
    reduced = " ".join(kept)
    return _spellings().get(reduced, reduced)
