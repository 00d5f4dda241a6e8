"""The house rules that are not about Python code: texts, documents, vendored files, migrations, licences, floors."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution, metadata
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from packaging.requirements import Requirement

from tests.repo.code_rules import LOOSE_ENDS
from tests.repo.tree import File

# In two halves, so that this file keeps the rule too.
REGISTRY_HOSTS = ("files.python" + "hosted", "pypi.org/" + "simple", "registry." + "npmjs", "deb." + "debian")
MACHINE_PATHS = ("/wo" + "rk/", "/ro" + "ot/", "/opt/" + "pypi")
GENERATED = ("requirements.lock", "requirements-dev.lock", "requirements-uv.lock", "LICENSE")
VENDOR_FACTS = ("path", "name", "version", "licence", "sha256")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_NAMED_IN = re.compile(r"((?:`[\w.]+`(?:, | and )?)+) in \[[^\]]*\]\(([^()\s]+\.py)\)")
_MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software"
_STRONG_COPYLEFT = re.compile(r"(?<![A-Z])A?GPL|(?<!Lesser )General Public License", re.IGNORECASE)


def no_registry_hosts(file: File) -> Iterator[str]:
    """No address of a package registry: where packages come from is each machine's own business."""
    for number, line in enumerate(file.text.splitlines(), 1):
        yield from (f"{number}: names {host}" for host in REGISTRY_HOSTS if host in line)


def no_machine_paths(file: File) -> Iterator[str]:
    """No path that exists only on the machine where a line was written."""
    for number, line in enumerate(file.text.splitlines(), 1):
        for path in MACHINE_PATHS:
            if re.search(rf"(?<![\w.}}]){re.escape(path)}", line):
                yield f"{number}: names {path}"


def no_notes_in_texts(file: File) -> Iterator[str]:
    """No note to do something later in documents, pages, styles, scripts and data."""
    if file.is_python or file.path in GENERATED:
        return
    for number, line in enumerate(file.text.splitlines(), 1):
        if re.search(rf"\b({'|'.join(LOOSE_ENDS)})\b(?!-)", line):
            yield f"{number}: a note instead of the work"


def _targets(path: Path) -> Iterator[str]:
    """The files that a Markdown document links to, as written, without anchors; addresses elsewhere left out."""
    for target in _LINK.findall(_FENCE.sub("", path.read_text(encoding="utf-8"))):
        if not re.match(r"[a-z+]+:|#", target):
            yield target.partition("#")[0]


def dead_links(root: Path) -> list[str]:
    """Links in README.md, the other documents of the root and docs/ to files that do not exist."""
    documents = sorted([*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("connectors/*/*.md")])
    return [
        f"{document.relative_to(root)}: {target}"
        for document in documents
        for target in _targets(document)
        if not (document.parent / target).exists()
    ]


def rooms_without_a_place(root: Path) -> list[str]:
    """Rooms of app/ to which docs/architecture.md has no link."""
    plan = root / "docs" / "architecture.md"
    linked = {(plan.parent / target).resolve() for target in _targets(plan)} if plan.exists() else set()
    rooms = sorted(path.parent for path in root.glob("app/*/__init__.py"))
    return [room.name for room in rooms if room.resolve() not in linked]


def rooms_told_of_twice(root: Path) -> list[str]:
    """Rooms that have more than one row in a table of docs/architecture.md."""
    rows = Counter(re.findall(r"^\| \[(\w+)\]", (root / "docs" / "architecture.md").read_text(encoding="utf-8"), re.MULTILINE))
    return sorted(room for room, times in rows.items() if times > 1)


def documents_not_led_to(root: Path) -> list[str]:
    """Documents of docs/ to which the last section of docs/architecture.md, where to read on, has no link."""
    plan = root / "docs" / "architecture.md"
    further = plan.read_text(encoding="utf-8").rpartition("\n## ")[2]
    linked = {target.partition("#")[0] for target in _LINK.findall(further)}
    return sorted(path.name for path in plan.parent.glob("*.md") if path != plan and path.name not in linked)


def names_unknown(root: Path) -> list[str]:
    """Functions that a document of docs/ says are "in" a linked file and that the file does not define: `f` in [x](x.py)."""
    found = []
    for document in sorted(root.glob("docs/**/*.md")):
        for names, target in _NAMED_IN.findall(document.read_text(encoding="utf-8")):
            code = (document.parent / target).read_text(encoding="utf-8")
            called = [name.rpartition(".")[2] for name in re.findall(r"`([\w.]+)`", names)]
            found += [f"{document.name}: {name}" for name in called if not re.search(rf"(def|class) {name}\b", code)]
    return found


