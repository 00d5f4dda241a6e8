"""Check an evidence packet: `python3 -I -S verify.py DIR`. Python 3.8 or later, its standard library, no network, no Harmline.

What a packet holds and what each hash covers is written in docs/packet.md of Harmline. Sources of what is computed here:
RFC 8032 (Ed25519), RFC 9162 2.1 (trees), RFC 8785 (canonical JSON), RFC 8493 (BagIt), RFC 3161 and RFC 5652 (timestamps),
c2sp.org signed-note@v1, tlog-checkpoint@v1, tlog-cosignature@v1, tlog-proof@v1, tlog-witness@v1.

A packet is a stranger's: nothing in it is followed, unpacked or run, and whatever it holds, this ends with a report.
Exit codes: 0 all is proven, 1 something fails, 2 it cannot be read.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import os
import re
import sys
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Callable, Iterable, Iterator, NoReturn, Sequence, Tuple

PROVEN, FAILED, UNREADABLE = 0, 1, 2
FORMAT, EXHIBIT_FORMAT, REPORT_FORMAT = "harmline-packet@v1", "harmline-exhibit@v1", "harmline-verification@v1"
TIMELINE_FORMAT = "harmline-timeline@v1"
TOP = ("README.txt", "bag-info.txt", "bagit.txt", "manifest-sha256.txt", "verify.html", "verify.py")
TAG_MANIFEST, MANIFEST = "tagmanifest-sha256.txt", "manifest-sha256.txt"
BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
PACKET, CHECKPOINT, LOG = "data/packet.json", "data/log/checkpoint", "data/log/"
STRAYS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
MOST_FILES, MOST_PARTS, MOST_LEVELS = 2_000_000, 8, 64
LARGE, SMALL, NOTE_BYTES = 512 * 1024 * 1024, 16 * 1024 * 1024, 1_000_000
MOST_SIGNATURES, MOST_HASHES, MOST_SHOWN = 100, 128, 50
LARGEST_WHOLE = 2**53 - 1
KEY_BYTES, SIGNATURE_BYTES, HASH_BYTES, TIME_BYTES, ID_BYTES = 32, 64, 32, 8, 4
LOG_KEY, WITNESS_KEY = 1, 4
SECONDS_APART, LONG_BEFORE = 60, 24 * 60 * 60

NATIVE, SUMMARY = "native", "summary_1006"
KINDS = ("member", "matter", "claim")
TYPES = (NATIVE, SUMMARY, "illustrative_107")
WHY = ("erased", "term", "not_consented", "privileged", "other_lane", "redacted", "other_people", "unproven")
GRADES = {
    "third_party": "signed so that anybody can check it: with the headers and keys in its exhibit.json, not by this program",
    "shared_secret": "proven by a secret that the sender and Harmline's operator share",
    "fetched": "fetched from the provider over TLS by Harmline",
    "unverifiable": "not proven by anything",
    "organization": "entered by the organization",
    "member": "entered by the member",
}
ENTRY_FIELDS = ("actor_id", "actor_role", "at", "commitment", "id", "kind", "member_id", "organization_id", "subjects")

_PART = re.compile(r"\A[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?\Z")
_HEX = re.compile(r"\A[0-9a-f]{64}\Z")
_ID = re.compile(r"\A[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_BATES = re.compile(r"\A[A-Za-z0-9]+(?:-[A-Za-z0-9]+){0,9}\Z")
_AUTHORITY = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,90}\Z")
_MOMENT = re.compile(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z\Z")
_NUMBER = re.compile(r"\A(?:0|[1-9][0-9]{0,18})\Z")
_GENERALIZED = re.compile(rb"\A([0-9]{14})(?:[.][0-9]{1,9})?Z\Z")
_LINE = re.compile(r"\A([0-9a-f]{64})  ([ -~]+)\Z")


class Unreadable(Exception):
    """There is nothing here that could be checked; the text says why."""


class Refused(ValueError):
    """One thing is not as it must be; the text says why, in plain words."""


def refuse(reason: str) -> NoReturn:
    """Raise Refused."""
    raise Refused(reason)


# --- Ed25519 (RFC 8032 5.1). Only public values are handled, so nothing has to take the same time always. ---

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)
_Point = Tuple[int, int, int, int]
_ZERO: _Point = (0, 1, 1, 0)


def _add(p: _Point, q: _Point) -> _Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % _P, (p[1] + p[0]) * (q[1] + q[0]) % _P
    c, d = 2 * p[3] * q[3] * _D % _P, 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(scalar: int, point: _Point) -> _Point:
    result = _ZERO
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point, scalar = _add(point, point), scalar >> 1
    return result


def _x_of(y: int, odd: int) -> int | None:
    squared = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(squared, (_P + 3) // 8, _P)
    if (x * x - squared) % _P:
        x = x * _ROOT % _P
    if (x * x - squared) % _P or (x == 0 and odd):
        return None
    return x if x & 1 == odd else _P - x


def _point(raw: bytes) -> _Point | None:
    y, odd = int.from_bytes(raw, "little") & (2**255 - 1), raw[31] >> 7
    x = _x_of(y, odd) if y < _P else None
    return None if x is None else (x, y, 1, x * y % _P)


_BASE = _point((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little"))


def _encoded(point: _Point) -> bytes:
    inverse = pow(point[2], _P - 2, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature (64 bytes) of this message is by this key (32 bytes). Strict: one encoding of each."""
    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES or _BASE is None:
        return False
    key, scalar = _point(public), int.from_bytes(signature[32:], "little")
    if key is None or scalar >= _ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(digest, "little") % _ORDER
    negative = (_P - key[0], key[1], key[2], _P - key[3])
    return _encoded(_add(_times(scalar, _BASE), _times(challenge, negative))) == signature[:32]


# --- The tree (RFC 9162 2.1) ---


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _upwards(first: int, last: int, hashes: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each hash of a proof, and whether it stands to the left; raises Refused unless they are exactly as many as it takes."""
    for one in hashes:
        if last == 0:
            refuse("the proof has more hashes than it needs")
        is_left = first & 1 == 1 or first == last
        yield one, is_left
        while is_left and first and not first & 1:
            first, last = first >> 1, last >> 1
        first, last = first >> 1, last >> 1
    if last:
        refuse("the proof has fewer hashes than it needs")


def check_inclusion(leaf: bytes, index: int, size: int, hashes: Sequence[bytes], root: bytes) -> None:
    """RFC 9162 2.1.3.2: the leaf with this hash stands at `index` of the tree; raises Refused."""
    if not 0 <= index < size:
        refuse(f"the log was not that long at this checkpoint: there is no entry {index} in a log of {size}")
    found = leaf
    for one, is_left in _upwards(index, size - 1, hashes):
        found = node_hash(one, found) if is_left else node_hash(found, one)
    if found != root:
        refuse("the proof does not lead to the root of the checkpoint: this entry is not at this place of this log")


def check_growth(old: int, old_root: bytes, new: int, new_root: bytes, hashes: Sequence[bytes]) -> None:
    """RFC 9162 2.1.4.2: the tree of `new` leaves begins with the tree of `old` leaves; raises Refused."""
    if not 0 <= old <= new:
        refuse(f"a log of {old} entries cannot have become one of {new}")
    if old in (0, new):
        if hashes or old_root != (new_root if old else hashlib.sha256().digest()):
            refuse("two checkpoints of the same size have different roots: one of them is of a forked log")
        return
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    path = list(hashes) if old & (old - 1) else [old_root, *hashes]
    if not path:
        refuse("the proof of growth is empty")
    before = after = path[0]
    for one, is_left in _upwards(first, last, path[1:]):
        before = node_hash(one, before) if is_left else before
        after = node_hash(one, after) if is_left else node_hash(after, one)
    if before != old_root or after != new_root:
        refuse("the newer tree does not begin with the older one: the log was rewritten, or one of the two is another's")


# --- Signed notes (c2sp.org) ---


def from_base64(text: str) -> bytes:
    """Base64 written in the one canonical way; raises Refused."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        refuse("what should be base64 is none")
    return raw if base64.b64encode(raw).decode() == text else refuse("base64 ends in bits that nobody asked for")


def _hash_from(text: str) -> bytes:
    raw = from_base64(text)
    return raw if len(raw) == HASH_BYTES else refuse("a hash is not 32 bytes long")


def _whole(text: str) -> int:
    if not _NUMBER.match(text) or int(text) > LARGEST_WHOLE:
        refuse("a number is not written as a number, or is too large")
    return int(text)


@dataclass(frozen=True)
class Key:
    """Who may sign. `kind`: LOG_KEY or WITNESS_KEY; `public`: 32 bytes; `id`: 4 bytes."""

    name: str
    kind: int
    public: bytes
    id: bytes


def _key_id(name: str, kind: int, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:ID_BYTES]


def _key_name(text: str) -> str:
    if not text or "+" in text or any(one.isspace() or one < " " or "\x7f" <= one <= "\x9f" or one == "\ufeff" for one in text):
        refuse("the name of a key is empty, or holds a space or a plus")
    return text


def parse_key(vkey: str, kind: int) -> Key:
    """Read a vkey, `name+id+base64`, of this kind; raises Refused."""
    parts = vkey.split("+", 2)
    if len(parts) != 3:
        refuse("a key is not written as name+id+key")
    name, raw = _key_name(parts[0]), from_base64(parts[2])
    if len(raw) != 1 + KEY_BYTES or raw[0] != kind:
        refuse("this is not the Ed25519 key of a %s" % ("log" if kind == LOG_KEY else "witness"))
    try:
        key = Key(name, kind, raw[1:], _key_id(name, kind, raw[1:]))
    except UnicodeEncodeError:
        refuse("the name of a key is no text")
    return key if key.id.hex() == parts[1] else refuse("the id of a key is not that of its name and key: is a letter wrong?")


@dataclass(frozen=True)
class Checkpoint:
    """A log's word on itself, and who signed it: `signatures` are (key name, key id, what follows it), none verified yet."""

    raw: bytes
    text: bytes
    origin: str
    size: int
    root: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]


