"""B1 to B14 over real HTTP, on both databases: nobody gets in who does not belong, and nobody authentic is turned away.

What a verifier says by itself is in tests/connectors/test_verifiers.py; B11, and B12 under load, in test_under_load.py.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import hmac
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import event, update

from app.access.roles import Role
from app.connections import service as connections
from app.connections.models import ConnectionSecret
from app.kit import clock
from app.main import create_app
from app.operations import trace
from connectors.contract import Sender
from connectors.standard.sandbox import sign
from connectors.verifiers import StandardWebhooks
from tests.intake.counting import all_refusals, books, receipts
from tests.malice.serving import listening, raw_post, served
from tests.support.rows import counts, grown
from tests.support.world import NOW, World, alert

BODY = json.dumps(alert()).encode()
JSON = {"content-type": "application/json"}


@pytest.fixture
async def online(world: World) -> AsyncIterator[tuple[World, int, httpx.AsyncClient]]:
    async with served(world) as (port, client):
        yield world, port, client


def mac(secret: str, message_id: str, stamp: str, body: bytes = BODY) -> str:
    """A right v1 signature over whatever is given as id and time."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{stamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


async def post(client: httpx.AsyncClient, world: World, body: bytes = BODY, **change: Any) -> httpx.Response:
    secret = change.get("secret", world.union.connection.secret)
    headers = {**JSON, **sign(secret, body, at=change.get("at", clock.now()), message_id=change.get("message_id"))}
    return await client.post(change.get("path", world.union.connection.path), content=body, headers=headers)


async def test_b1_the_published_example_is_taken(online: tuple[World, int, httpx.AsyncClient]) -> None:
    world, _, client = online
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    async with world.context.database.begin() as tx:
        made = await connections.create_connection(
            tx,
            world.context.keyring,
            world.union.id,
            connector="standard",
            title="Published",
            sender=Sender.PROVIDER,
            secret=secret,
        )
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    clock.set_to(datetime.fromtimestamp(1614265330, UTC))
    assert (await client.post(made.path, content=body, headers={**JSON, **headers})).status_code == 202
    other = {**headers, "webhook-signature": headers["webhook-signature"].replace("1OE=", "1OF=")}
    assert (await client.post(made.path, content=body, headers={**JSON, **other})).status_code == 401


def signatures(right: str, foreign: str) -> dict[str, bytes]:
    """B3: what a signature must not be, by what is wrong with it."""
    text = right.removeprefix("v1,")
    raw = base64.b64decode(text)
    cut = {f"{size} bytes": b"v1," + base64.b64encode(raw[:size]) for size in (0, 1, 16, 31)}
    spelled = {f"spelled {letter}": right[:-2].encode() + letter + b"=" for letter in (b"F", b"G", b"H")}
    return {
        **cut,
        **spelled,
        "33 bytes": b"v1," + base64.b64encode(raw + b"\0"),
        "nothing": b"",
        "blanks": b"   ",
        "the scheme alone": b"v1,",
        "no scheme": text.encode(),
        "scheme v0": b"v0," + text.encode(),
        "scheme V1": b"V1," + text.encode(),
        "scheme v1a": b"v1a," + text.encode(),
        "hexadecimal": b"v1," + raw.hex().encode(),
        "capitals": b"v1," + text.upper().encode(),
        "junk behind": right.encode() + b"x",
        "a comma behind": right.encode() + b",",
        "commas between": foreign.encode() + b"," + right.encode(),
        "letters beyond ASCII": b"v1,\xe9\xff",
        "beyond ASCII behind": right.encode() + b"\xe9",
        "the seventeenth": b" ".join([foreign.encode()] * 16 + [right.encode()]),
        "url-safe letters": right.translate(str.maketrans("+/", "-_")).encode() + b" ",
    }


async def test_b3_a_signature_that_is_none_never_passes_and_is_never_an_error(
    online: tuple[World, int, httpx.AsyncClient],
) -> None:
    world, port, _ = online
    before, stamp = await counts(world.context.database), str(int(NOW.timestamp()))
    right = mac(world.union.connection.secret, "m", stamp)
    foreign = mac(StandardWebhooks.new_secret(), "m", stamp)
    wrong = {name: text for name, text in signatures(right, foreign).items() if text.strip() != right.encode()}
    fields = [(b"content-type", b"application/json"), (b"webhook-id", b"m"), (b"webhook-timestamp", stamp.encode())]
    for name, text in wrong.items():
        said = await raw_post(port, world.union.connection.path, [*fields, (b"webhook-signature", text)], BODY)
        assert said.statuses == [401], name
    twice = [*fields, *[(b"webhook-signature", right.encode())] * 2]
    assert (await raw_post(port, world.union.connection.path, twice, BODY)).statuses == [401]
    many = [*fields, (b"webhook-signature", b" ".join([right.encode()] * 10_000))]
    assert (await raw_post(port, world.union.connection.path, many, BODY)).statuses == [431]
    assert await all_refusals(world) == {"not_authentic": len(wrong) + 1}
    assert set(grown(before, await counts(world.context.database))) == {"refusal"}
    for place in (0, 8, 15):
        among = [foreign] * 15
        among.insert(place, right)
        good = [*fields, (b"webhook-signature", " ".join(among).encode())]
        assert (await raw_post(port, world.union.connection.path, good, BODY)).statuses == [202]


