"""One rule file: what an admin writes about one sender, read strictly. What a rule decides is in rules.py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StringConstraints, ValidationError, model_validator

from connectors import plain_yaml
from connectors.mail.domains import is_owned
from connectors.mail.patterns import compiled
from connectors.vocabulary import AlertKind

LARGEST_DOCUMENT = 64 * 1024
"""Characters of one rule file."""
MOST_TOLD = 5
"""Wrong fields of one document."""
MOST_PATTERNS = 400
LARGEST_PROGRAMS = 100_000
"""Instructions of all patterns of one file together."""
GROUPS = frozenset({"institution", "last_four", "amount", "bureau"})
"""The names that a group of a pattern may have: what it yields."""
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
EVERYBODYS = frozenset(
    {
        *(
            "gmail.com",
            "googlemail.com",
            "outlook.com",
            "hotmail.com",
            "live.com",
            "msn.com",
            "yahoo.com",
            "ymail.com",
            "aol.com",
        ),
        *("icloud.com", "me.com", "mac.com", "proton.me", "protonmail.com", "gmx.com", "gmx.net", "mail.com", "zoho.com"),
        *("fastmail.com", "comcast.net", "att.net", "verizon.net"),
    }
)
"""Where anybody may have an address: a mail from there is no service's."""
_MENDING = {
    "extra_forbidden": "there is no such field: mend its spelling or leave it out",
    "missing": "is missing",
    "enum": "is none of the words that may stand here",
    "bool_type": "is true or false",
    "string_type": "is a text; put it in quotes",
}


class Mark(StrEnum):
    """How well it is known that a sender uses an address."""

    READ = "V"
    """Read in a source, which the entry names."""
    KNOWN = "K"
    """General knowledge."""
    ASSUMED = "A"
    """An assumption of ours."""


class Carries(StrEnum):
    """What a sender uses an address for."""

    ALERTS = "alerts"
    MARKETING = "marketing"


def _domain(text: str) -> str:
    if not is_owned(text):
        raise ValueError("is no domain: write it in lower case and without @, as alerts.service.example")
    if text in EVERYBODYS:
        raise ValueError("is a domain where anybody may have an address: a mail from there is no service's")
    return text


def _pattern(text: str) -> str:
    unknown = compiled(text).groupindex.keys() - GROUPS
    if unknown:
        raise ValueError(f"names a group that yields nothing: use {', '.join(sorted(GROUPS))}")
    return text


def _yielding(text: str) -> str:
    if not compiled(text).groupindex:
        raise ValueError("yields nothing: name a group, as (?P<institution>...)")
    return text