def _signature(line: str) -> tuple[str, bytes, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "\u2014":
        refuse("a signature line is not written as one")
    raw = from_base64(parts[2])
    if len(raw) <= ID_BYTES:
        refuse("a signature line holds no signature")
    return _key_name(parts[1]), raw[:ID_BYTES], raw[ID_BYTES:]


def parse_checkpoint(raw: bytes) -> Checkpoint:
    """Read a checkpoint; raises Refused. Nothing in it may be believed before its signature is checked."""
    if len(raw) > NOTE_BYTES:
        refuse("the checkpoint is too large")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError:
        refuse("the checkpoint is no UTF-8")
    if any(one < " " and one != "\n" for one in whole):
        refuse("the checkpoint holds a control character")
    text, gap, below = whole.rpartition("\n\n")
    if not gap or not below.endswith("\n"):
        refuse("the checkpoint is not a text, an empty line and signature lines")
    lines, signed = text.split("\n"), below[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        refuse("the checkpoint is not an origin, a size and a root, each on a line")
    if len(signed) > MOST_SIGNATURES:
        refuse("the checkpoint has too many signatures")
    body = (text + "\n").encode()
    return Checkpoint(raw, body, lines[0], _whole(lines[1]), _hash_from(lines[2]), tuple(map(_signature, signed)))


def signed_by(checkpoint: Checkpoint, key: Key) -> int | None:
    """When a witness cosigned, in seconds since 1970 (the latest), 0 for a log's own signature; None: not signed by this key.

    Raises Refused when a signature that says it is by this key is wrong.
    """
    found: int | None = None
    for name, key_id, raw in checkpoint.signatures:
        if (name, key_id) == (key.name, key.id):
            seconds, message, signature = 0, checkpoint.text, raw
            if key.kind == WITNESS_KEY:
                seconds, signature = int.from_bytes(raw[:TIME_BYTES], "big"), raw[TIME_BYTES:]
                message = b"cosignature/v1\ntime %d\n" % seconds + message
            if not is_signed(key.public, message, signature):
                refuse(f"the signature of {name} is wrong: the text was changed, or another key signed it")
            found = max(seconds, found or 0)
    return found


def parse_proof(raw: bytes) -> tuple[int, list[bytes], bytes]:
    """Index, hashes and checkpoint of a .tlog-proof; raises Refused."""
    lines, checkpoint = _headed(raw, "proof")
    if lines[0] != "c2sp.org/tlog-proof@v1":
        refuse("the proof does not begin with c2sp.org/tlog-proof@v1")
    if len(lines) < 2 or not lines[1].startswith("index "):
        refuse("the proof does not say which entry it is of")
    return _whole(lines[1][6:]), [_hash_from(one) for one in lines[2:]], checkpoint


def parse_growth(raw: bytes) -> tuple[int, list[bytes], bytes]:
    """Older size, hashes and newer checkpoint of an add-checkpoint request; raises Refused."""
    lines, checkpoint = _headed(raw, "growth")
    if not lines[0].startswith("old "):
        refuse("the proof of growth does not say from which size")
    return _whole(lines[0][4:]), [_hash_from(one) for one in lines[1:]], checkpoint


def _headed(raw: bytes, what: str) -> tuple[list[str], bytes]:
    head, gap, checkpoint = raw.partition(b"\n\n")
    lines = head.split(b"\n", MOST_HASHES)
    if not gap or len(lines) >= MOST_HASHES or not head.isascii():
        refuse(f"the {what} is not some lines, an empty line and a checkpoint")
    return [line.decode("ascii") for line in lines], checkpoint


# --- JSON, strictly, and its canonical form (RFC 8785) ---


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else refuse("its JSON has a name twice in one object")


def _number(text: str) -> float:
    number = float(text)
    if abs(number) == float("inf"):
        refuse("its JSON holds a number that is too large")
    return int(text) if text.lstrip("-").isdigit() and abs(number) <= LARGEST_WHOLE else number


def _constant(name: str) -> NoReturn:
    refuse(f"its JSON holds {name}, which is no number")


def load(raw: bytes) -> Any:
    """A value from strict JSON; raises Refused."""
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_once, parse_int=_number, parse_float=_number, parse_constant=_constant
        )
    except Refused:
        raise
    except UnicodeDecodeError:
        refuse("it is no UTF-8")
    except RecursionError:
        refuse("its JSON is nested too deeply")
    except ValueError:
        refuse("it is no JSON")
    row, depth = [value], 0
    while row:
        if depth > MOST_LEVELS:
            refuse("its JSON is nested too deeply")
        within = (one.values() if isinstance(one, dict) else one for one in row if isinstance(one, (dict, list)))
        row, depth = [item for one in within for item in one], depth + 1
    return value


def canonical(value: Any) -> bytes:
    """The canonical bytes of a value from `load`; raises Refused for half a surrogate pair."""
    try:
        return _written(value).encode("utf-8")
    except UnicodeEncodeError:
        refuse("its JSON holds what is no text")


def same(one: Any, other: Any) -> bool:
    """Whether two values from `load` are the same JSON: to Python alone, true is 1."""
    return canonical(one) == canonical(other)


def load_canonical(raw: bytes) -> Any:
    """A value from JSON in canonical form, which is how packets are written; raises Refused."""
    value = load(raw)
    return value if canonical(value) == raw else refuse("its JSON is not written in the canonical form (RFC 8785)")


def _written(value: Any) -> str:
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: str(name).encode("utf-16-be", "surrogatepass"))
        return "{{{}}}".format(",".join(f"{_written(name)}:{_written(value[name])}" for name in names))
    if isinstance(value, list):
        return "[{}]".format(",".join(map(_written, value)))
    if isinstance(value, float):
        return _fraction(value)
    return json.dumps(value, ensure_ascii=False)


def _fraction(value: float) -> str:
    """As ECMAScript writes a number: Python finds the same digits and puts the point elsewhere."""
    sign, (digits, point) = "-" if value < 0 else "", _digits(abs(value))
    if 0 < point <= 21:
        whole = digits[:point].ljust(point, "0")
        return sign + whole + ("." + digits[point:] if digits[point:] else "")
    if -6 < point <= 0 and digits:
        return sign + "0." + "0" * -point + digits
    return f"{sign}{digits[0]}{'.' * (len(digits) > 1)}{digits[1:]}e{point - 1:+d}" if digits else "0"