def vendored_files_amiss(folder: Path) -> list[str]:
    """Files of `folder` that VENDOR.toml does not list with path, name, version, licence and the right SHA-256."""
    if not folder.is_dir():
        return []
    listing = folder / "VENDOR.toml"
    entries = tomllib.loads(listing.read_text(encoding="utf-8")).get("file", []) if listing.exists() else []
    complaints = [f"{entry.get('path', '?')}: no {fact}" for entry in entries for fact in VENDOR_FACTS if not entry.get(fact)]
    listed = {entry["path"]: entry.get("sha256") for entry in entries if "path" in entry}
    present = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    present.pop("VENDOR.toml", None)
    complaints += [f"{name}: not listed in VENDOR.toml" for name in sorted(present.keys() - listed.keys())]
    complaints += [f"{name}: listed, but not there" for name in sorted(listed.keys() - present.keys())]
    for name in sorted(present.keys() & listed.keys()):
        if hashlib.sha256(present[name].read_bytes()).hexdigest() != listed[name]:
            complaints.append(f"{name}: not the bytes that VENDOR.toml names")
    return complaints


def migration_heads(migrations: Path) -> list[str]:
    """The newest revisions of the migrations; more than one means that two lines of work were never joined."""
    return list(ScriptDirectory(str(migrations)).get_heads())


def locked_here(lock: str) -> list[str]:
    """Names of the packages in the text of a lock file that belong on this machine (their markers hold)."""
    lines = [line.removesuffix("\\").strip() for line in lock.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    wanted = [Requirement(line) for line in lines]
    return [item.name for item in wanted if item.marker is None or item.marker.evaluate()]


def licence_of(expression: str | None, classifiers: Iterable[str], stated: str | None) -> str:
    """What a package says of its licence: the SPDX expression, else its classifiers and the first line of its statement."""
    if expression:
        return expression
    named = [text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License ::")]
    return " AND ".join(filter(None, [*named, (stated or "").strip().partition("\n")[0]]))


def is_strong_copyleft(licence: str) -> bool:
    """Whether every way to take the licence is GPL or AGPL. LGPL and MPL are fine, and so is "GPL OR MIT".

    GPL with the GCC runtime exception is fine too: it was written to let any program carry the runtime library.
    """
    ways = re.split(r"\s+OR\s+", re.sub(r"GPL-[\w.-]+ WITH GCC-exception-[\w.]+", "permitted", licence).strip("() "))
    return all(_STRONG_COPYLEFT.search(way) for way in ways)


def _shipped(name: str) -> str:
    """The licence that a package ships as a text, where that is one that is known by its words; some name it nowhere else."""
    found = distribution(name)
    texts = [found.locate_file(path) for path in found.files or [] if path.name.upper().startswith(("LICENSE", "LICENCE"))]
    known = [text for text in texts if _MIT in " ".join(Path(str(text)).read_text(encoding="utf-8").split())]
    return "MIT" if len(known) == len(texts) == 1 else ""


def licences_of(names: Iterable[str]) -> dict[str, str]:
    """The licence of each package; empty when it states none. Packages that are not installed are left out."""
    found = {}
    for name in names:
        try:
            facts: dict[str, Any] = metadata(name).json
        except PackageNotFoundError:
            continue
        stated = licence_of(facts.get("license_expression"), facts.get("classifier", []), facts.get("license"))
        found[name] = stated or _shipped(name)
    return found


def licences_amiss(names: Iterable[str]) -> list[str]:
    """Packages that state no licence, cannot be taken but under the GPL, or are not installed to be asked."""
    names = list(names)
    found = licences_of(names)
    complaints = []
    for name in names:
        if name not in found:
            complaints.append(f"{name}: in the lock, but not installed here")
        elif not found[name]:
            complaints.append(f"{name}: states no licence")
        elif is_strong_copyleft(found[name]):
            complaints.append(f"{name}: {found[name]}")
    return complaints


def floors(root: Path) -> subprocess.CompletedProcess[str]:
    """import-linter's verdict on the tree at `root`, by the contracts in its pyproject.toml."""
    program = Path(sys.executable).with_name("lint-imports")
    environment = {"PYTHONPATH": str(root), "COLUMNS": "200"}
    return subprocess.run([str(program), "--no-cache"], cwd=root, env=environment, capture_output=True, text=True, check=False)
