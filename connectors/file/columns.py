"""What the columns of a file mean: a document that whoever imports it writes once and keeps.

```yaml
member: Member No.          # whose it is: the reference of the enrollment
id: Alert ID                # the provider's own id of the alert; without one, a row is told by all that stands in it
kind:
  column: Alert Type
  words: {New Credit Card: new_account.credit_card, Score Change: ignore}
  otherwise: ask            # a person is asked (the default), ignore, or a kind
institution: Lender
last_four: Account
amount: {column: Amount, currency: USD}
opened: {column: Opened, written: MM/DD/YYYY}
```
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from connectors import plain_yaml
from connectors.claimed import interval
from connectors.contract import Currency, Interval
from connectors.vocabulary import AlertKind, Bureau

DOCUMENT = "columns"
MOST_WORDS = 500
LONGEST_DOCUMENT = 100_000

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]
Ignored = Literal["ignore"]
Asking = Literal["ask"]


def told_apart(word: str) -> str:
    """A word as it is compared: without blanks around it, however its letters are."""
    return word.strip().casefold()


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Written(StrEnum):
    """How a column writes its days. ISO: YYYY-MM-DD, or a moment with its offset."""

    ISO = "ISO"
    AMERICAN = "MM/DD/YYYY"
    EUROPEAN = "DD/MM/YYYY"
    TOGETHER = "YYYYMMDD"


_DAYS = {Written.AMERICAN: "%m/%d/%Y", Written.EUROPEAN: "%d/%m/%Y", Written.TOGETHER: "%Y%m%d"}


class Day(_Strict):
    """A column of days."""

    column: Name
    written: Written = Written.ISO

    def read(self, text: str) -> Interval:
        """The day, anywhere on Earth. Raises ValueError."""
        known = _DAYS.get(self.written)
        if known is None:
            return interval(text)
        if re.fullmatch(r"[0-9/]{8,10}", text) is None:
            raise ValueError("not a day")
        return interval(datetime.strptime(text, known).date().isoformat())  # noqa: DTZ007 - a day has no zone


class Amount(_Strict):
    """A column of amounts, all in one currency."""

    column: Name
    currency: Currency


class Kinds(_Strict):
    """A column whose words say what happened."""

    column: Name
    words: Annotated[dict[str, AlertKind | Ignored | Asking], Field(max_length=MOST_WORDS)] = Field(default_factory=dict)
    otherwise: AlertKind | Ignored | Asking = "ask"

    def read(self, text: str) -> AlertKind | Ignored | Asking:
        """What a word means: as it is written, however its letters are."""
        return self._meant.get(told_apart(text), self.otherwise)

    @cached_property
    def _meant(self) -> dict[str, AlertKind | Ignored | Asking]:
        return {told_apart(word): kind for word, kind in self.words.items()}


class Bureaus(_Strict):
    """A column whose words name credit bureaus."""

    column: Name
    words: Annotated[dict[str, Bureau], Field(max_length=MOST_WORDS)] = Field(default_factory=dict)

    def read(self, text: str) -> Bureau | None:
        """The bureau that a word names: one of `words`, or the bureau's own name; None for any other."""
        return self._meant.get(told_apart(text))

    @cached_property
    def _meant(self) -> dict[str, Bureau]:
        own = {bureau.value: bureau for bureau in Bureau}
        return own | {told_apart(word): bureau for word, bureau in self.words.items()}


class Columns(_Strict):
    """The meaning of a file's columns. What is not named here is kept in the receipt, and not read."""

    member: Name
    id: Name | None = None
    kind: AlertKind | Kinds
    institution: Name | None = None
    last_four: Name | None = None
    amount: Amount | None = None
    bureau: Bureau | Bureaus | None = None
    summary: Name | None = None
    occurred: Day | None = None
    opened: Day | None = None
    reported: Day | None = None
    delimiter: Literal[",", ";", "\t", "|"] | None = None
    encoding: Literal["utf-8", "windows-1252"] = "utf-8"

    @property
    def needed(self) -> list[str]:
        """The columns that a file must have to be this one's."""
        known = [self.member, self.id, self.kind.column if isinstance(self.kind, Kinds) else None]
        return [name for name in known if name is not None]


OURS = Columns(
    member="member",
    id="id",
    kind=Kinds(column="type", words={kind.value: kind for kind in AlertKind}),
    institution="institution",
    last_four="last_four",
    amount=Amount(column="amount", currency="USD"),
    bureau=Bureaus(column="bureau"),
    summary="summary",
    occurred=Day(column="occurred"),
    opened=Day(column="opened"),
    reported=Day(column="reported"),
)
"""What columns mean when nothing else is written: those named as in our own schema of alerts; amounts are dollars."""


def columns_of(documents: Mapping[str, str]) -> Columns:
    """The meaning that is written in the document `columns`. Raises ValueError with the field and how to mend it."""
    others = sorted(set(documents) - {DOCUMENT})
    if others:
        raise ValueError(f"A file is read by one document, named {DOCUMENT}. There is no place for {others[0]!r}.")
    if DOCUMENT not in documents:
        return OURS
    text = documents[DOCUMENT]
    if len(text) > LONGEST_DOCUMENT:
        raise ValueError(f"It may have {LONGEST_DOCUMENT:,} letters.")
    try:
        tree = plain_yaml.read(text)
    except plain_yaml.NotPlain as error:
        raise ValueError(f"The document: {error}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"This is no YAML{f': see line {mark.line + 1}' if mark else ''}.") from None
    try:
        return Columns.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
    raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'the document'}: {first['msg'].lower()}.")