def _digits(value: float) -> tuple[str, int]:
    """The shortest digits that mean this number, and after how many of them the point stands."""
    mantissa, _, power = repr(value).partition("e")
    whole, _, rest = mantissa.partition(".")
    digits = (whole + rest).lstrip("0")
    return digits.rstrip("0"), len(digits) - len(rest) + int(power or "0")


# --- Timestamps (RFC 3161 in RFC 5652): only as much of the DER as says what was stamped, and when ---

_SIGNED_DATA, _TST_INFO = bytes.fromhex("2a864886f70d010702"), bytes.fromhex("2a864886f70d0109100104")
_SHA256 = bytes.fromhex("608648016503040201")
_SEQUENCE, _INTEGER, _OCTETS, _OID, _TIME, _TAGGED = 0x30, 0x02, 0x04, 0x06, 0x18, 0xA0


def _der(raw: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the first element, which must have this tag, and what follows it; raises Refused."""
    if len(raw) < 2 or raw[0] != tag:
        refuse("the timestamp is not built as one")
    length, start = raw[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(raw[2:start], "big")
        if start not in (3, 4, 5, 6):
            refuse("the timestamp is not built as one")
    if start + length > len(raw):
        refuse("the timestamp is cut off")
    return raw[start : start + length], raw[start + length :]


def parse_timestamp(raw: bytes) -> tuple[bytes, datetime]:
    """What a response says was stamped (by SHA-256, as it says) and when, UTC; raises Refused. Its signature is not checked."""
    response, after = _der(raw, _SEQUENCE)
    status, token = _der(response, _SEQUENCE)
    if after or _der(status, _INTEGER)[0] not in (b"\0", b"\1"):
        refuse("the authority did not grant this timestamp")
    kind, rest = _der(_der(token, _SEQUENCE)[0], _OID)
    signed, _ = _der(_der(rest, _TAGGED)[0], _SEQUENCE)
    _, rest = _der(signed, _INTEGER)
    _, rest = _der(rest, 0x31)
    content_kind, rest = _der(_der(rest, _SEQUENCE)[0], _OID)
    if (kind, content_kind) != (_SIGNED_DATA, _TST_INFO):
        refuse("the timestamp is not built as one")
    info, _ = _der(_der(_der(rest, _TAGGED)[0], _OCTETS)[0], _SEQUENCE)
    _, rest = _der(info, _INTEGER)
    _, rest = _der(rest, _OID)
    imprint, rest = _der(rest, _SEQUENCE)
    algorithm, hashed = _der(imprint, _SEQUENCE)
    _, rest = _der(rest, _INTEGER)
    moment, _ = _der(rest, _TIME)
    if _der(algorithm, _OID)[0] != _SHA256:
        refuse("the timestamp is over another kind of hash than SHA-256")
    return _der(hashed, _OCTETS)[0], _generalized(moment)


def _generalized(raw: bytes) -> datetime:
    text = _GENERALIZED.match(raw)
    return _moment(text.group(1).decode(), "%Y%m%d%H%M%S") if text else refuse("the timestamp has no time")


def _moment(text: str, form: str = "%Y-%m-%dT%H:%M:%S.%fZ") -> datetime:
    try:
        return datetime.strptime(text, form).replace(tzinfo=timezone.utc)
    except ValueError:
        return refuse("a moment is none")


# --- The report ---


def plain(text: object) -> str:
    """Foreign text as it may stand in a report: printable ASCII, and not too much of it."""
    shown = "".join(
        one if " " <= one <= "~" else one.encode("unicode_escape", "surrogatepass").decode() for one in str(text)[:400]
    )
    return shown if len(shown) <= 300 else shown[:300] + "..."


@dataclass
class Report:
    """What was checked, and what came of it.

    `vouched`: for how many first entries of the log something stands that did not come with the packet; `later`: how many of the
    entries that are shown stand behind those. `dated`: what is told of each entry whose time does not fit its place.
    """

    number: str | None = None
    vouched: int = 0
    later: int = 0
    dated: list[str] = field(default_factory=list)
    pinned: list[str] = field(default_factory=list)
    checks: list[tuple[str, int, str]] = field(default_factory=list)
    failures: list[tuple[str, str | None, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    proves: list[str] = field(default_factory=list)
    does_not_prove: list[str] = field(default_factory=list)

    def fail(self, check: str, path: str | None, reason: object) -> None:
        """Write down that something is not as it must be. `path`: of the file that it is about."""
        self.failures.append((check, None if path is None else plain(path), plain(reason)))

    def done(self, check: str, count: int, said: str) -> None:
        """Write down how many of something were found right."""
        self.checks.append((check, count, plain(said)))

    def attempt(self, check: str, path: str | None, work: Callable[..., object], *given: Any) -> bool:
        """Do a check that raises Refused when it fails; whether it did not."""
        try:
            work(*given)
        except Refused as error:
            self.fail(check, path, error)
            return False
        return True

    @property
    def proven(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    @property
    def trust(self) -> str:
        """How far what is known from elsewhere goes: over every entry that is shown, over some, or over none."""
        return ("partly" if self.later else "pinned") if self.vouched else "itself"

    def as_json(self) -> dict[str, Any]:
        """For machines, as docs/packet.md has it."""
        return {
            "format": REPORT_FORMAT,
            "proven": self.proven,
            "number": self.number,
            "trust": self.trust,
            "checks": [{"check": one[0], "count": one[1], "said": one[2]} for one in self.checks],
            "failures": [{"check": one[0], "path": one[1], "reason": one[2]} for one in self.failures],
            "remarks": self.remarks,
            "proves": self.proves,
            "does_not_prove": self.does_not_prove,
        }


# --- The folder ---


class Folder:
    """A packet's files. Links and anything but plain files and folders are not followed."""

    def __init__(self, root: str, report: Report) -> None:
        """`root`: the folder. Raises Unreadable."""
        self.root, self.report = root, report
        self.sizes: dict[str, int] = {}
        self._hashes: dict[str, str] = {}
        if os.path.islink(root) or not os.path.isdir(root):
            raise Unreadable(f"{plain(root)} is no folder. A packet is a folder: unpack it first if it came as one file")
        self._walk()

    def _walk(self) -> None:
        waiting: list[tuple[str, str]] = [(self.root, "")]
        seen: dict[str, str] = {}
        while waiting:
            place, above = waiting.pop()
            with os.scandir(place) as listing:
                for one in listing:
                    path = above + one.name
                    if self._is_known_kind(one, path) and self._is_name(path, seen):
                        if one.is_dir(follow_symlinks=False):
                            waiting.append((one.path, path + "/"))
                        else:
                            self.sizes[path] = one.stat(follow_symlinks=False).st_size
            if len(self.sizes) > MOST_FILES:
                raise Unreadable(f"there are more than {MOST_FILES} files in it")

    def _is_known_kind(self, one: os.DirEntry[str], path: str) -> bool:
        if one.name in STRAYS and one.is_file(follow_symlinks=False):
            self.report.remarks.append(f"{plain(path)} was left by an operating system; it is no part of the packet")
            return False
        if one.is_symlink():
            self.report.fail("files", path, "this is a link to somewhere else, which no packet holds")
        elif one.is_dir(follow_symlinks=False) or one.is_file(follow_symlinks=False):
            return True
        else:
            self.report.fail("files", path, "this is neither a file nor a folder")
        return False

    def _is_name(self, path: str, seen: dict[str, str]) -> bool:
        if not is_path(path):
            self.report.fail("files", path, "this is a name that no packet holds")
            return False
        other = seen.setdefault(path.lower(), path)
        if other != path:
            self.report.fail("files", path, f"its name differs from that of {other} in capital letters only")
        return other == path

    def under(self, start: str) -> Iterator[str]:
        """The paths that begin with `start`."""
        return (path for path in self.sizes if path.startswith(start))

    def read(self, path: str, most: int = SMALL) -> bytes:
        """A file's bytes; raises Refused."""
        if path not in self.sizes:
            refuse("the file is missing")
        try:
            with open(os.path.join(self.root, *path.split("/")), "rb") as file:
                raw = file.read(most + 1)
        except OSError as error:
            refuse(f"the file cannot be read: {error.strerror}")
        return raw if len(raw) <= most else refuse("the file is larger than any such file is")

    def hash(self, path: str) -> str:
        """SHA-256 of a file in hexadecimal; raises Refused."""
        if path not in self.sizes:
            refuse("the file is missing")
        if path not in self._hashes:
            digest = hashlib.sha256()
            try:
                with open(os.path.join(self.root, *path.split("/")), "rb") as file:
                    for piece in iter(lambda: file.read(1 << 20), b""):
                        digest.update(piece)
            except OSError as error:
                refuse(f"the file cannot be read: {error.strerror}")
            self._hashes[path] = digest.hexdigest()
        return self._hashes[path]


def is_path(path: str) -> bool:
    """Whether a path has only names that a packet may hold."""
    parts = path.split("/")
    return len(parts) <= MOST_PARTS and all(map(_PART.match, parts))


def parse_manifest(raw: bytes) -> dict[str, str]:
    """Path to hash of a BagIt manifest; raises Refused. It is written in one way only: sorted, each path once."""
    if not raw.endswith(b"\n"):
        refuse("the list of files is cut off")
    if not raw.isascii():
        refuse("the list of files holds what is no ASCII")
    found: dict[str, str] = {}
    last = ""
    for line in raw.decode("ascii").split("\n")[:-1]:
        parts = _LINE.match(line)
        if not parts or not is_path(parts.group(2)):
            refuse("a line of the list of files is not a hash, two spaces and a path within the packet")
        if parts.group(2) <= last:
            refuse("the list of files is not in order")
        last = parts.group(2)
        found[last] = parts.group(1)
    return found


def check_files(folder: Folder, report: Report, number: str | None) -> None:
    """Every file is listed and unchanged, and no other is there. `number`: the packet's, known from elsewhere."""
    right = 0
    for path in folder.sizes:
        if path not in (*TOP, TAG_MANIFEST) and not path.startswith("data/"):
            report.fail("files", path, "this file is not part of a packet")
    for manifest, mine in ((TAG_MANIFEST, set(TOP)), (MANIFEST, set(folder.under("data/")))):
        try:
            listed = parse_manifest(folder.read(manifest, LARGE))
        except Refused as error:
            report.fail("files", manifest, error)
            continue
        for path in sorted(mine - set(listed)):
            report.fail(
                "files", path, "the file is missing" if path not in folder.sizes else "the file is in no list: it was added"
            )
        for path, wanted in listed.items():
            right += report.attempt("files", path, _check_hash, folder, path, wanted, path in mine)
    report.attempt("files", "bagit.txt", _check_bag, folder)
    report.attempt("files", "bag-info.txt", _check_sum, folder)
    report.number = folder.hash(TAG_MANIFEST) if TAG_MANIFEST in folder.sizes else None
    if number and number.strip().lower() != report.number:
        report.fail("trust", TAG_MANIFEST, f"the packet has the number {report.number}, and should have {number.strip().lower()}")
    elif number:
        report.pinned.append("its number is the one that you gave")
    report.done("files", right, f"{right} of {len(folder.sizes) - 1} files are as they were when the packet was written")


def _check_hash(folder: Folder, path: str, wanted: str, placed: bool) -> None:
    if path in folder.sizes and not placed:
        refuse("the file is in the wrong list")
    if folder.hash(path) != wanted:
        refuse("the file was changed: its SHA-256 is not the one that was listed")


def _check_bag(folder: Folder) -> None:
    if folder.read("bagit.txt") != BAGIT:
        refuse("this is not a bag of BagIt 1.0")


def _check_sum(folder: Folder) -> None:
    lines = folder.read("bag-info.txt").decode("utf-8", "replace").split("\n")
    payload = [folder.sizes[path] for path in folder.under("data/")]
    if f"Payload-Oxum: {sum(payload)}.{len(payload)}" not in lines:
        refuse("it gives another sum of the files under data/ than there is")


# --- packet.json ---


def text_of(value: Any, name: str) -> str:
    """A text that must be there; raises Refused."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else refuse(f"{name} is missing or is no text")


def whole_of(value: Any, name: str) -> int:
    """A whole number of 0 or more; raises Refused."""
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        refuse(f"{name} is missing or is no whole number")
    return found


def list_of(value: Any, name: str) -> list[Any]:
    """A list; raises Refused."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, list) else refuse(f"{name} is missing or is no list")


def object_of(value: Any, name: str) -> dict[str, Any]:
    """An object; raises Refused."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else refuse(f"{name} is missing or is no object")


def one_of(value: Any, name: str, allowed: Iterable[str]) -> str:
    """A text out of a few; raises Refused."""
    found = text_of(value, name)
    return found if found in allowed else refuse(f"{name} is none of the words that it may be")


def matching(value: Any, name: str, pattern: re.Pattern[str]) -> str:
    """A text of one form; raises Refused."""
    found = text_of(value, name)
    return found if pattern.match(found) else refuse(f"{name} is not written as it must be")


def flag_of(value: Any, name: str) -> bool:
    """True or false; raises Refused."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, bool) else refuse(f"{name} is missing or is neither true nor false")


def sizes_of(value: Any, name: str) -> list[int]:
    """Sizes of a log, rising; raises Refused."""
    found = list_of(value, name)
    if not all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in found):
        refuse(f"{name} holds what is no size")
    return found if found == sorted(set(found)) else refuse(f"{name} does not rise")


