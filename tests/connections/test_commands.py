"""The command line: connections asked and managed, secrets never as arguments; connectors listed, tried and begun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import pytest
from typer.testing import CliRunner

from app import operations
from app.cli import cli
from app.connections import managing
from app.connector_commands import tried, write_folder
from app.kit import clock, migrate
from app.kit.config import settings
from app.kit.errors import Problem
from app.kit.vault import create_key_file
from connectors.docs import BEGIN, END
from connectors.registry import registry
from connectors.sandboxing import Fault
from connectors.standard.connector import Standard
from tests.intake.polled import Polled, polled_world
from tests.repo.tree import ROOT
from tests.support.world import World, alert

RUNNER = CliRunner()


pytestmark = pytest.mark.usefixtures("logs_as_before")


@pytest.fixture
async def polled(world: World) -> AsyncIterator[Polled]:
    async with polled_world(world) as made:
        yield made


async def test_asking_by_hand_says_what_was_kept_and_how_it_went(polled: Polled) -> None:
    context = polled.world.context
    polled.provider.add(clock.now())
    first = await operations.ask_provider(context, polled.connection_id, sweep=False)
    assert (first["asked"], first["new_answers"], first["state"], await polled.alerts()) == (True, 1, "ok", 1)
    again = await operations.ask_provider(context, polled.connection_id, sweep=True)
    assert (again["new_answers"], again["answers_seen_before"], await polled.alerts()) == (0, 1, 1)
    polled.provider.misbehave(Fault.REFUSED, times=20)
    failed = await operations.ask_provider(context, polled.connection_id, sweep=False)
    assert (failed["asked"], failed["state"]) == (True, "credentials")
    polled.provider.behave()
    back = await operations.ask_provider(context, polled.connection_id, sweep=False)
    assert back["state"] == "ok", "a person need not wait for the breaker"


async def test_every_act_works_without_a_session(polled: Polled) -> None:
    context, connection_id = polled.world.context, polled.connection_id
    assert (await operations.act_on_connection(context, connection_id, managing.pause))["paused_at"]
    with pytest.raises(Problem, match="paused"):
        await operations.ask_provider(context, connection_id, sweep=False)
    assert (await operations.act_on_connection(context, connection_id, managing.resume))["paused_at"] is None
    health = {one["connection_id"]: one["state"] for one in await operations.connection_health(context, polled.world.union.id)}
    assert health[str(connection_id)] == "never"
    assert (await operations.act_on_connection(context, connection_id, managing.close))["closed_at"]
    own = polled.world.union.connection
    made = await operations.rotate_secret(context, own.connection.id, None, 0)
    assert (await polled.world.deliver(alert(), secret=own.secret)).status_code == 401
    assert (await polled.world.deliver(alert(), secret=made["secret"])).status_code == 202
    listed = await operations.list_connections(context, polled.world.union.id)
    assert own.secret not in str(listed)
    assert len(listed) == 2


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A migrated database of the command line's own; the organization's id."""
    url = f"sqlite:///{tmp_path / 'harmline.db'}"
    monkeypatch.setenv("HARMLINE_DATABASE_URL", url)
    monkeypatch.setenv("HARMLINE_KEY_FILE", str(tmp_path / "top.key"))
    settings.cache_clear()
    create_key_file(tmp_path / "top.key")
    migrate.upgrade(settings().database_url)
    made = RUNNER.invoke(cli, ["organization", "Union", "--admin", "admin@example.org"])
    assert made.exit_code == 0, made.output
    yield json.loads(made.stdout)["organization"]
    settings.cache_clear()


def added(home: str, *arguments: str, **more: Any) -> Any:
    base = ["connections", "add", "--organization", home, "--title", "Watch", "--sender", "provider"]
    return RUNNER.invoke(cli, [*base, *arguments], **more)


