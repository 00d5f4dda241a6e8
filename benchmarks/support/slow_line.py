"""A line to the store on which everything is under way for a while: what makes a store slow that costs no processor."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.proxy import Proxy


@contextmanager
def slow_line(target: int, delay: float) -> Iterator[Proxy]:
    """A proxy before a port, in a thread of its own while this is open; it delays by so many seconds once it becomes slow."""
    line, ready, loop = Proxy(target, delay), threading.Event(), asyncio.new_event_loop()

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(line.start())
        finally:
            ready.set()
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait()
    try:
        yield line
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
