"""Settings: typed and described by the connector, sealed, told without their secrets, and those bound to one address."""

from __future__ import annotations

from typing import Any, Literal
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr

from app.access.roles import Role
from app.connections.models import Connection
from app.connections.settings import changed, checked, moved, open_settings, plain, seal, secret_names, settings_of, shown
from app.kit import clock
from app.kit.crypto import Unreadable
from app.kit.errors import Problem
from app.kit.keyring import Lane
from connectors.contract import Connector, ConnectorConfig
from connectors.hibp.connector import Hibp
from connectors.sandboxing import Fault
from tests.intake.polled import Polled, polled_world
from tests.support.rows import contents
from tests.support.world import World


class ManyConfig(ConnectorConfig):
    base_url: str = Field(default="https://one.example", description="Where.")
    key: SecretStr = Field(description="A key.")
    spare: SecretStr | None = Field(default=None, description="Another key.")
    keys: list[SecretStr] = Field(default_factory=list, description="More keys.")
    sort: Literal["old", "new"] = Field(default="old", description="Which first.")
    deep: bool = Field(default=False, description="All of it.")
    sources: list[str] = Field(default_factory=list, description="From where.")


class Many(Hibp):
    config = ManyConfig


MANY: Connector = Many()
URLS = st.sampled_from(["https://one.example", "https://two.example", "https://one.example/", "HTTPS://one.example"])
WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
CONFIGS = st.fixed_dictionaries(
    {"key": WORDS, "base_url": URLS},
    optional={"spare": WORDS, "keys": st.lists(WORDS, max_size=3), "sort": st.sampled_from(["old", "new"])},
)
CHANGES = st.fixed_dictionaries({}, optional={"key": WORDS, "base_url": URLS, "spare": WORDS, "deep": st.booleans()})


@given(CONFIGS)
def test_settings_come_out_as_they_went_in(values: dict[str, Any]) -> None:
    config = checked(MANY, values)
    assert checked(MANY, plain(config)) == config
    assert plain(config) | values == plain(config)


@given(CONFIGS, CHANGES)
def test_no_secret_goes_along_to_another_address(values: dict[str, Any], change: dict[str, Any]) -> None:
    before = checked(MANY, values)
    other_host = change.get("base_url", values["base_url"]) != values["base_url"]
    if other_host and "key" not in change:
        with pytest.raises(Problem) as refused:
            changed(MANY, before, change)
        assert [error.field for error in refused.value.errors] == ["body.settings.key"]
        return
    after = changed(MANY, before, change)
    kept = {name for name in ("key", "spare", "keys") if name not in change and plain(after)[name] == plain(before)[name]}
    empty = {name for name in ("spare", "keys") if not plain(after)[name]}
    assert not moved(before, after) or kept <= empty
    if not moved(before, after):
        assert plain(after) == plain(before) | change


def test_every_way_to_hold_a_secret_is_seen_as_one() -> None:
    assert secret_names(MANY) == {"key", "spare", "keys"}
    config = checked(MANY, {"key": "hush", "keys": ["whisper"]})
    settings, held = shown(MANY, config)
    assert "hush" not in str(settings)
    assert "whisper" not in str(settings)
    assert held == ["key", "keys"]
    assert plain(config)["keys"] == ["whisper"]


def test_what_forms_are_made_from() -> None:
    found = {one.name: one for one in settings_of(MANY)}
    assert list(found) == ["base_url", "key", "spare", "keys", "sort", "deep", "sources"]
    assert found["key"].required
    assert not found["base_url"].required
    assert (found["base_url"].default, found["key"].default, found["spare"].default) == ("https://one.example", None, None)
    assert found["sort"].choices == ("old", "new")
    assert found["deep"].choices == ("true", "false")
    assert found["sources"].several
    assert found["sources"].default == []
    assert [one.name for one in found.values() if one.secret] == ["key", "spare", "keys"]


def test_a_name_that_is_not_known_is_not_told_back() -> None:
    with pytest.raises(Problem) as refused:
        checked(MANY, {"key": "k", "hunter2": 1, "sort": "hunter2"})
    told = [(error.field, error.message) for error in refused.value.errors]
    assert [field for field, _ in told] == ["body.settings.sort", "body.settings.*"]
    assert "hunter2" not in str(told)


async def test_settings_are_sealed_for_their_own_connection(world: World) -> None:
    keyring, own = world.context.keyring, world.union.id
    row = Connection(id=uuid4(), organization_id=own, connector="hibp")
    other = Connection(id=uuid4(), organization_id=own, connector="hibp")
    async with world.context.database.begin() as tx:
        await seal(tx, keyring, row, MANY, checked(MANY, {"key": "hush"}))
        assert plain(await open_settings(tx, keyring, row, MANY))["key"] == "hush"
        other.config_sealed = row.config_sealed
        with pytest.raises(Unreadable):
            await open_settings(tx, keyring, other, MANY)
    assert b"hush" not in (row.config_sealed or b"")


NEW = {"connector": "hibp", "title": "Breaches", "sender": "provider"}
ADDRESSES = (
    "http://haveibeenpwned.com",
    "https://127.0.0.1",
    "https://[::1]/",
    "https://localhost",
    "https://user:pw@provider.example",
    "https://provider.example:8443",
    "https://provider.internal",
    "http://127.0.0.1:8000",
    "file:///etc/passwd",
    "",
)


