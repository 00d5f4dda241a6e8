"""A folder as one ZIP file that leaves piece by piece: the same files give the same bytes, and how many these are is known first.

Nothing is compressed (what leaves is to be told as a length before it leaves) and every entry has the same date, the first that
the format has. Names are ASCII (docs/packet.md). Source: PKWARE APPNOTE.TXT 6.3.10: 4.3.7 local header, 4.3.12 central header,
4.3.14 to 4.3.16 the ends, 4.5.3 ZIP64. Pure, but for reading the files.
"""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

WORTH_SENDING = 256 * 1024
_FIRST_DAY = (1 << 5) | 1
_MOST_16, _MOST_32 = 0xFFFF, 0xFFFFFFFF
_NEEDS, _NEEDS_64 = 20, 45
_MADE_ON_UNIX = 3 << 8
_PLAIN_FILE = 0o100644 << 16
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_WHERE_64 = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")
_OFFSET_64 = struct.Struct("<2HQ")

Sizes = Sequence[tuple[str, int]]
"""Names of files with how many bytes each has: less than 4 GiB."""


def length(files: Sizes) -> int:
    """How many bytes the ZIP of some files has."""
    at = ends = 0
    for name, size in files:
        ends += _CENTRAL.size + len(name) + (_OFFSET_64.size if at >= _MOST_32 else 0)
        at += _LOCAL.size + len(name) + size
    return at + ends + len(_ends(len(files), ends, at))


def zipped(files: Sizes, read: Callable[[str], bytes]) -> Iterator[bytes]:
    """The ZIP, a file at a time. `read`: a file's bytes by its name. Raises ValueError for a file of another size than told."""
    listed, at = bytearray(), 0
    for name, size in files:
        content = read(name)
        if len(content) != size or size >= _MOST_32:
            raise ValueError("a file is not as long as was told")
        raw, checked = name.encode("ascii"), zlib.crc32(content)
        yield _LOCAL.pack(b"PK\x03\x04", _NEEDS, 0, 0, 0, _FIRST_DAY, checked, size, size, len(raw), 0) + raw
        yield content
        listed += _central(raw, checked, size, at)
        at += _LOCAL.size + len(raw) + size
    yield bytes(listed)
    yield _ends(len(files), len(listed), at)


def gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces: each at least as long as is worth sending by itself, but for the last."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        if len(waiting) >= WORTH_SENDING:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)


def _central(name: bytes, checked: int, size: int, at: int) -> bytes:
    """An entry of the list at the end. `at`: where its file begins."""
    far = at >= _MOST_32
    more = _OFFSET_64.pack(1, 8, at) if far else b""
    needs, told = (_NEEDS_64, _MOST_32) if far else (_NEEDS, at)
    sizes = (checked, size, size, len(name), len(more))
    made = _MADE_ON_UNIX | needs
    return _CENTRAL.pack(b"PK\x01\x02", made, needs, 0, 0, 0, _FIRST_DAY, *sizes, 0, 0, 0, _PLAIN_FILE, told) + name + more


def _ends(count: int, size: int, at: int) -> bytes:
    """What stands last. `size`: of the list, which begins `at`."""
    bare = (min(count, _MOST_16), min(count, _MOST_16), min(size, _MOST_32), min(at, _MOST_32))
    end = _END.pack(b"PK\x05\x06", 0, 0, *bare, 0)
    if count < _MOST_16 and size < _MOST_32 and at < _MOST_32:
        return end
    made = _END_64.pack(b"PK\x06\x06", _END_64.size - 12, _MADE_ON_UNIX | _NEEDS_64, _NEEDS_64, 0, 0, count, count, size, at)
    return made + _WHERE_64.pack(b"PK\x06\x07", 0, at + size, 1) + end
