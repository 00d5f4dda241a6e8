"""Blind indexes in versions. One of a later version is made of the one before, so that no value is needed to make it.

Version 1 is an HMAC of the value, 32 bytes. Version n is the HMAC, under a key of its own, of version n - 1, behind four bytes
that say n. So whoever has the earlier keys and a later database can try no value, and what is equal stays equal, also of somebody
whose value nobody can open any more.
"""

from collections.abc import Sequence

from app.kit import crypto

NUMBER_BYTES, HASH_BYTES = 4, 32
OF_A_CONNECTION = (
    *("receipt.body", "enrollment.reference", "event.content", "alert.identity", "look_up.identity", "handed_in.file"),
)
"""Fields whose indexes mean something within one connection only. All of a connection's are of the version that its row names."""

_IN_ONE_COLUMN = {"receipt.page": "receipt.body"}


def keyed_as(field: str) -> str:
    """The field by whose keys the later versions of an index are made: the same for all that stand in one column."""
    return _IN_ONE_COLUMN.get(field, field)


def version_of(index: bytes) -> int:
    """The version that an index was made under, as its form says."""
    return 1 if len(index) == HASH_BYTES else int.from_bytes(index[:NUMBER_BYTES])


def header(version: int) -> bytes:
    """How indexes of a version begin; those of version 1 have no header."""
    return b"" if version == 1 else version.to_bytes(NUMBER_BYTES)


def raised(index: bytes, later: Sequence[bytes]) -> list[bytes]:
    """The same index in each version from its own on. `later`: the keys of all versions but the first."""
    versions = [index]
    for number in range(version_of(index) + 1, len(later) + 2):
        versions.append(header(number) + crypto.keyed_hash(later[number - 2], versions[-1][-HASH_BYTES:]))
    return versions
