"""Statements are compiled once per test process, not once per test: each test has a new engine, and with it an empty cache."""

from typing import Any

from sqlalchemy import Dialect, Engine
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.util import LRUCache

_ALL_STATEMENTS = 10_000
_compiled: LRUCache[Any, Any] = LRUCache(_ALL_STATEMENTS)


def _same_kind(one: Dialect, other: object) -> bool:
    return type(one) is type(other)


def _hash_of_kind(one: Dialect) -> int:
    return hash(type(one))


def _share(engine: Engine) -> None:
    engine._compiled_cache = _compiled


def share_compiled_statements() -> None:
    """From now on all engines of this process use what any of them compiled. Its keys name the dialect, so that dialects of
    one kind have to be equal; every test makes them with the same options, and on the same servers.
    """
    for kind in (PGDialect_asyncpg, SQLiteDialect_aiosqlite):
        kind.__eq__ = _same_kind  # type: ignore[method-assign, assignment]
        kind.__hash__ = _hash_of_kind  # type: ignore[method-assign, assignment]
        kind.engine_created = staticmethod(_share)  # type: ignore[method-assign, assignment]