async def test_an_address_that_would_never_be_asked_is_refused_at_once(world: World) -> None:
    async with await world.sign_in(Role.ADMIN) as admin:
        for address in ADDRESSES:
            answer = await admin.post("/v1/connections", json={**NEW, "settings": {"base_url": address, "api_key": "k" * 32}})
            assert answer.status_code == 422, address
            assert [error["field"] for error in answer.json()["errors"]] == ["body.settings.base_url"]
        missing = await admin.post("/v1/connections", json=NEW)
        unknown = await admin.post("/v1/connections", json={**NEW, "settings": {"api_key": "k" * 32, "hunter2": "hunter2"}})
        good = await admin.post("/v1/connections", json={**NEW, "settings": {"api_key": "k" * 32}})
        listed = await admin.get("/v1/connections")
        connectors = {entry["name"]: entry for entry in (await admin.get("/v1/connectors")).json()}
    assert [error["field"] for error in missing.json()["errors"]] == ["body.settings.api_key"]
    assert [error["field"] for error in unknown.json()["errors"]] == ["body.settings.*"]
    assert "hunter2" not in unknown.text
    assert good.status_code == 201
    assert (good.json()["webhook_url"], good.json()["secret"]) == ("", "")
    assert "k" * 32 not in good.text + listed.text + str(await contents(world.context.database))
    assert {one["name"]: one["secret"] for one in connectors["hibp"]["settings"]}["api_key"] is True


@pytest.fixture
async def polled(world: World) -> Any:
    async with polled_world(world) as made:
        yield made


async def test_with_another_address_the_old_key_is_never_sent(polled: Polled) -> None:
    """J6: a change of the address alone is refused; nothing ever asks the new host with the key of the old one."""
    path = f"/v1/connections/{polled.connection_id}"
    async with await polled.world.sign_in(Role.ADMIN) as admin:
        alone = await admin.patch(path, json={"settings": {"base_url": "https://attacker.example"}})
        told = await admin.get(path)
        both = await admin.patch(path, json={"settings": {"base_url": "https://attacker.example", "key": "key-2"}})
    assert alone.status_code == 422
    assert [error["field"] for error in alone.json()["errors"]] == ["body.settings.key"]
    assert told.json()["settings"] == {"base_url": polled.base_url}
    assert told.json()["secrets_set"] == ["key"]
    assert both.status_code == 200
    row = await polled.row()
    assert row.sweep_due_at == clock.now(), "another provider's data has another beginning"
    assert "key-2" not in str(await contents(polled.world.context.database))


async def test_a_corrected_key_is_tried_at_once(polled: Polled) -> None:
    path = f"/v1/connections/{polled.connection_id}"
    polled.provider.add(clock.now())
    async with await polled.world.sign_in(Role.ADMIN) as admin:
        polled.provider.misbehave(Fault.REFUSED, times=9)
        await polled.ask()
        assert ((await polled.row()).state, await polled.alerts()) == ("credentials", 0)
        polled.provider.behave()
        assert await polled.ask() == 0, "refused credentials rest"
        assert (await admin.patch(path, json={"settings": {"key": "key-2"}})).status_code == 200
    await polled.ask()
    assert ((await polled.row()).state, await polled.alerts()) == ("ok", 1)


async def test_two_admins_with_the_same_page_do_not_undo_each_other(polled: Polled) -> None:
    path = f"/v1/connections/{polled.connection_id}"
    async with await polled.world.sign_in(Role.ADMIN) as admin:
        seen = (await admin.get(path)).json()["version"]
        first = await admin.patch(path, json={"title": "First", "version": seen})
        second = await admin.patch(path, json={"title": "Second", "fresh_hours": 5, "version": seen})
        third = await admin.patch(path, json={"fresh_hours": 5, "version": first.json()["version"]})
        back = await admin.patch(path, json={"fresh_hours": None})
    assert (first.status_code, second.status_code, third.status_code) == (200, 409, 200)
    assert (third.json()["title"], third.json()["fresh_hours"], back.json()["fresh_hours"]) == ("First", 5, None)


async def test_settings_that_no_longer_fit_must_all_be_given_anew(polled: Polled) -> None:
    world = polled.world
    async with world.context.database.begin() as tx:
        row = await tx.get_one(Connection, polled.connection_id)
        text = '{"base_url": "https://old.example", "key": "old", "gone": 1}'
        where = ("connection", "config_sealed", row.id)
        row.config_sealed = await world.context.keyring.seal(tx, row.organization_id, Lane.FACTUAL, text, *where)
    path = f"/v1/connections/{polled.connection_id}"
    async with await world.sign_in(Role.ADMIN) as admin:
        assert (await admin.get(path)).json()["fits"] is False
        half = await admin.patch(path, json={"settings": {"base_url": polled.base_url}})
        whole = await admin.patch(path, json={"settings": {"base_url": polled.base_url, "key": "key-1"}})
    assert half.status_code == 422
    assert whole.json()["fits"] is True
