"""Who is turned away is counted and written down: who, where, why; nothing of what was sent, and of strangers only so much."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.access.noting import LINES_AT_ONCE, PROOFS, Why
from app.access.roles import Role
from app.kit import clock, metrics
from tests.access.entering import PASSWORD, first_passkey, link, make_password, sign
from tests.access.scene import Scene
from tests.support.world import NOW, World

Lines = list[dict[str, Any]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    with capture_logs() as all_lines:
        yield all_lines


def turned_away(lines: Lines) -> Lines:
    """What was written down so far, which is forgotten."""
    found = [{name: value for name, value in line.items() if name != "log_level"} for line in lines]
    lines.clear()
    return [line for line in found if line.pop("event") == "turned away"]


def counted(why: Why, role: str) -> float:
    return metrics.TURNED_AWAY.labels(why, role)._value.get()


async def test_a_person_or_program_that_may_not_is_named_by_the_accounts_id_alone(world: World, lines: Lines) -> None:
    scene, before = Scene(world), counted(Why.NOT_ALLOWED, "staff")
    account = str(world.union.accounts[Role.STAFF])
    path = f"/v1/connections/{scene.missing()}"
    async with await world.sign_in(Role.STAFF) as browser:
        assert (await browser.get(path)).status_code == 403
    _, secret = await scene.token(Role.STAFF)
    assert (await world.client.get(path, headers={"authorization": f"Bearer {secret}"})).status_code == 403
    said = {
        "why": Why.NOT_ALLOWED,
        "role": "staff",
        "method": "GET",
        "route": "/v1/connections/{connection_id}",
        "account": account,
    }
    assert turned_away(lines) == [{**said, "program": False}, {**said, "program": True}]
    assert counted(Why.NOT_ALLOWED, "staff") == before + 2


async def test_what_another_site_asked_for_is_written_down(world: World, lines: Lines) -> None:
    async with await world.sign_in(Role.MEMBER) as browser:
        assert (await browser.post("/sign-out", headers={"sec-fetch-site": "cross-site"})).status_code == 403
    assert [(line["why"], line["route"]) for line in turned_away(lines)] == [(Why.NOT_ALLOWED, "/sign-out")]


async def test_a_refusal_of_the_room_itself_is_written_down(world: World, lines: Lines) -> None:
    async with await world.sign_in(Role.ADMIN) as admin:
        answer = await admin.post("/v1/accounts", json={"email": "new@example.org", "role": "counsel"})
        assert answer.status_code == 403
    assert [(line["why"], line["role"]) for line in turned_away(lines)] == [(Why.NOT_ALLOWED, "admin")]


async def test_who_is_asked_to_show_anew_that_it_is_them_is_told_apart(world: World, lines: Lines) -> None:
    async with await world.sign_in(Role.ADMIN) as admin:
        clock.set_to(NOW + timedelta(minutes=6))
        assert (await admin.get("/v1/members")).status_code == 403
    assert [(line["why"], line["route"]) for line in turned_away(lines)] == [(Why.ASKED_ANEW, "/v1/members")]


async def test_a_wrong_guess_leaves_the_same_line_whoever_has_the_address(world: World, lines: Lines) -> None:
    async with world.browser() as browser:
        await browser.post(await link(world))
        await make_password(browser)
    found = []
    for email in ("avery@example.org", "blake@example.org", "nobody@example.org"):
        async with world.browser() as browser:
            turned_away(lines)
            typed = {"member-email": email, "password": PASSWORD, "code": "000000"}
            assert (await browser.post("/sign-in/password", data=typed)).status_code == 401
            found.append(turned_away(lines))
    assert found == [[{"why": Why.NOT_PROVEN, "role": "nobody", "method": "POST", "route": "/sign-in/password"}]] * 3


async def test_every_failed_proof_is_written_down(world: World, lines: Lines) -> None:
    key = await first_passkey(world)
    async with world.browser() as browser:
        assert (await sign(browser, key, origin="https://elsewhere.example")).status_code == 401
        assert (await browser.post("/sign-in/no-such-link")).status_code == 410
        assert (await browser.get("/sign-in/provider/callback?state=x&code=y")).status_code == 410
        assert (await browser.get("/v1/me", headers={"authorization": "Bearer hl_nothing"})).status_code == 401
    async with world.browser() as browser:
        assert (await browser.post(await link(world))).headers["location"] == "/recovery"
        assert (await browser.post("/recovery", data={"code": "AAAAA"})).status_code == 422
    async with await world.sign_in(Role.MEMBER) as browser:
        assert (await browser.post("/confirm/passkey", json={"id": "x"})).status_code == 401
        typed = {"password": PASSWORD, "code": "000000", "then": "/"}
        assert (await browser.post("/confirm/password", data=typed)).status_code == 401
    found = turned_away(lines)
    assert [line["why"] for line in found] == [Why.NOT_PROVEN] * len(found)
    assert {line["route"] for line in found} - {"/v1/me"} == {route for route, _ in PROOFS} - {"/sign-in/password"}
    assert {line["route"] for line in found if "account" in line} == {"/recovery", "/confirm/passkey", "/confirm/password"}


async def test_who_shows_nothing_is_counted_only(world: World, lines: Lines) -> None:
    before = counted(Why.NOT_SIGNED_IN, "nobody")
    assert (await world.client.get("/v1/me")).status_code == 401
    assert counted(Why.NOT_SIGNED_IN, "nobody") == before + 1
    assert turned_away(lines) == []


async def test_a_flood_of_strangers_is_counted_whole_and_written_down_in_part(world: World, lines: Lines) -> None:
    many, before = LINES_AT_ONCE + 100, counted(Why.NOT_PROVEN, "nobody")
    for _ in range(many):
        await world.client.get("/v1/me", headers={"authorization": "Bearer hl_nothing"})
    assert counted(Why.NOT_PROVEN, "nobody") == before + many
    assert LINES_AT_ONCE <= len(turned_away(lines)) < many


async def test_too_many_tries_from_one_address_are_counted(world: World, lines: Lines) -> None:
    before = counted(Why.TOO_OFTEN, "nobody")
    async with world.browser() as browser:
        answers = [(await browser.post("/sign-in/passkey/options")).status_code for _ in range(40)]
    refused = answers.count(429)
    assert refused > 0
    assert counted(Why.TOO_OFTEN, "nobody") == before + refused
