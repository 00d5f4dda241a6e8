"""One question that fails is its person's own matter: nobody behind it waits, nothing is asked twice, and it stays visible."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.access.roles import Role
from app.connections.models import Connection, Poll
from app.intake import asker, polling, rounds
from app.intake.asker import Asker
from app.intake.health import ConnectionHealth, HealthState, health_of
from app.intake.models import Receipt
from app.kit import clock
from app.ledger.service import SYSTEM
from app.members import erasing
from app.notices.conditions import conditions_of
from app.notices.models import AlarmKind
from connectors.array.sandbox import ArraySandbox
from connectors.asking import Page, UnexpectedAnswer
from connectors.hibp.sandbox import HibpSandbox
from connectors.registry import registry
from connectors.sandboxing import Fault, Happening
from connectors.vocabulary import AlertKind, Bureau
from tests.connectors.stage import PEOPLE, Stage, enroll, no_waiting, staged
from tests.intake.answering_late import asked_and_silent
from tests.intake.polled import connect, polled_world
from tests.support.world import World

ANN, BOB = PEOPLE
DAY = timedelta(days=1)


def inquiry(who: str, number: int = 0) -> Happening:
    return Happening(who, AlertKind.INQUIRY_HARD, clock.now(), f"Bank {number}", bureau=Bureau.EXPERIAN)


class Trouble:
    """Whose lists the provider answers how, and whose it was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.status: dict[str, int] = {}
        self.asked: list[str] = []
        real, trouble = ArraySandbox._list, self

        async def answer(self: ArraySandbox, request: Request) -> Response:
            who = request.query_params["clientKey"]
            trouble.asked.append(who)
            status = trouble.status.get(who)
            return JSONResponse({"message": "no"}, status) if status else await real(self, request)

        monkeypatch.setattr(ArraySandbox, "_list", answer)


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Trouble:
    no_waiting(monkeypatch)
    return Trouble(monkeypatch)


@pytest.fixture
async def array(world: World, trouble: Trouble) -> AsyncIterator[Stage]:
    async with staged(world, registry()["array"]) as stage:
        await stage.ask()
        assert (await stage.poll()).polls == 1
        trouble.asked.clear()
        yield stage


async def turns(stage: Stage, until: timedelta) -> None:
    """Ask whenever something is due, for so long."""
    end, most = clock.now() + until, 60
    while clock.now() < end:
        most -= 1
        assert most, "it is asked far too often"
        await stage.world.workers.ask()
        row = await stage.poll()
        due = min(moment for moment in (row.poll_due_at, row.look_ups_due_at) if moment is not None)
        clock.set_to(min(end, max(due, row.waits_until or due, clock.now() + timedelta(seconds=1))))
    await stage.world.workers.ask()


async def health(stage: Stage) -> ConnectionHealth:
    async with stage.world.context.database.begin(read_only=True) as tx:
        found = await health_of(tx, stage.world.union.id)
    return next(one for one in found if one.connection_id == stage.connection_id)


async def more_people(stage: Stage, *numbers: str) -> None:
    async with stage.world.context.database.begin() as tx:
        await enroll(tx, stage.world, stage.connection_id, {f"zz-{number}": number for number in numbers})
    for number in numbers:
        stage.sandbox.enrol(f"zz-{number}")


@pytest.mark.long
async def test_one_thing_that_cannot_be_looked_up_does_not_stop_the_daily_question(array: Stage) -> None:
    bad = array.sandbox.tell(inquiry(ANN))
    array.sandbox.misbehave(Fault.BROKEN, times=10**9, path=f"/monitor/v2/alerts/{bad}")
    await array.push()
    await array.ask()
    array.sandbox.tell(inquiry(BOB, 2), announced=False)
    await turns(array, timedelta(hours=1))
    clock.set_to(clock.now() + DAY)
    await array.world.workers.ask()
    assert (await array.come_in())[BOB, "inquiry"] == 1
    assert (await array.poll()).polls == 2
    await turns(array, timedelta(minutes=30))
    found = await health(array)
    assert (found.state, found.look_ups_failing) == (HealthState.PARTLY, 1)
    assert AlarmKind.PARTLY in conditions_of(found)
    good = array.sandbox.tell(inquiry(BOB, 3))
    await array.push()
    await array.ask(after=timedelta(seconds=1))
    assert (await array.come_in())[BOB, "inquiry"] == 2, good
    array.sandbox.behave()
    await turns(array, timedelta(hours=2))
    assert (await array.come_in())[ANN, "inquiry"] == 1
    assert (await health(array)).state is HealthState.OK


