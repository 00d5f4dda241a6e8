"""The form by which an admin says what the columns of a file mean, in two steps: which column is what; what its words mean.

The file itself is not kept between them: what the second step needs of it, its columns and words, goes with the form. Pure.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from app.kit.errors import Problem
from app.web.forms import Draft, Posted
from app.web.labels import bucket_label
from connectors.file.columns import OURS, Bureaus, Columns, Day, Kinds, Written, told_apart
from connectors.file.glimpse import Encoding, Glimpse
from connectors.vocabulary import AlertKind

DAYS = ("occurred", "opened", "reported")
PLAIN = ("member", "id", "institution", "last_four", "summary")
FIELDS = (*PLAIN, "kind", "kind_all", "amount", "currency", "bureau", "otherwise", *DAYS, *(f"{name}_written" for name in DAYS))
SAID: Mapping[str, str] = {
    "member": "Whose it is",
    "id": "The service’s own number of the alert",
    "kind": "What happened",
    "institution": "Bank, shop or office",
    "last_four": "Last digits of the account",
    "amount": "Amount",
    "bureau": "Credit bureau",
    "summary": "What the service says in a sentence",
    "occurred": "When it happened",
    "opened": "When the account was opened",
    "reported": "When the service reported it",
}
"""What a column can mean, in plain words, in the order of the form."""

WRITTEN: Mapping[Written, str] = {
    Written.ISO: "2023-03-30",
    Written.AMERICAN: "03/30/2023 (month first)",
    Written.EUROPEAN: "30/03/2023 (day first)",
    Written.TOGETHER: "20230330",
}
ASK, IGNORE = "ask", "ignore"
NEW_WORD = "word"
MEANT = "meant."
_HELP: Mapping[str, str] = {
    "member": "Choose the column that says whose it is.",
    "kind": "Choose the column that says what happened, or choose below what all rows are.",
    "kind_all": "Choose what all rows are, or above the column that says it.",
    "currency": "Write the currency as three capital letters, such as USD.",
    "otherwise": "Choose what becomes of other words.",
}
_COLUMN_HELP = "Choose one of the columns of this file."
_NAMES = {
    "member": {"member", "memberno", "membernumber", "memberid", "memberref", "employeeid", "badge", "reference", "userid"},
    "id": {"id", "alertid", "alertno", "alertnumber", "eventid", "caseid"},
    "kind": {"type", "kind", "alerttype", "eventtype", "category", "what"},
    "institution": {"institution", "lender", "creditor", "bank", "company", "where"},
    "last_four": {"lastfour", "last4", "account", "accountnumber", "accountno"},
    "amount": {"amount", "sum", "balance", "limit", "creditlimit"},
    "bureau": {"bureau", "creditbureau", "source"},
    "summary": {"summary", "description", "details", "message"},
    "occurred": {"occurred", "date", "eventdate", "activitydate"},
    "opened": {"opened", "dateopened", "opendate", "openeddate", "since"},
    "reported": {"reported", "datereported", "reportdate", "alertdate", "created"},
}
"""How exports tend to name what they hold. A guess that the form begins with, for a person to look at."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the form needs of a file, and of the document: the version that its writer looked at (0: there is none)."""

    columns: list[str]
    words: dict[str, list[str]] = field(repr=False)
    encoding: Encoding
    after: int

    @property
    def hidden(self) -> dict[str, str]:
        """The same as fields of a form."""
        columns, words = (json.dumps(one, ensure_ascii=False) for one in (self.columns, self.words))
        return {"columns": columns, "words": words, "encoding": self.encoding, "after": str(self.after)}


@dataclass(frozen=True, slots=True)
class Meant:
    """One word and what it means: a kind, `ignore`, or `ask`."""

    name: str
    word: str
    meaning: str


_SEEN: TypeAdapter[tuple[list[str], dict[str, list[str]], Encoding, int]] = TypeAdapter(
    tuple[list[str], dict[str, list[str]], Encoding, int]
)
MOST_HIDDEN = 12_000
"""Letters of words that go with the form. Columns with the fewest words come first."""


def seen(found: Glimpse, after: int) -> Seen:
    """What goes with the form of a file that was looked at."""
    kept: dict[str, list[str]] = {}
    size = 0
    for name, words in sorted(found.words.items(), key=lambda one: (len(one[1]), found.columns.index(one[0]))):
        size += len(name) + sum(map(len, words))
        if size <= MOST_HIDDEN:
            kept[name] = words
    return Seen(found.columns, kept, found.encoding, after)


def seen_in(posted: Posted) -> Seen:
    """What came back with the form. Raises a 422 Problem for what no page of ours sends."""
    try:
        columns, words = (json.loads(posted.text(name)) for name in ("columns", "words"))
        return Seen(*_SEEN.validate_python((columns, words, posted.text("encoding"), int(posted.text("after")))))
    except (ValueError, RecursionError):
        raise Problem(422, "This form cannot be read. Choose the file again.") from None


def first_draft(columns: Sequence[str], present: Columns | None) -> Draft:
    """What the form begins with: what the document says now, where the file has such columns; else by the columns' names."""
    typed = {"currency": "USD", "otherwise": ASK} | {f"{name}_written": Written.ISO.value for name in DAYS}
    typed |= {name: _guess(name, columns) for name in SAID}
    known = {} if present is None else _typed(present)
    return Draft(typed | {name: value for name, value in known.items() if name not in SAID or value in columns})


def _guess(meaning: str, columns: Sequence[str]) -> str:
    return next((one for one in columns if "".join(filter(str.isalnum, one.casefold())) in _NAMES[meaning]), "")


