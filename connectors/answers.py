"""What came back from a provider: how long to wait, how much of a body is read, and which answers are none.

Pure: bytes and header values in, a body or a ProviderError out. No message holds anything of the answer.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from connectors.asking import NOT_FOUND, CredentialsRefused, ProviderError, TryLater, UnexpectedAnswer

LONGEST_PATIENCE = 86400.0
"""Seconds. A provider that names a later moment is asked again after a day."""

MOST_ON_THE_WIRE = 5 * 1024 * 1024
MOST_INFLATED = 20 * 1024 * 1024
MOST_HEADERS = 64 * 1024
MOST_VALUES = 1_000_000
"""Commas and brackets of one body: as Python objects a value takes a hundred bytes."""

NO_CONTENT = 204
UNAUTHORIZED = 401
FORBIDDEN = 403
NOT_DONE = frozenset({408, 425, 429, 503})
"""Statuses that mean: come again, and nothing was done with the request."""

TOO_MANY = 429
USED_UP = "LimitExceededException"
"""What Amazon's gateway, behind which some providers stand, writes beside a 429 (`x-amzn-errortype`) when a quota is used up;
where only the pace is too high it is another word.
"""

_INFLATE_STEP = 256 * 1024
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_FEW_DIGITS = 12
_MOST_MEMBERS = 64


class TokenRefused(CredentialsRefused):
    """401: who we say we are is not accepted; a fresh token may help."""


class PerhapsDone(TryLater):
    """No answer, or one that leaves open whether the request was carried out."""


def patience(retry_after: Sequence[str], date: str | None, now: datetime) -> float | None:
    """Seconds that Retry-After asks for, at most a day; None if it says nothing that can be read.

    A date is counted from the answer's own Date where it has one: the provider's clock decides, whatever ours says.
    """
    asked = [seconds for value in retry_after if (seconds := _asked(value.strip(), date, now)) is not None]
    return min(max(0.0, *asked), LONGEST_PATIENCE) if asked else None


def out_of_quota(status: int, error_type: str) -> bool:
    """Whether an answer says that a quota is used up, so that asking slower is no help. `error_type`: its `x-amzn-errortype`."""
    return status == TOO_MANY and error_type.partition(":")[0].strip() == USED_UP


def refusal(status: int, seconds: float | None, *, may_miss: bool) -> ProviderError | None:
    """Why an answer with this status is none; None if its body is to be read. `seconds`: what Retry-After asked for."""
    if 200 <= status < 300 or (status == NOT_FOUND and may_miss):
        return None
    wait = math.ceil(seconds) if seconds else None
    if status in NOT_DONE:
        return TryLater(f"The provider asks for patience (status {status})", wait)
    if status >= 500:
        return PerhapsDone(f"The provider has a fault of its own (status {status})", wait)
    if status == UNAUTHORIZED:
        return TokenRefused("The provider does not accept our credentials (status 401)")
    if status == FORBIDDEN:
        return CredentialsRefused("The provider knows us and does not let us in (status 403)")
    if 300 <= status < 400:
        return UnexpectedAnswer(f"The provider answered with a redirect (status {status}), which is never followed")
    return UnexpectedAnswer(f"The provider answered with status {status}")


def require_meaning(status: int, media_type: str, body: bytes) -> None:
    """UnexpectedAnswer unless a 2xx is JSON in UTF-8, or 204 and empty; and unless a 404 is the provider's own, not a web page.

    An empty 200 is no answer: it would look like "nothing new" for ever.
    """
    essence = media_type.partition(";")[0].strip().lower()
    if status == NOT_FOUND:
        if "html" in essence or body.lstrip()[:1] == b"<":
            raise UnexpectedAnswer("The provider answered with a web page (status 404)")
        return
    if status == NO_CONTENT and not body:
        return
    if essence != "application/json" and not (essence.startswith("application/") and essence.endswith("+json")):
        raise UnexpectedAnswer(f"The provider answered with status {status}, but not with JSON")
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES:
        raise UnexpectedAnswer("The provider's answer holds too many values")
    if not _is_json(body):
        raise UnexpectedAnswer(f"The provider answered with status {status}, but its JSON cannot be read")


def require_file(media_type: str, wanted: str, body: bytes) -> None:
    """UnexpectedAnswer unless an answer is what was asked for, by its media type, and not empty."""
    if media_type.partition(";")[0].strip().lower() not in {wanted, "application/octet-stream"} or not body:
        raise UnexpectedAnswer("The provider's answer is not the file that was asked for")


class Body:
    """A body as it comes in, counted on the wire and again inflated; never more of it in memory than is allowed."""

    def __init__(self, encodings: Sequence[str], *, wire: int = MOST_ON_THE_WIRE, inflated: int = MOST_INFLATED) -> None:
        """`encodings`: the values of Content-Encoding. UnexpectedAnswer for any but one gzip: it is all that we ask for."""
        named = [name for value in encodings for part in value.split(",") if (name := part.strip().lower())]
        if named not in ([], ["identity"], ["gzip"], ["x-gzip"]):
            raise UnexpectedAnswer("The provider packed its answer in a way that we did not ask for")
        self._zipped = bool(named) and named != ["identity"]
        self._wire, self._inflated = wire, inflated
        self._came = self._members = 0
        self._kept = bytearray()
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._complete = True

    def feed(self, chunk: bytes) -> None:
        """Take what came over the wire. UnexpectedAnswer as soon as it is too much, or no gzip."""
        self._came += len(chunk)
        if self._came > self._wire:
            raise UnexpectedAnswer("The provider's answer is too large")
        if not self._zipped:
            self._keep(chunk)
        elif not self._inflate(chunk):
            raise UnexpectedAnswer("The provider's answer cannot be unpacked")

    def whole(self) -> bytes:
        """The body, when all of it came in. UnexpectedAnswer when its packing says that some is missing."""
        if not self._complete:
            raise UnexpectedAnswer("The provider's answer cannot be unpacked")
        return bytes(self._kept)

    def _inflate(self, chunk: bytes) -> bool:
        while chunk:
            try:
                piece = self._inflater.decompress(chunk, _INFLATE_STEP)
            except zlib.error:
                return False
            self._keep(piece)
            self._complete = self._inflater.eof
            if self._complete:  # another member may follow (RFC 1952, 2.2)
                chunk = self._inflater.unused_data
                self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
                self._members += 1
                if self._members > _MOST_MEMBERS:
                    return False
            else:
                # Output that still waits inside comes with the next input: the trailer is never taken before it.
                chunk = self._inflater.unconsumed_tail
        return True

    def _keep(self, piece: bytes) -> None:
        if len(self._kept) + len(piece) > self._inflated:
            raise UnexpectedAnswer("The provider's answer is too large when unpacked")
        self._kept += piece


def _asked(value: str, date: str | None, now: datetime) -> float | None:
    if _SECONDS.fullmatch(value):
        return float(value) if len(value) <= _FEW_DIGITS else LONGEST_PATIENCE
    until = _moment(value)
    return None if until is None else (until - (_moment(date or "") or now)).total_seconds()


def _moment(text: str) -> datetime | None:
    """An HTTP date in any of its three forms; aware."""
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def _is_json(body: bytes) -> bool:
    try:
        # Numbers stay text: one of 5,000 digits is for the core to judge, and spares its neighbours.
        json.loads(body.decode("utf-8"), parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True
