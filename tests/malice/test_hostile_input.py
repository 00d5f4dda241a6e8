"""D1 to D13 over real HTTP: what is too much is refused with its own answer; what is authentic is kept, whatever is in it."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
import time
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from app.access.roles import Role
from app.intake.sealing import open_body
from app.kit import clock
from tests.intake.counting import all_refusals, books, outcomes, receipts
from tests.malice.serving import raw_post, rude, served
from tests.support.world import World, alert

GOOD = json.dumps(alert()).encode()
JSON = (b"content-type", b"application/json")
LARGEST = 1024 * 1024
SECONDS = 5.0
"""Of processor time, for what takes far less: other tests run beside this one."""

Online = tuple[World, int, httpx.AsyncClient]


@pytest.fixture
async def online(world: World) -> AsyncIterator[Online]:
    async with served(world) as (port, client):
        yield world, port, client


def signed(world: World, body: bytes, **more: str) -> dict[str, str]:
    """The headers of an authentic delivery of any bytes, also of those that are no text."""
    stamp, message_id = str(int(clock.now().timestamp())), hashlib.sha256(body).hexdigest()
    key = base64.b64decode(world.union.connection.secret.removeprefix("whsec_"))
    mac = hmac.digest(key, f"{message_id}.{stamp}.".encode() + body, "sha256")
    proof = {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": f"v1,{base64.b64encode(mac).decode()}"}
    return {"content-type": "application/json", **proof, **more}


async def post(online: Online, body: bytes, **more: str) -> httpx.Response:
    world, _, client = online
    return await client.post(world.union.connection.path, content=body, headers=signed(world, body, **more))


def memory_from_now_on() -> Callable[[], int]:
    """How many bytes more than now this process had at the most, since now. What it had before, in another test, is forgotten."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _peak()
    return lambda: _peak() - before