@dataclass(frozen=True)
class Kept:
    """One entry of the log that the packet proves: where, and whether what it commits to is shown."""

    folder: str
    entry: str
    index: int
    opened: bool


@dataclass(frozen=True)
class Exhibit:
    """One of `exhibits`. `kept` is there for a native; `file` is (path, SHA-256, size). `raw`: as it was read."""

    bates: str
    folder: str
    type: str
    file: tuple[str, str, int] | None
    kept: Kept | None
    sources: tuple[str, ...]
    raw: dict[str, Any]


@dataclass(frozen=True)
class Packet:
    """What packet.json says."""

    variant: str
    organization: str
    origin: str
    size: int
    root: str
    older: list[int]
    log_keys: list[Key]
    witnesses: list[tuple[Key, list[int]]]
    authorities: list[tuple[str, list[int]]]
    exhibits: list[Exhibit]
    custody: list[Kept]
    withheld: list[tuple[str, str | None, str, int]]
    members: list[Any]


def _kept(one: Any, folder: str) -> Kept:
    entry = matching(one, "entry", _ID)
    return Kept(folder, entry, whole_of(one, "index"), flag_of(one, "opened"))


def _exhibit(one: Any) -> Exhibit:
    bates, kind = matching(one, "bates", _BATES), one_of(one, "type", TYPES)
    folder, given = "data/exhibits/" + bates, one.get("file")
    if text_of(one, "folder") != folder:
        refuse(f"the folder of {bates} is not {folder}")
    sources = tuple(str(name) for name in list_of(one, "sources"))
    file = None if given is None else (text_of(given, "path"), matching(given, "sha256", _HEX), whole_of(given, "size"))
    if kind == NATIVE:
        if file and not file[0].startswith(folder + "/original."):
            refuse(f"the original of {bates} is not in its folder")
        return Exhibit(bates, folder, kind, file, _kept(one, folder), sources, one)
    if any(one.get(name) is not None for name in ("entry", "index")) or flag_of(one, "opened"):
        refuse(f"{bates} is no original and has an entry")
    return Exhibit(bates, folder, kind, file, None, sources, one)


def _custody(one: Any) -> Kept:
    kept = _kept(one, "data/custody/" + matching(one, "entry", _ID))
    return kept if text_of(one, "folder") == kept.folder else refuse(f"the folder of an act is not {kept.folder}")


def _withheld(one: Any) -> tuple[str, str | None, str, int]:
    exhibit = one.get("exhibit") if isinstance(one, dict) else None
    named = None if exhibit is None else matching(one, "exhibit", _BATES)
    count = whole_of(one, "count") or refuse("count is 0: it withholds nothing")
    return text_of(one, "what"), named, one_of(one, "why", WHY), count


