"""`harmline keys`: made, handed out in shares, tried, recovered, replaced; and production does not start before it was tried."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import Result

from app import cli
from app.kit import migrate
from app.kit.config import settings
from app.kit.vault import fingerprint, read_key_file
from tests.support.commands import done, run


def share_files(folder: Path, *numbers: int) -> list[str]:
    return [str(folder / f"share-{number}.txt") for number in numbers]


def starts(monkeypatch: pytest.MonkeyPatch, command: str) -> tuple[Result, list[str]]:
    """What a start said, and how far it got."""
    got_to: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(cli.schema, "upgrade", lambda _: None)
        patched.setattr(cli.Server, "run", lambda self: (got_to.append("served"), setattr(self, "started", True)))
        patched.setattr(cli, "work_until_stopped", lambda _: got_to.append("worked"))
        patched.setattr(cli.uvloop, "run", lambda _: None)
        patched.setattr(cli, "configure", lambda _: None)
        return run(command), got_to


def test_indexes_get_a_new_key(home: Path) -> None:
    done("keys", "create")
    union = done("organization", "Union", "--admin", "admin@example.org")["organization"]
    index = run("keys", "rotate", "--indexes")
    assert (index.exit_code, json.loads(index.stdout)) == (0, {"left": {}}), index.output
    assert "member.external_index: version 2 made" in index.stderr
    assert "connections: version 2 made" in index.stderr
    there = {"version": 2, "left": 0}
    of_one = dict.fromkeys(("member.external_index", "connections", "provider_link.subject_index"), there)
    assert done("keys", "status")["indexes"] == {"all": {"account.email_index": there}, union: of_one}
    index = run("keys", "rotate", "--indexes", "--organization", union)
    assert (index.exit_code, json.loads(index.stdout)) == (0, {"left": {}}), index.output
    assert done("keys", "status")["indexes"]["all"] == {"account.email_index": there}, "that is nobody's alone"
    assert run("keys", "rotate", "--indexes", "--organization", str(UUID(int=1))).exit_code == 1


def test_from_the_first_key_to_the_next(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What docs/keys.md tells to do, in its order."""
    assert "made" in done("keys", "create")
    again = run("keys", "create")
    assert (again.exit_code, "stays as it is" in again.output) == (1, True)
    (key,) = read_key_file(home / "top.key")
    for command in ("serve", "work"):
        refused, got_to = starts(monkeypatch, command)
        assert (refused.exit_code, got_to) == (1, [])
        assert f"nobody has tried to recover the top key {fingerprint(key)}" in refused.stderr
        assert "`harmline keys escrow --shares 5 --needed 3`" in refused.stderr
        assert "`harmline keys confirm`" in refused.stderr
    first = home / "shares"
    done("keys", "escrow", "--shares", "5", "--needed", "3", "--into", str(first))
    assert {stat.S_IMODE(path.stat().st_mode) for path in first.iterdir()} == {0o600}
    few = run("keys", "confirm", *share_files(first, 1, 2))
    assert (few.exit_code, "3 different ones are needed" in few.output) == (1, True)
    assert starts(monkeypatch, "serve")[1] == []
    assert fingerprint(key) in done("keys", "confirm", *share_files(first, 5, 1, 3))
    assert "recover" not in starts(monkeypatch, "serve")[0].stderr
    assert "recover" not in starts(monkeypatch, "work")[0].stderr

    (home / "top.key").unlink()
    assert fingerprint(key) in done("keys", "recover", *share_files(first, 2, 3, 4))
    assert read_key_file(home / "top.key") == (key,)
    assert run("keys", "recover", *share_files(first, 2, 3, 4)).exit_code == 1

    union = done("organization", "Union", "--admin", "admin@example.org")["organization"]
    told = run("keys", "rotate", "--organization", union)
    assert (told.exit_code, json.loads(told.stdout)) == (0, {"left": {}}), told.output
    assert "factual: everything is under version 2" in told.stderr
    assert "left" in done("keys", "rotate")
    found = done("keys", "status")
    assert found["organizations"][union] == {lane: {"versions": [3], "left": {}} for lane in ("factual", "counsel")}
    assert found["top_keys"] == [{"top_key": fingerprint(key), "recovery_confirmed": True}]

    waits = run("keys", "rotate", "--top")
    assert waits.exit_code == 1
    assert "Hand out its shares" in waits.stderr
    new, old = read_key_file(home / "top.key")
    assert old == key
    assert "recover" not in starts(monkeypatch, "serve")[0].stderr, "nothing hangs on the new one yet"
    second = home / "shares-2"
    done("keys", "escrow", "--into", str(second))
    done("keys", "confirm", *share_files(second, 1, 2, 3))
    assert done("keys", "rotate", "--top") == {"top_key": fingerprint(new), "wrapped": 4}
    assert read_key_file(home / "top.key") == (new,)
    assert "recover" not in starts(monkeypatch, "serve")[0].stderr
    foreign = run("keys", "confirm", *share_files(first, 1, 2, 3))
    assert (foreign.exit_code, "not one of this service" in foreign.output) == (1, True)


