"""The commands of backups, as somebody types them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.upkeep import programs
from app.upkeep.journal import Journal
from tests.upkeep.places import Places

PLAIN = {"postgresql+asyncpg://": "postgresql://", "sqlite+aiosqlite://": "sqlite://"}


def harmline(folder: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program with settings of its own."""
    for driver, plain in PLAIN.items():
        url = url.replace(driver, plain)
    named = {"DATABASE_URL": url, "KEY_FILE": str(folder / "keys/top.key"), "BACKUP_FOLDER": str(folder / "backups")}
    environment = os.environ | {f"HARMLINE_{name}": value for name, value in named.items()}
    command = [sys.executable, "-m", "app.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_from_nothing_to_a_restored_installation(places: Places, tmp_path: Path) -> None:
    url = places.empty_url
    assert harmline(tmp_path, url, "keys", "create").returncode == 0
    assert harmline(tmp_path, url, "migrate").returncode == 0
    made = harmline(tmp_path, url, "organization", "Union", "--admin", "a@example.org")
    assert made.returncode == 0, made.stderr
    created = harmline(tmp_path, url, "backup", "create")
    assert created.returncode == 0, created.stderr
    (folder,) = (tmp_path / "backups").iterdir()
    assert str(folder) in created.stdout
    verified = harmline(tmp_path, url, "backup", "verify", str(folder))
    assert verified.returncode == 0, verified.stderr
    assert "is whole and can be restored" in verified.stdout
    refused = harmline(tmp_path, url, "backup", "restore", str(folder))
    assert (refused.returncode, "the list of erasures, is missing" in refused.stderr) == (1, True)
    refused = harmline(tmp_path, url, "backup", "restore", str(folder), "--nobody-was-erased")
    assert (refused.returncode, "is not empty" in refused.stderr) == (1, True)
    assert "Traceback" not in refused.stderr
    if url.startswith("sqlite"):
        Path(url.partition(":///")[2]).unlink()
        Journal(tmp_path / "keys" / "erasures.jsonl").add([])
        restored = harmline(tmp_path, url, "backup", "restore", str(folder))
        assert restored.returncode == 0, restored.stderr
        assert "harmline connections sweep" in restored.stdout
        assert harmline(tmp_path, url, "backup", "verify", str(folder)).returncode == 0


async def test_it_is_said_what_is_missing_when_there_is_no_pg_dump(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(programs, "folders", lambda: [tmp_path])
    with pytest.raises(programs.Problem, match=r"postgresql-client-99.*HARMLINE_POSTGRES_BIN"):
        await programs.find_program("pg_dump", 99)


async def test_the_program_is_as_new_as_the_server_and_no_newer_than_it_must_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for major in (14, 16, 18):
        program = tmp_path / str(major) / "pg_dump"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {major}.3'\n")
        program.chmod(0o700)
    monkeypatch.setattr(programs, "folders", lambda: [tmp_path / name for name in ("18", "14", "16")])
    assert (await programs.find_program("pg_dump", 16)).parent.name == "16"
    assert (await programs.find_program("pg_dump", 15)).parent.name == "16"
    assert (await programs.find_program("pg_dump", 17)).parent.name == "18"


def test_no_password_is_an_argument() -> None:
    told = programs.surroundings("postgresql+asyncpg://harmline:se%20cret@db.example:5433/harmline?ssl=verify-full")
    assert told == {
        "PGHOST": "db.example",
        "PGPORT": "5433",
        "PGUSER": "harmline",
        "PGPASSWORD": "se cret",
        "PGDATABASE": "harmline",
        "PGSSLMODE": "verify-full",
    }
