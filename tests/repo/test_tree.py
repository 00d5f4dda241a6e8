"""Documents, vendored files, migrations and licences keep the house rules; each rule is shown to fire."""

import hashlib
from pathlib import Path

import pytest

from tests.repo import tree_rules as tree
from tests.repo.tree import ROOT, VENDORED


def write(root: Path, path: str, text: str) -> Path:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return target


def test_every_link_in_the_documents_leads_somewhere() -> None:
    assert tree.dead_links(ROOT) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    write(tmp_path, "docs/there.md", "[up](../README.md#top) [web](https://example.org/x) [here](#here)")
    write(tmp_path, "README.md", "[a](docs/there.md) ![b](docs/screens/gone.png)\n```\n[c](in/code.md)\n```\n")
    assert tree.dead_links(tmp_path) == ["README.md: docs/screens/gone.png"]


def test_every_room_has_its_place_in_the_plan() -> None:
    assert tree.rooms_without_a_place(ROOT) == []


def test_a_room_without_a_place_is_found(tmp_path: Path) -> None:
    for room in ("kit", "ledger", "attic"):
        write(tmp_path, f"app/{room}/__init__.py", "")
    assert tree.rooms_without_a_place(tmp_path) == ["attic", "kit", "ledger"]
    write(tmp_path, "docs/architecture.md", "[kit](../app/kit/) and [ledger](../app/ledger); attic is only named")
    assert tree.rooms_without_a_place(tmp_path) == ["attic"]


def test_the_plan_tells_of_each_room_once_and_leads_to_every_document() -> None:
    assert tree.rooms_told_of_twice(ROOT) == []
    assert tree.documents_not_led_to(ROOT) == []
    assert tree.names_unknown(ROOT) == []


def test_a_plan_that_is_out_of_date_is_found(tmp_path: Path) -> None:
    write(tmp_path, "app/main.py", "class Workers:\n    async def tick(self) -> None: ...\n")
    write(tmp_path, "docs/running.md", "Run it.")
    write(tmp_path, "docs/linkage.md", "Links.")
    rooms = "| [kit](../app/kit/) | Keys |\n" * 2 + "| [web](../app/web/) | Pages |\n"
    told = "`Workers.tick`, `ask_tick` and `Workers` in [main.py](../app/main.py)\n"
    plan = f"# Plan\n\n{rooms}\n{told}See [running](running.md).\n\n## Further reading\n\n[links](linkage.md)\n"
    write(tmp_path, "docs/architecture.md", plan)
    assert tree.rooms_told_of_twice(tmp_path) == ["kit"]
    assert tree.documents_not_led_to(tmp_path) == ["running.md"]
    assert tree.names_unknown(tmp_path) == ["architecture.md: ask_tick"]


def test_vendored_files_are_the_ones_listed() -> None:
    assert tree.vendored_files_amiss(ROOT / VENDORED) == []


def test_a_vendored_file_amiss_is_found(tmp_path: Path) -> None:
    write(tmp_path, "kept.js", "1")
    write(tmp_path, "changed.js", "2")
    write(tmp_path, "stray.js", "3")
    entry = '[[file]]\npath = "{}"\nname = "n"\nversion = "1"\nlicence = "{}"\nsha256 = "{}"\n'
    right = hashlib.sha256(b"1").hexdigest()
    entries = [("kept.js", "MIT", right), ("changed.js", "MIT", right), ("gone.js", "", right)]
    write(tmp_path, "VENDOR.toml", "".join(entry.format(*facts) for facts in entries))
    assert tree.vendored_files_amiss(tmp_path) == [
        "gone.js: no licence",
        "stray.js: not listed in VENDOR.toml",
        "gone.js: listed, but not there",
        "changed.js: not the bytes that VENDOR.toml names",
    ]


def test_the_migrations_have_one_head() -> None:
    assert len(tree.migration_heads(ROOT / "migrations")) == 1


def test_two_heads_are_found(tmp_path: Path) -> None:
    for name, parent in (("a", None), ("b", "a"), ("c", "a")):
        write(tmp_path, f"versions/{name}.py", f"revision = {name!r}\ndown_revision = {parent!r}\n")
    assert sorted(tree.migration_heads(tmp_path)) == ["b", "c"]


def test_no_locked_package_is_under_the_gpl() -> None:
    names = tree.locked_here((ROOT / "requirements.lock").read_text())
    assert len(names) > 20
    assert tree.licences_amiss(names) == []


@pytest.mark.parametrize(
    ("licence", "strong"),
    [
        ("GPL-3.0-or-later", True),
        ("AGPL-3.0-only", True),
        ("GNU General Public License v2 (GPLv2)", True),
        ("GPL", True),
        ("MIT AND GPL-2.0-only", True),
        ("LGPL-3.0-or-later", False),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
        ("MPL-2.0", False),
        ("GPL-2.0-only OR MIT", False),
        ("BSD-3-Clause AND GPL-3.0-or-later WITH GCC-exception-3.1", False),
    ],
)
def test_the_gpl_is_recognised(licence: str, strong: bool) -> None:
    assert tree.is_strong_copyleft(licence) is strong


def test_what_is_asked_of_a_package() -> None:
    classifiers = ["License :: OSI Approved :: GNU General Public License v3 (GPLv3)", "Programming Language :: Python"]
    assert tree.is_strong_copyleft(tree.licence_of(None, classifiers, None))
    assert tree.licence_of("MIT", classifiers, None) == "MIT"
    assert tree.licence_of(None, [], "BSD-3-Clause\nand its whole text") == "BSD-3-Clause"
    assert tree.licences_amiss(["no-such-package-here"]) == ["no-such-package-here: in the lock, but not installed here"]
    lock = 'a==1 \\\n    --hash=sha256:00\n    # via b\nb==2 ; sys_platform == "nowhere" \\\n    --hash=sha256:00\n'
    assert tree.locked_here(lock) == ["a"]
