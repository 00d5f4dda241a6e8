"""Canaries into every route there is, by somebody who may call it: as ids and in the query, and in all that a body says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx

from app.access.policy import POLICY, Rule
from app.access.roles import Role, Standing
from app.kit.ids import uuid7
from tests.access.examples import EXAMPLES, SIGNED
from tests.api.canaries import Canaries
from tests.support.world import World

_ID = re.compile(r"\{[a-z_]+\}")
TAKES_AWAY = ("DELETE", "/v1/identity-provider")
"""What needs no word to take something away that others look at afterwards."""

_MAY = {200, 202, 204, 303, 400, 401, 403, 404, 405, 409, 410, 415, 422, 429, 503}


def spoilt(value: Any, canaries: Canaries) -> Any:
    """The same shape, every text in it a canary."""
    if isinstance(value, dict):
        return {name: spoilt(inner, canaries) for name, inner in value.items()}
    if isinstance(value, list):
        return [spoilt(inner, canaries) for inner in value]
    return canaries.word("a field") if isinstance(value, str) else value


def _body(send: dict[str, Any], canaries: Canaries) -> dict[str, Any]:
    word = canaries.word
    if "files" in send:
        files = {name: (word("file name"), word("file").encode(), "text/plain") for name in send["files"]}
        return {"files": files, "data": spoilt(dict(send.get("data", {})), canaries)}
    if "data" in send:
        return {"data": {**spoilt(dict(send["data"]), canaries), word("unknown field"): word("unknown value")}}
    return {"json": spoilt(dict(send.get("json", {})), canaries) or {word("unknown key"): word("unknown value")}}


def requests(route: tuple[str, str], canaries: Canaries) -> Iterator[tuple[str, dict[str, Any]]]:
    """Paths and what goes with them: everything a canary; then, where something is sent, ids of the right form."""
    method, path = route
    send = dict(EXAMPLES[route].send)
    body = {} if method == "GET" or SIGNED in send else _body(send, canaries)
    query = f"?{canaries.word('parameter')}={canaries.word('value')}"
    yield _ID.sub(lambda _: canaries.word("id"), path) + query, body
    if body and "{" in path:
        yield _ID.sub(lambda _: str(uuid7()), path), _body(send, canaries)


async def _caller(world: World, rule: Rule) -> httpx.AsyncClient:
    if rule.public:
        return world.browser()
    role = min(rule.roles)
    standing = Standing.FULL if Standing.FULL in rule.standings else min(rule.standings)
    return world.browser({"harmline": await world.session(role, "M-2" if role is Role.MEMBER else "", standing=standing)})


async def everywhere(world: World, canaries: Canaries) -> list[httpx.Response]:
    """Every answer. A page may show whoever typed something what they typed; the API repeats nothing."""
    answers = []
    for route, rule in POLICY.items():
        if route == TAKES_AWAY:
            continue
        async with await _caller(world, rule) as browser:
            for path, body in requests(route, canaries):
                answer = await browser.request(route[0], path, **body)
                assert answer.status_code in _MAY, (route, answer.status_code)
                told = canaries.found_in(f"{dict(answer.headers)} {answer.text}")
                repeated = {value: what for value, what in told.items() if value in f"{path} {body}"}
                assert not (repeated and path.startswith("/v1")), (route, answer.status_code, repeated)
                answers.append(answer)
    return answers