def test_the_door_is_given_a_key_where_it_has_none_and_another_when_it_is_time(home: Path) -> None:
    done("keys", "create")
    assert read_key_file(home / "door.key") != read_key_file(home / "top.key")
    (home / "door.key").unlink()
    done("organization", "Union", "--admin", "admin@example.org")
    assert done("keys", "status")["door_key"] == {"file": None, "in_use": []}
    made = run("keys", "door")
    assert (made.exit_code, "door.key made" in made.stderr) == (0, True), made.output
    first = read_key_file(home / "door.key")
    assert json.loads(made.stdout) == {"door_key": fingerprint(first[0]), "organizations": 1}
    assert done("keys", "door") == {"door_key": fingerprint(first[0]), "organizations": 0}
    assert done("keys", "status")["door_key"] == {"file": fingerprint(first[0]), "in_use": [fingerprint(first[0])]}
    replaced = done("keys", "door", "--replace")
    (second,) = read_key_file(home / "door.key")
    assert second not in first
    assert replaced == {"door_key": fingerprint(second), "organizations": 1}
    (home / "door.key").unlink()
    refused = run("keys", "rotate")
    assert (refused.exit_code, "HARMLINE_DOOR_KEY_FILE" in refused.output) == (1, True)
    assert done("keys", "door")["organizations"] == 1, "lost, and made anew"
    assert "left" in done("keys", "rotate")


def test_without_the_top_key_the_web_takes_deliveries_in_and_no_worker_starts(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARMLINE_BASE_URL", "http://localhost:8000")
    settings.cache_clear()
    done("keys", "create")
    migrate.upgrade(settings().database_url)
    (home / "top.key").rename(home / "elsewhere")
    factories: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(cli.Server, "__init__", lambda self, config: factories.append(config.app))
        refused, got_to = starts(monkeypatch, "work")
        assert (refused.exit_code, got_to) == (1, [])
        alone = run_serve(patched, "serve", "--no-work")
        assert alone.exit_code == 0, alone.output
        assert "top.key is not here" in alone.stderr
        assert not (home / "top.key").exists(), "none is made in its place"
        (home / "elsewhere").rename(home / "top.key")
        assert run_serve(patched, "serve", "--no-work").exit_code == 0
    assert factories == ["app.main:create_door", "app.main:create_web"]


def run_serve(patched: pytest.MonkeyPatch, *command: str) -> Result:
    patched.setattr(cli.Server, "run", lambda self: setattr(self, "started", True))
    patched.setattr(cli, "configure", lambda _: None)
    return run(*command)


def test_shares_may_be_printed_and_typed_and_are_not_shown_again(home: Path) -> None:
    done("keys", "create")
    printed = run("keys", "escrow", "--shares", "2", "--needed", "2")
    shares = [block.partition("\n")[2].strip() for block in printed.stdout.strip().split("\n\n")]
    assert len(shares) == 2
    typed = run("keys", "confirm", input="\n".join([*shares, "", ""]))
    assert typed.exit_code == 0, typed.output
    assert shares[0] not in typed.output
    assert run("keys", "escrow", "--shares", "2", "--needed", "1").exit_code == 1


def test_on_this_machine_it_starts_without(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARMLINE_BASE_URL", "http://localhost:8000")
    settings.cache_clear()
    assert starts(monkeypatch, "serve")[1] == ["served"]
    assert starts(monkeypatch, "work")[1] == ["worked"]
    done("organization", "Union", "--admin", "admin@example.org")
    prepared = done("keys", "rotate", "--top", "--prepare")
    assert (prepared["confirmed"], len(read_key_file(home / "top.key"))) == (True, 2)
    assert done("keys", "rotate", "--top")["wrapped"] == 2
    assert len(read_key_file(home / "top.key")) == 1


@pytest.mark.long
def test_an_encrypted_file_is_made_and_opened_by_the_settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passphrase = home / "passphrase"
    passphrase.write_text("invented passphrase\n")
    passphrase.chmod(0o600)
    monkeypatch.setenv("HARMLINE_KEY_PASSPHRASE_FILE", str(passphrase))
    settings.cache_clear()
    done("keys", "create")
    assert (home / "top.key").read_bytes().startswith(b"age-encryption.org/v1")
    done("organization", "Union", "--admin", "admin@example.org")
    monkeypatch.delenv("HARMLINE_KEY_PASSPHRASE_FILE")
    settings.cache_clear()
    refused, got_to = starts(monkeypatch, "serve")
    assert (refused.exit_code, got_to) == (1, [])
    assert "HARMLINE_KEY_PASSPHRASE_FILE" in refused.stderr
    (home / "top.key").chmod(0o644)
    open_to_all, got_to = starts(monkeypatch, "serve")
    assert (open_to_all.exit_code, got_to, "chmod 600" in open_to_all.stderr) == (1, [], True)
    monkeypatch.setenv("HARMLINE_KEY_PASSPHRASE_FILE", "a")
    monkeypatch.setenv("HARMLINE_KEY_IDENTITY_FILE", "b")
    settings.cache_clear()
    both = run("keys", "status")
    assert (both.exit_code, "set one" in both.stderr) == (2, True)


def test_nobody_rotates_an_organization_that_is_not_there(home: Path) -> None:
    done("keys", "create")
    migrate.upgrade(settings().database_url)
    wrong = run("keys", "rotate", "--organization", "00000000-0000-0000-0000-000000000007")
    assert (wrong.exit_code, "no organization with this id" in wrong.output) == (1, True)