def _named(one: Any) -> tuple[str, list[int]]:
    return matching(one, "name", _AUTHORITY), sizes_of(one, "sizes")


def _about(value: Any) -> list[Any]:
    """The members that the packet is about, if it names them as its kind does; raises Refused."""
    kind, about = one_of(value, "kind", KINDS), object_of(value, "about")
    members = list_of(about, "members")
    if not all(isinstance(one, str) and _ID.match(one) for one in members) or len(set(members)) != len(members):
        refuse("about names what is no member, or a member twice")
    if (about.get("claim") is not None) != (kind == "claim"):
        refuse("about names a claim, and only a packet for a claim does, and has to")
    if kind == "claim":
        text_of(about, "claim")
    if (kind == "member" and len(members) != 1) or (kind == "claim" and not members):
        refuse("about does not name the members that a packet of this kind is about")
    return members


def parse_packet(value: Any) -> Packet:
    """Read packet.json; raises Refused."""
    said, organization = object_of(value, "checkpoint"), object_of(value, "organization")
    text_of(value, "code_version"), text_of(organization, "name")
    witnesses = list_of(value, "witnesses")
    packet = Packet(
        one_of(value, "variant", ("sealed", "redacted")),
        matching(organization, "id", _ID),
        text_of(said, "origin"),
        whole_of(said, "size"),
        text_of(said, "root"),
        sizes_of(value, "older"),
        [parse_key(str(one), LOG_KEY) for one in list_of(value, "log_keys")],
        [(parse_key(text_of(one, "vkey"), WITNESS_KEY), sizes_of(one, "sizes")) for one in witnesses],
        [_named(one) for one in list_of(value, "authorities")],
        [_exhibit(one) for one in list_of(value, "exhibits")],
        [_custody(one) for one in list_of(value, "custody")],
        [_withheld(one) for one in list_of(value, "withheld")],
        _about(value),
    )
    originals = sum(one.type == NATIVE and one.file is not None for one in packet.exhibits)
    lengths = {"exhibits": len(packet.exhibits), "custody": len(packet.custody), "withheld": len(packet.withheld)}
    if not same(object_of(value, "counts"), {**lengths, "originals": originals}):
        refuse("counts are not those of its lists")
    return packet


def check_packet(folder: Folder, report: Report) -> Packet:
    """Read packet.json, and compare it with the folders that are there; raises Refused when there is no reading it."""
    value = load_canonical(folder.read(PACKET, LARGE))
    written = text_of(value, "format")
    if written != FORMAT:
        if report.proven:
            raise Unreadable(f"this packet is written as {plain(written)}; this verifier reads {FORMAT}")
        refuse(f"it is written as {written}; this verifier reads {FORMAT}")
    packet = parse_packet(value)
    places = [one.folder for one in packet.exhibits] + [one.folder for one in packet.custody]
    if len(set(places)) != len(places):
        report.fail("packet", PACKET, "it names something twice")
    found = {"/".join(path.split("/")[:3]) for top in ("exhibits/", "custody/") for path in folder.under("data/" + top)}
    for place in sorted(found - set(places)):
        report.fail("packet", place, "packet.json does not name this folder")
    for place in sorted(set(places) - found):
        report.fail("packet", place, "packet.json names this folder, and it is missing")
    for path in sorted(set(folder.under(LOG)) - _log_files(packet)):
        report.fail("packet", path, "packet.json does not name this file")
    report.done("packet", 1, f"packet.json names {len(packet.exhibits)} exhibits, and {len(packet.custody)} other acts")
    return packet


def _place(packet: Packet, size: int) -> str:
    return LOG if size == packet.size else f"{LOG}older/{size}/"


def _log_files(packet: Packet) -> set[str]:
    files = {CHECKPOINT}
    for size in packet.older:
        files |= {_place(packet, size) + "checkpoint", _place(packet, size) + "growth"}
    for name, sizes in packet.authorities:
        files |= {f"{_place(packet, size)}timestamps/{name}.{kind}" for size in sizes for kind in ("tsr", "pem")}
    return files


# --- The checks of the log ---


def check_checkpoint(folder: Folder, report: Report, packet: Packet, path: str, keys: Sequence[Key]) -> Checkpoint:
    """Read one checkpoint of the packet's log, signed by one of the keys; raises Refused."""
    checkpoint = parse_checkpoint(folder.read(path))
    if checkpoint.origin != packet.origin:
        refuse(f"this is the checkpoint of another log, {checkpoint.origin}")
    own = [key for key in keys if key.name == checkpoint.origin]
    if not own:
        refuse(f"no key is of the name of this log, {checkpoint.origin}")
    times = [signed_by(checkpoint, key) for key in own]
    if all(one is None for one in times):
        refuse("the log has not signed this checkpoint by any key that is trusted")
    return checkpoint


def check_newest(folder: Folder, report: Report, packet: Packet, keys: Sequence[Key]) -> Checkpoint:
    """The checkpoint that every proof leads to; raises Refused."""
    checkpoint = check_checkpoint(folder, report, packet, CHECKPOINT, keys)
    said = (packet.size, packet.root)
    if (checkpoint.size, base64.b64encode(checkpoint.root).decode()) != said:
        refuse(f"packet.json names another checkpoint, of size {packet.size}")
    if packet.size in packet.older:
        refuse("packet.json calls its own checkpoint an older one")
    report.done("checkpoint", 1, f"the log {checkpoint.origin} signed its checkpoint of {checkpoint.size} entries")
    return checkpoint


def check_older(folder: Folder, report: Report, packet: Packet, newest: Checkpoint, keys: Sequence[Key]) -> dict[int, Checkpoint]:
    """The earlier checkpoints that are in the packet and that the newest one grew out of, by size, and itself."""
    found = {newest.size: newest}

    def one(size: int) -> None:
        checkpoint = check_checkpoint(folder, report, packet, _place(packet, size) + "checkpoint", keys)
        if checkpoint.size != size:
            refuse("this checkpoint is of another size than its folder says")
        _check_growth(checkpoint, newest, folder.read(_place(packet, size) + "growth"))
        found[size] = checkpoint

    for size in packet.older:
        report.attempt("growth", _place(packet, size) + "checkpoint", one, size)
    if packet.older:
        report.done(
            "growth",
            len(found) - 1,
            f"{len(found) - 1} of {len(packet.older)} older checkpoints are the beginning of the log of {newest.size} entries",
        )
    return found


def _check_growth(older: Checkpoint, newer: Checkpoint, raw: bytes) -> None:
    old, hashes, named = parse_growth(raw)
    if old != older.size or parse_checkpoint(named).text != newer.text:
        refuse("the proof of growth is between other checkpoints")
    check_growth(older.size, older.root, newer.size, newer.root, hashes)


