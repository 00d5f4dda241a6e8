"""Each unsafe setting is refused by its name, and a service on one's own machine starts all the same."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.kit.acting import ITSELF
from app.kit.config import Settings
from app.kit.database import Database
from app.kit.vault import create_key_file
from app.upkeep import facts as gathering
from app.upkeep.facts import Facts, FileFacts, Store, gather, store_facts, unknown_settings
from app.upkeep.safety import ADVICE, REFUSED, judged, told
from tests.kit.test_durability import started
from tests.support.world import World
from tests.upkeep.test_commands import harmline

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
GOOD: dict[str, Any] = {
    "database_url": "postgresql://harmline:iwo84hfwo8hf3@db.example.org/alerts?ssl=verify-full",
    "key_file": "/etc/harmline/top.key",
    "backup_folder": "/srv/backups",
    "base_url": "https://alerts.example.org",
    "smtp_url": "smtps://user:password@mail.example.org:465",
    "mail_from": "alerts@example.org",
    "alarm_webhook_url": "https://alarms.example.org/in",
    "alarm_webhook_secret": SECRET,
    "security_contact": "mailto:security@example.org",
    "host": "10.0.0.2",
    "trusted_proxies": "10.0.0.1",
    "metrics_port": 9000,
}
PRIVATE, NOW = FileFacts(0o600, 1000), datetime(2026, 12, 1, tzinfo=UTC)
SQLITE = {"database_url": "sqlite:////var/lib/harmline/harmline.db"}


def facts(settings: dict[str, Any] | None = None, **change: Any) -> Facts:
    """A good installation in production, with something changed."""
    made = Settings(_env_file=None, **{**GOOD, **(settings or {})})
    good = Facts(
        settings=made,
        role="serve",
        now=NOW,
        euid=1000,
        key=PRIVATE,
        key_letters=30,
        key_folder=FileFacts(0o700, 1000),
        door_key=PRIVATE,
        door_key_letters=30,
        door_key_folder=FileFacts(0o700, 1000),
        disk=(10**11, 10**12),
        store=Store(revision=None, version=17, encoding="UTF8"),
    )
    return replace(good, **change)


UNSAFE: dict[str, list[Facts]] = {
    "plain http": [facts({"base_url": "http://alerts.example.org"}), facts({"base_url": "http://10.0.0.1:8000"})],
    "an address with a path": [facts({"base_url": "https://example.org/alerts"}), facts({"base_url": "https://a@example.org"})],
    "open to the net without TLS": [
        facts({"base_url": "http://localhost:8000", "host": host}) for host in ("0.0.0.0", "10.0.0.2")
    ],
    "no proxy named": [facts({"trusted_proxies": "127.0.0.1,::1"})],
    "everybody a proxy": [facts({"trusted_proxies": wide}) for wide in ("0.0.0.0/0", "10.0.0.1,::/0", "0.0.0.0/7")],
    "no key": [facts(key=None)],
    "a key that others read": [facts(key=FileFacts(mode, 1000)) for mode in (0o644, 0o640, 0o620, 0o601)],
    "somebody else's key": [facts(key=FileFacts(0o600, 1001))],
    "a key that can be replaced": [facts(key_folder=FileFacts(0o777, 0)), facts(key_folder=FileFacts(0o770, 1000))],
    "a weak key": [facts(key_letters=1), facts(key_letters=15)],
    "a key that goes with the next start": [
        facts({"key_file": path, "door_key_file": "/etc/harmline/door.key"}) for path in ("/tmp/top.key", "/dev/shm/k/top.key")
    ],
    "a door's key that others read": [facts(door_key=FileFacts(mode, 1000)) for mode in (0o644, 0o640, 0o620, 0o601)],
    "somebody else's door's key": [facts(door_key=FileFacts(0o600, 1001))],
    "a door's key that can be replaced": [facts(door_key_folder=FileFacts(mode, 1000)) for mode in (0o777, 0o770)],
    "a weak door's key": [facts(door_key_letters=1), facts(door_key_letters=15)],
    "a door's key that goes with the next start": [facts({"door_key_file": "/tmp/door.key"})],
    "keys among the backups": [
        facts({"backup_folder": "/etc"}),
        facts({"journal_file": "/srv/backups/list.jsonl"}),
        facts({"door_key_file": "/srv/backups/door.key"}),
    ],
    "a store that goes with the next start": [facts({"database_url": "sqlite:////tmp/x.db"})],
    "a store in memory": [facts({"database_url": "sqlite://"}), facts({"database_url": "sqlite:///:memory:"})],
    "a store that others read": [facts(SQLITE, store_file=FileFacts(0o644, 1000))],
    "SQLite for several processes": [facts(SQLITE, role="web"), facts(SQLITE, role="work")],
    "a password that can be guessed": [
        facts({"database_url": f"postgresql://harmline{password}@db.example.org/alerts?ssl=verify-full"})
        for password in ("", ":", ":changeme", ":harmline", ":alerts", ":short")
    ],
    "PostgreSQL in plain": [
        facts({"database_url": f"postgresql://harmline:iwo84hfwo8hf3@10.1.1.1/alerts{ssl}"})
        for ssl in ("", "?ssl=disable", "?ssl=prefer")
    ],
    "PostgreSQL does not flush": [facts({"unsafe_store": True})],
    "PostgreSQL too old": [facts(store=Store(version=14, encoding="UTF8"))],
    "PostgreSQL's letters": [facts(store=Store(version=17, encoding="SQL_ASCII"))],
    "PostgreSQL logs values": [facts(store=Store(version=17, encoding="UTF8", logs_values=True))],
    "an unfinished restore": [facts(store=Store(version=17, encoding="UTF8", restoring=True))],
    "a database of newer code": [facts(store=Store(version=17, encoding="UTF8", revision="9999"))],
    "nobody is told": [facts({"smtp_url": None, "alarm_webhook_url": None, "alarm_webhook_secret": None})],
    "no such mail server": [facts({"smtp_url": url}) for url in ("mail.example.org", "http://mail.example.org", "smtp://")],
    "a sender nobody can answer": [facts({"mail_from": "harmline@localhost"})],
    "an alarm secret that can be guessed": [facts({"alarm_webhook_secret": "whsec_" + base64.b64encode(b"harm" * 8).decode()})],
    "a talkative log": [facts({"log_level": "DEBUG"})],
    "metrics for everybody": [facts({"metrics_host": host}) for host in ("0.0.0.0", "::", "")],
    "one port for two": [facts({"metrics_port": 8000})],
    "guesses without a limit": [facts({"forged_rate": 0})],
    "sign-in mail without a limit": [facts({"sign_in_rate": 0})],
    "deliveries without a limit": [facts({"address_rate": 0})],
    "heads that take their time": [facts({"head_seconds": 61})],
    "bodies that take their time": [facts({"body_seconds": 901})],
    "a misspelt setting": [facts(unknown=("HARMLINE_SMPT_URL",))],
    "a key log": [facts(telling=("SSLKEYLOGFILE",)), facts(dev_mode=True)],
    "images of memory": [facts(core_limit=-1), facts(core_limit=1)],
    "root": [facts(euid=0, key=FileFacts(0o600, 0), door_key=FileFacts(0o600, 0))],
    "a clock out of its mind": [facts(now=datetime(year, 1, 1, tzinfo=UTC)) for year in (1970, 2026, 2100)],
    "no room": [facts(SQLITE, disk=(2**25, 10**12))],
}


def test_every_line_of_the_table_is_tried_and_there_are_enough() -> None:
    names = [check.name for check in REFUSED]
    assert len(names) == len(set(names)) >= 25
    assert set(names) == set(UNSAFE)


@pytest.mark.parametrize(("name", "number"), [(name, number) for name, found in UNSAFE.items() for number in range(len(found))])
def test_each_unsafe_setting_is_refused_by_its_name_and_nothing_else_is(name: str, number: int) -> None:
    unsafe = UNSAFE[name][number]
    (check,) = judged(unsafe, REFUSED)
    assert check.name == name
    said = told(check, unsafe)
    assert said.startswith(check.setting)
    assert check.mend in said
    assert "iwo84hfwo8hf3" not in said, "no value is repeated"


def test_the_door_alone_is_refused_no_missing_top_key_and_nothing_else_is_overlooked() -> None:
    alone = facts(role="door", key=None, key_letters=None, key_folder=None)
    assert judged(alone, REFUSED) == []
    assert [check.name for check in judged(replace(alone, role="web"), REFUSED)] == ["no key"]
    assert [check.name for check in judged(replace(alone, door_key=FileFacts(0o644, 1000)), REFUSED)] == [
        "a door's key that others read"
    ]


def test_an_installation_without_a_key_for_the_door_starts_and_is_advised() -> None:
    without = facts(door_key=None, door_key_letters=None)
    assert judged(without, REFUSED) == []
    (check,) = judged(without, ADVICE)
    assert told(check, without).startswith("HARMLINE_DOOR_KEY_FILE names no file")


def test_a_good_installation_is_refused_nothing() -> None:
    assert judged(facts(), REFUSED + ADVICE) == []
    assert judged(facts(SQLITE, store_file=PRIVATE, store=Store()), REFUSED + ADVICE) == []
    inside = facts({"host": "0.0.0.0", "metrics_host": "0.0.0.0", "trusted_proxies": "172.16.0.0/12"}, container=True)
    assert judged(inside, REFUSED) == []
    neighbour = facts({"database_url": "postgresql://harmline:iwo84hfwo8hf3@db/alerts"})
    assert judged(neighbour, REFUSED) == []


def test_a_service_on_ones_own_machine_is_refused_next_to_nothing() -> None:
    """Whatever `./run serve` and `./run demo` come with: the defaults, root, a rate of 0, a readable database."""
    plain = Settings(_env_file=None)
    own = Facts(plain, "serve", NOW, euid=0, key=PRIVATE, key_letters=30, store_file=FileFacts(0o644, 0), core_limit=-1)
    assert judged(own, REFUSED) == []
    busy = Settings(
        _env_file=None, log_level="DEBUG", sign_in_rate=0, forged_rate=0, unsafe_store=True, database_url="sqlite:////tmp/a.db"
    )
    assert judged(replace(own, settings=busy, unknown=("HARMLINE_X",), role="work"), REFUSED) == []
    assert [one.name for one in judged(replace(own, key=FileFacts(0o644, 0)), REFUSED)] == ["a key that others read"]
    container = Settings(_env_file=None, host="0.0.0.0")
    assert judged(replace(own, settings=container, container=True), REFUSED) == []


def test_names_that_set_nothing_are_found() -> None:
    known = {
        "HARMLINE_SMTP_URL": "",
        "HARMLINE_SETTING_KEY": "",
        "HARMLINE_POSTGRES_BIN": "",
        "HARMLINE_CONNECTION_RATE": "",
        "PATH": "",
    }
    assert unknown_settings(known) == ()
    assert unknown_settings(known | {"HARMLINE_SMPT_URL": "x"}) == ("HARMLINE_SMPT_URL",)


async def test_facts_are_what_is_so(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "keys" / "top.key"
    key.parent.mkdir(mode=0o750)
    key.write_bytes(base64.b64encode(b"k" * 32))
    key.chmod(0o640)
    monkeypatch.setenv("SSLKEYLOGFILE", "/x")
    config = world.context.settings.model_copy(update={"key_file": key})
    found = gather(config, "serve", await store_facts(config.database_url))
    assert found.key is not None
    assert (found.key.mode, found.key_letters, found.key_folder) == (0o640, 1, FileFacts(0o750, found.key.uid))
    assert "SSLKEYLOGFILE" in found.telling
    assert found.store is not None
    assert (found.store.revision is not None, found.store.restoring) == (True, False)
    if config.database_url.startswith("sqlite"):
        assert (found.store.version, found.store_file is not None, found.disk is not None) == (None, True, True)
    else:
        assert (found.store.version or 0) >= 15
        assert (found.store.encoding, found.store_file, found.disk) == ("UTF8", None, None)
        assert not found.store.logs_values


async def test_a_postgresql_that_logs_values_is_seen(world: World, database_kind: str) -> None:
    if database_kind == "sqlite":
        return
    for name, value, logs in (
        ("log_parameter_max_length_on_error", "-1", True),
        ("log_statement", "all", True),
        ("log_min_duration_statement", "100", True),
        ("log_statement", "ddl", False),
    ):
        assert await _asked_with(world, name, value) is logs, name


async def _asked_with(world: World, name: str, value: str) -> bool:
    """What is found when one setting is other than it is: set for this transaction alone."""
    owner = Database(world.owner_url, ITSELF)
    async with owner.begin(read_only=True) as tx:
        await tx.execute(gathering.text(f"SET LOCAL {name} = '{value}'"))
        found = await gathering._asked(tx, postgres=True)
    await owner.close()
    return found.logs_values


@pytest.mark.parametrize("command", ["serve", "work"])
def test_neither_web_nor_work_gets_anywhere(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "top.key"
    create_key_file(key)
    key.chmod(0o640)
    result, got_to = started(monkeypatch, tmp_path, command, f"sqlite+aiosqlite:///{tmp_path}/x.db")
    assert (result.exit_code, got_to) == (1, [])
    assert "Not started: HARMLINE_KEY_FILE can be read or written by others. chmod 600 the file." in result.stderr
    key.chmod(0o600)
    result, got_to = started(monkeypatch, tmp_path, command, f"sqlite+aiosqlite:///{tmp_path}/x.db")
    assert (result.exit_code, bool(got_to)) == (0, True)


@pytest.mark.slow
def test_the_program_does_not_start_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/harmline.db"
    assert harmline(tmp_path, url, "keys", "create").returncode == 0
    (tmp_path / "keys" / "top.key").chmod(0o644)
    for command in ("serve", "work", "doctor"):
        assert not (tmp_path / "harmline.db").exists()
        refused = harmline(tmp_path, url, command)
        assert refused.returncode == 1
        said = refused.stdout + refused.stderr  # the doctor cannot even open what is open to everybody
        assert "HARMLINE_KEY_FILE can be read or written by others. chmod 600" in said or "is open to everybody" in said
        assert "Traceback" not in refused.stderr
    (tmp_path / "keys" / "top.key").chmod(0o600)
    monkeypatch.setenv("HARMLINE_BASE_URL", "http://alerts.example.org")
    refused = harmline(tmp_path, url, "serve")
    assert refused.returncode == 1
    assert "Not started: HARMLINE_BASE_URL is http://" in refused.stderr
