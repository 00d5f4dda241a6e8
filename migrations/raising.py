"""Raises the second wall (`app/access/walls`) on PostgreSQL, and takes it down while tables change under it.

The wall is not a step in the history of the schema: it always stands as the code of today says, over the tables of today.
`env.py` takes it down before it changes anything and raises it again afterwards, all in one transaction, so that nobody ever
finds it down. The owner of the tables is bound by it too (FORCE): a migration that changes rows would find none otherwise.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict

from sqlalchemy import Connection, text

from app.access.walls import FUNCTIONS, ROLES, WALLS, May
from app.kit.acting import SERVICE, WORKER
from app.kit.migrate import NotYours
from migrations.by_statement import CHECKING

_ACTS = {"r": "SELECT", "a": "INSERT", "c": "UPDATE", "d": "DELETE"}
_LOCKED = "l"
_WORKERS_ONLY = {WORKER.role: (May("racd", "true"),)}
_NOT_OURS = "alembic_version"
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'alembic_version' ORDER BY 1"
_CHECKS = (
    "SELECT proname, pg_get_userbyid(proowner) FROM pg_proc"
    " WHERE pronamespace = current_schema()::regnamespace AND proname = ANY(:names)"
)
_REVISION = 2
"""To be raised when this file makes another wall of the same data."""

BY_HAND = "\n".join(
    (
        *(f"CREATE ROLE {name} NOLOGIN NOINHERIT;" for name in (SERVICE, *ROLES)),
        f"GRANT {', '.join(ROLES)} TO {SERVICE};",
        f"GRANT {SERVICE} TO the_owner_of_the_tables;",
        f"GRANT {SERVICE} TO the_login_of_the_service;",
    )
)
"""What a superuser runs once where whoever migrates may not make roles."""


_MISSING = f"The database roles of Harmline are missing. Let a superuser run, once for the whole server:\n\n{BY_HAND}\n"


def make_roles(connection: Connection) -> None:
    """Let the roles be there. They belong to the whole server: other databases may have made them, or make them right now.

    Raises NotYours.
    """
    wanted = (SERVICE, *ROLES)
    missing = set(wanted) - set(connection.execute(text("SELECT rolname FROM pg_roles")).scalars())
    may = connection.execute(text("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")).scalar_one()
    if missing and not may:
        raise NotYours(_MISSING)
    if missing:
        # Whoever makes them at the same moment makes the same first one first; the others wait for that, and find all of them.
        for name in wanted:
            _unless_there(connection, f"CREATE ROLE {name} NOLOGIN NOINHERIT")
        _unless_there(connection, f"GRANT {', '.join(ROLES)} TO {SERVICE}")
    if not connection.execute(text(f"SELECT pg_has_role(current_user, '{SERVICE}', '{_may_set(connection)}')")).scalar_one():
        if not may:
            raise NotYours(_MISSING)
        _unless_there(connection, f"GRANT {SERVICE} TO CURRENT_USER")


def _may_set(connection: Connection) -> str:
    """The word for being able to take on a role: before PostgreSQL 16 every member was."""
    number = connection.execute(text("SELECT current_setting('server_version_num')::int")).scalar_one()
    return "SET" if number >= 160_000 else "MEMBER"


def _unless_there(connection: Connection, statement: str) -> None:
    connection.execute(text(f"DO $$ BEGIN {statement}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"))


def fingerprint() -> str:
    """A word for the wall that the code says should stand."""
    said = {table: {role: [asdict(one) for one in may] for role, may in wall.items()} for table, wall in WALLS.items()}
    told = json.dumps([_REVISION, said, dict(FUNCTIONS), ROLES], sort_keys=True)
    return f"wall {hashlib.sha256(told.encode()).hexdigest()[:32]}"


def stands(connection: Connection) -> bool:
    """Whether that very wall stands."""
    query = text("SELECT obj_description(to_regclass(:name), 'pg_class')")
    return bool(connection.execute(query, {"name": _NOT_OURS}).scalar() == fingerprint())


def take_down(connection: Connection) -> None:
    """Let the tables be as they were before there was a wall. The roles stay: other databases of the server have them too.

    The worker keeps its rights: as the worker the checks of `by_statement` look at what a migration writes.
    """
    for table, policy in connection.execute(
        text("SELECT tablename, policyname FROM pg_policies WHERE schemaname = current_schema() AND policyname LIKE 'harmline_%'")
    ).all():
        connection.execute(text(f"DROP POLICY {policy} ON {table}"))
    there = set(connection.execute(text("SELECT rolname FROM pg_roles")).scalars())
    ours = [name for name in (SERVICE, *ROLES) if name in there and name != WORKER.role]
    for table in connection.execute(text(_TABLES)).scalars().all():
        connection.execute(text(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY"))
        if ours:
            connection.execute(text(f"REVOKE ALL ON {table} FROM {', '.join(ours)}"))
    for signature in reversed(FUNCTIONS):
        connection.execute(text(f"DROP FUNCTION IF EXISTS {signature}"))
    if connection.execute(text("SELECT to_regclass(:name)"), {"name": _NOT_OURS}).scalar() is not None:
        connection.execute(text(f"COMMENT ON TABLE {_NOT_OURS} IS NULL"))


def raise_walls(connection: Connection) -> None:
    """Let the wall stand as the code says. A table that it does not name is the worker's alone."""
    make_roles(connection)
    take_down(connection)
    schema = connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    connection.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO {', '.join((SERVICE, *ROLES))}"))
    connection.execute(text(f"GRANT SELECT ON {_NOT_OURS} TO PUBLIC"))
    tables = connection.execute(text(_TABLES)).scalars().all()
    for table in tables:
        connection.execute(text(f"REVOKE ALL ON {table} FROM {WORKER.role}"))
        connection.execute(text(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"))
        for role, may in _WORKERS_ONLY.items() if table not in WALLS else ():
            _let(connection, table, role, may)
    _make_functions(connection, schema)
    for table in set(tables) & set(WALLS):
        for role, may in WALLS[table].items():
            _let(connection, table, role, may)
    connection.execute(text(f"COMMENT ON TABLE {_NOT_OURS} IS '{fingerprint()}'"))


def _let(connection: Connection, table: str, role: str, may: tuple[May, ...]) -> None:
    for statement in statements(table, role, may):
        connection.execute(text(statement))


def statements(table: str, role: str, may: tuple[May, ...]) -> Iterator[str]:
    """What lets one role do with one table what it may: a grant and one policy for each act."""
    for one in may:
        for act in one.acts:
            if act == _LOCKED:  # to hold a row is to be allowed to change something of it; what it would then be is never right
                yield f"GRANT UPDATE ({one.held}) ON {table} TO {role}"
                yield f"CREATE POLICY {role}_update ON {table} FOR UPDATE TO {role} USING ({one.rows}) WITH CHECK (false)"
                continue
            verb = _ACTS[act]
            columns = f" ({', '.join(one.columns)})" if act == "r" and one.columns else ""
            yield f"GRANT {verb}{columns} ON {table} TO {role}"
            found = f" USING ({one.rows})" if verb != "INSERT" else ""
            written = f" WITH CHECK ({one.written or one.rows})" if verb in ("INSERT", "UPDATE") else ""
            yield f"CREATE POLICY {role}_{verb.lower()} ON {table} FOR {verb} TO {role}{found}{written}"


def _make_functions(connection: Connection, schema: str) -> None:
    """They run as the worker, who must be allowed to own something for that moment; so do the checks of `by_statement`."""
    connection.execute(text(f"GRANT CREATE ON SCHEMA {schema} TO {WORKER.role}"))
    for name, owner in connection.execute(text(_CHECKS), {"names": [*CHECKING]}).all():
        if owner != WORKER.role:
            connection.execute(text(f"ALTER FUNCTION {name}() OWNER TO {WORKER.role}"))
        # A trigger needs nobody's leave to run; whoever may make one of their own must not make it run these.
        connection.execute(text(f"REVOKE ALL ON FUNCTION {name}() FROM PUBLIC"))
    for signature, body in FUNCTIONS.items():
        connection.execute(
            text(
                f"CREATE FUNCTION {signature} RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER"
                f" SET search_path = {schema}, pg_temp AS $${body}$$"
            )
        )
        connection.execute(text(f"ALTER FUNCTION {signature} OWNER TO {WORKER.role}"))
        connection.execute(text(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC"))
        connection.execute(text(f"GRANT EXECUTE ON FUNCTION {signature} TO {', '.join(ROLES)}"))
    connection.execute(text(f"REVOKE CREATE ON SCHEMA {schema} FROM {WORKER.role}"))
