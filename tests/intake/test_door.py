"""The one door: what is answered to whom, and what is kept. 202 only for what is kept, 401 always with the same bytes."""

from __future__ import annotations

import json
import random
from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from app.intake.delivery import Body
from app.kit import clock
from app.kit.errors import Problem
from app.kit.ids import uuid7
from app.operations import trace
from connectors.standard.sandbox import sign
from connectors.verifiers import StandardWebhooks
from tests.intake.counting import all_refusals, books, receipts
from tests.support.rows import BOOKKEEPING, contents, counts, grown
from tests.support.world import NOW, World, alert

BODY = json.dumps(alert()).encode()
KEPT = {"receipt": 1, "ledger_entry": 1}


def post(world: World, body: bytes = BODY, **headers: str) -> Any:
    """Post a rightly signed body with some headers other than usual; an empty one is left out."""
    right = {"content-type": "application/json", **sign(world.union.connection.secret, body, at=clock.now())}
    sent = {name: value for name, value in {**right, **headers}.items() if value}
    return world.client.post(world.union.connection.path, content=body, headers=sent)


async def test_a_delivery_is_kept_with_its_ledger_entry_and_nothing_else_is_done_yet(world: World) -> None:
    before = await counts(world.context.database)
    answer = await world.deliver(BODY)
    (receipt,) = await receipts(world)
    assert (answer.status_code, answer.json()) == (202, {"receipt": str(receipt.id), "repeat": False})
    assert grown(before, await counts(world.context.database)) == KEPT
    assert receipt.received_at == receipt.last_received_at == NOW
    assert (receipt.state, receipt.grade, receipt.channel, receipt.repeats) == ("stored", "shared_secret", "webhook", 0)
    assert receipt.verification["signed_at"] == NOW.isoformat()


async def test_the_same_bytes_again_are_counted_and_nothing_else_is_written(world: World) -> None:
    first = await world.deliver(BODY)
    await world.workers.drain()
    before, rows = await counts(world.context.database), await contents(world.context.database)
    clock.set_to(NOW + timedelta(minutes=2))
    for message_id in ("one", "two"):
        again = await world.deliver(BODY, message_id=message_id)
        assert (again.status_code, again.json()) == (202, {"receipt": first.json()["receipt"], "repeat": True})
    await world.workers.drain()
    assert await counts(world.context.database) == before
    after = await contents(world.context.database, without=BOOKKEEPING | {"letter"})  # the member's mail is tried again
    assert [name for name in after if rows[name] != after[name]] == ["receipt"]
    (receipt,) = await receipts(world)
    assert (receipt.repeats, receipt.received_at, receipt.last_received_at) == (2, NOW, NOW + timedelta(minutes=2))
    assert (await books(world))["deliveries"] == 3


def forgeries(world: World) -> dict[str, tuple[str, bytes, dict[str, str]]]:
    """Path, body and headers of deliveries that prove nothing, by what is wrong with them."""
    ours, theirs = world.union.connection, world.other.connection
    right = {"content-type": "application/json", **sign(ours.secret, BODY, at=clock.now(), message_id="m")}
    signature, token = right["webhook-signature"], ours.path.rpartition("/")[2]
    unsigned = {name: value for name, value in right.items() if name != "webhook-signature"}
    foreign = sign(StandardWebhooks.new_secret(), BODY, at=clock.now(), message_id="m")["webhook-signature"]
    paths = {
        "no such connection": f"/webhooks/{uuid7()}/{token}",
        "no id at all": f"/webhooks/nothing/{token}",
        "an id with junk": f"/webhooks/{ours.connection.id}%00/{token}",
        "the id in capitals": ours.path.replace(str(ours.connection.id), str(ours.connection.id).upper()),
        "the id in braces": ours.path.replace(str(ours.connection.id), f"{{{ours.connection.id}}}"),
        "the id without dashes": ours.path.replace(str(ours.connection.id), ours.connection.id.hex),
        "an id of letters": f"/webhooks/{'é' * 40}/{token}",
        "another token": f"/webhooks/{ours.connection.id}/{'x' * 32}",
        "a cut token": ours.path[:-1],
        "a longer token": ours.path + "A",
        "the other's token": f"/webhooks/{ours.connection.id}/{theirs.path.rpartition('/')[2]}",
        "the other's address": theirs.path,
    }
    signatures = {
        "another secret": foreign,
        "no version": signature.removeprefix("v1,"),
        "another version": "v0," + signature.removeprefix("v1,"),
        "an empty signature": "v1,",
        "junk": "v1,????",
        "letters": "v1,é",
        "a cut signature": signature[:-2],
        "another spelling": signature[:-2] + chr(ord(signature[-2]) + 1) + "=",
        "one too many": " ".join([foreign] * 17 + [signature]),
    }
    wrong = {name: (path, BODY, right) for name, path in paths.items()}
    wrong |= {name: (ours.path, BODY, {**right, "webhook-signature": text}) for name, text in signatures.items()}
    wrong["no signature"] = (ours.path, BODY, unsigned)
    wrong["another body"] = (ours.path, BODY + b" ", right)
    wrong["no body"] = (ours.path, b"", right)
    wrong["another id"] = (ours.path, BODY, {**right, "webhook-id": "n"})
    for name, stamp in (("a letter", "x"), ("a later time", str(int(NOW.timestamp()) + 1)), ("no time", "")):
        wrong[name] = (ours.path, BODY, {**right, "webhook-timestamp": stamp})
    return wrong


