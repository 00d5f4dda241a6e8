"""What can be seen in the code itself: no regular expression that a text can stall, nothing that runs a text. D11, D12."""

from __future__ import annotations

import ast
import importlib
import itertools
import pkgutil
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import app
import connectors
from tests.repo.tree import ROOT


def modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


PUT_TOGETHER = {
    "connectors.array.vocabulary": "of our own words, one of a list at a time",
    "connectors.claimed": "one of a list of the module, with a fixed number of digits each",
    "connectors.mail.parts": "a mail's boundary, escaped and so a fixed text, between fixed ones",
    "connectors.testing.signing": "what our own fixtures hold",
}
"""Where an expression is put together as it runs, and why it is not tried here."""


def written(tree: ast.Module) -> Iterator[ast.expr]:
    """What stands for a regular expression: wherever one is compiled or used, or in a declaration (`pattern=`)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from (word.value for word in node.keywords if word.arg == "pattern")
            if re.match(r"re\.(?!escape)", ast.unparse(node.func)):
                yield node.args[0]


def patterns() -> tuple[dict[str, re.Pattern[Any]], set[str]]:
    """Every regular expression of the house, compiled or written where it is used; and where one is put together as it runs."""
    found: dict[str, re.Pattern[Any]] = {}
    together: set[str] = set()
    for module in itertools.chain(modules(app), modules(connectors)):
        names = vars(module)
        found |= {f"{module.__name__}.{name}": value for name, value in names.items() if isinstance(value, re.Pattern)}
        tree = ast.parse(Path(str(module.__file__)).read_text())
        named = {node for one in tree.body if isinstance(one, ast.Assign) for node in ast.walk(one)}  # the module has its value
        for part in written(tree):
            text = part.value if isinstance(part, ast.Constant) else names.get(ast.unparse(part))
            if isinstance(text, str | bytes):
                found[f"{module.__name__}:{part.lineno}"] = re.compile(text)
            elif not isinstance(text, re.Pattern) and part not in named:
                together.add(module.__name__)
    return found, together


PIECES = ("a", "0", " ", "-", "1,", ".", "a-", "0.", "\t ", "<a", "T0:", "/", "%2e", "\u0301", "A1", "==", ";q=0", "'\"")


@pytest.mark.long
def test_d11_every_regular_expression_takes_time_in_proportion() -> None:
    slow: set[tuple[str, str, str]] = set()
    all_of_them, together = patterns()
    assert len(all_of_them) > 150
    assert together == set(PUT_TOGETHER)
    for name, pattern in all_of_them.items():
        for piece in PIECES:
            text: Any = piece * (65536 // len(piece)) + "!"
            subject = text.encode() if isinstance(pattern.pattern, bytes) else text
            ways = (pattern.fullmatch, pattern.match, pattern.search)
            slow |= {(name, piece, way.__name__) for way in ways if not ends_in_time(way, subject)}
    assert slow == set()


def ends_in_time(way: Callable[[Any], object], subject: Any) -> bool:
    """Whether it takes under half a second of processor time; it is stopped then, as some would take the whole day."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.5)
    try:
        way(subject)
    except TimeoutError:
        return False
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    return True


def test_d11_what_does_not_end_is_stopped_and_named() -> None:
    assert not ends_in_time(re.compile(r"(a+)+b").search, "a" * 40)
    assert ends_in_time(re.compile(r"a+b").match, "a" * 40)


@pytest.mark.long
def test_d12_nothing_of_the_house_compiles_or_runs_a_text() -> None:
    """No eval, exec, template out of a string, or shell."""
    wrong = []
    for folder in ("app", "connectors"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    name = ast.unparse(node.func)
                    shell = any(word.arg == "shell" for word in node.keywords)
                    if (
                        name in {"eval", "exec", "compile", "os.system"}
                        or name.endswith((".from_string", ".format_map_of"))
                        or shell
                    ):
                        wrong.append(f"{path.name}:{node.lineno} {name}")
    assert wrong == []
