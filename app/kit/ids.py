"""Row ids: UUID version 7 (RFC 9562), made in Python so that both databases take them. Never secrets."""

import random
import threading
from uuid import UUID

from app.kit import clock

_COUNTER_BITS = 12


class _Sequence:
    """The last id of this process: its millisecond and a counter, so that ids of one process never run backwards."""

    lock = threading.Lock()
    last = 0


def uuid7() -> UUID:
    """A new UUIDv7. Ids made by one process sort in the order they were made."""
    milliseconds = int(clock.now().timestamp() * 1000)
    with _Sequence.lock:
        _Sequence.last = max(_Sequence.last + 1, milliseconds << _COUNTER_BITS)
        stamp, counter = divmod(_Sequence.last, 1 << _COUNTER_BITS)
    tail = random.getrandbits(62)
    return UUID(int=stamp << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | tail)
