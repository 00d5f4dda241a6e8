"""A finding as JSON and back, always the same text for the same finding. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from fractions import Fraction
from typing import Any
from uuid import UUID

from pydantic import BaseModel, TypeAdapter

from app.breaches.nexus import Nexus
from app.kit import canonical
from app.kit.memo import by_identity
from app.linkage.findings import Fact, LinkFinding

_FINDING = TypeAdapter(LinkFinding)


def to_json(finding: LinkFinding) -> dict[str, Any]:
    """A finding as JSON values: sets sorted, fractions as "1/2", ids as text."""
    plain: dict[str, Any] = _plain(finding)
    return plain


def from_json(data: Mapping[str, Any]) -> LinkFinding:
    """The finding that `to_json` wrote. Raises pydantic.ValidationError for anything else."""
    return _FINDING.validate_python(dict(data))


def digest(data: Mapping[str, Any]) -> str:
    """SHA-256 of a stored finding in canonical form (RFC 8785), in hex."""
    return hashlib.sha256(canonical.dumps_simple(dict(data))).hexdigest()


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is tuple:
        return [_plain(item) for item in value]
    if kind is Fact:
        return _fact(value)
    if kind is Nexus:
        return _nexus(value)
    names = _names_of(kind)
    if names is not None:
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Fraction | UUID):
        return str(value)
    if isinstance(value, frozenset):
        return sorted(_plain(item) for item in value)
    if isinstance(value, str | int):
        return value
    raise TypeError(f"a finding does not hold a {kind.__name__}")


def _fact(value: Fact) -> dict[str, Any]:
    """Most of a finding is facts."""
    told = {"direction": value.direction.value, "code": value.code, "text": value.text}
    return {**told, "rests_on": list(value.rests_on), "wave": value.wave}


@by_identity
def _nexus(value: Nexus) -> Any:
    """The same few answers stand in most findings (`nexus.assess`)."""
    return {name: _plain(getattr(value, name)) for name in _names_of(Nexus) or ()}


_NAMES: dict[type, tuple[str, ...] | None] = {}


def _names_of(kind: type) -> tuple[str, ...] | None:
    """The fields of a class that has them; each class is asked once."""
    if kind not in _NAMES:
        if issubclass(kind, BaseModel):
            _NAMES[kind] = tuple(kind.model_fields)
        else:
            _NAMES[kind] = tuple(field.name for field in fields(kind)) if is_dataclass(kind) else None
    return _NAMES[kind]
