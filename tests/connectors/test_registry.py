"""Every connector is found once, and a wrong one is named."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import ClassVar

import pytest

from connectors import registry as module
from connectors.contract import Connector, NotAnAlert, RawEvent, WebhookPlan
from connectors.registry import GROUP, RegistryError, discover, folders, registry
from connectors.standard.connector import Standard
from connectors.verifiers import NotSigned, StandardWebhooks
from connectors.vocabulary import AlertKind


class Made(Connector):
    name = "made"
    title = "Made for tests"
    events: ClassVar[Mapping[str, AlertKind | None]] = {"ping": None}
    webhook = WebhookPlan(StandardWebhooks())

    def split(self, body: bytes) -> list[RawEvent]:
        return [RawEvent("ping", "1", {"body": len(body)})]

    def normalise(self, event: RawEvent) -> NotAnAlert:
        return NotAnAlert(event.event_type)


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


HERE = "tests.connectors.test_registry"


def test_the_registry_holds_every_folder_as_an_instance_and_is_loaded_once() -> None:
    assert set(folders()) <= set(registry())
    assert "standard" in registry()
    assert isinstance(registry()["standard"], Standard)
    assert registry() is registry()
    with pytest.raises(TypeError):
        registry()["standard"] = Made()  # type: ignore[index]


def test_an_entry_point_adds_a_connector() -> None:
    found = discover({"standard": lambda: Standard}, [entry("made", f"{HERE}:Made")])
    assert list(found) == ["made", "standard"]
    assert found["made"].title == "Made for tests"


def test_each_is_loaded_once() -> None:
    loaded: list[str] = []

    def load() -> object:
        loaded.append("made")
        return Made

    discover({"made": load}, [])
    assert loaded == ["made"]


def test_an_entry_point_cannot_shadow_a_folder_or_another() -> None:
    with pytest.raises(RegistryError, match=r"'standard'.*already taken"):
        discover({"standard": lambda: Standard}, [entry("standard", f"{HERE}:Made")])
    with pytest.raises(RegistryError, match=r"'made'.*already taken"):
        discover({}, [entry("made", f"{HERE}:Made"), entry("made", f"{HERE}:Made")])


def changed(**declared: object) -> type[Connector]:
    return type("Changed", (Made,), declared)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (changed(name="other"), "named 'other'"),
        (changed(name="Made"), "named 'Made'"),
        (changed(title=""), "declares no title"),
        (changed(events={}), "declares no events"),
        (changed(webhook=None), "no webhook"),
        (changed(webhook=WebhookPlan(NotSigned(" "))), "what stands in"),
        (changed(webhook=WebhookPlan(StandardWebhooks(), frozenset())), "no media type"),
        (changed(webhook=WebhookPlan(StandardWebhooks(), largest_body=0)), "no media type or no body"),
        (Connector, "cannot be loaded: TypeError"),
        (dict, "not a class made from Connector"),
        ("a text", "not a class made from Connector"),
        (None, "not a class made from Connector"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_connector_is_named_with_what_is_wrong(found: object, says: str) -> None:
    with pytest.raises(RegistryError, match=says) as error:
        discover({"made": lambda: found}, [])
    assert "'made'" in str(error.value)


@pytest.mark.parametrize("broken", ["no_such_module_anywhere:X", f"{HERE}:NoSuchName"])
def test_a_connector_that_does_not_load_is_named(broken: str) -> None:
    with pytest.raises(RegistryError, match="'made' cannot be loaded"):
        discover({}, [entry("made", broken)])


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Path]]:
    """Makes folders of a made-up package `made_up_connectors`, and forgets them afterwards."""
    home = tmp_path / "made_up_connectors"
    home.mkdir()
    (home / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))

    def add(name: str, source: str) -> Path:
        (home / name).mkdir()
        (home / name / "__init__.py").write_text(source)
        return home

    yield add
    for name in [name for name in sys.modules if name.startswith("made_up_connectors")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (f"from {HERE} import Made as connector", None),
        ("", "AttributeError"),
        ("1 / 0", "ZeroDivisionError"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_folders_are_found_and_loaded(package: Callable[[str, str], Path], source: str, says: str | None) -> None:
    home = package("made", source)
    (home / "shared_module.py").touch()
    loaders = module._loaders(home, home.name)
    assert list(loaders) == ["made"], "a module beside the folders is no connector"
    if says is None:
        assert discover(loaders, [])["made"].name == "made"
    else:
        with pytest.raises(RegistryError, match=f"'made' cannot be loaded: {says}"):
            discover(loaders, [])
