"""How arrays go to PostgreSQL: written by us, in the form that its protocol has for them.

The driver looks at every value of an array twice, asking two abstract classes each time, before it calls on the value's
own encoder. Of the arrays that hold most of what is written here (ids, bytes, texts, moments) we know what is in them. What
is no such value is refused, as the driver refuses it. Source: PostgreSQL's array_recv and array_send; asyncpg/protocol/codecs.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any, NamedTuple
from uuid import UUID

from asyncpg.pgproto import pgproto

Encode = Callable[[Sequence[Any]], bytes]

_HEAD = Struct(">iiIii")
_BARE_HEAD = Struct(">iiI")
_LENGTH = Struct(">i").pack
_MOMENT = Struct(">iq").pack
_NULL = _LENGTH(-1)
_UUID_BYTES = _LENGTH(16)
_MOMENT_BYTES = 8
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_AFTER_ALL, _BEFORE_ALL = 2**63 - 1, -(2**63)
_INFINITE = {252_455_615_999_999_999: _AFTER_ALL, -63_082_281_600_000_000: _BEFORE_ALL}
"""The last and the first moment that Python knows: the driver takes them for PostgreSQL's infinities, and so do we."""
_DriverUUID = pgproto.UUID


class _Kind(NamedTuple):
    """A type of PostgreSQL's, its own number and its array's; how all values of an array are written, and how one is read."""

    name: str
    oid: int
    array_oid: int
    write: Encode
    read: Callable[[bytes], Any]


def _head(oid: int, count: int) -> bytes:
    return _HEAD.pack(1, 0, oid, count, 1) if count else _BARE_HEAD.pack(0, 0, oid)


def _ids(values: Sequence[Any]) -> bytes:
    try:
        return _UUID_BYTES + _UUID_BYTES.join([one.bytes for one in values]) if values else b""
    except AttributeError:  # one that is not there, or is written out
        return b"".join([_NULL if one is None else _UUID_BYTES + _id(one).bytes for one in values])


def _id(one: Any) -> UUID:
    return one if isinstance(one, UUID) else UUID(one)


def _bytes(values: Sequence[Any]) -> bytes:
    return b"".join([_NULL if one is None else _LENGTH(len(one)) + one for one in values])


def _texts(values: Sequence[Any]) -> bytes:
    return _bytes([None if one is None else one.encode() for one in values])


def _moments(values: Sequence[Any]) -> bytes:
    return b"".join([_NULL if one is None else _MOMENT(_MOMENT_BYTES, _since(one)) for one in values])


def _since(moment: datetime) -> int:
    """Microseconds since 2000, as PostgreSQL counts. Raises TypeError for a moment without a time zone."""
    passed = moment - _EPOCH
    counted = (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds
    return _INFINITE.get(counted, counted)


def _moment_of(raw: bytes) -> datetime:
    stored = int.from_bytes(raw, "big", signed=True)
    if stored in (_AFTER_ALL, _BEFORE_ALL):
        return datetime.max if stored == _AFTER_ALL else datetime.min  # noqa: DTZ901 - as the driver reads them
    return _EPOCH + stored * _MICROSECOND


_KINDS = (
    _Kind("uuid", 2950, 2951, _ids, _DriverUUID),
    _Kind("bytea", 17, 1001, _bytes, bytes),
    _Kind("text", 25, 1009, _texts, bytes.decode),
    _Kind("varchar", 1043, 1015, _texts, bytes.decode),
    _Kind("timestamptz", 1184, 1185, _moments, _moment_of),
)


def _encoder(kind: _Kind) -> Encode:
    oid, write = kind.oid, kind.write

    def encode(values: Sequence[Any]) -> bytes:
        if not isinstance(values, list | tuple):
            raise TypeError(f"a list expected, not {type(values).__name__}")
        return _head(oid, len(values)) + write(values)

    return encode


def _decoder(kind: _Kind) -> Callable[[bytes], list[Any]]:
    read = kind.read

    def decode(raw: bytes) -> list[Any]:
        dimensions, at, found = int.from_bytes(raw[:4], "big"), _HEAD.size, list[Any]()
        if dimensions > 1:
            raise ValueError("an array of arrays")
        while at < len(raw):
            length, at = int.from_bytes(raw[at : at + 4], "big", signed=True), at + 4
            found.append(None if length < 0 else read(raw[at : at + length]))
            at += max(length, 0)
        return found

    return decode


def teach(connection: Any) -> None:
    """Have a connection of asyncpg's write these arrays our way. Before its first statement.

    asyncpg's own `set_type_codec` takes no arrays; what it does for other types is done here.
    """
    settings = connection._protocol.get_settings()  # noqa: SLF001 - there is no public way; tests/kit/test_arrays.py keeps it
    for kind in _KINDS:
        settings.add_python_codec(
            kind.array_oid, f"_{kind.name}", "pg_catalog", (), "scalar", _encoder(kind), _decoder(kind), "binary"
        )
