"""Settings are read from the environment; a wrong one stops the start, is named, and its value is not repeated."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr, ValidationError

from app.kit.config import Settings

CANARY = "hunter2-canary"


def made(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(f"HARMLINE_{name.upper()}", value)
    return Settings(_env_file=None)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("sqlite:///var/x.db", "sqlite+aiosqlite:///var/x.db"),
        ("sqlite+aiosqlite:///x.db", "sqlite+aiosqlite:///x.db"),
        ("postgres://u:p@host/db", "postgresql+asyncpg://u:p@host/db"),
        ("postgresql://u:p@host/db", "postgresql+asyncpg://u:p@host/db"),
        ("postgresql+asyncpg://u:p@host/db", "postgresql+asyncpg://u:p@host/db"),
    ],
)
def test_a_database_address_may_be_written_as_people_write_it(monkeypatch: pytest.MonkeyPatch, given: str, used: str) -> None:
    assert made(monkeypatch, database_url=given).database_url == used


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database_url", f"mysql://user:{CANARY}@host/db"),
        ("database_url", ""),
        ("database_url", f"postgresql+psycopg://user:{CANARY}@host/db"),
        ("base_url", CANARY),
        ("base_url", ""),
        ("base_url", f"ftp://{CANARY}"),
        ("port", "0"),
        ("port", "65536"),
        ("port", CANARY),
        ("worker_interval", "0"),
        ("worker_interval", "61"),
        ("worker_interval", "-1"),
        ("mail_from", ""),
        ("trusted_proxies", "*"),
        ("trusted_proxies", ""),
        ("dns_servers", f"127.0.0.1,{CANARY}"),
        ("dns_servers", "127.0.0.1:99999"),
        ("trusted_proxies", f"10.0.0.1,{CANARY}"),
    ],
)
def test_a_wrong_value_is_refused_named_and_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ValidationError) as refused:
        made(monkeypatch, **{name: value})
    assert name in str(refused.value)
    assert CANARY not in str(refused.value)


def test_the_origin_has_no_path_and_https_is_known_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert made(monkeypatch, base_url="https://alerts.example.org/").origin == "https://alerts.example.org"
    assert made(monkeypatch, base_url="https://alerts.example.org/").https
    assert not made(monkeypatch, base_url="http://localhost:8000").https


def test_the_mail_servers_password_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    config = made(monkeypatch, smtp_url=f"smtp://user:{CANARY}@host:25")
    assert isinstance(config.smtp_url, SecretStr)
    assert CANARY not in repr(config)


KEY = "witness.example/w1+4f13c2a0+BOvuZmmLLEoVTHDJ1bYSPZVhLRJlqBiZhpdVmlGqHn7R"
WITNESS = {"url": "https://witness.example/union/", "key": KEY}
AUTHORITY = {"url": "https://stamps.example/tsr", "roots": "/etc/harmline/stamps.pem"}


def test_who_attests_the_ledger_is_named_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    one = "0195b3a4-7c1e-7d30-8b0a-5b7e3f2a9c11"
    config = made(
        monkeypatch,
        timestamp_authorities=json.dumps({"stamps": AUTHORITY}),
        ledger_witnesses=json.dumps({"local-12": {**WITNESS, "organizations": [one]}, "notary": {**WITNESS, "key": f"n-{KEY}"}}),
    )
    assert config.timestamp_authorities["stamps"].url == "https://stamps.example/tsr"
    assert config.timestamp_every == 24
    assert config.ledger_witnesses["notary"].url == "https://witness.example/union"
    others, notary = uuid4(), config.ledger_witnesses["notary"]
    assert notary.follows(others)
    assert (config.ledger_witnesses["local-12"].follows(UUID(one)), config.ledger_witnesses["local-12"].follows(others)) == (
        True,
        False,
    )


def test_nobody_attests_it_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    config = made(monkeypatch)
    assert (config.timestamp_authorities, config.ledger_witnesses) == ({}, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timestamp_authorities", {"a b": AUTHORITY}),
        ("timestamp_authorities", {"../a": AUTHORITY}),
        ("timestamp_authorities", {"stamps": {**AUTHORITY, "url": f"http://stamps.example/{CANARY}"}}),
        ("timestamp_authorities", {"stamps": {**AUTHORITY, "url": "https://10.0.0.1/"}}),
        ("timestamp_authorities", {"stamps": {"url": "https://stamps.example"}}),
        ("timestamp_authorities", {"stamps": {**AUTHORITY, "rots": CANARY}}),
        ("ledger_witnesses", {"w": {**WITNESS, "key": CANARY}}),
        ("ledger_witnesses", {"w": {**WITNESS, "url": f"https://{CANARY}@witness.example"}}),
        ("ledger_witnesses", {"w": {**WITNESS, "organizations": [CANARY]}}),
        ("ledger_witnesses", [CANARY]),
        ("ledger_witnesses", {"w": WITNESS, "the same": WITNESS}),
        ("ledger_witnesses", {"one": WITNESS, "two": WITNESS}),
        ("timestamp_every", 0),
        ("timestamp_every", 745),
    ],
)
def test_a_wrong_attester_is_refused_named_and_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        made(monkeypatch, **{name: json.dumps(value)})
    assert name in str(refused.value)
    assert CANARY not in str(refused.value)
