"""Work that is done again and again, by the clock of this process; who does it is decided by leases in the database."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

log = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[object]]


def again_and_again(work: Work, name: str) -> Callable[[], Awaitable[None]]:
    """One tick of something: a failure is logged and tried again at the next."""

    async def tick() -> None:
        try:
            await work()
        except Exception as error:  # the store may be away: the next tick tries again, nothing is lost meanwhile
            log.error("stopped for now", work=name, error=type(error).__name__)

    return tick


@contextmanager
def ticking(ticks: Mapping[str, Work], every: Mapping[str, float], at_once: str) -> Iterator[None]:
    """While this is open: does each of these so often (seconds, by name), one after another; `at_once`: at the start, too."""
    scheduler = AsyncIOScheduler()
    options = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    scheduler.add_job(again_and_again(ticks[at_once], at_once))
    for name, work in ticks.items():
        scheduler.add_job(again_and_again(work, name), "interval", seconds=every[name], **options)
    scheduler.start()
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)