def test_a_secret_comes_by_the_environment_or_by_hand_and_never_as_an_argument(home: str) -> None:
    refused = added(home, "--connector", "hibp", "--setting", "api_key=hush-1")
    assert refused.exit_code == 2
    assert "hush-1" not in refused.output
    asked = added(home, "--connector", "hibp", input="hush-2\n")
    assert asked.exit_code == 0, asked.output
    assert "hush-2" not in asked.output
    told = added(home, "--connector", "hibp", env={"HARMLINE_SETTING_API_KEY": "hush-3"})
    assert told.exit_code == 0, told.output
    address = added(
        home, "--connector", "hibp", "--setting", "base_url=https://127.0.0.1", env={"HARMLINE_SETTING_API_KEY": "hush-4"}
    )
    assert address.exit_code == 1
    assert "settings.base_url" in address.output
    unknown = added(home, "--connector", "hibp", "--setting", "colour=red")
    assert unknown.exit_code == 2
    assert added(home, "--connector", "unheard").exit_code == 1
    pushed = json.loads(added(home).stdout)
    assert pushed["secret"].startswith("whsec_")
    listed = json.loads(RUNNER.invoke(cli, ["connections", "list", "--organization", home]).stdout)
    assert [one["connector"] for one in listed] == ["hibp", "hibp", "standard"]
    assert RUNNER.invoke(cli, ["connections", "health", "--organization", home]).exit_code == 0


def test_removing_asks_first(home: str) -> None:
    made = json.loads(added(home).stdout)
    kept = RUNNER.invoke(cli, ["connections", "close", made["connection"]], input="n\n")
    assert kept.exit_code == 1
    closed = RUNNER.invoke(cli, ["connections", "close", made["connection"], "--yes"])
    assert json.loads(closed.stdout)["closed_at"]
    assert "removed" in RUNNER.invoke(cli, ["connections", "rotate", made["connection"]]).output


def test_every_connector_is_listed_and_described() -> None:
    listed = RUNNER.invoke(cli, ["connectors", "list"])
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(registry())
    whole = json.loads(RUNNER.invoke(cli, ["connectors", "list", "--json"]).stdout)
    assert [one["name"] for one in whole] == list(registry())
    for name, connector in registry().items():
        told = json.loads(RUNNER.invoke(cli, ["connectors", "describe", name]).stdout)
        assert set(told["events"]) == set(connector.events)
    assert RUNNER.invoke(cli, ["connectors", "describe", "unheard"]).exit_code == 1


def test_a_file_is_tried_in_full_and_kept_nowhere(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps({"alerts": [alert(), {"id": "p", "type": "ping"}]}))
    bad.write_text(json.dumps({"alerts": [alert(), alert(id="a-2", amount="much"), 7]}))
    done = RUNNER.invoke(cli, ["connectors", "try", "standard", str(good)])
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert told[0]["alert"]["institution"] == "Invented Bank"
    assert told[1] == {"type": "ping", "id": "p", "not_an_alert": "known, not an alert"}
    partly = RUNNER.invoke(cli, ["connectors", "try", "standard", str(bad)])
    assert partly.exit_code == 1
    assert [one.get("field") for one in json.loads(partly.stdout)] == [None, "amount", "alerts[2]"]
    assert tried(Standard(), b"no JSON", {}) == [{"unsplittable": "$"}]


def test_a_name_that_is_taken_or_none_is_refused() -> None:
    before = sorted(path.name for path in (ROOT / "connectors").iterdir())
    for name in ("standard", "http", "Big", "../up", "template", "a-b", ""):
        assert RUNNER.invoke(cli, ["connectors", "new", name]).exit_code == 1, name
    assert sorted(path.name for path in (ROOT / "connectors").iterdir()) == before


@pytest.mark.slow
def test_a_new_connector_passes_every_test_as_it_is(tmp_path: Path) -> None:
    """In a copy of the tree: the folder from the template, the documents, the suite, the linter."""
    for name in ("connectors", "docs", "tests", "app"):
        copytree(ROOT / name, tmp_path / name, ignore=ignore_patterns("__pycache__", "campaigns", "screens"))
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    folder = tmp_path / "connectors" / "made_up"
    write_folder(folder, "Made Up Watch")
    assert {path.name for path in folder.iterdir()} == {"__init__.py", "connector.py", "sandbox.py", "README.md", "fixtures"}
    assert "@" not in "".join(path.read_text() for path in folder.rglob("*.py")).replace("@property", "")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(*command: str) -> None:
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]

    run("-m", "connectors.docs")
    run("-m", "connectors.docs", "--check")
    page = (folder / "README.md").read_text()
    assert "`account.opened`" in page.partition(BEGIN)[2].partition(END)[0]
    run("-m", "ruff", "check", str(folder))
    run("-m", "ruff", "format", "--check", str(folder))
    run("-m", "pytest", "-n", "0", "-q", "tests/connectors/test_every_connector.py", "-k", "made_up")
