"""Two copies of one world, M-1's data in one of them only, and generated calls by everybody else that must tell no difference.

Every call is a pure function of a seed. Used by the tests with hundreds of calls, by `./run campaign privacy` with 100,000.
"""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from app.access.gate import cookie_name
from app.access.models import ApiToken
from app.access.policy import POLICY
from app.access.roles import Role
from app.breaches.models import Matter
from app.damages.models import Loss
from app.incidents.models import Incident, MemberEvent
from app.kit.pagination import encode_cursor
from app.statistics.workers import publish_release
from tests.access.examples import EXAMPLES, filled
from tests.api.colleagues import add_colleagues, colleagues, may_tell
from tests.support.world import Filled, Tenant, World, alert, make_world

GROW_WITH_EACH_LOOK = (
    *("/v1/ledger", "/ledger", "/v1/me/visits", "/visits"),
    *(path for _, path in POLICY if path.startswith("/v1/ledger/")),
)
"""What is answered there grows by asking, and names what grew by ids made in that moment."""
ROUTES = tuple(route for route, rule in POLICY.items() if not rule.public and route[1] not in GROW_WITH_EACH_LOOK)
IDS = (
    "request_id",
    "incident_id",
    "event_id",
    "alert_id",
    "matter_id",
    "packet_id",
    "connection_id",
    "token_id",
    "account_id",
    "hold_id",
    "dispute_id",
)
SCRAMBLED = ("not-an-id", "00000000-0000-0000-0000-000000000000", "../../etc", "%00", "1 OR 1=1", "")
MAY_BE_CALLED = frozenset({"receipt_id", "member_id"})
"""Whoever is told such an id here may act on it, and the act would be another in each world: those are left out of acts."""
HEADERS = {
    "if-none-match": ('"x"', "*", 'W/"1"'),
    "if-modified-since": ("Wed, 01 Jan 2020 00:00:00 GMT",),
    "range": ("bytes=0-10", "bytes=5-"),
    "accept": ("application/json", "text/html", "text/event-stream", "text/csv", "image/png"),
    "accept-language": ("de", "*"),
    "accept-encoding": ("identity", "gzip"),
    "x-request-id": ("one", "M-1"),
    "sec-fetch-site": ("cross-site", "none"),
    "content-type": ("text/plain",),
}
INSTITUTIONS = ("Invented Bank", "Another Invented Bank", "A Store")
KINDS = ("new_account.credit_card", "new_account.personal_loan", "inquiry.hard")


@dataclass(frozen=True)
class Call:
    """One request by somebody who is not M-1."""

    who: str
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    send: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Pair:
    """The two copies, ready to be asked: `urls` of the world without and with, and who signs in by which cookie, as what.

    `pool`: ids to ask for, by what they are of.
    """

    known: Filled
    urls: tuple[str, str]
    cookies: dict[str, str]
    roles: dict[str, Role]
    pool: dict[str, list[str]]


def people_of(world: World) -> list[tuple[str, Role, str, Tenant]]:
    """Everybody but M-1 and the auditor of the ledger. Counsel of M-1's matter is asked only where they do not see M-1."""
    here: list[tuple[str, Role, str, Tenant]] = [(who, Role.MEMBER, who, world.union) for who in ("M-2", "M-3")]
    here += [(f"{role} here", role, "", world.union) for role in (Role.STAFF, Role.CASEWORKER, Role.ADMIN)]
    here += colleagues(world.union)
    return here + [(f"{role} elsewhere", role, "", world.other) for role in Role]


def an_alert(dice: random.Random, who: str, number: int) -> dict[str, Any]:
    """Something about somebody, as it may come; the same institutions and numbers occur with several people."""
    return alert(
        id=f"{who}-{number}",
        member=f"ref-{who}",
        type=dice.choice(KINDS),
        institution=dice.choice(INSTITUTIONS),
        last_four=dice.choice(("4321", "9999", None)),
        opened=dice.choice(("2021-01-01", "2023-03-20", "2023-05-02")),
        bureau=dice.choice(("experian", "equifax")),
        summary=f"About {who}, number {number}.",
    )


async def before(world: World, dice: random.Random, unasked: Tenant) -> None:
    """What everybody else has in both worlds."""
    await add_colleagues(world)
    for tenant in (world.union, world.other):
        for number in range(dice.randint(1, 3)):
            assert (await world.deliver(an_alert(dice, "M-2", number), tenant)).status_code == 202
    assert (await world.deliver(an_alert(dice, "M-2", 9), unasked)).status_code == 202
    await world.workers.drain()
    for tenant in (world.union, world.other):
        async with world.context.database.begin() as tx:
            await publish_release(tx, world.context, tenant.id)


