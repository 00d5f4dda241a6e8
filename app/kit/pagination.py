"""Keyset pages: a cursor says after which row the next page begins, and means nothing to anybody else."""

import base64
import binascii
import json
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel

from app.kit.errors import FieldError, Problem

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=200, description="How many entries at the most.")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next` of the page before.")]


class Page(BaseModel, Generic[T]):
    """One page of a list; `next` is the cursor of the page after, or null at the end."""

    items: list[T]
    next: str | None = None


def encode_cursor(*keys: str) -> str:
    """The keys of a page's last row as one opaque word."""
    return base64.urlsafe_b64encode(json.dumps(keys).encode()).decode().rstrip("=")


def bad_cursor() -> Problem:
    """The answer to a cursor that no page gave out."""
    message = "This is not a cursor. Take `next` from the page before, or leave it out."
    return Problem(422, message, errors=[FieldError(field="query.cursor", message=message)])


def decode_cursor(cursor: str, count: int) -> list[str]:
    """The keys inside a cursor; raises a 422 Problem when it is not one of ours."""
    try:
        keys = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        raise bad_cursor() from None
    if not isinstance(keys, list) or len(keys) != count or not all(isinstance(k, str) for k in keys):
        raise bad_cursor()
    return keys


def decode_id_cursor(cursor: str | None) -> UUID:
    """The id after which the next page begins; the nil id, before all others, without a cursor. Raises a 422 Problem."""
    if cursor is None:
        return UUID(int=0)
    (text,) = decode_cursor(cursor, 1)
    try:
        return UUID(hex=text)
    except ValueError:
        raise bad_cursor() from None