IDS = ["a b", "a.b", "a,b", "", "a" * 256, "é"]
STAMPS = [
    "١٦٨٥٦٢٠٨٠٠",
    "1_685_620_800",
    " 1685620800\t0",
    "1.68e9",
    "+1685620800",
    "NaN",
    "-1",
    "1" * 20,
    "0x6478",
    "1685620800.0",
    "",
]


async def test_b4_only_ten_plain_digits_are_a_time_and_an_id_holds_nothing_that_separates(
    online: tuple[World, int, httpx.AsyncClient],
) -> None:
    """Each is signed rightly, as it stands: it is the grammar that refuses."""
    world, port, _ = online
    stamp, secret = str(int(NOW.timestamp())), world.union.connection.secret
    for message_id, time_text in [*((i, stamp) for i in IDS), *(("m", s) for s in STAMPS)]:
        fields = [
            (b"content-type", b"application/json"),
            (b"webhook-id", message_id.encode()),
            (b"webhook-timestamp", time_text.encode()),
            (b"webhook-signature", mac(secret, message_id, time_text).encode()),
        ]
        assert (await raw_post(port, world.union.connection.path, fields, BODY)).statuses == [401], (message_id, time_text)
    assert await receipts(world) == []


def a_wrong(path: str) -> str:
    return path[:-1] + ("-" if path.endswith("_") else "_")


@pytest.mark.parametrize(("has_secret", "is_open", "right_path", "right_key"), [*itertools.product([True, False], repeat=4)])
async def test_b5_only_all_of_it_together_is_let_in(
    world: World, has_secret: bool, is_open: bool, right_path: bool, right_key: bool
) -> None:
    """A connection without a secret takes nothing, also not what is signed with no key, or not signed at all."""
    made = world.union.connection
    if not has_secret:
        async with world.context.database.begin() as tx:
            gone = update(ConnectionSecret).where(ConnectionSecret.connection_id == made.connection.id)
            await tx.execute(gone.values(retired_at=NOW - timedelta(seconds=1), sealed=b""))
    if not is_open:
        async with await world.sign_in(Role.ADMIN) as admin:
            assert (await admin.post(f"/v1/connections/{made.connection.id}/close")).status_code == 200
    stamp, path = (
        str(int(NOW.timestamp())),
        made.path if right_path else a_wrong(made.path),
    )
    signed = mac(made.secret if right_key else "", "m", stamp)
    headers = {**JSON, "webhook-id": "m", "webhook-timestamp": stamp, "webhook-signature": signed}
    unsigned = {**JSON, "webhook-id": "m", "webhook-timestamp": stamp}
    async with served(world) as (_, client):
        statuses = [(await client.post(path, content=BODY, headers=sent)).status_code for sent in (headers, unsigned)]
    good = has_secret and is_open and right_path and right_key
    closed = right_path and not is_open
    assert statuses == [410, 410] if closed else statuses == [202 if good else 401, 401]
    assert len(await receipts(world)) == good


def other_bytes() -> dict[str, bytes]:
    text = json.dumps(alert())
    return {
        "keys in another order": json.dumps(dict(reversed(alert().items()))).encode(),
        "lines as on Windows": json.dumps(alert(), indent=1).replace("\n", "\r\n").encode(),
        "a byte order mark": b"\xef\xbb\xbf" + text.encode(),
        "a blank behind": text.encode() + b" ",
        "UTF-16": text.encode("utf-16"),
        "packed": gzip.compress(text.encode(), mtime=0),
        "escaped otherwise": text.replace("a-1", "\\u0061-1").encode(),
    }


@pytest.mark.parametrize("name", other_bytes())
async def test_b6_the_bytes_that_came_are_what_is_verified_and_kept(world: World, name: str) -> None:
    body, made, stamp = other_bytes()[name], world.union.connection, str(int(NOW.timestamp()))
    headers = {**JSON, "webhook-id": "m", "webhook-timestamp": stamp}
    async with served(world) as (_, client):
        over_others = {**headers, "webhook-signature": mac(made.secret, "m", stamp)}
        over_these = {**headers, "webhook-signature": mac(made.secret, "m", stamp, body)}
        assert (await client.post(made.path, content=body, headers=over_others)).status_code == 401
        kept = await client.post(made.path, content=body, headers=over_these)
    assert kept.status_code == 202
    (receipt,) = await receipts(world)
    assert str(receipt.id) == kept.json()["receipt"]


