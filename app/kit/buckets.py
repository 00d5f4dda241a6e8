"""How often somebody may do something: token buckets in memory, bounded, by whatever they are counted by. Pure.

Each process counts for itself. All that is kept is bounded: whoever has many addresses makes us forget what is oldest, and
gains no memory of ours. An address is an IPv4 address, or the /64 that one IPv6 subscriber has for itself.
"""

from collections.abc import Hashable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

MOST_KEPT = 10_000

_EXACT = 1e-6
"""Seconds: less than this is what adding many floats leaves over."""

_OF_A_SUBSCRIBER = 64
"""Bits of an IPv6 address beyond which all belongs to one subscriber."""


class Buckets:
    """Token buckets by key: so many a second on average, so many at once. A rate of 0 lets everything through.

    A bucket is kept as one number, the moment at which it will be full again (GCRA), so that a full one is not kept at all.
    """

    def __init__(self, per_second: float, at_once: int, most_kept: int = MOST_KEPT) -> None:
        """`at_once`: how large a bucket is."""
        self._each = 1 / per_second if per_second else 0.0
        self._span = self._each * (at_once - 1)
        self._most = most_kept
        self._full_at: dict[Hashable, float] = {}

    def __len__(self) -> int:
        """How many buckets are kept."""
        return len(self._full_at)

    def wait(self, key: Hashable, now: float) -> float:
        """Seconds until there is something in this bucket; 0 when there is. `now` in seconds, never back."""
        seconds = self._full_at.get(key, now) - self._span - now
        return seconds if seconds > _EXACT else 0.0

    def take(self, key: Hashable, now: float) -> float:
        """Take one out; 0, or the seconds to wait when there was none (then nothing is taken)."""
        seconds = self.wait(key, now)
        if not seconds and self._each:
            self._keep(key, max(now, self._full_at.pop(key, now)) + self._each, now)
        return seconds

    def put_back(self, key: Hashable, now: float) -> None:
        """What was taken was not needed."""
        full_at = self._full_at.get(key)
        if full_at is None:
            return
        if full_at - self._each > now:
            self._full_at[key] = full_at - self._each
        else:
            del self._full_at[key]

    def _keep(self, key: Hashable, full_at: float, now: float) -> None:
        """Last in the order, so that who was not seen for longest stands first."""
        if len(self._full_at) >= self._most:
            del self._full_at[next(iter(self._full_at))]
        self._full_at[key] = full_at


@lru_cache(maxsize=4096)
def source_of(address: str | None) -> str:
    """Whom an address is counted as: itself, or its IPv6 /64; one and the same for what is no address."""
    try:
        parsed: IPv4Address | IPv6Address = ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return (
        str(parsed) if isinstance(parsed, IPv4Address) else str(IPv6Address(int(parsed) >> _OF_A_SUBSCRIBER << _OF_A_SUBSCRIBER))
    )
