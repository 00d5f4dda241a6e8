"""The files that a rule looks at: what git tracks or would add, as text."""

from __future__ import annotations

import ast
import io
import subprocess
import tokenize
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENDORED = "app/web/static/vendor/"


@dataclass(frozen=True)
class File:
    """One file: its path from the root, with forward slashes, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree of a Python file."""
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of it: walking takes longer than parsing, and many rules look at all."""
        return list(ast.walk(self.tree))

    @cached_property
    def comments(self) -> dict[int, str]:
        """The comments of a Python file by line, without their #."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}

    @property
    def is_python(self) -> bool:
        """Whether the file is Python source."""
        return self.path.endswith(".py")

    def under(self, *starts: str) -> bool:
        """Whether the path begins with one of `starts`."""
        return self.path.startswith(starts)


Rule = Callable[[File], Iterable[str]]


def tracked_files(root: Path = ROOT) -> list[File]:
    """Every text file of the working tree that git tracks or does not ignore; vendored and binary ones left out."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listing, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    files = []
    for name in sorted(set(filter(None, names))):
        path = root / name
        if name.startswith(VENDORED) or not path.is_file():
            continue
        content = path.read_bytes()
        if b"\0" not in content:
            files.append(File(name, content.decode("utf-8", errors="replace")))
    return files


def broken(rule: Rule, files: Iterable[File]) -> list[str]:
    """What `rule` has to say about `files`: one line for each place, beginning with the path."""
    return [f"{file.path}: {complaint}" for file in files for complaint in rule(file)]
