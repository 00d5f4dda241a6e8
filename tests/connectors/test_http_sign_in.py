"""Sign-ins: a token is kept, fetched anew once when refused, one at a time, and never given to another person's request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from json import loads
from typing import Any

import pytest

from connectors.asking import CredentialsRefused, Login, TryLater, UnexpectedAnswer
from connectors.http import ProviderClient
from connectors.sign_in import EARLY, MOST_KEPT, REFUSED_FOR, Tokens, key_of
from tests.connectors.http_stage import answer, asking, saying


class Clock:
    def __init__(self) -> None:
        self.now = 5000.0

    def __call__(self) -> float:
        return self.now


def counting(seconds: float = 3600.0) -> tuple[Login, list[str]]:
    made: list[str] = []

    async def login() -> tuple[str, float]:
        made.append(f"token-{len(made)}")
        await asyncio.sleep(0)
        return made[-1], seconds

    return login, made


async def test_a_token_is_kept_until_shortly_before_its_end() -> None:
    clock = Clock()
    tokens = Tokens(clock)
    login, made = counting(3600)
    for passed in (0, 10, 3600 - EARLY - 11):
        clock.now += passed
        assert await tokens.get(login) == "token-0"
    clock.now += 1.5
    assert await tokens.get(login) == "token-1"
    assert len(made) == 2


@pytest.mark.parametrize(("seconds", "good_for"), [(30, 15), (1, 0.5), (0, 0), (-5, 0), (float("nan"), 0), (float("inf"), 0)])
async def test_a_short_life_is_half_used_and_an_odd_one_not_at_all(seconds: float, good_for: float) -> None:
    clock = Clock()
    tokens = Tokens(clock)
    login, _ = counting(seconds)
    assert await tokens.get(login) == "token-0"
    if good_for:
        clock.now += good_for - 0.01
        assert await tokens.get(login) == "token-0"
        clock.now += 0.02
    assert await tokens.get(login) == "token-1"


async def test_a_hundred_requests_at_once_sign_in_once() -> None:
    tokens = Tokens()
    login, made = counting()
    assert set(await asyncio.gather(*(tokens.get(login) for _ in range(100)))) == {"token-0"}
    assert len(made) == 1


async def test_a_late_complaint_about_an_old_token_does_not_cost_the_new_one() -> None:
    tokens = Tokens()
    login, made = counting()
    assert await tokens.get(login) == "token-0"
    for _ in range(3):
        tokens.forget(login, "token-0")
        assert await tokens.get(login) == "token-1"
    assert len(made) == 2


async def test_a_refused_sign_in_is_not_tried_again_for_a_while() -> None:
    clock = Clock()
    tokens = Tokens(clock)
    tried = []

    async def login() -> tuple[str, float]:
        tried.append(1)
        raise CredentialsRefused("no")

    for left in await asyncio.gather(*(tokens.get(login) for _ in range(50)), return_exceptions=True):
        assert isinstance(left, CredentialsRefused)
    assert len(tried) == 1
    clock.now += REFUSED_FOR
    with pytest.raises(CredentialsRefused):
        await tokens.get(login)
    assert len(tried) == 2


async def test_a_sign_in_that_fails_otherwise_is_tried_with_the_next_request() -> None:
    tokens = Tokens()
    outcomes: list[object] = [TryLater("later"), ("token", 60.0)]

    async def login() -> tuple[str, float]:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome  # type: ignore[return-value]

    with pytest.raises(TryLater):
        await tokens.get(login)
    assert await tokens.get(login) == "token"


async def test_no_more_are_kept_than_there_is_room_for() -> None:
    tokens = Tokens()

    async def of(person: int) -> tuple[str, float]:
        return f"token-{person}", 3600

    for person in range(MOST_KEPT + 50):
        assert await tokens.get(partial(of, person)) == f"token-{person}"
    assert len(tokens._kept) == MOST_KEPT


# Which sign-ins are the same


class Provider:
    async def login(self) -> tuple[str, float]:
        return "t", 60

    async def of(self, person: Any, *, scope: str = "a") -> tuple[str, float]:
        return f"{person}{scope}", 60

    def closure(self, person: str) -> Login:
        async def login() -> tuple[str, float]:
            return person, 60

        return login

    def default(self, person: str) -> Callable[..., Awaitable[tuple[str, float]]]:
        async def login(who: str = person) -> tuple[str, float]:
            return who, 60

        return login

    def by_keyword(self, person: str) -> Callable[..., Awaitable[tuple[str, float]]]:
        async def login(*, who: str = person) -> tuple[str, float]:
            return who, 60

        return login

    def __call__(self) -> Awaitable[tuple[str, float]]:
        return self.login()


ONE, OTHER = Provider(), Provider()
LIST = ["unhashable"]


@pytest.mark.parametrize(
    "make",
    [
        lambda who: ONE.closure(who),
        lambda who: ONE.default(who),
        lambda who: ONE.by_keyword(who),
        lambda who: partial(ONE.of, who),
        lambda who: partial(ONE.of, "x", scope=who),
        lambda who: lambda: ONE.of(who),
        lambda who: ({"a": ONE, "b": OTHER}[who]).login,
        lambda who: {"a": ONE, "b": OTHER}[who],
        lambda who: partial(ONE.of, [who]) if who == "b" else partial(ONE.of, LIST),
    ],
    ids=["closure", "default", "keyword default", "partial", "partial keyword", "lambda", "method", "object", "unhashable"],
)
def test_two_people_never_share_a_sign_in_and_one_does(make: Callable[[str], Login]) -> None:
    first, again, other = make("a"), make("a"), make("b")
    assert key_of(first) == key_of(again)
    assert key_of(first) != key_of(other)


# Over the wire


def signing_in_at(http: ProviderClient) -> Login:
    async def login() -> tuple[str, float]:
        got = loads((await http.post("/login", json={"apikey": "k"})).body)
        return got["token"], got["expires"]

    return login


TOKENS = [answer(b'{"token":"t%d","expires":3600}' % n) for n in range(3)]
REFUSED = answer(b"{}", "401 Unauthorized")


async def test_a_token_is_fetched_once_for_many_requests() -> None:
    async with saying(TOKENS[0], answer()) as server, asking(server.url) as http:
        for _ in range(3):
            await http.get("/a", login=signing_in_at(http))
        await http.post("/b", json={}, login=signing_in_at(http))
    assert [asked.line.split()[1] for asked in server.asked] == ["/login", "/a", "/a", "/a", "/b"]
    assert [asked.headers.get("authorization") for asked in server.asked] == [None, *["Bearer t0"] * 4]


async def test_a_token_that_ended_early_is_fetched_anew_once() -> None:
    async with saying(TOKENS[0], answer(), REFUSED, TOKENS[1], answer(b"[1]")) as server, asking(server.url) as http:
        await http.get("/a", login=signing_in_at(http))
        assert (await http.get("/a", login=signing_in_at(http))).body == b"[1]"
    assert [asked.line.split()[1] for asked in server.asked] == ["/login", "/a", "/a", "/login", "/a"]
    assert server.asked[-1].headers["authorization"] == "Bearer t1"


async def test_a_fresh_token_that_is_refused_is_no_loop() -> None:
    async with saying(TOKENS[0], REFUSED, TOKENS[1], REFUSED) as server, asking(server.url) as http:
        with pytest.raises(CredentialsRefused) as caught:
            await http.get("/a", login=signing_in_at(http))
    assert len(server.asked) == 4
    assert caught.value.__context__ is None


async def test_a_refused_sign_in_ends_it() -> None:
    async with saying(REFUSED) as server, asking(server.url) as http:
        for _ in range(3):
            with pytest.raises(CredentialsRefused):
                await http.get("/a", login=signing_in_at(http))
    assert len(server.asked) == 1


async def test_being_kept_out_by_403_asks_for_no_other_token() -> None:
    async with saying(TOKENS[0], answer(b"{}", "403 No")) as server, asking(server.url) as http:
        with pytest.raises(CredentialsRefused):
            await http.get("/a", login=signing_in_at(http))
    assert len(server.asked) == 2


async def test_many_requests_with_one_ended_token_fetch_one_other() -> None:
    async with saying(TOKENS[0], *[answer()] * 5, *[REFUSED] * 5, TOKENS[1], answer()) as server, asking(server.url) as http:
        for _ in range(2):
            await asyncio.gather(*(http.get("/a", login=signing_in_at(http)) for _ in range(5)))
    assert sum(asked.line.startswith("POST /login") for asked in server.asked) == 2


async def test_a_sign_in_is_sent_again_where_another_post_is_not() -> None:
    async with saying(answer(b"{}", "500 Broken"), TOKENS[0], answer()) as server, asking(server.url) as http:
        await http.get("/a", login=signing_in_at(http))
    assert [asked.line.split()[1] for asked in server.asked] == ["/login", "/login", "/a"]


async def test_a_sign_in_may_stand_on_another_but_not_on_itself() -> None:
    async with saying(TOKENS[0], TOKENS[1], answer()) as server, asking(server.url) as http:

        async def of_a_person() -> tuple[str, float]:
            got = loads((await http.post("/person", json={}, login=signing_in_at(http))).body)
            return got["token"], 60.0

        async def of_itself() -> tuple[str, float]:
            await http.get("/x", login=of_itself)
            return "never", 60.0

        await http.get("/a", login=of_a_person)
        with pytest.raises(UnexpectedAnswer, match="itself"):
            await http.get("/a", login=of_itself)
    assert [asked.headers.get("authorization") for asked in server.asked] == [None, "Bearer t0", "Bearer t1"]