async def fill_with_m1(world: World, dice: random.Random, unasked: Tenant) -> None:
    """What only one of the worlds has: alerts, more of the same, a waiting one, answers, losses, a token."""
    for number in range(dice.randint(1, 5)):
        assert (await world.deliver(an_alert(dice, "M-1", number))).status_code == 202
        if dice.random() < 0.4:
            assert (await world.deliver(an_alert(dice, "M-1", number), message_id=f"again-{number}")).status_code == 202
    if dice.random() < 0.5:
        assert (await world.deliver(an_alert(dice, "M-1", 9), unasked)).status_code == 202
    await world.workers.drain()
    async with await world.sign_in(Role.MEMBER, "M-1") as browser:
        for item in (await browser.get("/v1/me/timeline")).json()["items"]:
            path = f"/v1/incidents/{item['id']}"
            shown = [source["alert_id"] for source in (await browser.get(path)).json()["sources"]]
            answer = {"answer": dice.choice(("not_me", "was_me", "unsure")), "shown": shown}
            assert (await browser.post(path + "/verdict", json=answer)).status_code == 200
            if dice.random() < 0.5:
                loss = {"head": "oop", "amount": "10.00", "incurred_on": "2023-03-30", "note": "A note."}
                assert (await browser.post(path + "/losses", json=loss)).status_code == 201
        assert (await browser.post("/v1/tokens", json={"label": "mine", "scopes": ["account"]})).status_code == 201
    await world.workers.drain()


async def ids_in(world: World) -> dict[str, list[str]]:
    """The ids that M-1's data has."""
    m1, account = world.union.members["M-1"], world.union.accounts["M-1"]
    found: dict[str, list[str]] = {}
    columns = {
        "incident_id": select(Incident.id).where(Incident.member_id == m1),
        "event_id": select(MemberEvent.event_id).where(MemberEvent.member_id == m1),
        "alert_id": select(MemberEvent.alert_id).where(MemberEvent.member_id == m1),
        "token_id": select(ApiToken.id).where(ApiToken.account_id == account),
        "hold_id": select(Loss.id).where(Loss.member_id == m1),
    }
    async with world.context.database.begin(read_only=True) as tx:
        for name, query in columns.items():
            found[name] = sorted(str(one) for one in (await tx.execute(query)).scalars())
    return found


async def make_pair(
    url: str, known: Filled, copy: Callable[[], Awaitable[str]], dice: random.Random, unask: Callable[[World], Awaitable[Tenant]]
) -> Pair:
    """Fill the world at `url` with what everybody has, sign everybody in, `copy` it, and give M-1 data in the copy."""
    async with make_world(url, known) as world:
        unasked = await unask(world)
        await before(world, dice, unasked)
        cookies, roles = {}, {}
        for name, role, who, tenant in people_of(world):
            async with await world.sign_in(role, who, tenant) as browser:
                roles[name], cookies[name] = role, browser.cookies[cookie_name(world.context.settings)]
        pool = await ids_of_others(world)
    other = await copy()
    async with make_world(other, known) as world:
        await fill_with_m1(world, dice, unasked)
        for name, ids in (await ids_in(world)).items():
            pool[name] = [*pool.get(name, []), *ids, *ids]  # M-1's twice: they are what matters
    return Pair(known, (url, other), cookies, roles, pool)


async def ids_of_others(world: World) -> dict[str, list[str]]:
    """Ids that are there in both worlds."""
    async with world.context.database.begin(read_only=True) as tx:
        incidents = (await tx.execute(select(Incident.id))).scalars().all()
        matters = (await tx.execute(select(Matter.id))).scalars().all()
        events = (await tx.execute(select(MemberEvent.event_id, MemberEvent.alert_id))).all()
    return {
        "incident_id": [str(one) for one in incidents],
        "event_id": [str(row[0]) for row in events],
        "alert_id": [str(row[1]) for row in events],
        "connection_id": [str(tenant.connection.connection.id) for tenant in (world.union, world.other)],
        "account_id": [str(one) for one in world.union.accounts.values()],
        "matter_id": [str(one) for one in matters],
    }