@pytest.mark.parametrize("status", [500, 403, 400])
async def test_one_person_whose_list_fails_holds_up_nobody_and_costs_no_second_round(
    array: Stage, trouble: Trouble, status: int
) -> None:
    trouble.status[ANN] = status
    array.sandbox.tell(inquiry(BOB), announced=False)
    array.sandbox.tell(inquiry(ANN, 1), announced=False)
    await turns(array, DAY + timedelta(hours=6))
    assert (await array.come_in())[BOB, "inquiry"] == 1
    row = await array.poll()
    assert (row.state, row.failures, row.polls) == ("ok", 0, 2)
    assert row.error is not None
    assert row.error.startswith("1 of 2 people could not be asked about")
    bureaus = 4
    assert Counter(trouble.asked)[BOB] <= 2 * bureaus, "asked once, whatever happens to the others"
    found = await health(array)
    assert (found.state, found.people_failing, found.people_failing_long) == (HealthState.PARTLY, 1, 1)
    assert AlarmKind.PARTLY in conditions_of(found)
    async with await array.world.sign_in(Role.ADMIN) as admin:
        page = (await admin.get(f"/admin/connections/{array.connection_id}")).text
    assert "About 1 person it gave no answer the last time" in page
    assert ANN not in page
    trouble.status.clear()
    await turns(array, DAY)
    assert (await array.come_in())[ANN, "inquiry"] == 1
    assert (await health(array)).state is HealthState.OK
    assert (await array.poll()).error is None


async def test_who_had_no_answer_once_is_asked_about_again_within_the_minute(array: Stage, trouble: Trouble) -> None:
    trouble.status[ANN] = 500
    array.sandbox.tell(inquiry(ANN), announced=False)
    await array.ask(after=DAY)
    trouble.status.clear()
    trouble.asked.clear()
    await array.ask(after=timedelta(minutes=1))
    assert set(trouble.asked) == {ANN}
    assert (await array.come_in())[ANN, "inquiry"] == 1
    assert (await array.poll()).round_kind is None


async def test_a_sweep_that_is_answered_in_part_is_done_and_what_is_missing_is_asked_for_from_the_beginning(
    array: Stage, trouble: Trouble
) -> None:
    trouble.status[ANN] = 500
    await turns(array, timedelta(days=7, hours=3))
    row = await array.poll()
    assert row.sweep_due_at is not None
    assert row.sweep_due_at > clock.now() + timedelta(days=6)
    assert Counter(trouble.asked)[BOB] <= 9 * 2 * 4
    old = Happening(ANN, AlertKind.INQUIRY_HARD, clock.now() - timedelta(days=40), "Old Bank", bureau=Bureau.EXPERIAN)
    array.sandbox.tell(old, announced=False)
    trouble.status.clear()
    await turns(array, DAY)
    assert (await array.come_in())[ANN, "inquiry"] == 1, "though the sweep is over"


async def test_when_everybody_fails_it_is_the_provider_and_nobody_else_is_asked_about(array: Stage, trouble: Trouble) -> None:
    await more_people(array, *(f"M-{number}" for number in range(1, 3)))
    trouble.status.update(dict.fromkeys([ANN, BOB, "zz-M-1", "zz-M-2"], 400))
    clock.set_to(clock.now() + DAY)
    await array.world.workers.ask()
    row = await array.poll()
    assert (row.state, row.failures, row.polls) == ("unexpected", 1, 1)
    assert len(set(trouble.asked)) == 3
    trouble.status.clear()
    trouble.asked.clear()
    clock.set_to(row.waits_until or clock.now())
    await array.world.workers.ask()
    assert set(trouble.asked) == {ANN, BOB, "zz-M-1", "zz-M-2"}
    assert ((await array.poll()).state, (await array.poll()).polls) == ("ok", 2)


async def test_a_reference_that_the_provider_does_not_know_is_reported_and_not_asked_for_over_and_over(
    array: Stage, trouble: Trouble
) -> None:
    array.sandbox.people.pop(ANN) if isinstance(array.sandbox.people, dict) else array.sandbox.people.discard(ANN)
    await turns(array, DAY + timedelta(hours=5))
    found = await health(array)
    assert (found.state, found.people_failing_long) == (HealthState.PARTLY, 1)
    assert found.error is not None
    assert "no list for them" in found.error
    assert Counter(trouble.asked)[ANN] == 4, "once in a round"


