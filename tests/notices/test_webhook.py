"""The operator's own program is told of alarms by a signed webhook: verified as anybody would, retried, each change once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from app.kit import clock
from app.kit.config import Settings
from app.kit.letters import LetterState
from connectors.sandboxing import Fault, Happening, Sandbox, serving
from tests.notices.mailed import Mailed, mailed_world, on_sqlite
from tests.support.world import Filled

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver(Sandbox):
    """Takes what is posted to it, and answers as many receivers do: with no JSON at all."""

    name = "receiver"

    def __init__(self) -> None:
        super().__init__(clock.now)
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.answer = Response(status_code=200)

    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/hooks/alarms", self._take, methods=["POST"])]

    async def _take(self, request: Request) -> Response:
        self.taken.append((dict(request.headers), await request.body()))
        return self.answer

    def settings(self, base_url: str) -> dict[str, Any]:
        return {}

    def enrol(self, reference: str) -> None:
        """Knows nobody."""

    def tell(self, happening: Happening) -> None:
        """Tells of nothing."""


@pytest.fixture
async def hooked(filled_database: tuple[str, Filled]) -> AsyncIterator[tuple[Mailed, Receiver]]:
    receiver = Receiver()
    async with serving(receiver) as base_url:
        settings = {"alarm_webhook_url": f"{base_url}/hooks/alarms", "alarm_webhook_secret": SECRET}
        async with mailed_world(filled_database, **settings) as mailed:
            await mailed.world.deliver(b"junk")
            await mailed.world.workers.drain()
            yield mailed, receiver


def verified(headers: dict[str, str], body: bytes, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a receiver reads that checks as the standard's own library does, time of signing apart: the clock stands."""
    monkeypatch.setattr(Webhook, "_Webhook__verify_timestamp", lambda _, stamp: datetime.fromtimestamp(int(stamp), UTC))
    told: dict[str, Any] = Webhook(SECRET).verify(body, headers)
    return told


async def test_each_change_of_an_alarm_is_told_once_and_proves_itself(
    hooked: tuple[Mailed, Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    mailed, receiver = hooked
    for answer in (Response(status_code=200), PlainTextResponse("thanks", 202)):
        receiver.answer = answer
        await mailed.watch(minutes=1)
        await mailed.watch(minutes=1)
    await mailed.watch(days=8)
    opened, closed = [verified(headers, body, monkeypatch) for headers, body in receiver.taken]
    assert (opened["type"], closed["type"]) == ("alarm.opened", "alarm.closed")
    assert opened["data"] == closed["data"]
    assert (opened["data"]["kind"], opened["data"]["connection"]) == (
        "set_aside",
        str(mailed.world.union.connection.connection.id),
    )
    assert len({headers["webhook-id"] for headers, _ in receiver.taken}) == 2
    assert "Union" not in json.dumps(opened)


@on_sqlite
@pytest.mark.parametrize("fault", [Fault.BROKEN, Fault.REFUSED, Fault.REDIRECT])
async def test_what_was_not_taken_is_told_again_as_the_same_message(hooked: tuple[Mailed, Receiver], fault: Fault) -> None:
    mailed, receiver = hooked
    receiver.misbehave(fault, times=2)
    await mailed.watch()
    assert receiver.taken == []
    for _ in range(4):
        clock.set_to(clock.now() + timedelta(minutes=1))
        await mailed.world.workers.send_letters()
    assert len(receiver.taken) == 1
    (letter,) = [one for one in await mailed.letters() if one.kind == "notices.alarm_hook"]
    assert (letter.state, letter.attempts) == (LetterState.SENT, 3)
    headers, _ = receiver.taken[0]
    assert headers["webhook-id"] == str(letter.id)
    assert headers["webhook-timestamp"] > str(int(letter.created_at.timestamp())), "signed when it was sent"


@pytest.mark.parametrize(
    "wrong",
    [
        {"alarm_webhook_url": "https://hooks.example.org/x"},
        {"alarm_webhook_secret": SECRET},
        {"alarm_webhook_url": "http://hooks.example.org/x", "alarm_webhook_secret": SECRET},
        {"alarm_webhook_url": "https://10.0.0.1/x", "alarm_webhook_secret": SECRET},
        {"alarm_webhook_url": "https://localhost/x", "alarm_webhook_secret": SECRET},
        {"alarm_webhook_url": "http://127.0.0.1:9000/x", "alarm_webhook_secret": SECRET},
        {"alarm_webhook_url": "https://hooks.example.org/x", "alarm_webhook_secret": "whsec_short"},
        {"alarm_webhook_url": "https://hooks.example.org/x", "alarm_webhook_secret": "A" * 32},
    ],
)
def test_a_webhook_that_could_never_be_told_stops_the_start(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as failure:
        Settings(**wrong)
    assert "hooks.example.org" not in str(failure.value)
    assert SECRET not in str(failure.value)


def test_a_good_webhook_is_taken_and_not_shown() -> None:
    good = Settings(alarm_webhook_url="https://hooks.example.org/T0/B1", alarm_webhook_secret=SECRET)
    assert "hooks.example.org" not in repr(good)
    assert SECRET not in repr(good)
