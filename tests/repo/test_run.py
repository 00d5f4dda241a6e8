"""`./run` on a machine without a usable Python, and interrupted while it makes its environment: nothing half-made stays."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.repo.tree import ROOT

PARTS = ("run", "requirements-uv.lock", "requirements-dev.lock", "pyproject.toml")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for name in PARTS:
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def python_that(clone: Path, when_making: str) -> dict[str, str]:
    """The environment for a ./run whose Python is new enough and does `when_making` when asked for a .venv."""
    program = clone / "python-stand-in"
    program.write_text(f'#!/bin/sh\ncase "$*" in *venv*) mkdir -p .venv/bin; {when_making};; esac\n')
    program.chmod(0o755)
    return {**os.environ, "HARMLINE_PYTHON": str(program)}


def test_an_unknown_command_is_named_and_the_known_ones_listed(clone: Path) -> None:
    done = subprocess.run([clone / "run", "dance"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "There is no command 'dance'" in done.stderr
    assert "campaign NAME" in done.stderr
    assert not (clone / ".venv").exists()


def test_an_old_python_is_refused_in_words(clone: Path) -> None:
    environment = {**os.environ, "HARMLINE_PYTHON": "/bin/false"}
    done = subprocess.run([clone / "run", "lint"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Python 3.11 or newer" in done.stderr
    assert not (clone / ".venv").exists()


def test_a_failure_leaves_no_half_made_environment(clone: Path) -> None:
    environment = python_that(clone, "exit 1")
    done = subprocess.run([clone / "run", "lint"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "python3-venv" in done.stderr
    assert not (clone / ".venv").exists()


def heed_interruptions() -> None:
    """A run in the background ignores SIGINT, and so would all its children; a shell cannot undo that by itself."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_no_half_made_environment(clone: Path, number: signal.Signals) -> None:
    environment = python_that(clone, "echo making; exec sleep 600")
    process = subprocess.Popen(
        [clone / "run", "lint"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interruptions,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "making\n"
    assert (clone / ".venv").exists()
    os.killpg(process.pid, number)
    assert process.wait(timeout=30) == 130
    process.stdout.close()
    assert not (clone / ".venv").exists()


def test_an_environment_moved_from_elsewhere_is_not_trusted(clone: Path) -> None:
    (clone / ".venv").mkdir()
    (clone / ".venv" / ".harmline-stamp").write_text("/somewhere/else\n")
    done = subprocess.run([clone / "run", "lint"], env=python_that(clone, "exit 1"), capture_output=True, text=True, check=False)
    assert "Making .venv" in done.stderr
    assert not (clone / ".venv").exists()