async def test_whatever_is_not_authentic_gets_one_and_the_same_answer_and_is_counted_only(world: World) -> None:
    before = await counts(world.context.database)
    answers: dict[Any, list[str]] = {}
    for name, (path, body, headers) in forgeries(world).items():
        raw = {key: value.encode() for key, value in headers.items()}
        answer = await world.client.post(path, content=body, headers=raw)
        told = (answer.status_code, answer.content, tuple(sorted(answer.headers.items())))
        answers.setdefault(told, []).append(name)
    assert len(answers) == 1, {status: names for (status, *_), names in answers.items()}
    (status, content, headers), _ = answers.popitem()
    assert status == 401
    assert ("content-type", "application/problem+json") in headers
    assert b"Union" not in content
    assert await all_refusals(world) == {"not_authentic": len(forgeries(world))}
    assert set(grown(before, await counts(world.context.database))) == {"refusal"}
    assert (await world.deliver(BODY)).status_code == 202


FORMS: list[tuple[dict[str, str], bytes, int]] = [
    ({"content-type": "text/plain"}, BODY, 415),
    ({"content-type": ""}, BODY, 415),
    ({"content-type": "application/json+x"}, BODY, 415),
    ({"content-type": "multipart/form-data; boundary=x"}, BODY, 415),
    ({"content-encoding": "gzip"}, BODY, 415),
    ({"content-encoding": "identity, gzip"}, BODY, 415),
    ({}, b'"' + b"x" * (1024 * 1024 - 1) + b'"', 413),
    ({"content-type": "application/json; charset=utf-8"}, b"1", 202),
    ({"content-type": "Application/JSON"}, b"2", 202),
    ({"content-encoding": "identity"}, b"3", 202),
    ({}, b'"' + b"x" * (1024 * 1024 - 2) + b'"', 202),
]


async def test_form_and_size_are_checked_and_what_is_refused_is_counted(world: World) -> None:
    for headers, body, status in FORMS:
        assert (await post(world, body, **headers)).status_code == status, headers
    assert await all_refusals(world) == {"wrong_type": 6, "too_large": 1}
    assert len(await receipts(world)) == 4
    await books(world)


async def test_a_body_without_end_is_cut_off_at_the_limit(world: World) -> None:
    read = 0

    async def endless() -> Any:
        nonlocal read
        while True:
            read += 65536
            yield b"x" * 65536

    headers = {"content-type": "application/json", "webhook-id": "x"}
    answer = await world.client.post(world.union.connection.path, content=endless(), headers=headers)
    assert answer.status_code == 413
    assert read == 1024 * 1024 + 65536


async def test_a_body_that_came_along_is_not_asked_for_and_has_the_same_limit() -> None:
    async def never() -> Any:
        pytest.fail("the body was asked for")

    there = Body(never, "2", b"hi")
    assert (await there.read(2), await there.read(2), await Body(never, "0", b"").read(2)) == (b"hi", b"hi", b"")
    for declared in ("3", ""):
        with pytest.raises(Problem) as refusal:
            await Body(never, declared, b"hii").read(2)
        assert refusal.value.status == 413