async def test_the_same_shape_at_have_i_been_pwned(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    no_waiting(monkeypatch)
    real = HibpSandbox._account

    async def answer(self: HibpSandbox, request: Request) -> Response:
        return Response("{}", 500) if request.path_params["account"] == ANN else await real(self, request)

    monkeypatch.setattr(HibpSandbox, "_account", answer)
    async with staged(world, registry()["hibp"]) as stage:
        stage.sandbox.tell(Happening(BOB, AlertKind.EXPOSURE_SSN, clock.now(), "Inv A"))
        await stage.ask()
        assert sum(count for (who, _), count in (await stage.come_in()).items() if who == BOB) == 1
        assert ((await stage.poll()).state, (await stage.poll()).polls) == ("ok", 1)
        assert (await health(stage)).state is HealthState.PARTLY


async def test_a_turn_has_its_time_and_goes_on_behind_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asker, "AT_ONCE", 1)
    async with polled_world(world) as polled:
        other = await connect(world, polled.base_url, key="key-2", member="M-2")
        for day in range(9):
            polled.provider.add(clock.now() - timedelta(days=30 - day), "ref-nobody", count=10)
        real = polled.provider._page

        def slow(since: str, token: str) -> JSONResponse:
            assert len(polled.provider.asked) < 200
            clock.set_to(clock.now() + polling.SHARE / 2)
            return real(since, token)

        polled.provider._page = slow  # type: ignore[method-assign]
        await polled.ask()
        first, second = dict.fromkeys(polled.provider.asked)  # both are due since the same moment: either may begin
        turn_of_the_other = polled.provider.asked.index(second)
        assert 0 < turn_of_the_other < 9
        assert first in polled.provider.asked[turn_of_the_other:], "it goes on later"
        assert await polled.alerts() == 90
        async with world.context.database.begin(read_only=True) as tx:
            rows = (await tx.execute(select(Poll).where(Poll.connection_id.in_((polled.connection_id, other))))).scalars().all()
        assert [(row.polls, row.round_kind) for row in rows] == [(1, None)] * 2
        assert all(row.sweep_due_at is not None and row.sweep_due_at > clock.now() for row in rows), "the sweep came to its end"


@pytest.mark.parametrize("how", ["erased", "no"])
async def test_who_is_erased_or_says_no_while_the_provider_answers_is_asked_about_no_further(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    async with asked_and_silent(world, monkeypatch) as (stage, answers):
        for who in ("M-1", "M-2"):
            if how == "erased":
                async with world.context.database.begin() as tx:
                    await erasing.erase(tx, world.context.keyring, world.union.id, world.union.members[who], SYSTEM)
            else:
                async with await world.sign_in(Role.MEMBER, who) as browser:
                    body = {"connection_id": str(stage.connection_id), "given": False}
                    assert (await browser.post("/v1/me/consents", json=body)).status_code == 204
        if how == "no":
            await world.workers.drain()  # else only what is looked at when the answer is kept stands in between
        await answers()
        await world.workers.drain()
        assert sum("/breachedaccount/" in seen.path for seen in stage.sandbox.faults.seen) <= (1 if how == "no" else 2)
        async with world.context.database.begin(read_only=True) as tx:
            here = select(Receipt).where(Receipt.connection_id == stage.connection_id, Receipt.about_index.is_not(None))
            assert (await tx.execute(here)).scalars().all() == []
        assert (await stage.poll()).state in ("ok", "never")


async def test_a_connection_that_is_paused_right_after_it_was_claimed_is_not_asked(world: World) -> None:
    async with polled_world(world) as polled:
        asker = Asker(world.context)
        turn = await asker._claim()
        assert turn is not None
        async with world.context.database.begin() as tx:
            await tx.execute(update(Connection).where(Connection.id == polled.connection_id).values(paused_at=clock.now()))
        assert not await asker._take(turn)
        assert polled.provider.asked == []
        assert (await polled.row()).lease_owner is None
        await asker.close()


def test_of_pages_only_their_digests_are_kept() -> None:
    seen, body = rounds.Pages(), b"x" * 1_000_000
    for number in range(20):
        seen.check(Page(body + str(number).encode(), cursor=str(number)))
    assert sum(len(digest) for digest in seen._seen) == 20 * 32
    seen.check(Page(body))
    seen.check(Page(body))
    with pytest.raises(UnexpectedAnswer):
        seen.check(Page(body))


@pytest.mark.parametrize("name", ["array", "crs"])
async def test_a_rate_that_no_turn_can_wait_for_is_refused(world: World, name: str) -> None:
    async with staged(world, registry()[name]) as stage, await world.sign_in(Role.ADMIN) as admin:
        slow = {"settings": {"requests_per_minute": 0.5}}
        assert (await admin.patch(f"/v1/connections/{stage.connection_id}", json=slow)).status_code == 422
        once = {"settings": {"requests_per_minute": 1}}
        assert (await admin.patch(f"/v1/connections/{stage.connection_id}", json=once)).status_code == 200