async def test_b7_b8_a_replay_is_counted_and_nothing_else_at_any_time_and_after_a_restart(world: World) -> None:
    before = await counts(world.context.database)
    headers = {**JSON, **sign(world.union.connection.secret, BODY, at=NOW, message_id="m")}

    async def client_of(client: httpx.AsyncClient, times: int) -> list[httpx.Response]:
        return [await client.post(world.union.connection.path, content=BODY, headers=headers) for _ in range(times)]

    async with served(world) as (_, client):
        answers = list(itertools.chain(*await asyncio.gather(*(client_of(client, 16) for _ in range(16)))))
        clock.set_to(NOW + timedelta(hours=30))
        answers += await client_of(client, 5)
    async with (
        listening(create_app(context=world.context, work=False), world.context.settings) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        answers += await client_of(client, 5)
    assert Counter(answer.status_code for answer in answers) == {202: 266}
    assert len({answer.json()["receipt"] for answer in answers}) == 1
    assert [answer.json()["repeat"] for answer in answers].count(False) == 1
    assert grown(before, await counts(world.context.database)) == {"receipt": 1, "ledger_entry": 1}
    assert (await books(world))["repeats"] == 265


@pytest.mark.parametrize("wrong_by", [-600, -301, -300, -60, 0, 60, 300, 301, 600])
async def test_b10_a_wrong_clock_of_ours_loses_nothing(world: World, wrong_by: int) -> None:
    """Within five minutes it is taken at once; beyond it is kept, set aside, and taken when it comes again to a right clock."""
    clock.set_to(NOW + timedelta(seconds=wrong_by))
    async with served(world) as (_, client):
        kept = await post(client, world, at=NOW)
        assert kept.status_code == 202
        (receipt,) = await receipts(world)
        assert receipt.state == ("stored" if abs(wrong_by) <= 300 else "stale")
        clock.set_to(NOW)  # also a jump back
        again = await post(client, world, at=NOW)
    assert again.json() == {"receipt": kept.json()["receipt"], "repeat": True}
    assert len(await world.timeline()) == 1


@asynccontextmanager
async def statements(world: World) -> AsyncIterator[list[str]]:
    """Every SQL statement that the service's engine sends while the block lasts."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    engine = world.context.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


async def test_b12_what_proves_nothing_costs_a_few_reads_and_together_one_write(world: World) -> None:
    before = await counts(world.context.database)
    async with statements(world) as seen:
        for number in range(100):
            forged = await world.deliver(BODY, secret=world.other.connection.secret, message_id=str(number))
            assert forged.status_code == 401
        read = len(seen)
        assert not [one for one in seen if one.lstrip().split()[0].upper() in {"INSERT", "UPDATE", "DELETE"}]
        assert await all_refusals(world) == {"not_authentic": 100}
        written = [one for one in seen[read:] if one.lstrip().upper().startswith("INSERT")]
    assert read <= 100 * 8
    assert len(written) == 1
    assert grown(before, await counts(world.context.database)) == {"refusal": 1}


async def test_b13_every_delivery_says_how_it_proved_itself(online: tuple[World, int, httpx.AsyncClient]) -> None:
    world, _, client = online
    kept = await post(client, world)
    await world.workers.drain()
    story = await trace(world.context, UUID(kept.json()["receipt"]))
    assert story["connection"]["id"] == str(world.union.connection.connection.id)
    assert story["channel"] == "webhook"
    assert story["grade"] == "shared_secret"
    proof = story["verification"]
    assert proof["scheme"] == "standard-webhooks/v1"
    assert UUID(proof["key_id"])
    assert (proof["source"], proof["signed_at"], story["received_at"]) == ("127.0.0.1", NOW.isoformat(), NOW.isoformat())


async def test_b14_a_taken_over_account_is_cut_off_at_once_all_it_sent_is_marked_and_nothing_is_taken_away(
    online: tuple[World, int, httpx.AsyncClient],
) -> None:
    world, _, client = online
    place, day = f"/v1/connections/{world.union.connection.connection.id}", timedelta(days=1)
    for number, bank in enumerate(("Good", "Stolen", "Stolen too")):
        clock.set_to(NOW + number * day)
        body = json.dumps(alert(id=bank, institution=bank, last_four=f"100{number}")).encode()
        assert (await post(client, world, body)).status_code == 202
    assert [item["disputed"] for item in await world.timeline()] == [False] * 3
    before = await counts(world.context.database)
    async with await world.sign_in(Role.ADMIN) as admin:
        assert (await admin.post(f"{place}/secret", json={"overlap_hours": 0})).status_code == 200
        assert (await post(client, world)).status_code == 401, "a stolen secret is worth nothing from that moment on"
        assert (await admin.post(f"{place}/close")).status_code == 200
        mark = {"received_from": (NOW + day).isoformat(), "reason": "Taken over."}
        assert (await admin.post(f"{place}/disputes", json=mark)).status_code == 201
    assert (await post(client, world)).status_code == 410
    after = await counts(world.context.database)
    assert not [name for name in before if after[name] < before[name] and name not in {"sign_in_link", "session"}]
    shown = {item["institution"]: item["disputed"] for item in await world.timeline()}
    assert shown == {"Good": False, "Stolen": True, "Stolen too": True}
