"""What sort of document some bytes are: told by the bytes alone, never by a name. Nothing is opened, rendered or run.

Sources of the marks: ISO 32000-1 7.5.2 (PDF), ISO/IEC 10918-1 B.1 (JPEG), RFC 2083 3.1 (PNG), TIFF 6.0 section 2,
ISO/IEC 14496-12 4.3 and 23008-12 10.2 (the file type box of HEIC).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

LARGEST = 20 * 1024 * 1024
"""Bytes."""

ENDINGS: Mapping[str, str] = {
    "application/pdf": "pdf",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/heic": "heic",
    "image/tiff": "tif",
    "text/plain": "txt",
}
"""Every sort of document that is taken -> how the name of such a file ends."""

_BEFORE_PDF = b"\xef\xbb\xbf \t\r\n"
_MARKS = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
_HEIC_LIKE = frozenset({b"mif1", b"msf1"})
_NO_TEXT = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")


def media_type_of(body: bytes) -> str | None:
    """The media type of a document, one of `ENDINGS`; None for what is not taken, and for nothing at all."""
    if body[:64].lstrip(_BEFORE_PDF).startswith(b"%PDF-"):
        return "application/pdf"
    known = next((media_type for mark, media_type in _MARKS if body.startswith(mark)), None)
    return known or ("image/heic" if _is_heic(body) else "text/plain" if _is_text(body) else None)


def _is_heic(body: bytes) -> bool:
    """By its file type box: its length, `ftyp`, the main brand, a version, the other brands."""
    if body[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(body[:4], "big"), 1024)
    others = {body[at : at + 4] for at in range(16, end, 4)}
    return body[8:12] in _HEIC or (body[8:12] in _HEIC_LIKE and bool(others & _HEIC))


def _is_text(body: bytes) -> bool:
    """UTF-8 with something in it, and without control characters."""
    if not body.strip() or _NO_TEXT.search(body):
        return False
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
