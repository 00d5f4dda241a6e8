"""The admin's pages of connections, without a browser: what is shown once, what never, and what each button does."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.access.roles import Role
from app.connections.service import OWN
from app.intake.health import HealthState
from app.kit import clock
from app.web.connection_words import SAID, STATES
from connectors.registry import registry
from connectors.sandboxing import Fault
from tests.incidents.reports import report
from tests.intake.looked_up import looked_up_world
from tests.intake.polled import Polled, polled_world
from tests.support.world import ORIGIN, World, alert
from tests.web.test_office_pages import text_of

NEW = {"connector": "standard", "title": "<i>Watch</i>", "sender": "provider"}
HIBP = {"connector": "hibp", "title": "Breaches", "sender": "provider", "setting.base_url": "https://haveibeenpwned.com/api/v3"}


@pytest.fixture
async def polled(world: World) -> AsyncIterator[Polled]:
    async with polled_world(world) as made:
        yield made


def once(answer: httpx.Response) -> list[str]:
    """What a page shows this once."""
    assert answer.status_code == 200, answer.text
    return [unescape(value) for value in re.findall(r"<dd><code>([^<]+)</code></dd>", answer.text)]


async def post(world: World, path: str, **fields: str) -> httpx.Response:
    async with await world.sign_in(Role.ADMIN) as admin:
        return await admin.post(path, data=fields)


async def get(world: World, path: str) -> httpx.Response:
    async with await world.sign_in(Role.ADMIN) as admin:
        return await admin.get(path)


def page_of(world: World) -> str:
    return f"/admin/connections/{world.union.connection.connection.id}"


def test_every_state_has_its_words() -> None:
    assert set(STATES) == set(HealthState)
    assert len({state.word for state in STATES.values()}) == len(STATES), "a state is told by its word, not by its colour"


async def test_a_connection_shows_its_secret_once_and_takes_alerts(world: World) -> None:
    made = await post(world, "/admin/connections", **NEW)
    wrong = await post(world, "/admin/connections", **NEW | {"connector": "unheard"})
    unnamed = await post(world, "/admin/connections", **NEW | {"title": ""})
    nobody = await post(world, "/admin/connections", **NEW | {"title": "kept", "sender": "somebody"})
    address, secret = once(made)
    assert address.startswith(f"{ORIGIN}/webhooks/")
    assert (await world.deliver(alert(), path=address.removeprefix(ORIGIN), secret=secret)).status_code == 202
    html = (await get(world, "/admin")).text + (await get(world, "/admin/connections/" + address.split("/")[4])).text
    assert secret not in html
    assert address.rpartition("/")[2] not in html
    assert "<i>Watch" not in html + made.text
    assert "<i>Watch</i>" in unescape(html)
    assert [answer.status_code for answer in (wrong, unnamed, nobody)] == [422, 422, 422]
    assert "Choose a connector." in wrong.text
    assert "Write a name" in unnamed.text
    assert 'value="kept"' in nobody.text


async def test_every_connectors_form_asks_for_all_of_its_settings(world: World) -> None:
    async with await world.sign_in(Role.ADMIN) as admin:
        chooser = await admin.get("/admin/connections/new")
        for name, connector in registry().items():
            assert (f"/admin/connections/new?connector={name}" in chooser.text) is (name != OWN)
            form = (await admin.get(f"/admin/connections/new?connector={name}")).text
            for setting, declared in connector.config.model_fields.items():
                field = re.search(rf'<(input|select|textarea) id="setting\.{setting}"[^>]*>', form)
                assert field is not None, (name, setting)
                assert unescape(declared.description or "").rstrip(".") in unescape(form)
                secret = any(word in setting for word in ("secret", "token", "password", "key"))
                assert ('type="password"' in field.group()) == secret
        assert (await admin.get("/admin/connections/new?connector=unheard")).text == chooser.text


async def test_settings_are_asked_for_and_a_secret_is_never_shown_again(world: World) -> None:
    missing = await post(world, "/admin/connections", **HIBP)
    assert missing.status_code == 422
    assert "Fill this in." in missing.text
    assert 'value="Breaches"' in missing.text
    bad = await post(world, "/admin/connections", **HIBP | {"setting.base_url": "https://127.0.0.1", "setting.api_key": "hush-1"})
    assert bad.status_code == 422
    assert 'id="setting.base_url-wrong"' in bad.text
    assert "hush-1" not in bad.text
    made = await post(world, "/admin/connections", **HIBP | {"setting.api_key": "hush-2"})
    assert once(made) == []
    assert "hush-2" not in made.text
    path = re.findall(r'href="(/admin/connections/[0-9a-f-]{36})"', made.text)[0]
    shown = await get(world, path)
    assert "hush-2" not in shown.text
    assert "Set. Leave it empty to keep it." in shown.text
    assert 'value="https://haveibeenpwned.com/api/v3"' in shown.text


async def test_a_user_name_and_a_password_are_shown_as_such(world: World) -> None:
    made = await post(
        world,
        "/admin/connections",
        **{"connector": "crs", "title": "Credit", "sender": "provider", "setting.api_key": "k", "setting.secret": "s"},
    )
    address, user, password = once(made)
    assert (address.startswith(ORIGIN), user) == (True, "harmline")
    assert 10 < len(password) <= 15
    assert "<dt>User name</dt>" in made.text


async def test_a_secret_that_is_shown_in_a_header_is_told_with_the_headers_name(world: World) -> None:
    made = await post(world, "/admin/connections", connector="spinwheel", title="Debts", sender="provider")
    _, header, secret = once(made)
    assert header == "x-harmline-secret"
    assert len(secret) > 40
    assert "<dt>Name of the header</dt>" in made.text


async def test_the_list_says_how_each_is_doing_in_words(polled: Polled) -> None:
    world = polled.world
    assert "Nothing came yet" in text_of((await get(world, "/admin")).text)
    await polled.ask()
    polled.later(minutes=59)
    read = text_of((await get(world, "/admin")).text)
    assert "Paged Works" in read
    assert "last worked: 1 June 2023, 12:00 UTC · asked next: 1 June 2023, 13:00 UTC" in read
    polled.later(hours=1)
    polled.provider.misbehave(Fault.REFUSED, times=20)
    await polled.ask()
    read = text_of((await get(world, "/admin")).text)
    assert "Paged Not let in" in read
    assert "That does not mean that there are no alerts." in read
    one = text_of((await get(world, f"/admin/connections/{polled.connection_id}")).text)
    assert "Enter the key anew." in one


async def test_every_button_does_its_act_and_says_so(polled: Polled) -> None:
    world, path = polled.world, f"/admin/connections/{polled.connection_id}"
    await polled.ask()
    for todo in ("pause", "resume", "ask", "sweep", "retire", "remove"):
        done = await post(world, path, todo=todo)
        assert (done.status_code, done.headers["location"]) == (303, f"{path}?said={todo}"), done.text
        shown = await get(world, done.headers["location"])
        assert unescape(SAID[todo]) in unescape(shown.text)
        assert ("Let it go on" in shown.text) == (todo == "pause")
    assert "Removed" in text_of(shown.text)
    acts = re.findall(r'name="todo" value="(\w+)"', shown.text)
    assert acts == ["dispute"], "nothing else can be done with a removed one"
    assert "is removed already" in (await get(world, path + "/remove")).text
    again = await post(world, path, todo="pause")
    assert again.status_code == 409
    assert "This connection was removed." in again.text
    assert (await post(world, path, todo="explode")).status_code == 422
    assert (await get(world, f"/admin/connections/{uuid4()}")).status_code == 404


async def test_asking_first_before_removing(world: World) -> None:
    asked = await get(world, page_of(world) + "/remove")
    assert "This cannot be taken back." in asked.text
    assert (await world.deliver(alert())).status_code == 202, "looking at the question removes nothing"
    assert (await post(world, page_of(world), todo="remove")).status_code == 303
    assert (await world.deliver(alert())).status_code == 410


async def test_new_secret_and_address_with_an_overlap_or_without(world: World) -> None:
    old, path = world.union.connection.secret, page_of(world)
    (secret,) = once(await post(world, path, todo="secret", overlap="24"))
    answers = [(await world.deliver(alert(id=f"a-{n}"), secret=s)).status_code for n, s in enumerate((old, secret))]
    assert answers == [202, 202]
    read = text_of((await get(world, path)).text)
    assert "An older secret still works until 2 June 2023, 12:00 UTC." in read
    leaked = await post(world, path, todo="address", overlap="0")
    (address,) = once(leaked)
    assert "what it sends is refused" in leaked.text
    assert (await world.deliver(alert(id="a-9"))).status_code == 401
    new = address.removeprefix(ORIGIN)
    assert (await world.deliver(alert(id="a-9"), secret=secret, path=new)).status_code == 202
    assert (await post(world, path, todo="retire")).status_code == 303
    assert (await world.deliver(alert(id="a-10"), secret=old, path=new)).status_code == 401
    for wrong in ({"todo": "secret"}, {"todo": "secret", "overlap": "9"}, {"todo": "secret", "overlap": "24", "secret": "bad"}):
        assert (await post(world, path, **wrong)).status_code == 422


MARK = {"todo": "dispute", "received_from": "2023-05-01T00:00", "received_until": "2023-05-04 12:30", "reason": "<b>Why</b>"}


async def test_a_stretch_of_time_is_marked_listed_and_withdrawn_also_of_a_removed_connection(world: World) -> None:
    path = page_of(world)
    for removed in (False, True):
        done = await post(world, path, **MARK)
        assert (done.status_code, done.headers["location"]) == (303, f"{path}?said=dispute")
        shown = await get(world, done.headers["location"])
        assert unescape(SAID["dispute"]) in unescape(shown.text)
        read = text_of(shown.text)
        assert "From 1 May 2023, 00:00 UTC until 4 May 2023, 12:30 UTC <b>Why</b> Marked 1 June 2023" in read
        assert "<b>Why" not in shown.text
        again = await post(world, path, **MARK)
        assert (again.status_code, "is marked already" in again.text) == (409, True)
        (dispute_id,) = re.findall(r'name="dispute_id" value="([^"]+)"', shown.text)
        done = await post(world, path, todo="withdraw", dispute_id=dispute_id)
        assert (done.status_code, done.headers["location"]) == (303, f"{path}?said=withdraw")
        shown = await get(world, done.headers["location"])
        assert unescape(SAID["withdraw"]) in unescape(shown.text)
        assert text_of(shown.text).count(", withdrawn 1 June 2023, 12:00 UTC") == 1 + removed
        assert 'name="dispute_id"' not in shown.text
        await post(world, path, todo="remove")


async def test_what_is_wrong_with_a_mark_is_said_beside_its_field_and_what_was_typed_stays(world: World) -> None:
    path = page_of(world)
    wrong: list[tuple[dict[str, str], str, int]] = [
        ({"received_from": ""}, "Write the day and the time in UTC", 422),
        ({"received_from": "soon"}, "Write the day and the time in UTC", 422),
        ({"received_from": "2023-06-01T12:01"}, "This lies ahead.", 422),
        ({"received_until": "tomorrow"}, "or leave it empty", 422),
        ({"received_until": "2023-05-01T00:00"}, "The end must be later than the beginning.", 422),
        ({"reason": " "}, "Say why", 422),
        ({"todo": "withdraw"}, "This form cannot be read.", 422),
        ({"todo": "withdraw", "dispute_id": str(uuid4())}, "", 404),
    ]
    for change, said, status in wrong:
        answer = await post(world, path, **MARK | {"reason": "It stays."} | change)
        assert answer.status_code == status, change
        assert said in answer.text
        assert ("It stays." in answer.text) == ("reason" not in change and "todo" not in change)
    assert 'name="dispute_id"' not in (await get(world, path)).text
    open_end = await post(world, path, **MARK | {"received_until": "", "received_from": "2023-05-01T02:00+02:00"})
    assert open_end.status_code == 303
    assert "From 1 May 2023, 00:00 UTC until further notice" in text_of((await get(world, path)).text)


def fields_of(html: str) -> dict[str, str]:
    """What the form of settings would send, untouched."""
    form = html.partition('class="sheet"')[2].partition("</form>")[0]
    found = re.findall(r'<input[^>]*? name="([^"]+)"(?:[^>]*? value="([^"]*)")?', form)
    return {name: unescape(value) for name, value in found} | {"todo": "change"}


async def test_settings_are_changed_and_an_untouched_form_changes_nothing(polled: Polled) -> None:
    world, path = polled.world, f"/admin/connections/{polled.connection_id}"
    before = fields_of((await get(world, path)).text)
    assert (await post(world, path, **before)).status_code == 303
    assert fields_of((await get(world, path)).text) == before
    changed = await post(world, path, **before | {"title": "Paged again", "fresh_hours": "7", "raw_days": "30"})
    assert changed.status_code == 303
    stale = await post(world, path, **before | {"title": "By somebody else"})
    assert stale.status_code == 409
    assert "Somebody has changed this connection meanwhile." in stale.text
    now = fields_of((await get(world, path)).text)
    assert (now["title"], now["fresh_hours"], now["raw_days"]) == ("Paged again", "7", "30")
    wrong: list[tuple[dict[str, str], str]] = [
        ({"title": ""}, "Write a name"),
        ({"fresh_hours": "soon"}, "Write a number of hours"),
        ({"raw_days": "0"}, "Write a number of days"),
        ({"setting.base_url": "https://localhost", "setting.key": "k"}, "The address"),
        ({"setting.base_url": "https://elsewhere.example"}, "Fill this in."),
    ]
    for change, said in wrong:
        answer = await post(world, path, **now | change)
        assert answer.status_code == 422, change
        assert said in answer.text
    assert fields_of((await get(world, path)).text) == now
    key = await post(world, path, **now | {"setting.key": "hush-3"})
    assert key.status_code == 303
    assert "hush-3" not in (await get(world, path)).text


async def test_a_term_longer_than_the_connectors_is_taken_with_the_word_that_the_contract_says_so(world: World) -> None:
    async with looked_up_world(world) as crs:
        path = f"/admin/connections/{crs.id}"
        before = fields_of((await get(world, path)).text)
        assert before.pop("longer_by_contract") == "yes", "a box that is not ticked is not sent"
        refused = await post(world, path, **before | {"raw_days": "60"})
        assert refused.status_code == 422
        assert "it is 30 days at most, unless your own contract" in text_of(refused.text)
        assert 'value="60"' in refused.text
        assert (await post(world, path, **before | {"raw_days": "60", "longer_by_contract": "yes"})).status_code == 303
        assert fields_of((await get(world, path)).text)["raw_days"] == "60"


async def test_what_a_provider_calls_itself_never_becomes_a_part_of_the_page(world: World) -> None:
    evil = '"><script>x</script>\u202e'
    made = await post(world, "/admin/connections", **NEW | {"title": evil})
    path = re.findall(r'href="(/admin/connections/[0-9a-f-]{36})"', made.text)[0]
    for answer in (made, await get(world, "/admin"), await get(world, path), await get(world, path + "/remove")):
        assert "<script" not in answer.text


async def test_health_is_told_without_counting_anybodys_alerts(polled: Polled) -> None:
    async with await polled.world.sign_in(Role.ADMIN) as admin:
        await polled.ask()
        before: Any = (await admin.get("/v1/connection-health")).json()
        polled.provider.add(clock.now())
        await polled.ask()
        async with await polled.world.sign_in(Role.ADMIN) as other:
            await other.post(f"/v1/connections/{polled.connection_id}/poll", json={})
        await polled.ask()
        after = (await admin.get("/v1/connection-health")).json()
    assert await polled.alerts() == 1
    assert [one["state"] for one in after] == ["never", "ok"]
    assert [{**one, "next_due_at": None} for one in before] == [{**one, "next_due_at": None} for one in after]


async def test_what_makes_its_connection_itself_is_not_offered_and_is_shown_once_it_is_there(world: World) -> None:
    assert (await report(world, {"kind": "tax.fraud"})).status_code == 202
    async with await world.sign_in(Role.ADMIN) as browser:
        offered, listed = [(await browser.get(path)).text for path in ("/admin/connections/new", "/admin")]
        assert "connector=standard" in offered
        assert "connector=own" not in offered
        path = re.search(r'href="(/admin/connections/[0-9a-f-]+)"><bdi>What members report themselves', listed)
        assert path
        shown = await browser.get(path.group(1))
    assert shown.status_code == 200
    assert "tax" not in shown.text.lower()
