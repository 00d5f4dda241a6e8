"""A packet as a bag: which bytes belong to it, by hash. Pure.

Source: RFC 8493 (BagIt 1.0): 2.1.1 the declaration, 2.1.3 manifests, 2.2.1 manifests of the other files, 2.2.2 bag-info.txt.
"""

from collections.abc import Mapping, Sequence

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


def _path(path: str) -> str:
    """A path as a manifest writes it (RFC 8493 2.1.3)."""
    return path.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")


def manifest(hashes: Mapping[str, str]) -> bytes:
    """The manifest of some files, SHA-256 in hex by path, in the order of the paths."""
    return "".join(f"{hashes[path]}  {_path(path)}\n" for path in sorted(hashes)).encode()


def info(said: Sequence[tuple[str, str]]) -> bytes:
    """bag-info.txt: what is said of the bag, in the order given; no value may begin another line."""
    return "".join(f"{name}: {' '.join(value.split())}\n" for name, value in said).encode()


def oxum(sizes: Sequence[int]) -> str:
    """Payload-Oxum: bytes and files of the payload, by which an incomplete bag is seen at once (RFC 8493 2.2.2)."""
    return f"{sum(sizes)}.{len(sizes)}"
