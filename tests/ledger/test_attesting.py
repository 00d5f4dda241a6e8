"""What others attest is kept when it verifies; whoever is away, slow or wrong holds up nobody, and is told of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from app.kit import clock
from app.ledger import attestations, reading
from app.ledger import attesting as tested
from app.ledger.attesting import Rests
from app.ledger.models import Cosignature, Timestamp
from app.ledger.notes import Kind, Signer, parse_checkpoint, parse_key, parse_note, parse_signature, verify
from app.ledger.witness import Witness
from app.ledger.witness_server import create_app
from app.main import _every
from app.notices import service, workers
from app.watch.workers import Watcher
from tests.ledger.attested import attesting, context_with, grow, kept, logs, trust
from tests.ledger.authority import TestAuthority, authority, openssl, served, stamped
from tests.ledger.small_witness import SmallWitness, small_witness
from tests.support.world import World

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
async def stamps(tmp_path: Path) -> AsyncIterator[TestAuthority]:
    async with authority(tmp_path / "authority") as one:
        yield one


@pytest.fixture
async def witness() -> AsyncIterator[SmallWitness]:
    async with small_witness() as one:
        yield one


async def test_the_newest_checkpoint_is_stamped_once_a_day_if_there_is_a_new_one(
    world: World, stamps: TestAuthority, tmp_path: Path
) -> None:
    newest, at_work = await grow(world, 3), attesting(world, {"stamps": stamps})
    assert await at_work.stamp() == await logs(world)
    assert await at_work.stamp() == 0
    (row,) = await kept(world, Timestamp)
    assert (row.size, row.authority, row.at) == (newest.size, "stamps", clock.now())
    (tmp_path / "text").write_text(parse_note(newest.note).text)
    (tmp_path / "answer").write_bytes(row.response)
    files = ("-data", tmp_path / "text", "-in", tmp_path / "answer", "-CAfile", stamps.roots)
    assert (await openssl("ts", "-verify", *files))[0] == 0
    await grow(world)
    assert await at_work.stamp() == 0, "a day has not passed"
    clock.set_to(clock.now() + timedelta(hours=24))
    assert await at_work.stamp() == 0, "the authority's clock is a day behind ours then"
    assert len(await kept(world, Timestamp)) == 1


async def test_two_authorities_stamp_by_themselves(world: World, stamps: TestAuthority, tmp_path: Path) -> None:
    await grow(world)
    async with authority(tmp_path / "other") as other:
        other.instead = lambda query: HTMLResponse("<h1>Away</h1>", 503)
        at_work = attesting(world, {"one": stamps, "two": other})
        assert await at_work.stamp() == await logs(world)
        other.instead = None
        clock.set_to(clock.now() + timedelta(minutes=2))
        assert await at_work.stamp() == await logs(world)
    assert {row.authority for row in await kept(world, Timestamp)} == {"one", "two"}


async def tampered(stamps: TestAuthority, query: bytes) -> bytes:
    right = bytearray(await stamped(stamps.folder, query))
    right[len(right) // 2] ^= 1
    return bytes(right)


@on_sqlite
@pytest.mark.parametrize(
    "wrong", ["tampered", "to another question", "html with 200", "nothing", "redirect", "server error", "endless", "slow"]
)
async def test_an_answer_that_is_no_proof_is_not_kept(
    world: World, stamps: TestAuthority, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tested, "PATIENCE", 1.0)
    await grow(world)
    earlier: list[bytes] = []

    async def instead(query: bytes) -> Response | bytes:
        earlier.append(query)
        if wrong == "tampered":
            return await tampered(stamps, query)
        if wrong == "to another question":
            return await stamped(stamps.folder, earlier[0]) if len(earlier) > 1 else b""
        if wrong == "slow":
            await asyncio.sleep(3)
        answers = {
            "html with 200": HTMLResponse("<html>Sign in to this network</html>"),
            "redirect": RedirectResponse("http://127.0.0.1:1/"),
            "server error": PlainTextResponse("no", 500),
            "endless": Response(b"0" * 200_000),
        }
        return answers.get(wrong, b"")

    stamps.instead = instead
    at_work = attesting(world, {"stamps": stamps})
    for _ in range(2):
        assert await at_work.stamp() == 0
        clock.set_to(clock.now() + timedelta(minutes=2))
    assert await kept(world, Timestamp) == []
    stamps.instead = None
    assert await attesting(world, {"stamps": stamps}).stamp() == await logs(world)


async def test_a_witness_cosigns_what_has_only_grown(world: World, witness: SmallWitness) -> None:
    at_work = attesting(world, witnesses={"notary": witness})
    for count in (1, 300, 5):
        newest = await grow(world, count)
        await trust(world, witness)
        assert await at_work.cosign() >= 1
        assert await at_work.cosign() == 0
        last = (await kept(world, Cosignature))[-1]
        assert (last.size, last.witness, last.at) == (newest.size, witness.name, clock.now())
        note = parse_note(newest.note).with_lines([parse_signature(last.line)])
        assert verify(note, [parse_key(witness.key)]) == {parse_key(witness.key): int(clock.now().timestamp())}
    assert len(await kept(world, Cosignature)) == 3


async def test_the_witness_that_anybody_can_run_cosigns_and_keeps_a_copy(world: World, tmp_path: Path) -> None:
    first = await grow(world, 5)
    async with world.context.database.begin(read_only=True) as tx:
        own = Witness(tmp_path / "witness", await reading.log_keys(tx, world.union.id), "witness.local17.example")
    async with served(create_app(own)) as origin:
        at_work = attesting(world, witnesses={"local-17": SmallWitness(url=origin, vkey=str(own.key))})
        assert await at_work.cosign() == 1, "of the other logs it knows nothing"
        later = await grow(world, 600)
        assert await at_work.cosign() == 1
    assert [(row.size, row.witness) for row in await kept(world, Cosignature)] == [
        (first.size, own.key.name),
        (later.size, own.key.name),
    ]
    known = own.known(parse_checkpoint(parse_note(later.note).text).origin)
    assert known == parse_checkpoint(parse_note(later.note).text)


async def test_a_witness_that_knows_another_size_is_asked_again_from_there(world: World, witness: SmallWitness) -> None:
    first = await grow(world, 5)
    await trust(world, witness)
    # What it has seen was lost on our side.
    checkpoint = parse_checkpoint(parse_note(first.note).text)
    witness.known[checkpoint.origin] = (checkpoint.size, checkpoint.root)
    at_work = attesting(world, witnesses={"notary": witness}, organizations=frozenset({world.union.id}))
    assert await at_work.cosign() == 1
    assert [body.partition(b"\n")[0] for body in witness.asked] == [b"old 0", b"old %d" % first.size]
    checkpoint = parse_checkpoint(parse_note((await grow(world, 5)).note).text)
    assert await at_work.cosign() == 1
    assert (len(witness.asked), witness.known[checkpoint.origin]) == (3, (checkpoint.size, checkpoint.root))


async def test_a_witness_that_knows_more_is_an_error_and_cosigns_nothing(
    world: World, witness: SmallWitness, capsys: pytest.CaptureFixture[str]
) -> None:
    newest = await grow(world, 5)
    await trust(world, witness)
    origin = parse_note(newest.note).text.partition("\n")[0]
    witness.known[origin] = (newest.size + 7, b"r" * 32)
    at_work = attesting(world, witnesses={"notary": witness}, organizations=frozenset({world.union.id}))
    assert await at_work.cosign() == 0
    assert await kept(world, Cosignature) == []
    assert "a witness knows another log" in capsys.readouterr().out
    witness.known[origin] = (newest.size, b"r" * 32)
    clock.set_to(clock.now() + timedelta(minutes=2))
    assert await at_work.cosign() == 0


@on_sqlite
@pytest.mark.parametrize("wrong", ["another key", "another text", "no line", "html", "slow", "409 without a size", "404", "huge"])
async def test_a_cosignature_that_is_none_is_not_kept(
    world: World, witness: SmallWitness, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tested, "PATIENCE", 1.0)
    newest = await grow(world)
    await trust(world, witness)
    text, now = parse_note(newest.note).text, int(clock.now().timestamp())
    stranger = Signer(witness.name, Kind.COSIGNATURE, b"s" * 32)
    answers = {
        "another key": PlainTextResponse(stranger.sign(text, now).line),
        "another text": PlainTextResponse(witness.signer.sign(text.replace("\n", "\n1", 1), now).line),
        "no line": PlainTextResponse("thank you\n"),
        "html": HTMLResponse("<html>Welcome</html>"),
        "409 without a size": PlainTextResponse("conflict", 409),
        "404": PlainTextResponse("unknown", 404),
        "huge": PlainTextResponse("\u2014 x y\n" * 100_000),
    }

    async def instead(body: bytes) -> Response | None:
        if wrong == "slow":
            await asyncio.sleep(3)
        return answers.get(wrong)

    witness.instead = instead
    assert await attesting(world, witnesses={"notary": witness}).cosign() == 0
    assert await kept(world, Cosignature) == []
    witness.instead = None
    assert await attesting(world, witnesses={"notary": witness}).cosign() >= 1


async def test_who_is_away_holds_up_nobody_and_is_left_alone_for_a_while(world: World, witness: SmallWitness) -> None:
    await grow(world)
    async with AsyncExitStack() as there:
        gone = await there.enter_async_context(small_witness(name="gone.example"))
        at_work = attesting(world, witnesses={"gone": gone, "notary": witness})
        gone.instead = lambda body: PlainTextResponse("no", 404)
        await trust(world, witness, gone)
        assert await at_work.cosign() == await logs(world)
        asked = len(gone.asked)
        assert asked == await logs(world), "where one log is not known, others may be"
        assert await at_work.cosign() == 0
        assert len(gone.asked) == asked
    newest = await grow(world)
    assert await at_work.cosign() >= 1
    assert {(row.witness, row.size) for row in await kept(world, Cosignature) if row.size == newest.size} == {
        (witness.name, newest.size)
    }


async def test_a_witness_is_sent_the_logs_that_it_follows_and_no_other(world: World, witness: SmallWitness) -> None:
    await grow(world)
    await grow(world, organization_id=world.other.id)
    await trust(world, witness)
    followed = frozenset({world.union.id})
    assert await attesting(world, witnesses={"notary": witness}, organizations=followed).cosign() == 1
    assert len(witness.known) == 1
    assert (len(await kept(world, Cosignature)), await kept(world, Cosignature, world.other.id)) == (1, [])


async def test_two_processes_do_not_ask_at_once(world: World, witness: SmallWitness) -> None:
    await grow(world)
    await trust(world, witness)
    first, second = (attesting(world, witnesses={"notary": witness}) for _ in range(2))
    done = await asyncio.gather(first.cosign(), second.cosign())
    assert sum(done) == await logs(world) == len(witness.asked)


async def test_the_turn_of_a_process_that_died_ends_by_itself(world: World, witness: SmallWitness) -> None:
    await grow(world)
    await trust(world, witness)
    async with world.context.database.begin() as tx:
        assert await attestations.take_turn(tx, "ledger.cosigning", world.union.id, clock.now(), timedelta(minutes=2))
    at_work = attesting(world, witnesses={"notary": witness})
    assert await at_work.cosign() == 0
    clock.set_to(clock.now() + timedelta(minutes=2))
    assert await at_work.cosign() >= 1


async def alarms(world: World, watcher: Watcher) -> set[str]:
    """Which alarms of the union about attesting are open after one look."""
    await workers.watch(world.context, await watcher.signs())
    async with world.context.database.begin(read_only=True) as tx:
        return {str(one.kind) for one in await service.open_alarms(tx, world.union.id)} & {"unwitnessed", "unstamped"}


async def test_who_is_behind_is_an_alarm(world: World, witness: SmallWitness, stamps: TestAuthority) -> None:
    context = context_with(world, {"stamps": stamps}, {"notary": witness})
    watcher, at_work = Watcher(context, world.workers.readiness, world.app.state.acknowledged), tested.Attesting(context)
    await grow(world)
    await trust(world, witness)
    assert (await at_work.cosign(), await at_work.stamp()) == (await logs(world), await logs(world))
    witness.instead = stamps.instead = lambda body: PlainTextResponse("no", 503)
    clock.set_to(clock.now() + timedelta(days=3))
    assert await alarms(world, watcher) == set(), "nothing has grown"
    await grow(world)
    assert await at_work.cosign() == 0
    assert await alarms(world, watcher) == set()
    clock.set_to(clock.now() + timedelta(minutes=10))
    assert await alarms(world, watcher) == {"unwitnessed"}
    clock.set_to(clock.now() + timedelta(hours=24))
    assert await alarms(world, watcher) == {"unwitnessed", "unstamped"}
    witness.instead = None
    assert await at_work.cosign() >= 1
    clock.set_to(clock.now() + timedelta(minutes=20))
    assert await alarms(world, watcher) == {"unstamped"}


async def test_nobody_set_up_is_no_alarm(world: World) -> None:
    await grow(world)
    clock.set_to(clock.now() + timedelta(days=9))
    assert await alarms(world, world.workers.watcher) == set()


async def test_ticks_are_there_for_those_who_are_set_up(world: World, witness: SmallWitness, stamps: TestAuthority) -> None:
    assert attesting(world).ticks() == {}
    assert set(attesting(world, witnesses={"notary": witness}).ticks()) == {"cosigning"}
    assert set(attesting(world, {"stamps": stamps}, {"notary": witness}).ticks()) == {"cosigning", "stamping"}
    assert {"cosigning", "stamping"} <= _every(world.context).keys()


def test_rests_grow_and_end() -> None:
    rests, now = Rests(timedelta(seconds=5), timedelta(seconds=15)), clock.machine()
    spans = []
    for _ in range(4):
        rests.failed("a", now)
        spans.append(next(s for s in range(60) if rests.over("a", now + timedelta(seconds=s))))
    assert spans == [5, 10, 15, 15]
    assert rests.over("b", now)
    rests.did_well("a")
    assert rests.over("a", now)