def generate(pair: Pair, dice: random.Random) -> Call:
    """One call, most often one that the caller's role may make.

    An act is tried only with ids that are M-1's or nobody's, so that it must do nothing in either world.
    """
    who = dice.choice(sorted(pair.cookies))
    reads = dice.random() < 0.85
    routes = ROUTES if dice.random() < 0.15 else [route for route in ROUTES if pair.roles[who] in POLICY[route].roles]
    routes = [route for route in routes if not may_tell(who, route[1])]
    fitting = [route for route in routes if (route[0] == "GET") is reads and (reads or acts_on_ids(route))]
    method, path = dice.choice(fitting or ROUTES[:1])
    reads = method == "GET"
    example = EXAMPLES[method, path]
    nobodys = str(UUID(int=dice.getrandbits(128), version=4))
    ids = {}
    for name in (*IDS, *MAY_BE_CALLED):
        known = pair.pool.get(name, [])[-2:] if not reads else pair.pool.get(name, [])
        ids[name] = dice.choice([*known, nobodys] if dice.random() < 0.9 or not reads else SCRAMBLED)
    if not reads:
        ids |= dict.fromkeys(("connection_id", "account_id", "receipt_id", "member_id", "matter_id"), nobodys)
    ids |= {"role": "staff", "external_id": dice.choice(("M-1", "M-9")), "path": "look.css", "name": "none", "token": "x" * 43}
    query = dice.choice((filled(example.query, ids), a_query(pair, dice)))
    send = {} if reads else {key: value for key, value in filled(dict(example.send), ids).items() if key in ("json", "data")}
    headers = {name: dice.choice(HEADERS[name]) for name in dice.sample(sorted(HEADERS), dice.choice((0, 0, 1, 2)))}
    method = "HEAD" if reads and dice.random() < 0.03 else method
    return Call(who, method, path.format_map(ids) + query, headers, send)


def acts_on_ids(route: tuple[str, str]) -> bool:
    """Whether an act names a thing that can be M-1's in its path."""
    return any("{" + name + "}" in route[1] for name in ("incident_id", "event_id", "alert_id", "token_id", "hold_id"))


def a_query(pair: Pair, dice: random.Random) -> str:
    """Pages, cursors, filters and orders, good and bad, and some that no route knows."""
    incident = dice.choice(pair.pool["incident_id"]).replace("-", "")
    cursors = (
        encode_cursor(incident),
        encode_cursor("2023-06-01T12:00:00+00:00", incident),
        encode_cursor(incident, incident),
        encode_cursor("0" * 32),
        "x",
    )
    parts = {
        "limit": dice.choice(("1", "2", "50", "200", "0", "-1", "x")),
        "cursor": dice.choice(cursors),
        "own": dice.choice(("true", "false", "x")),
        "member": dice.choice(("M-1", "ref-M-1")),
        "sort": dice.choice(("-id", "member_id", "first_received_at")),
        "filter": "M-1",
        "connection_id": dice.choice(pair.pool["connection_id"]),
        "include": "events",
    }
    chosen = dice.sample(sorted(parts), dice.randint(0, 3))
    return "?" + "&".join(f"{name}={parts[name]}" for name in chosen) if chosen else ""


Answer = tuple[int, bytes, list[tuple[str, str]]]


async def told(browser: httpx.AsyncClient, call: Call) -> Answer:
    """Status, body and headers of one call."""
    answer = await browser.request(call.method, call.path, headers=dict(call.headers), **call.send)
    return answer.status_code, answer.content, sorted(answer.headers.items())


@dataclass
class Compared:
    """The calls that are `differ`ently answered in the two worlds or `failed` in both, and how many got which status."""

    differ: list[Call] = field(default_factory=list)
    failed: list[Call] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)


async def compare(pair: Pair, dice: random.Random, calls: int) -> Compared:
    """Send both worlds the same calls."""
    found = Compared()
    async with AsyncExitStack() as stack:
        worlds = [await stack.enter_async_context(make_world(url, pair.known)) for url in pair.urls]
        name = cookie_name(worlds[0].context.settings)
        browsers = {
            (who, number): await stack.enter_async_context(world.browser({name: cookie}))
            for who, cookie in pair.cookies.items()
            for number, world in enumerate(worlds)
        }
        for _ in range(calls):
            call = generate(pair, dice)
            first, second = [await told(browsers[call.who, number], call) for number in (0, 1)]
            found.statuses[first[0]] = found.statuses.get(first[0], 0) + 1
            if first != second:
                found.differ.append(call)
            if first[0] >= 500:
                found.failed.append(call)
    return found


def described(call: Call) -> str:
    """A call that a person can repeat."""
    return json.dumps([call.who, call.method, call.path, dict(call.headers), dict(call.send)])