def _when(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return refuse("a cosignature has no possible time")


def check_cosignatures(report: Report, packet: Packet, known: dict[int, Checkpoint]) -> None:
    """Each witness that the packet names has cosigned each checkpoint that it is said to have cosigned."""
    said: list[str] = []

    def one(key: Key, size: int) -> None:
        if size not in known:
            refuse(f"there is no good checkpoint of size {size} for the cosignature of {key.name}")
        seconds = signed_by(known[size], key)
        if seconds is None:
            refuse(f"the cosignature of {key.name} is missing")
        name, at = plain(key.name), _when(seconds)
        said.append(
            f"the witness {name}, by its key in the packet, saw the log's first {size} entries at {at:%Y-%m-%dT%H:%M:%SZ}"
        )

    for key, sizes in packet.witnesses:
        for size in sizes:
            report.attempt("cosignatures", _place(packet, size) + "checkpoint", one, key, size)
    for text in said:
        report.proves.append(text[0].upper() + text[1:] + ".")
    report.done("cosignatures", len(said), "; ".join(said) or "no witness cosigned: only the log's own key stands for its tree")


def check_timestamps(folder: Folder, report: Report, packet: Packet, known: dict[int, Checkpoint]) -> None:
    """Each timestamp names the checkpoint that it is said to stamp. Whether the authority signed it is told to be checked."""
    said: list[str] = []

    def one(name: str, size: int, path: str) -> None:
        if size not in known:
            refuse(f"there is no good checkpoint of size {size} for this timestamp")
        imprint, at = parse_timestamp(folder.read(path))
        wanted = hashlib.sha256(known[size].text).digest()
        if imprint != wanted:
            refuse("this timestamp is of something else than this checkpoint")
        said.append(f"{plain(name)} names the first {size} entries, {at:%Y-%m-%dT%H:%M:%SZ}")
        command = f"openssl ts -verify -digest {wanted.hex()} -in {path} -CAfile ROOTS.pem"
        roots = f"with the root certificates of {name} in ROOTS.pem, got from elsewhere than the packet"
        report.remarks.append(f"The signature of {name} on its timestamp is not checked here; {roots}, this does it: {command}")

    for name, sizes in packet.authorities:
        for size in sizes:
            path = f"{_place(packet, size)}timestamps/{name}.tsr"
            report.attempt("timestamps", path, one, name, size, path)
    report.done("timestamps", len(said), "; ".join(said) or "there are none")


# --- The checks of what the log proves ---


def check_entry(folder: Folder, packet: Packet, kept: Kept, newest: Checkpoint) -> dict[str, Any]:
    """The entry, which stands in the tree at its place; raises Refused."""
    raw = folder.read(kept.folder + "/entry.json")
    entry = load_canonical(raw)
    if not isinstance(entry, dict) or tuple(sorted(entry)) != ENTRY_FIELDS:
        refuse("the entry is not written as entries of a ledger are")
    if entry["id"] != kept.entry or entry["organization_id"] != packet.organization:
        refuse("this is another entry than packet.json names")
    matching(entry, "at", _MOMENT)
    matching(entry, "commitment", _HEX)
    object_of(entry, "subjects")
    index, hashes, checkpoint = parse_proof(folder.read(kept.folder + "/proof.tlog-proof"))
    if checkpoint != newest.raw:
        refuse("its proof is to another checkpoint than the packet's")
    if index != kept.index:
        refuse(f"its proof is of place {index} in the log, and packet.json says {kept.index}")
    check_inclusion(leaf_hash(raw), index, newest.size, hashes, newest.root)
    return entry


def statement_of(entry: dict[str, Any], facts: Any) -> dict[str, Any]:
    """What an entry's commitment binds, as Harmline states it."""
    at = entry["at"][:-1]
    return {
        "entry": entry["id"],
        "organization": entry["organization_id"],
        "act": entry["kind"],
        "member": entry["member_id"],
        "actor": entry["actor_id"],
        "role": entry["actor_role"],
        "at": (at[:-7] if at.endswith(".000000") else at) + "+00:00",
        "subjects": entry["subjects"],
        "facts": facts,
    }


def check_opening(folder: Folder, kept: Kept, entry: dict[str, Any]) -> dict[str, Any] | None:
    """The facts that the entry's commitment opens to; None when it stays closed. Raises Refused."""
    path = kept.folder + "/opening.json"
    if not kept.opened:
        return refuse("the entry is said to stay closed, and is opened") if path in folder.sizes else None
    opening = load_canonical(folder.read(path))
    salt, facts = matching(opening, "salt", _HEX), object_of(opening, "facts")
    if hashlib.sha256(bytes.fromhex(salt) + canonical(statement_of(entry, facts))).hexdigest() != entry["commitment"]:
        refuse("the entry's commitment does not open to these facts")
    return facts


@dataclass
class Proven:
    """What was shown about the entries: by exhibit the entry, and by entry its place and its fields."""

    entries: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)


def check_entries(folder: Folder, report: Report, packet: Packet, newest: Checkpoint) -> Proven:
    """Every entry is in the tree; what is opened opens."""
    proven, every = Proven(), [one.kept for one in packet.exhibits if one.kept] + packet.custody

    def place(kept: Kept) -> None:
        proven.entries[kept.entry] = kept.index, check_entry(folder, packet, kept, newest)

    def reveal(kept: Kept) -> None:
        facts = check_opening(folder, kept, proven.entries[kept.entry][1])
        if facts is not None:
            proven.facts[kept.entry] = facts

    for kept in every:
        if report.attempt("entries", kept.folder + "/entry.json", place, kept):
            report.attempt("openings", kept.folder + "/opening.json", reveal, kept)
    count, opened = len({one.entry for one in every}), len({one.entry for one in every if one.opened})
    report.done("entries", len(proven.entries), f"{len(proven.entries)} of {count} entries stand in the log at their places")
    report.done("openings", len(proven.facts), f"{len(proven.facts)} of {opened} opened entries bind the facts that are shown")
    return proven


def check_dates(report: Report, packet: Packet, proven: Proven) -> None:
    """Which entries say that they are more than a day older than one that the packet shows in the log before them.

    That is no failure: a clock that was ahead, or behind, looks the same. Entries get their places within seconds, and late ones
    in the order in which they came. A timestamp or a cosignature says nothing here: it may be over a log that was longer by then.
    """
    names: dict[str, list[str]] = {}
    for exhibit in packet.exhibits:
        if exhibit.kept:
            names.setdefault(exhibit.kept.entry, []).append(exhibit.bates)
    latest, before = datetime.min.replace(tzinfo=timezone.utc), (0, "")
    for index, entry in sorted(proven.entries.values(), key=lambda one: one[0]):
        try:
            at = _moment(entry["at"])
        except Refused:
            continue  # told of where the exhibit's own time is compared with it
        if (latest - at).total_seconds() > LONG_BEFORE:
            who, *others = names.get(entry["id"], ["the act " + entry["id"]])
            who += f" and {len(others)} more of the same delivery" if others else ""
            report.dated.append(DATED.format(who, _short(entry["at"]), index, *before))
        if at > latest:
            latest, before = at, (index, _short(entry["at"]))


def _short(at: str) -> str:
    return at[:19] + "Z"


DATED = (
    "The time of {}: its entry says that it is from {}, and its place in the log, {}, comes after that of an entry, {}, which"
    " says that it is from {}. It was put in later and dated back, or a clock was wrong."
)


def check_originals(folder: Folder, report: Report, packet: Packet, proven: Proven) -> int:
    """The exhibits' files are those that are named, and an original is the one whose hash its entry binds."""
    bound, named = 0, {one.file[0] for one in packet.exhibits if one.kept and one.file}
    natives = sum(one.kept is not None and one.file is not None for one in packet.exhibits)
    for path in sorted(folder.under("data/exhibits/")):
        if path.rpartition("/")[2].lower().startswith("original") and path not in named:
            report.fail("originals", path, "there is an original that packet.json does not name")
    for one in packet.exhibits:
        path = one.file[0] if one.file else one.folder
        right = report.attempt("originals", path, _check_original, folder, packet, one, proven)
        bound += right and one.kept is not None and one.file is not None
    report.done("originals", bound, f"{bound} of {natives} originals are, byte for byte, what their entries say was received")
    return bound


def _check_original(folder: Folder, packet: Packet, one: Exhibit, proven: Proven) -> None:
    if one.kept is None:
        return _check_file(folder, one)
    found = proven.entries.get(one.kept.entry)
    if found and found[1]["kind"] != "receipt":
        refuse("its entry is not that of a receipt")
    if packet.variant == "redacted" and (one.file or one.kept.opened):
        refuse("a redacted packet holds no original and opens no receipt")
    if one.file is None:
        return None
    _check_file(folder, one)
    if not one.kept.opened:
        refuse("the original is there, and its entry is not opened: nothing in the log binds these bytes")
    facts = proven.facts.get(one.kept.entry)
    if facts is None:
        refuse("nothing in the log binds these bytes: its entry fails")
    if not same([facts.get("body_sha256"), facts.get("size")], [folder.hash(one.file[0]), folder.sizes[one.file[0]]]):
        refuse("these are not the bytes that were received: the entry in the log binds others")
    return None


def _check_file(folder: Folder, one: Exhibit) -> None:
    if one.file is None:
        return
    path, wanted, size = one.file
    if not path.startswith("data/") or folder.hash(path) != wanted or folder.sizes[path] != size:
        refuse("the file is not the one that packet.json names: its SHA-256 or its length is another")