async def test_no_byte_of_a_body_is_read_for_an_address_that_does_not_exist(world: World) -> None:
    async def never() -> Any:
        pytest.fail("the body was read")
        yield b""

    answer = await world.client.post(f"/webhooks/{uuid7()}/x", content=never(), headers={"content-type": "application/json"})
    assert answer.status_code == 401


async def test_five_minutes_either_way_are_in_time(world: World) -> None:
    for seconds in (-300, 300):
        assert (await world.deliver(alert(id=str(seconds)), at=NOW + timedelta(seconds=seconds))).status_code == 202
    assert [receipt.state for receipt in await receipts(world)] == ["stored", "stored"]


async def test_a_stale_delivery_is_kept_set_aside_and_still_202_and_a_fresh_one_wakes_it(world: World) -> None:
    for number, seconds in enumerate([-301, 301, -86400 * 400]):
        body = alert(id=str(seconds), institution=f"Bank {number}")
        stale = await world.deliver(body, at=NOW + timedelta(seconds=seconds))
        assert stale.status_code == 202
        assert len(await world.timeline()) == number
        receipt = (await receipts(world))[-1]
        assert (receipt.state, receipt.verification["outcome"]) == ("stale", "stale")
        assert "signed too" in str(receipt.reason)
        assert (await books(world))["stale"] == 1
        fresh = await world.deliver(body)
        assert fresh.json() == {"receipt": stale.json()["receipt"], "repeat": True}
        assert len(await world.timeline()) == number + 1
        receipt = (await receipts(world))[-1]
        assert (receipt.state, receipt.reason, receipt.repeats) == ("handled", None, 1)
        assert receipt.verification["outcome"] == "authentic"
        await world.deliver(body, at=NOW + timedelta(seconds=seconds))
        assert (await receipts(world))[-1].state == "handled"
        assert (await books(world))["stale"] == 0


async def test_what_happened_to_a_delivery_can_be_told_without_telling_what_it_said(world: World) -> None:
    receipt = UUID((await world.deliver(BODY)).json()["receipt"])
    await world.workers.drain()
    story = await trace(world.context, receipt)
    assert (story["state"], story["readable"], story["grade"]) == ("handled", True, "shared_secret")
    assert story["headers_kept"] == ["webhook-id", "webhook-signature", "webhook-timestamp"]
    assert [event["outcome"] for event in story["events"]] == ["new"]
    assert not any(word in json.dumps(story, default=str) for word in ("Invented", "new card"))


def flipped(data: bytes, bit: int) -> bytes:
    out = bytearray(data)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


async def ask(world: World, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> int:
    """Put a request to the application as a server would, with whatever bytes; returns the status."""
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "headers": headers, "query_string": b""}
    scope |= {"http_version": "1.1", "scheme": "http", "root_path": "", "client": ("127.0.0.1", 1), "server": ("localhost", 8000)}
    seen: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        seen.append(message.get("status", 0))

    await world.app(scope, receive, send)
    return seen[0]


async def test_one_flipped_bit_anywhere_is_401(world: World) -> None:
    """Body, every header that is read, connection id and token: each bit of the address, and some of the rest."""
    right = sign(world.union.connection.secret, BODY, at=NOW, message_id="m")
    del right["content-type"]
    _, _, connection, token = world.union.connection.path.split("/")
    parts = {"body": BODY, "connection": connection.encode(), "token": token.encode()}
    parts |= {name: value.encode() for name, value in right.items()}

    async def status(parts: dict[str, bytes]) -> int:
        path = f"/webhooks/{parts['connection'].decode('latin-1')}/{parts['token'].decode('latin-1')}"
        headers = [(b"content-type", b"application/json"), *((name.encode(), parts[name]) for name in right)]
        return await ask(world, path, headers, parts["body"])

    bits = [(name, bit) for name, value in parts.items() for bit in range(len(value) * 8)]
    address = [(name, bit) for name, bit in bits if name in {"connection", "token"}]
    for name, bit in [*address[::2], *random.Random(4417).sample(bits, 200)]:
        wrong = flipped(parts[name], bit)
        split = name in {"connection", "token"} and b"/" in wrong
        assert await status({**parts, name: wrong}) == (404 if split else 401), (name, bit)
    assert await receipts(world) == []
    assert await status(parts) == 202
