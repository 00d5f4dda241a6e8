"""Pieces of work side by side in one process: whoever has ended a piece takes the next one at once, and waits for nobody."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping

Piece = Callable[[], Awaitable[int]]
"""Does one piece of some work and tells how much that was; 0: there was nothing to take."""


async def side_by_side(due: Callable[[], Awaitable[Mapping[str, Piece]]]) -> int:
    """Do what is due, by name, until nothing is; returns how much was done. One piece of a name at a time.

    `due` is asked whenever a piece has ended. Who found nothing to take is not asked again before somebody has done
    something. A failure is raised when all pieces have ended that were begun.
    """
    under_way: dict[str, asyncio.Task[int]] = {}
    nothing_for: set[str] = set()
    total = 0
    try:
        while True:
            left = await due()
            for name, piece in left.items():
                if name not in under_way and name not in nothing_for:
                    under_way[name] = asyncio.create_task(_done(piece))
            if not under_way:
                return total
            ended, _ = await asyncio.wait(under_way.values(), return_when=asyncio.FIRST_COMPLETED)
            idle, done = _taken_out(under_way, ended)
            nothing_for = set() if done else nothing_for | idle
            total += done
    except asyncio.CancelledError:
        for task in under_way.values():
            task.cancel()
        raise
    finally:
        await asyncio.gather(*under_way.values(), return_exceptions=True)


async def _done(piece: Piece) -> int:
    return await piece()


def _taken_out(under_way: dict[str, asyncio.Task[int]], ended: Collection[asyncio.Task[int]]) -> tuple[set[str], int]:
    """Take out what has ended: who of it found nothing to do, and how much was done. Raises what a task raised."""
    done = {name: task.result() for name, task in under_way.items() if task in ended}
    for name in done:
        del under_way[name]
    return {name for name, count in done.items() if not count}, sum(done.values())
