"""Every error of the API is a problem detail (RFC 9457): what is wrong and how to mend it; no stack and no value."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from fastapi.exceptions import ResponseValidationError
from fastapi.responses import StreamingResponse
from sqlalchemy.exc import IntegrityError
from starlette.types import ASGIApp

from app.access.policy import POLICY, Reach, Rule
from app.access.roles import Role
from app.kit import crypto
from app.kit.config import Settings
from app.kit.context import Context
from app.kit.database import Database
from app.kit.edge import LARGEST_BODY, LARGEST_UPLOAD, Interrupted
from app.kit.errors import ProblemBody
from app.kit.keyring import Keyring
from app.kit.mail import Mailer
from app.main import create_app
from tests.access.examples import EXAMPLES, filled, ids_for
from tests.access.scene import Scene, staged
from tests.support.postgres import free_port
from tests.support.world import ORIGIN, Filled, World

SECRET = "kept-to-ourselves-4711"
OPEN = Rule(frozenset(), Reach.NOBODY)


def assert_problem(answer: httpx.Response, status: int) -> ProblemBody:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) <= {"type", "title", "status", "detail", "errors"}
    body = ProblemBody.model_validate(answer.json())
    assert (body.status, body.type) == (status, "about:blank")
    assert body.title
    for word in ("Traceback", "site-packages", "/app/", ".py", "sqlalchemy", "pydantic", SECRET):
        assert word not in answer.text
    return body


@pytest.fixture
async def scene(world: World, filled_database: tuple[str, Filled]) -> Scene:
    return staged(world, filled_database[1])


async def test_each_status_is_a_problem(scene: Scene) -> None:
    world, own = scene.world, scene.places["own"]
    _, secret = await scene.token(Role.MEMBER)
    member = {"authorization": f"Bearer {secret}"}
    admin = {"cookie": f"harmline={await world.session(Role.ADMIN)}", "sec-fetch-site": "same-origin"}
    path = f"/v1/incidents/{own['incident_id']}"
    no_boundary = {**admin, "content-type": "multipart/form-data"}
    last = f"/v1/accounts/{world.union.accounts[Role.ADMIN]}/roles/admin"
    asked: list[tuple[int, dict[str, Any]]] = [
        (400, {"method": "POST", "url": "/v1/members/import", "headers": no_boundary, "content": b"--" + SECRET.encode()}),
        (401, {"method": "GET", "url": path}),
        (403, {"method": "GET", "url": "/v1/members", "headers": member}),
        (404, {"method": "GET", "url": f"/v1/incidents/{scene.missing()}", "headers": member}),
        (404, {"method": "GET", "url": f"/v1/{SECRET}?{SECRET}"}),
        (405, {"method": "PUT", "url": path, "headers": member}),
        (409, {"method": "DELETE", "url": last, "headers": admin}),
        (413, {"method": "POST", "url": "/v1/tokens", "headers": member, "json": SECRET + "x" * LARGEST_BODY}),
        (415, {"method": "POST", "url": world.union.connection.path, "content": SECRET}),
        (422, {"method": "POST", "url": path + "/losses", "headers": member, "json": {SECRET: SECRET}}),
        (422, {"method": "POST", "url": path + "/losses", "headers": member, "content": SECRET}),
        (422, {"method": "GET", "url": f"/v1/incidents/{SECRET}", "headers": member}),
        (422, {"method": "GET", "url": f"/v1/me/timeline?cursor={SECRET}&limit={SECRET}", "headers": member}),
    ]
    for status, request in asked:
        assert_problem(await world.client.request(**request), status)


async def test_a_405_names_every_method_that_there_is(world: World) -> None:
    paths = {path for _, path in POLICY if path.startswith("/v1")}
    for path in paths:
        methods = {method for method, other in POLICY if other == path}
        answer = await world.client.request("PUT", re.sub("{[a-z_]+}", "01890000-0000-7000-8000-000000000000", path))
        assert_problem(answer, 405)
        assert set(answer.headers["allow"].split(", ")) == methods, path


async def test_unknown_fields_are_refused_on_every_write_route(scene: Scene) -> None:
    tried = 0
    for route, rule in POLICY.items():
        example = EXAMPLES[route]
        if "json" not in example.send or not route[1].startswith("/v1/"):
            continue
        role = next(role for role in Role if role in rule.roles)
        ids = await ids_for(scene, role, ())
        async with await scene.world.sign_in(role) as browser:
            before = await scene.digest()
            body = filled(dict(example.send["json"]), ids) | {SECRET: 1}
            answer = await browser.request(route[0], filled(route[1], ids), json=body)
            problem = assert_problem(answer, 422)
            assert [error.field for error in problem.errors or ()] == ["body.*"], "a name that is not known is not repeated"
            assert await scene.digest() == before
        tried += 1
    assert tried >= 7


async def test_an_unknown_field_deeper_down_is_refused_too(scene: Scene) -> None:
    loss = {"head": "oop", "amount": "5.00", "incurred_on": "2023-03-30"}
    back = [{"payer": "bank", "amount": "1.00", SECRET: True}]
    async with await scene.world.sign_in(Role.MEMBER) as browser:
        path = f"/v1/incidents/{scene.places['own']['incident_id']}/losses"
        problem = assert_problem(await browser.post(path, json={**loss, "reimbursements": back}), 422)
    assert [error.field for error in problem.errors or ()] == ["body.reimbursements.0.*"]


FAILURES: list[Exception] = [
    ValueError(SECRET),
    KeyError(SECRET),
    AssertionError(SECRET),
    RecursionError(SECRET),
    IntegrityError(SECRET, {"email": SECRET}, Exception(SECRET)),
    ResponseValidationError([{"input": SECRET}], body=SECRET),
    ExceptionGroup(SECRET, [ValueError(SECRET)]),
    OSError(5, SECRET, SECRET),
]


def failing(error: Exception) -> ASGIApp:
    """The application with one more route, which fails."""
    app, router = create_app(work=False), APIRouter()

    @router.get("/v1/failing")
    async def fail() -> None:
        raise error

    @router.get("/v1/breaking-off")
    async def break_off() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            yield b"a beginning"
            raise error

        return StreamingResponse(body())

    app.include_router(router)
    app.state.context = Context(
        Settings(), Database("sqlite+aiosqlite:////dev/null"), Keyring(crypto.new_key()), Mailer(None, "a@b")
    )
    return app


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
async def test_a_failure_of_ours_says_nothing_and_goes_no_further(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(POLICY, ("GET", "/v1/failing"), OPEN)
    transport = httpx.ASGITransport(failing(error), raise_app_exceptions=True)  # what is raised, the server would log
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        answer = await client.get("/v1/failing")
    assert_problem(answer, 500)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"
    printed = capsys.readouterr()
    assert SECRET not in printed.out + printed.err
    assert type(error).__name__ in printed.out + printed.err


async def test_an_answer_that_breaks_off_tells_the_server_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(POLICY, ("GET", "/v1/breaking-off"), OPEN)
    transport = httpx.ASGITransport(failing(ValueError(SECRET)), raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        with pytest.raises(Interrupted) as broken:
            await client.get("/v1/breaking-off")
    assert (str(broken.value), broken.value.__cause__, broken.value.__context__) == ("", None, None)


@asynccontextmanager
async def without_a_database(url: str) -> AsyncIterator[httpx.AsyncClient]:
    context = Context(Settings(), Database(url), Keyring(crypto.new_key()), Mailer(None, "a@b"))
    app = create_app(context=context, work=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as client:
        yield client
    await context.database.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_without_a_database_every_route_says_503(kind: str, tmp_path: Any) -> None:
    dead = f"postgresql+asyncpg://{SECRET}@127.0.0.1:{free_port()}/x"
    url = f"sqlite+aiosqlite:///{tmp_path}" if kind == "sqlite" else dead
    async with without_a_database(url) as client:
        for request in (
            {"method": "GET", "url": "/v1/me", "headers": {"authorization": "Bearer hl_x"}},
            {"method": "GET", "url": "/v1/me/timeline", "cookies": {"harmline": "x"}},
            {"method": "GET", "url": "/readyz"},
            {"method": "POST", "url": "/webhooks/01890000-0000-7000-8000-000000000000/x", "json": {}},
        ):
            answer = await client.request(**request)
            assert_problem(answer, 503)
            assert answer.headers["retry-after"] == "5"
        assert (await client.get("/livez")).status_code == 200


async def test_a_body_that_never_ends_is_cut_off(world: World) -> None:
    _, secret = await Scene(world).token(Role.ADMIN)
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65536
            yield b"x" * 65536

    for content_type, limit in (("application/json", LARGEST_BODY), ("multipart/form-data; boundary=x", LARGEST_UPLOAD)):
        for path in (f"/v1/connections/{Scene.missing()}/poll", "/v1/members/import", "/v1/me/consents"):
            sent = 0
            headers = {"authorization": f"Bearer {secret}", "content-type": content_type}
            answer = await world.client.post(path, content=endless(), headers=headers)
            assert answer.status_code in (400, 403, 413, 422)
            assert sent <= limit + 131072
    declared = {"authorization": f"Bearer {secret}", "content-type": "application/json", "content-length": str(10**15)}
    path = f"/v1/connections/{Scene.missing()}/poll"
    assert_problem(await world.client.post(path, content=iter_once(), headers=declared), 413)


async def iter_once() -> AsyncIterator[bytes]:
    yield b"{}"


async def test_json_that_cannot_be_read_is_422_with_no_value(world: World) -> None:
    headers = {"content-type": "application/json"}
    bad = [b"{", b"[" * 100_000, b'{"a":NaN}', b"\xff\xfe", b'"\\ud800"', f'{{"{SECRET}":'.encode(), b"1" * 5000, b"", b"null"]
    bad.append(json.dumps({"connector": "standard", "title": "\ud800", "sender": "provider"}).encode())
    async with await world.sign_in(Role.ADMIN) as admin:
        for body in bad:
            answer = await admin.post("/v1/connections", content=body, headers=headers)
            assert answer.status_code in (400, 422), body[:20]
            assert_problem(answer, answer.status_code)