def check_exhibits(folder: Folder, report: Report, packet: Packet, proven: Proven) -> dict[str, int]:
    """exhibit.json agrees with packet.json and the entry; what is missing is accounted for. Returns how many have which grade."""
    grades: dict[str, int] = {}
    right, bates = 0, {one.bates for one in packet.exhibits}
    hashes = {one.bates: one.file[1] if one.file else "" for one in packet.exhibits}
    excused = {named for _, named, _, _ in packet.withheld if named}
    told, shown = 0, 0
    for one in packet.exhibits:
        path = one.folder + "/exhibit.json"
        try:
            view = load_canonical(folder.read(path))
            _check_view(packet, one, view, proven, bates)
            if one.kept and not (one.file and one.kept.opened) and one.bates not in excused:
                refuse("something of it is not shown, and the packet does not say why")
            acts, names = list_of(view, "custody"), _names_of(view) if one.kept else {}
        except Refused as error:
            report.fail("exhibits", path, error)
            continue
        if one.type == SUMMARY and one.file and not report.attempt("exhibits", one.file[0], _check_rows, folder, one, hashes):
            continue
        right += 1
        if view.get("grade") is not None:
            grades[view["grade"]["grade"]] = grades.get(view["grade"]["grade"], 0) + 1
        for act in acts:
            told += 1
            shown += report.attempt("custody", path, _check_act, act, names, proven) and act["entry"] in proven.entries
    for named in sorted(excused - bates):
        report.fail("packet", PACKET, f"it withholds something of {named}, which is no exhibit of it")
    report.done("exhibits", right, f"{right} of {len(packet.exhibits)} exhibits agree with packet.json and with their entries")
    report.done("custody", shown, f"{told} acts are told, {shown} of them are proven by entries in this packet")
    return grades


def _check_view(packet: Packet, one: Exhibit, view: Any, proven: Proven, bates: set[str]) -> None:
    if text_of(view, "format") != EXHIBIT_FORMAT:
        refuse(f"it is not written as {EXHIBIT_FORMAT}")
    for name in ("bates", "type", "file", "sources"):
        if not same(view.get(name), one.raw.get(name)):
            refuse(f"it says something else of {name} than packet.json")
    unknown = [name for name in one.sources if name not in bates]
    if unknown:
        refuse(f"it rests on {unknown[0]}, which is not in this packet")
    if view.get("member") is not None and view["member"] not in packet.members:
        refuse("it is about a member whom packet.json does not name")
    if view.get("grade") is not None:
        one_of(view["grade"], "grade", GRADES)
    if packet.variant == "redacted" and view.get("headers") is not None:
        refuse("a redacted packet shows no headers")
    if one.kept and one.kept.entry in proven.entries:
        entry = proven.entries[one.kept.entry][1]
        if not same(matching(view, "receipt", _ID), entry["subjects"].get("receipt")):
            refuse("it is about another delivery than its entry in the log")
        _check_arrival(view, entry, proven.facts.get(one.kept.entry))


def _names_of(view: Any) -> dict[str, set[str]]:
    """By what an act can name this exhibit, as the exhibit itself lists it; raises Refused."""
    told_again = {matching(one, "receipt", _ID) for one in list_of(view, "again")}
    return {
        "receipt": {matching(view, "receipt", _ID), *told_again, *_ids_of(view, "carriers")},
        "alert": {matching(view, "alert", _ID)},
        "event": {matching(view, "event", _ID)},
        "incident": _ids_of(view, "incidents"),
    }


def _ids_of(view: Any, name: str) -> set[str]:
    found = list_of(view, name)
    if not all(isinstance(one, str) and _ID.match(one) for one in found):
        refuse(f"{name} holds what is no id")
    return set(found)


def _check_rows(folder: Folder, one: Exhibit, hashes: dict[str, str]) -> None:
    """Each row of a summary names an exhibit that it rests on, and the hash of that one's file. `hashes`: by exhibit."""
    value = load_canonical(folder.read(one.file[0], LARGE)) if one.file else None
    if text_of(value, "format") != TIMELINE_FORMAT:
        refuse(f"it is not written as {TIMELINE_FORMAT}")
    sources = set(one.sources)
    for row in list_of(value, "rows"):
        named = text_of(row, "exhibit")
        if named not in sources:
            refuse(f"a row of it rests on {named}, which is none of its sources")
        if text_of(row, "sha256") != hashes[named]:
            refuse(f"a row of it gives another SHA-256 of {named} than packet.json")


def _check_arrival(view: Any, entry: dict[str, Any], facts: dict[str, Any] | None) -> None:
    if view.get("received_at") is not None:
        apart = _moment(matching(view, "received_at", _MOMENT)) - _moment(entry["at"])
        if abs(apart.total_seconds()) > SECONDS_APART:
            refuse("it says that it was received at another time than its entry in the log")
    shown = [view.get("proved_by"), view.get("channel")]
    if facts is not None and not same(shown, [facts.get("proof"), facts.get("channel")]):
        refuse("it says something else of what proved it, or how it came, than its entry in the log binds")


def _check_act(act: Any, names: dict[str, set[str]], proven: Proven) -> None:
    found = proven.entries.get(matching(act, "entry", _ID))
    if found:
        index, entry = found
        said = [act.get("index"), act.get("act"), act.get("at"), act.get("by")]
        if not same(said, [index, entry["kind"], entry["at"], entry["actor_role"]]):
            refuse("it says something else of the act {} than its entry in the log".format(entry["id"]))
        subjects = entry["subjects"]
        if not any(isinstance(subjects.get(name), str) and subjects[name] in ids for name, ids in names.items()):
            refuse("the act {} that it tells is about something else than this exhibit".format(entry["id"]))


# --- Where trust comes from, and what follows ---


@dataclass
class Asked:
    """What somebody knows from elsewhere: vkeys, the bytes of files, the packet's number."""

    key: str | None = None
    witness: str | None = None
    checkpoint: bytes | None = None
    growth: bytes | None = None
    number: str | None = None


def check_trust(report: Report, asked: Asked, keys: Sequence[Key], newest: Checkpoint, known: dict[int, Checkpoint]) -> None:
    """Compare with what is known from elsewhere."""
    if asked.key:
        report.pinned.append("the log's key is the one that you gave")
        report.vouched = newest.size
    if asked.witness:
        report.attempt("trust", CHECKPOINT, _trust_witness, report, asked.witness, known)
    if asked.checkpoint is not None:
        report.attempt("trust", CHECKPOINT, _trust_checkpoint, report, asked.checkpoint, asked.growth, keys, newest, known)
    nothing = "the key was taken from the packet itself: this shows only that the packet agrees with itself"
    report.done("trust", len(report.pinned), "; ".join([*report.pinned, *([] if report.vouched else [nothing])]))


def _trust_witness(report: Report, vkey: str, known: dict[int, Checkpoint]) -> None:
    key = parse_key(vkey, WITNESS_KEY)
    seen = [size for size, checkpoint in known.items() if signed_by(checkpoint, key) is not None]
    if not seen:
        refuse("the witness that you gave has cosigned no checkpoint of this packet")
    report.pinned.append(f"the witness that you gave saw the first {max(seen)} entries")
    report.vouched = max(report.vouched, *seen)


def _trust_checkpoint(
    report: Report, raw: bytes, growth: bytes | None, keys: Sequence[Key], newest: Checkpoint, known: dict[int, Checkpoint]
) -> None:
    other = parse_checkpoint(raw)
    if other.origin != newest.origin:
        refuse(f"the checkpoint that you gave is of another log, {other.origin}")
    if all(signed_by(other, key) is None for key in keys):
        refuse("the checkpoint that you gave is not signed by this log's key")
    if other.size in known:
        if other.root != known[other.size].root:
            refuse(
                f"the log had another tree at {other.size} entries in the checkpoint that you gave: it was rewritten or forked"
            )
    elif growth is None:
        refuse(f"the checkpoint that you gave is of another size ({other.size}): give the growth between the two too")
    else:
        _check_growth(*((other, newest) if other.size < newest.size else (newest, other)), growth)
    report.pinned.append(f"it agrees with the checkpoint of {other.size} entries that you gave")
    report.vouched = max(report.vouched, min(other.size, newest.size))


