"""What can be seen in the code itself: no regular expression that a text can stall, nothing that runs a text. D11, D12."""

from __future__ import annotations

import ast
import importlib
import itertools
import pkgutil
import re
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import app
import connectors
from tests.repo.tree import ROOT


def modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def patterns() -> dict[str, re.Pattern[Any]]:
    """Every regular expression of the house: compiled, and written where one is used or declared."""
    found = {}
    for module in itertools.chain(modules(app), modules(connectors)):
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                found[f"{module.__name__}.{name}"] = value
    for folder in ("app", "connectors"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.keyword) and node.arg == "pattern" and isinstance(node.value, ast.Constant):
                    found[f"{path.name}:{node.value.lineno}"] = re.compile(str(node.value.value))
    return found


PIECES = ("a", "0", " ", "-", "1,", ".", "a-", "0.", "\t ", "<a", "T0:", "/", "%2e", "\u0301", "A1", "==", ";q=0", "'\"")


def test_d11_every_regular_expression_takes_time_in_proportion() -> None:
    slow, all_of_them = {}, patterns()
    assert len(all_of_them) > 15
    for name, pattern in all_of_them.items():
        for piece in PIECES:
            text: Any = piece * (65536 // len(piece)) + "!"
            subject = text.encode() if isinstance(pattern.pattern, bytes) else text
            for way in (pattern.fullmatch, pattern.match, pattern.search):
                began = time.process_time()
                way(subject)
                if (took := time.process_time() - began) > 0.5:
                    slow[name, piece, way.__name__] = took
    assert slow == {}


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
