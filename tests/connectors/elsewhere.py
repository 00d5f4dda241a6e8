"""The example package as if it were installed: its entry point in a real dist-info folder on sys.path. Importable; no tests."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors.registry import GROUP, registry

LANTERN = "lantern"
PACKAGE = Path(__file__).parent / "example_package"


def site(folder: Path) -> list[str]:
    """What an installation would put on sys.path: the package, and the metadata that pyproject.toml asks for."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    entries = "".join(f"{name} = {value}\n" for name, value in project["entry-points"][GROUP].items())
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entries}")
    return [str(folder), str(PACKAGE / "src")]


@contextmanager
def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Meanwhile the registry of this process finds it."""
    with monkeypatch.context() as patched:
        for path in site(folder):
            patched.syspath_prepend(path)
        registry.cache_clear()
        yield
    registry.cache_clear()