UNPINNED = (
    "Whose log it is: its key came with the packet, and whoever makes up a packet makes up a key. Get the log's key (--key),"
    " a checkpoint (--checkpoint) or a witness's key (--witness) from elsewhere, and check again."
)
BEYOND = (
    "Whose log it is after its first {} entries: what you know from elsewhere ends there, and {} of the entries shown here came"
    " later. For those a key stands that came with the packet: whoever made it up could make them up behind a true beginning. Get"
    " the log's key (--key), or a newer checkpoint, from elsewhere."
)
HOW_FAR = {
    "pinned": "",
    "partly": ", but {} of the entries shown only as far as a packet can vouch for itself: they came after what you know",
    "itself": ", as far as a packet can vouch for itself",
}
NOT_DATED = "; but not the time that {} of the entries shown give"
UNPROVEN = "What is withheld as unproven, for what is kept of it is not what the log bound when it came in"
NEVER_PROVEN = (
    "That what a provider claims is true. It proves that the claim came, when, and in which words.",
    "To anybody but Harmline's operator, where something came from that a shared secret proves: who knows it can make it.",
    "That nothing was left out or deleted before it had its place in the log, or that the packet holds everything. See what it"
    " withholds; ask.",
    "The exact time. The entries have the time of Harmline's clock; timestamps and cosignatures say by when the entries they"
    " name were there. An entry that says it is more than a day older than one that is shown here and had its place before it is"
    " told of.",
    "What the log does not bind, or this program does not compare with it: names and titles, whose an exhibit is, which alert and"
    " incident a delivery belongs to, the words for acts, grades and their reasons, headers, DNS keys as kept, normalised views,"
    " what summaries and illustrations say. The packet's number binds them; compare them with the originals.",
    "By this program alone, that an authority signed its timestamp: what was stamped is compared here, not the signature.",
    "Itself. A verifier that comes with what it verifies can lie: use a copy from elsewhere, or compare its SHA-256.",
)


def conclude(report: Report, packet: Packet, bound: int, proven: Proven, grades: dict[str, int]) -> None:
    """Say in plain words what follows, and what does not."""
    count = len(proven.entries)
    report.proves[:0] = [
        "Every file is as it was when the packet with this number was written; none was added or removed.",
        f"The log {plain(packet.origin)} had {packet.size} entries at its checkpoint; the {count} shown here stand in it, each"
        " at its place. None can be changed, moved or taken out without another root.",
        f"Originals that are, byte for byte, what the log's entries say was received: {bound}. The entries bind their length,"
        " the way they came and what the check of their signature said; they say when, by Harmline's clock.",
    ]
    if not report.proven:
        report.proves.clear()
    senders = "; ".join(f"{number} {GRADES[grade]}" for grade, number in sorted(grades.items()))
    beyond = f"That a sender is who it says, beyond the grade of each exhibit: {senders or 'none is given'}."
    report.later = sum(index >= report.vouched for index, _ in proven.entries.values())
    told = [BEYOND.format(report.vouched, report.later)] if report.later else []
    bare = sum(number for _, _, why, number in packet.withheld if why == "unproven")
    unproven = [f"{UNPROVEN}: {bare}."] if bare else []
    dated = report.dated[:MOST_SHOWN]
    if len(report.dated) > MOST_SHOWN:
        dated.append(f"The time of {len(report.dated) - MOST_SHOWN} more entries, for the same reason.")
    report.does_not_prove[:] = [*dated, *unproven, *(told if report.vouched else [UNPINNED]), beyond, *NEVER_PROVEN]
    withheld: dict[str, int] = {}
    for what, _, why, number in packet.withheld:
        line = f"{plain(what)} ({why})"
        withheld[line] = withheld.get(line, 0) + number
    report.remarks += [f"Withheld: {number} x {what}" for what, number in sorted(withheld.items())]


def verify(path: str, asked: Asked) -> Report:
    """Check the packet in this folder. Raises Unreadable where there is no packet to check."""
    report = Report()
    folder = Folder(path, report)
    if not any(name in folder.sizes for name in (TAG_MANIFEST, MANIFEST, PACKET)):
        raise Unreadable(f"{plain(path)} is no packet: there is no list of files in it. Is it the folder above, or one within?")
    check_files(folder, report, asked.number)
    packet = None
    try:
        packet = check_packet(folder, report)
        keys = [parse_key(asked.key, LOG_KEY)] if asked.key else packet.log_keys
    except Refused as error:
        report.fail("trust" if packet else "packet", None if packet else PACKET, error)
        report.remarks.append("Nothing further was checked.")
        return report
    try:
        newest = check_newest(folder, report, packet, keys)
    except Refused as error:
        report.fail("checkpoint", CHECKPOINT, error)
        report.remarks.append("Nothing of the log was checked further: its checkpoint fails.")
        return report
    known = check_older(folder, report, packet, newest, keys)
    check_cosignatures(report, packet, known)
    check_timestamps(folder, report, packet, known)
    proven = check_entries(folder, report, packet, newest)
    check_dates(report, packet, proven)
    bound = check_originals(folder, report, packet, proven)
    grades = check_exhibits(folder, report, packet, proven)
    check_trust(report, asked, keys, newest, known)
    conclude(report, packet, bound, proven, grades)
    return report


# --- The command ---


def written(report: Report) -> str:
    """The report for a person."""
    lines, failed = [f"The packet's number: {report.number}", ""], {check for check, _, _ in report.failures}
    for check, count, said in report.checks:
        good = "ok" if count or check != "trust" else "--"
        lines.append(f"{'FAIL' if check in failed else good:4} {check:13} {said}")
    if report.failures:
        lines += ["", f"WHAT FAILS ({len(report.failures)})"]
        lines += [f"- {check}: {where + ': ' if where else ''}{said}" for check, where, said in report.failures[:MOST_SHOWN]]
        if len(report.failures) > MOST_SHOWN:
            lines.append(f"- and {len(report.failures) - MOST_SHOWN} more; --json lists them all")
    parts = ("Remarks", report.remarks), ("What this proves", report.proves), ("What it does not prove", report.does_not_prove)
    for title, texts in parts:
        if texts:
            lines += ["", title, *("- " + one for one in texts)]
    if report.failures:
        lines += ["", "NOT PROVEN: rely on nothing in this packet before what fails is explained."]
    else:
        dated = NOT_DATED.format(len(report.dated)) if report.dated else ""
        lines += ["", f"ALL PROVEN{HOW_FAR[report.trust].format(report.later)}{dated}."]
    return "\n".join(lines)


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description="Check an evidence packet, without Harmline and without a network.")
    options.add_argument("folder", metavar="DIR", help="the packet")
    options.add_argument("--key", metavar="VKEY", help="the log's key, known from elsewhere")
    options.add_argument("--witness", metavar="VKEY", help="the key of a witness, known from elsewhere, who must have cosigned")
    options.add_argument("--checkpoint", metavar="FILE", help="a checkpoint of this log, from elsewhere")
    options.add_argument("--growth", metavar="FILE", help="the proof of growth between that checkpoint and the packet's")
    options.add_argument("--number", metavar="HEX", help="the packet's number, known from elsewhere")
    options.add_argument("--json", action="store_true", help="for machines")
    return options


def _given(path: str | None) -> bytes | None:
    if path is None:
        return None
    with open(path, "rb") as file:
        return file.read(NOTE_BYTES)


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, print the report, and give the exit code."""
    given = _options().parse_args(arguments)
    try:
        asked = Asked(given.key, given.witness, _given(given.checkpoint), _given(given.growth), given.number)
        report = verify(given.folder, asked)
    except (Unreadable, OSError) as error:
        reason = plain(error)
    except Exception as error:  # whatever a stranger's packet holds, this ends with a sentence
        reason = f"something in it that this verifier did not expect: {plain(type(error).__name__)}"
    else:
        print(json.dumps(report.as_json(), indent=1) if given.json else written(report))
        return PROVEN if report.proven else FAILED
    unread = {"format": REPORT_FORMAT, "proven": False, "unreadable": reason}
    print(json.dumps(unread, indent=1) if given.json else "CANNOT BE READ: " + reason)
    return UNREADABLE


if __name__ == "__main__":
    sys.exit(main())
