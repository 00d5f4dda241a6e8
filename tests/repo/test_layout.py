"""The house keeps its own rules, and each rule is shown to fire on a sample that breaks it."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.repo import code_rules as code
from tests.repo import tree_rules as tree
from tests.repo.tree import ROOT, File, Rule, broken, tracked_files

HOUSE = ("app/", "connectors/")
ALL_CODE = (*HOUSE, "tests/", "benchmarks/", "migrations/")
EVERYTHING = ("",)


@dataclass(frozen=True)
class Case:
    """A rule, the paths that it holds for, samples that break it and samples that keep it (path and text)."""

    rule: Rule
    where: tuple[str, ...]
    bad: tuple[tuple[str, str], ...]
    good: tuple[tuple[str, str], ...] = ()
    python_only: bool = True


def long_function(lines: int) -> str:
    return "def f() -> None:\n" + "    x = 1\n" * (lines - 1)


CASES = (
    Case(
        code.secrets_are_compared_in_constant_time,
        ("connectors/verifiers.py", "app/connections/", "app/access/"),
        (("connectors/verifiers.py", "ok = text == shown\n"), ("app/access/a.py", "if it.signature != wanted:\n    f()\n")),
        (("connectors/verifiers.py", "ok = compare_digest(text, shown)\nempty = text == ''\n"),),
    ),
    Case(
        code.file_length,
        EVERYTHING,
        (("app/a.py", "x = 1\n" * 401), ("app/web/a.html", "<p>\n" * 401), ("run", "true\n" * 401)),
        (("app/a.py", "x = 1\n" * 400), ("docs/a.md", "text\n" * 900)),
        python_only=False,
    ),
    Case(code.function_length, ALL_CODE, (("app/a.py", long_function(51)),), (("app/a.py", long_function(50)),)),
    Case(
        code.imports_at_the_top,
        ALL_CODE,
        (
            ("app/a.py", "def f():\n    import os\n"),
            ("app/a.py", "class A:\n    async def f(self):\n        if 1:\n            from os import path\n"),
        ),
        (("app/a.py", "import os\ndef f():\n    return os\n"),),
    ),
    Case(
        code.broad_excepts_say_why,
        ALL_CODE,
        (
            ("app/a.py", "try:\n    f()\nexcept:  # a reason that is long enough\n    g()\n"),
            ("app/a.py", "try:\n    f()\nexcept Exception:\n    g()\n"),
            ("app/a.py", "try:\n    f()\nexcept (OSError, BaseException):  # noqa: BLE001\n    g()\n"),
            ("app/a.py", "with suppress(Exception):\n    f()\n"),
        ),
        (
            ("app/a.py", "try:\n    f()\nexcept Exception:  # noqa: BLE001 - one broken item stays alone\n    g()\n"),
            ("app/a.py", "try:\n    f()\nexcept (OSError, ValueError):\n    g()\n"),
        ),
    ),
    Case(
        code.nothing_left_open,
        ALL_CODE,
        (
            ("app/a.py", "x = 1  # TO" + "DO: more\n"),
            ("app/a.py", "def f():\n    raise NotImplemented" + "Error\n"),
        ),
        (("app/a.py", "MASK = 'XXX-XX-1234'  # as providers print it\n"),),
    ),
    Case(
        code.no_test_is_skipped,
        ALL_CODE,
        (
            ("tests/a.py", "import pytest\n@pytest.mark.xfail\ndef test(): ...\n"),
            ("tests/a.py", "import pytest\n@pytest.mark.skipif(True, reason='')\ndef test(): ...\n"),
            ("tests/a.py", "import pytest\ndef test():\n    pytest.skip('later')\n"),
            ("tests/a.py", "from pytest import importorskip\n"),
        ),
        (("tests/a.py", "import pytest\n@pytest.mark.slow\ndef test(): ...\n"),),
    ),
    Case(
        code.public_names_are_documented,
        HOUSE,
        (
            ("app/a.py", "x = 1\n"),
            ("app/a.py", '"""A."""\ndef f(): ...\n'),
            ("app/a.py", '"""A."""\nclass C:\n    """C."""\n    def f(self): ...\n'),
        ),
        (("app/__init__.py", ""), ("app/a.py", '"""A."""\ndef _f(): ...\nclass C:\n    """C."""\n')),
    ),
    Case(
        code.connectors_stand_alone,
        ("connectors/",),
        (
            ("connectors/a/connector.py", "from app.kit import clock\n"),
            ("connectors/contract.py", "import app\n"),
            ("connectors/a/connector.py", "from connectors.b.connector import X\n"),
            ("connectors/a/connector.py", "from connectors import b\n"),
            ("connectors/a/connector.py", "from ..b import connector\n"),
            ("connectors/a/connector.py", "import sqlalchemy\n"),
        ),
        (
            ("connectors/a/connector.py", "from connectors.contract import Alert\nfrom . import parts\nimport json\n"),
            ("connectors/a/connector.py", "from connectors.a import parts\nfrom ..vocabulary import Bureau\n"),
        ),
    ),
    Case(
        code.one_http_client,
        ALL_CODE,
        (
            ("app/intake/poll.py", "import httpx\n"),
            ("connectors/a/connector.py", "from httpx import AsyncClient\n"),
            ("app/a.py", "from urllib.request import urlopen\n"),
        ),
        (("connectors/http.py", "import httpx\n"), ("app/a.py", "from urllib.parse import urlsplit\n")),
    ),
    Case(
        code.transactions_open_at_the_edge,
        ("app/",),
        (
            ("app/intake/service.py", "async def f(tx):\n    await tx.commit()\n"),
            ("app/intake/repository.py", "async def f(db):\n    async with db.begin() as tx:\n        pass\n"),
        ),
        (
            ("app/kit/database.py", "async def f(tx):\n    await tx.commit()\n"),
            ("app/intake/workers.py", "async def f(db):\n    async with db.begin() as tx:\n        pass\n"),
        ),
    ),
    Case(
        tree.no_registry_hosts,
        EVERYTHING,
        tuple(("any.lock", f"x @ https://{host}.org/x.whl") for host in tree.REGISTRY_HOSTS),
        (("docs/a.md", "install it from PyPI"),),
        python_only=False,
    ),
    Case(
        tree.no_machine_paths,
        EVERYTHING,
        tuple(("docs/a.md", f"see {path}main") for path in tree.MACHINE_PATHS),
        (("docs/a.md", "POST /v1/wo" + "rk/7 and net" + "wo" + "rk/"),),
        python_only=False,
    ),
    Case(
        tree.no_notes_in_texts,
        EVERYTHING,
        (("docs/a.md", "FIX" + "ME: explain"), ("app/web/a.html", "<!-- TO" + "DO -->")),
        (("docs/a.md", "printed as XXX-XX-1234"),),
        python_only=False,
    ),
)
NAMES = [case.rule.__name__ for case in CASES]


@pytest.fixture(scope="session")
def files() -> list[File]:
    return tracked_files()


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_the_house_keeps_the_rule(case: Case, files: list[File]) -> None:
    concerned = [file for file in files if file.under(*case.where) and (file.is_python or not case.python_only)]
    assert concerned
    assert broken(case.rule, concerned) == []


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_the_rule_fires(case: Case) -> None:
    assert [sample for sample in case.bad if not list(case.rule(File(*sample)))] == []
    assert [broken(case.rule, [File(*sample)]) for sample in case.good if list(case.rule(File(*sample)))] == []


def test_rules_look_at_files_that_git_does_not_know_yet(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / ".gitignore").write_text("ignored\n")
    (tmp_path / "ignored").write_text("x")
    (tmp_path / "new.py").write_text("x = 1\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0")
    assert [file.path for file in tracked_files(tmp_path)] == [".gitignore", "new.py"]


def test_every_room_stands_on_its_floor() -> None:
    verdict = tree.floors(ROOT)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


@pytest.fixture
def small_house(tmp_path: Path) -> Path:
    """A copy of the contracts over two connected rooms, a connector and nothing wrong."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in ("app", "app/kit", "app/ledger", "connectors"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "app/ledger/service.py").write_text("import app.kit\n")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("app/kit/clock.py", "import app.ledger.service\n"),
        ("connectors/contract.py", "import app.kit\n"),
        ("app/attic/__init__.py", ""),
    ],
    ids=["upwards", "connector into the house", "room without a floor"],
)
def test_the_floors_fire(small_house: Path, path: str, text: str) -> None:
    kept = tree.floors(small_house)
    assert kept.returncode == 0, kept.stdout + kept.stderr
    (small_house / path).parent.mkdir(exist_ok=True)
    (small_house / path).write_text(text)
    verdict = tree.floors(small_house)
    assert verdict.returncode == 1
    assert "BROKEN" in verdict.stdout