def _typed(present: Columns) -> dict[str, str]:
    """A document as the form's fields."""
    typed = {name: getattr(present, name) for name in PLAIN}
    if isinstance(present.kind, Kinds):
        typed |= {"kind": present.kind.column, "otherwise": present.kind.otherwise}
    else:
        typed |= {"kind_all": present.kind.value}
    if present.amount is not None:
        typed |= {"amount": present.amount.column, "currency": present.amount.currency}
    if isinstance(present.bureau, Bureaus):
        typed["bureau"] = present.bureau.column
    for name in DAYS:
        day = getattr(present, name)
        if isinstance(day, Day):
            typed |= {name: day.column, f"{name}_written": day.written.value}
    return {name: str(value) for name, value in typed.items() if value is not None}


def draft_of(posted: Posted) -> Draft:
    """What was chosen in the first step."""
    return Draft({name: posted.text(name).strip() for name in FIELDS})


def meanings(draft: Draft, found: Seen, present: Columns | None) -> list[Meant]:
    """The words of the column that says what happened, each with what it means so far: those of the file, then others known."""
    column = draft.values["kind"]
    kind = present.kind if present is not None else OURS.kind
    known = kind.words if isinstance(kind, Kinds) and (present is None or kind.column == column) else {}
    by_word = {told_apart(word): str(meaning) for word, meaning in known.items()}
    words = list(found.words.get(column, ()))
    here = {told_apart(word) for word in words}
    if present is not None:
        words += [word for word in known if told_apart(word) not in here]
    return [Meant(f"{MEANT}{n}", word, by_word.get(told_apart(word), ASK)) for n, word in enumerate(words)]


def meant_in(posted: Posted) -> list[Meant]:
    """What was chosen in the second step."""
    return [Meant(f"{MEANT}{n}", word, posted.text(f"{MEANT}{n}")) for n, word in enumerate(posted.all(NEW_WORD))]


def columns_of(
    draft: Draft, words: Sequence[Meant], found: Seen, present: Columns | None
) -> tuple[Columns | None, Mapping[str, str]]:
    """The document that was chosen; or None, and of each field that is not right what to do."""
    errors = dict(_wrong_choices(draft, words, found))
    if errors:
        return None, errors
    try:
        return Columns.model_validate(_tree(draft.values, words, found, present)), {}
    except ValidationError as error:
        wrong = [".".join(map(str, one["loc"])) for one in error.errors(include_input=False, include_url=False)]
    return None, {_place(path): _HELP.get(_place(path), _COLUMN_HELP) for path in wrong}


def _wrong_choices(draft: Draft, words: Sequence[Meant], found: Seen) -> Mapping[str, str]:
    values, errors = draft.values, {}
    for name in SAID:
        if values[name] and values[name] not in found.columns:
            errors[name] = _COLUMN_HELP
    if not values["member"]:
        errors["member"] = _HELP["member"]
    if not values["kind"] and not values["kind_all"]:
        errors["kind"] = _HELP["kind"]
    possible = {ASK, IGNORE, *AlertKind}
    if not values["kind"] and values["kind_all"] and values["kind_all"] not in set(AlertKind):
        errors["kind_all"] = _HELP["kind_all"]
    return errors | {one.name: "Choose what this word means." for one in words if one.meaning not in possible}


def _tree(values: Mapping[str, str], words: Sequence[Meant], found: Seen, present: Columns | None) -> dict[str, Any]:
    """The document as it will be written. Of what the form does not ask, what is written so far stays."""
    tree: dict[str, Any] = {name: values[name] for name in PLAIN if values[name]}
    if values["kind"]:
        otherwise = values["otherwise"] or ASK
        chosen = {one.word: one.meaning for one in words if (one.meaning, otherwise) != (ASK, ASK)}
        tree["kind"] = {"column": values["kind"], "words": chosen, "otherwise": otherwise}
    else:
        tree["kind"] = values["kind_all"]
    if values["amount"]:
        tree["amount"] = {"column": values["amount"], "currency": values["currency"].upper()}
    if values["bureau"]:
        same = present is not None and isinstance(present.bureau, Bureaus) and present.bureau.column == values["bureau"]
        kept = present.bureau.words if same and present is not None and isinstance(present.bureau, Bureaus) else {}
        tree["bureau"] = {"column": values["bureau"], "words": {word: bureau.value for word, bureau in kept.items()}}
    elif present is not None and present.bureau is not None and not isinstance(present.bureau, Bureaus):
        tree["bureau"] = present.bureau.value
    for name in DAYS:
        if values[name]:
            tree[name] = {"column": values[name], "written": values[f"{name}_written"]}
    if present is not None and present.delimiter is not None:
        tree["delimiter"] = present.delimiter
    return tree | {"encoding": found.encoding}


def _place(path: str) -> str:
    """The field of the form that a place in the document comes from."""
    first, _, rest = path.partition(".")
    if rest == "currency":
        return "currency"
    if first == "kind":
        return "otherwise" if rest.endswith("otherwise") else "kind"
    return f"{first}_written" if rest == "written" else first


def as_text(columns: Columns) -> str:
    """The document, as YAML."""
    tree = columns.model_dump(mode="json", exclude_none=True, exclude_defaults=False)
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)


def told(columns: Columns) -> list[tuple[str, str]]:
    """A document for people: each meaning with the name of its column; what no column says is left out, but for what happened."""
    typed = _typed(columns)
    if not isinstance(columns.kind, Kinds):
        typed["kind"] = f"the same in every row: {bucket_label(columns.kind.value)}"
    return [(text, typed[name]) for name, text in SAID.items() if typed.get(name)]
