"""What a leaf of the log is: the canonical JSON (RFC 8785) of all columns of one ledger entry. No I/O.

Anybody who has an entry's columns writes the same bytes: ids as lowercase text with hyphens, the commitment in hexadecimal,
`at` in UTC with six digits of microseconds and a Z, `subjects` as an object, what is absent as null.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.kit import canonical

_TEXTS = {str}


def _moment(at: datetime) -> str:
    return at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def leaf_bytes(row: Mapping[str, Any]) -> bytes:
    """The bytes of one leaf. `row`: the columns of one `ledger_entry` by name, with ids as UUID and `at` aware.

    Raises ValueError for what has no canonical form, and for a moment without a time zone.
    """
    subjects, at = row["subjects"], row["at"]
    if at.tzinfo is None:
        raise ValueError("a moment without a time zone")
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    leaf = {
        "actor_id": row["actor_id"],
        "actor_role": row["actor_role"],
        "at": at if at.microsecond else _moment(at),  # the encoder writes a moment alike, but leaves six zeroes out
        "commitment": row["commitment"].hex(),
        "id": row["id"],
        "kind": str(row["kind"]),
        "member_id": row["member_id"],
        "organization_id": row["organization_id"],
        "subjects": subjects,
    }
    if "".join(subjects).isascii() and {*map(type, subjects.values())} <= _TEXTS:
        return canonical.dumps_simple(leaf)
    ids = {name: str(value) for name, value in leaf.items() if isinstance(value, UUID)}
    return canonical.dumps(leaf | ids | {"at": _moment(at)})
