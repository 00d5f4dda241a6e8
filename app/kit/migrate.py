"""Bring a database to the newest schema. The schema comes from the migrations only."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

_INSUFFICIENT_PRIVILEGE = "42501"


class NotYours(Exception):
    """Whoever migrates may not do what has to be done; says what, and who does it."""


_INI = Path(__file__).parents[2] / "alembic.ini"


def alembic_config(url: str) -> Config:
    """Alembic's settings for one database."""
    config = Config(_INI)
    config.set_main_option("url", url.replace("%", "%%"))
    return config


def upgrade(url: str) -> None:
    """Migrate to the head. Synchronous, with an event loop of its own: call it outside a running loop. Raises NotYours."""
    try:
        command.upgrade(alembic_config(url), "head")
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _INSUFFICIENT_PRIVILEGE:
            raise
        raise NotYours(
            "The database has to be migrated, and this login does not own it. Run `harmline migrate` with the owner's login in "
            f"HARMLINE_OWNER_URL. PostgreSQL says: {str(error.orig).rpartition(': ')[2]}"
        ) from None


@cache
def head() -> str:
    """The newest revision that this code knows; read from the files once."""
    revision = ScriptDirectory.from_config(Config(_INI)).get_current_head()
    if revision is None:
        raise RuntimeError("there are no migrations")
    return revision


@cache
def revisions() -> frozenset[str]:
    """Every revision that this code knows how to migrate from."""
    return frozenset(one.revision for one in ScriptDirectory.from_config(Config(_INI)).walk_revisions())