def _peak() -> int:
    (told,) = (line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(told) * 1024


async def test_d1_a_body_without_end_is_refused_and_fills_no_memory(online: Online) -> None:
    world, port, _ = online
    head = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" % world.union.connection.path.encode()
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    taken, sent = memory_from_now_on(), 0
    async with rude(port) as sender:
        await sender.say(head + b"transfer-encoding: chunked\r\n\r\n")
        reading = asyncio.create_task(sender.reader.readuntil(b"}"))
        while not reading.done() and sent < 1600 and await sender.say(chunk):
            sent += 1
        answer = await reading
    assert b" 413 " in answer
    assert taken() < 16 * 1024 * 1024
    assert await all_refusals(world) == {"too_large": 1}


@pytest.mark.parametrize(
    ("length", "body", "status"),
    [
        (b"10000000000", b"", 413),
        (b"1048577", b"", 413),
        (b"5", GOOD, 401),
        (b"-5", GOOD, 400),
        (b"5, 6", GOOD, 400),
        (b"", GOOD, 400),
    ],
)
async def test_d1_a_length_that_lies_helps_nobody(online: Online, length: bytes, body: bytes, status: int) -> None:
    """What is said to be too large is refused before any of it comes."""
    world, port, _ = online
    head = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" % world.union.connection.path.encode()
    async with rude(port) as sender:
        await sender.say(head + b"content-length: " + length + b"\r\n\r\n" + body)
        answer = await sender.reader.readuntil(b"}")
    assert int(answer.split(b" ")[1]) == status
    assert await receipts(world) == []


BOMB = gzip.compress(b"0" * 64 * 1024 * 1024, mtime=0)
PACKED = {
    "gzip": BOMB,
    "GZIP": BOMB,
    "x-gzip": BOMB,
    "deflate": zlib.compress(GOOD),
    "br": GOOD,
    "zstd": GOOD,
    "compress": GOOD,
    "gzip, gzip": gzip.compress(BOMB),
    "identity, gzip": BOMB,
    "gzip, identity": BOMB,
    "chunked": GOOD,
    "": b"",
}


async def test_d2_d3_nothing_is_unpacked(online: Online) -> None:
    """No verifier here declares a packing, so none is taken: there is nothing that could blow up.

    The sender has proved itself before: of strangers only a few are looked at at a time, and the others would be told to wait.
    """
    world, _, _ = online
    assert (await post(online, GOOD)).status_code == 202
    taken, began = memory_from_now_on(), time.process_time()
    for encoding, body in PACKED.items():
        if encoding:
            assert (await post(online, body, **{"content-encoding": encoding})).status_code == 415, encoding
    answers = await asyncio.gather(*(post(online, BOMB, **{"content-encoding": "gzip"}) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {415}
    assert taken() < 64 * 1024 * 1024
    assert time.process_time() - began < 4 * SECONDS
    assert (await post(online, GOOD, **{"content-encoding": "identity"})).status_code == 202
    assert await all_refusals(world) == {"wrong_type": 111}


def batch(item: str) -> bytes:
    """A hostile item between two good ones."""
    return f'{{"alerts": [{json.dumps(alert(id="before"))}, {item}, {json.dumps(alert(id="after"))}]}}'.encode()


def holding(text: str) -> str:
    """An alert whose summary is this JSON, whatever it is."""
    return json.dumps(alert(id="hostile", summary="@")).replace('"@"', text)


HOSTILE: dict[str, str] = {
    "D4 33 deep": holding("[" * 32 + "]" * 32),
    "D4 900 deep": holding("[" * 900 + "]" * 900),
    "D4 many keys": holding("{" + ",".join(f'"{n}":1' for n in range(1001)) + "}"),
    "D4 many values": holding("[" + ",".join("1" * 10_001) + "]"),
    "D4 a long text": holding('"' + "x" * (256 * 1024 + 1) + '"'),
    "D5 a key twice": holding('"x", "summary": "y"'),
    "D5 a key twice, one escaped": holding('"x", "\\u0073ummary": "y"'),
    "D5 a key twice, composed otherwise": holding('{"\u00e9": 1, "e\u0301": 2}'),
    "D5 a key twice, far down": holding('[{"a": [{"b": 1, "b": 2}]}]'),
    "D6 5,000 digits": holding("9" * 5000),
    "D6 too large": holding("1e400"),
    "D6 not a number": holding("NaN"),
    "D6 infinite": holding("-Infinity"),
    "D6 beyond exact": holding("9007199254740993"),
    "D6 digits behind the point": holding("0." + "1" * 30),
    "D7 NUL": holding('"a\\u0000b"'),
    "D7 half a letter": holding('"\\ud800"'),
    "D7 half a letter as a key": holding('{"\\udc00": 1}'),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_d4_to_d7_a_hostile_item_is_quarantined_where_it_stands_and_spares_its_neighbours(
    online: Online, name: str
) -> None:
    world, _, _ = online
    body, began = batch(HOSTILE[name]), time.process_time()
    assert (await post(online, body)).status_code == 202
    await world.workers.drain()
    assert time.process_time() - began < SECONDS
    assert await outcomes(world) == [("new", None, None), ("quarantined", "broken item", "alerts[1]"), ("new", None, None)]
    (receipt,) = await receipts(world)
    async with world.context.database.begin() as tx:
        assert await open_body(tx, world.context.keyring, receipt) == body
    assert (await books(world))["quarantined"] == 1


WHOLE: dict[str, bytes] = {
    "D4 a million deep": b"[" * 1_000_000,
    "D4 keys that open and never close": b'{"a":' * 150_000,
    "D5 the batch twice": b'{"alerts": [], "alerts": []}',
    "D6 a number alone": b"9" * 500_000,
    "D7 a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "D7 UTF-16": GOOD.decode().encode("utf-16"),
    "D7 UTF-32": GOOD.decode().encode("utf-32"),
    "D7 overlong UTF-8": b'{"id": "\xc0\xaf"}',
    "D7 half a letter in UTF-8": b'{"id": "\xed\xa0\x80"}',
    "D7 NUL behind": GOOD + b"\0",
    "D7 a long key of accents": b'{"' + "\u0300\u0316".encode() * 250_000 + b'": 1}',
    "D7 no text at all": bytes(range(256)) * 100,
    "no body": b"",
}


async def test_d4_to_d7_what_cannot_be_cut_is_kept_whole_and_set_aside(online: Online) -> None:
    world, _, _ = online
    began = time.process_time()
    for name, body in WHOLE.items():
        assert (await post(online, body)).status_code == 202, name
    assert (await post(online, GOOD)).status_code == 202
    assert len(await world.timeline()) == 1
    assert time.process_time() - began < 4 * SECONDS
    rows = await receipts(world)
    async with world.context.database.begin() as tx:
        kept = [await open_body(tx, world.context.keyring, row) for row in rows]
    assert kept == [*WHOLE.values(), GOOD]
    found = await books(world)
    assert (found["unsplittable"] + found["quarantined"], found["new"], found["waiting"]) == (len(WHOLE), 1, 0)
    async with await world.sign_in(Role.CASEWORKER) as caseworker:
        aside = (await caseworker.get("/v1/queues/set-aside")).json()["items"]
    assert all(item["reason"] for item in aside)


ODD = [
    "bidi \u202eabc",
    "\u2066x\u2069",
    "\ufffe\uffff",
    "\ufeffx",
    "Z" + "\u0301" * 1500,
    "\U0001f468\u200d\U0001f469",
    "\x1b[2J",
    "\x7f",
]


async def test_d7_odd_text_comes_back_letter_by_letter(online: Online) -> None:
    world, _, _ = online
    for number, text in enumerate(ODD):
        body = json.dumps(alert(id=f"odd-{number}", summary=text, institution=f"Bank {number}")).encode()
        assert (await post(online, body)).status_code == 202
    shown = await world.timeline()
    assert len(shown) == len(ODD)
    async with await world.sign_in(Role.MEMBER) as browser:
        told = [(await browser.get(f"/v1/incidents/{entry['id']}")).json() for entry in shown]
    summaries = {event["summary"] for one in told for source in one["sources"] for event in source["events"]}
    assert summaries == set(ODD)


DATES: list[tuple[str, bool]] = [
    ("0000-01-01", False),
    ("0001-01-01", False),
    ("9999-12-31", False),
    ("10000-01-01", False),
    ("2023-02-29", False),
    ("2023-03-01T23:59:60Z", False),
    ("2023-03-01T12:00:00", False),
    ("2023-03-01T12:00:00+99:00", False),
    ("2023-03-01T12:00:00-00:00", True),
    ("2023-03-01T12:00:00.123456789Z", True),
    ("2023-03-01", True),
    ("2024-02-29T00:00:00+14:00", True),
    ("2099-01-01T00:00:00Z", True),
    ("yesterday", False),
    ("", False),
]


async def test_d8_a_date_that_is_none_drops_no_alert(online: Online) -> None:
    """Read, or quarantined with its place and kept; one far ahead is kept as it was claimed."""
    world, _, _ = online
    for number, (text, _) in enumerate(DATES):
        body = json.dumps(alert(id=f"d-{number}", occurred=text)).encode()
        assert (await post(online, body)).status_code == 202
    await world.workers.drain()
    told = await outcomes(world)
    assert [(outcome, path) for outcome, _, path in told] == [
        ("new", None) if good else ("quarantined", "occurred") for _, good in DATES
    ]


MULTIPART = b'--x\r\nContent-Disposition: form-data; name="files"; filename="/etc/passwd"\r\n\r\n{}\r\n--x--\r\n'
TYPES: dict[str, bytes] = {
    "multipart/form-data; boundary=x": MULTIPART,
    "application/x-www-form-urlencoded": b"id=a-1&type=ping",
    "text/plain": GOOD,
    "text/json": GOOD,
    "text/html": GOOD,
    "application/xml": b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
    "application/octet-stream": GOOD,
    "application/json, multipart/form-data": GOOD,
    "application/jsonp": GOOD,
    "*/*": GOOD,
}


async def test_d9_one_media_type_and_nothing_else_is_even_looked_at(online: Online) -> None:
    """Also a JSON body that says it is an upload (n8n, CVE-2026-21858): it stays what it is, a text."""
    world, port, client = online
    path = world.union.connection.path
    for media_type, body in TYPES.items():
        assert (await post(online, body, **{"content-type": media_type})).status_code == 415, media_type
    twice = [*((name.encode(), text.encode()) for name, text in signed(world, GOOD).items()), (b"content-type", b"text/plain")]
    assert (await raw_post(port, path, twice, GOOD)).statuses[0] in {202, 415}
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        answer = await client.request(method, path, headers=signed(world, GOOD))
        assert answer.status_code == 405, method
    posed = {"x-http-method-override": "DELETE", "x-method-override": "GET", "x-http-method": "PUT"}
    body = json.dumps({"id": "p", "type": "ping"}).encode()
    assert (await post(online, body, **posed)).status_code == 202
    forged = json.dumps({"files": {"f": {"filepath": "/etc/passwd"}}, "receipt": "x", "connection_id": "y", **alert()}).encode()
    assert (await post(online, forged)).status_code == 202
    await world.workers.drain()
    assert ("quarantined", "malformed field", "*") in await outcomes(world)
    assert (await all_refusals(world))["wrong_type"] >= len(TYPES)


PAYLOADS = [
    "{{7*7}}",
    "${7*7}",
    "{0.__class__}",
    "%n%s%x",
    "'; DROP TABLE receipt;--",
    "`id`",
    "$(id)",
    "<script>alert(1)</script>",
    "#{7*7}",
]


async def test_d12_what_a_provider_writes_is_text_and_nothing_else(online: Online) -> None:
    world, _, _ = online
    for number, text in enumerate(PAYLOADS):
        body = json.dumps(alert(id=text, summary=text, institution=f"{text} {number}", bureau=None)).encode()
        assert (await post(online, body)).status_code == 202
    shown = await world.timeline()
    assert {entry["institution"] for entry in shown} == {f"{text} {number}" for number, text in enumerate(PAYLOADS)}
    async with await world.sign_in(Role.MEMBER) as browser:
        page = (await browser.get("/timeline")).text
        pages = [page, *[(await browser.get(f"/incidents/{entry['id']}")).text for entry in shown]]
    assert not any("<script>alert" in text for text in pages)
    assert "{{7*7}}" in page
    assert not any("49" in entry["institution"] for entry in shown)


async def test_d13_a_word_that_nobody_knows_yet_is_kept_and_shown_to_a_person(online: Online) -> None:
    """Ten thousand changed payloads for each connector: tests/connectors/test_every_connector.py."""
    world, _, _ = online
    for number, change in enumerate([{"type": "never.heard.of"}, {"bureau": "a fourth"}, {"new_field": 1}, {"currency": "ZZ9"}]):
        assert (await post(online, json.dumps(alert(id=f"new-{number}", **change)).encode())).status_code == 202
    await world.workers.drain()
    assert [path for _, _, path in await outcomes(world)] == ["type", "bureau", "*", "currency"]
    async with await world.sign_in(Role.CASEWORKER) as caseworker:
        assert len((await caseworker.get("/v1/queues/quarantined")).json()["items"]) == 4
