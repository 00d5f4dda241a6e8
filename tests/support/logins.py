"""The login of a service that runs as it should: it owns nothing, is bound by row-level security, and may only take on roles."""

from __future__ import annotations

import asyncpg
from sqlalchemy.engine import make_url

from app.kit.acting import SERVICE

LOGIN = "harmline_test_login"
_MADE_ON: set[tuple[str | None, int | None]] = set()


async def as_service(url: str) -> str:
    """The same database for that login, which is made where it is missing; SQLite knows no logins."""
    owner = make_url(url)
    if owner.get_backend_name() == "sqlite":
        return url
    if (server := (owner.host, owner.port)) not in _MADE_ON:
        await _make(url, owner.password)
        _MADE_ON.add(server)
    return owner.set(username=LOGIN).render_as_string(hide_password=False)


async def _make(url: str, known_password: object) -> None:
    password = f" PASSWORD '{known_password}'" if known_password else ""
    connection = await asyncpg.connect(dsn(url))
    try:
        for statement in (f"CREATE ROLE {LOGIN} LOGIN NOINHERIT{password}", f"GRANT {SERVICE} TO {LOGIN}"):
            done = "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL"  # by another process of this run
            await connection.execute(f"DO $$ BEGIN {statement}; {done}; END $$")
    finally:
        await connection.close()


def dsn(url: str) -> str:
    """A URL of SQLAlchemy's as asyncpg itself takes it."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)