Words = Annotated[str, StringConstraints(min_length=1, max_length=300, strip_whitespace=True)]
PatternText = Annotated[str, StringConstraints(min_length=2), AfterValidator(_pattern)]
Patterns = Annotated[tuple[PatternText, ...], Field(max_length=100)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SenderDomain(_Strict):
    """One domain that the sender's From has, itself or a subdomain of it, and how that is known."""

    domain: Annotated[str, AfterValidator(_domain)]
    carries: Carries = Carries.ALERTS
    mark: Mark
    source: Words


class DkimDomain(_Strict):
    """One domain that the sender signs with, besides those of its From, and how that is known."""

    domain: Annotated[str, AfterValidator(_domain)]
    mark: Mark
    source: Words


class IgnoredMail(_Strict):
    """Mail of a known sender that is no alert: where `subject` and `body` are both given, one pattern of each must fit."""

    reason: Words
    subject: Patterns = ()
    body: Patterns = ()

    @model_validator(mode="after")
    def _says_something(self) -> IgnoredMail:
        if not self.subject:
            raise ValueError("needs a pattern of the subject: by its body alone no mail is put away unseen")
        return self


class AlertMail(_Strict):
    """One sort of alert: one pattern of `subject` and one of `body` must fit. `details_requested`: they say "log in to see"."""

    kind: AlertKind
    subject: Patterns = ()
    body: Patterns = ()
    details_requested: StrictBool = False

    @model_validator(mode="after")
    def _evidence(self) -> AlertMail:
        if not self.subject or not (self.body or self.details_requested):
            raise ValueError(
                "needs a pattern of the subject and one of the body; one that asks to log in may do with the subject"
            )
        return self


class RuleFile(_Strict):
    """All about one sender. `domains`: none is known where it is empty, and then the file matches nothing by itself.

    `uses`: names of other files whose `ignored`, `alerts` and `yields` hold for this sender, too. `yields`: patterns that find
    institution, last four, amount and bureau anywhere in the body of any of its alerts.
    """

    title: Words
    note: Annotated[str, StringConstraints(max_length=2000)] = ""
    domains: Annotated[tuple[SenderDomain, ...], Field(max_length=50)] = ()
    dkim_domains: Annotated[tuple[DkimDomain, ...], Field(max_length=50)] = ()
    language: Annotated[tuple[Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")], ...], Field(max_length=20)] = ()
    uses: Annotated[tuple[Words, ...], Field(max_length=10)] = ()
    ignored: Annotated[tuple[IgnoredMail, ...], Field(max_length=100)] = ()
    alerts: Annotated[tuple[AlertMail, ...], Field(max_length=200)] = ()
    yields: Annotated[tuple[Annotated[PatternText, AfterValidator(_yielding)], ...], Field(max_length=100)] = ()

    @property
    def patterns(self) -> tuple[str, ...]:
        """All patterns of this file, in the order of its fields."""
        ignored = [text for entry in self.ignored for text in (*entry.subject, *entry.body)]
        alerts = [text for entry in self.alerts for text in (*entry.subject, *entry.body)]
        return (*ignored, *alerts, *self.yields)

    @model_validator(mode="after")
    def _not_too_much(self) -> RuleFile:
        if len(self.patterns) > MOST_PATTERNS:
            raise ValueError(f"has more than {MOST_PATTERNS} patterns")
        if sum(compiled(text).programsize for text in self.patterns) > LARGEST_PROGRAMS:
            raise ValueError("has patterns that are too large together: write fewer, or simpler ones")
        return self


@lru_cache(maxsize=512)
def rule_file(name: str, text: str) -> RuleFile:
    """Read one document. ValueError with its name, path and line of the field, and how to mend it; never a value of it."""
    if NAME.fullmatch(name) is None:
        raise ValueError("a rule's name is up to 64 of a-z, 0-9, dot, - and _, and begins with a letter or a digit")
    try:
        document = _document(text)
        return RuleFile.model_validate(document)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False, include_context=False)[:MOST_TOLD]
        root = yaml.compose(text, Loader=yaml.SafeLoader)  # once: it takes as long as all the rest
        told = [_complaint(problem, _line(root, problem["loc"])) for problem in problems]
    except (yaml.YAMLError, RecursionError) as error:
        told = [_misspelled(error)]
    except ValueError as error:
        told = [str(error)]
    raise ValueError(f"rule {name}: {'; '.join(told)}")


def _document(text: str) -> Mapping[str, Any]:
    if len(text) > LARGEST_DOCUMENT:
        raise ValueError(f"is longer than {LARGEST_DOCUMENT} characters: one file is about one sender")
    document = plain_yaml.read(text)
    _no_field_twice(yaml.compose(text, Loader=yaml.SafeLoader), "")
    if not isinstance(document, dict):
        raise ValueError("is no list of fields: begin with title:")
    return document


def _no_field_twice(node: yaml.Node | None, path: str) -> None:
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            _no_field_twice(item, f"{path}.{number}")
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise ValueError(f"{path.lstrip('.') or 'the file'}: a field's name is a word")
            if key.value in seen:
                raise ValueError(f"{path.lstrip('.') or 'the file'}: has a field twice, in line {key.start_mark.line + 1}")
            seen.add(key.value)
            _no_field_twice(value, f"{path}.{key.value}")


def _complaint(problem: Any, line: int) -> str:
    path = ".".join(map(str, problem["loc"])) or "the file"
    said = _MENDING.get(problem["type"]) or str(problem["msg"]).removeprefix("Value error, ")
    return f"{path}: {said} (line {line})"


def _line(node: yaml.Node | None, place: tuple[int | str, ...]) -> int:
    """The line, from 1, where a field of this node stands, or where what it belongs to begins."""
    line = 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = (node.value[part], node.value[part])
        else:
            found = None
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def _misspelled(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f" in line {mark.line + 1}" if mark is not None else ""
    return f"is no YAML{where}: mind the indentation, and put patterns in single quotes"
