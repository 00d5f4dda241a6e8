"""Puts a timestamp's certificates in the order that DER asks for, which many authorities do not keep. No I/O.

They are a SET, and authorities write them leaf first (OpenSSL does): readers that insist on DER refuse the whole answer. The
order is not signed, and every length stays as it was.
"""

from collections.abc import Iterator

_LONG, _LENGTH_BYTES = 0x80, 4
_MANY_BYTES = 0x1F
_CERTIFICATES = 0xA0
_SEQUENCE = 0x30


def _element(raw: bytes, at: int) -> tuple[int, int, int]:
    """The tag of the element at a place, where its content begins and where it ends. Raises ValueError."""
    if at + 2 > len(raw) or raw[at] & _MANY_BYTES == _MANY_BYTES:
        raise ValueError("no element of DER")
    length, start = raw[at + 1], at + 2
    if length & _LONG:
        count = length & ~_LONG
        if not 0 < count <= _LENGTH_BYTES:
            raise ValueError("no length of DER")
        length, start = int.from_bytes(raw[start : start + count], "big"), start + count
    if start + length > len(raw):
        raise ValueError("an element longer than what it is in")
    return raw[at], start, start + length


def _inside(raw: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The elements of a stretch: tag, beginning and end, the head with it."""
    while start < end:
        tag, _, after = _element(raw, start)
        if after > end:
            raise ValueError("an element longer than what it is in")
        yield tag, start, after
        start = after


def _into(raw: bytes, at: int, place: int, tag: int = _SEQUENCE) -> int:
    """Where the element begins that stands at a place inside the one at `at`, which has this tag. Raises ValueError."""
    found, start, end = _element(raw, at)
    elements = list(_inside(raw, start, end))
    if found != tag or place >= len(elements):
        raise ValueError("no timestamp's structure")
    return elements[place][1]


def sorted_certificates(raw: bytes) -> bytes:
    """The same TimeStampResp (RFC 3161) with the certificates of its SignedData (RFC 5652) sorted. Raises ValueError."""
    signed = _into(raw, _into(raw, _into(raw, 0, 1), 1), 0, _CERTIFICATES)
    _, start, end = _element(raw, signed)
    for tag, at, after in _inside(raw, start, end):
        if tag == _CERTIFICATES:
            _, first, _ = _element(raw, at)
            ordered = sorted(raw[begins:ends] for _, begins, ends in _inside(raw, first, after))
            return raw[:first] + b"".join(ordered) + raw[after:]
    raise ValueError("no certificates")
