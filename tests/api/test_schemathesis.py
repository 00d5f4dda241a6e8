"""Schemathesis over real HTTP: every check and every phase as each role, on the operations that are the role's.

All of them on PostgreSQL, which refuses more of what is made up; on SQLite those who may do the most. Of everybody else's
operations a role is refused before anything is looked at (`tests/access/test_matrix.py`). Nobody, who is refused nearly
everywhere, tries all of them, without making up sequences.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.gate import cookie_name
from app.access.policy import POLICY
from app.access.roles import Role
from tests.access.scene import Scene, make_scene
from tests.support.postgres import free_port
from tests.support.world import World

EXAMPLES = 10
SEED = 20230601
NOBODY = "nobody"
PHASES = "examples,coverage,fuzzing,stateful"
PHASES_OF_NOBODY = "examples,coverage,fuzzing"
GIVEN = ("incident_id", "event_id", "matter_id", "member_id", "connection_id")

NOT_BY_SHAPE = {
    "cursor": "what a cursor says is not a matter of its form",
    "POST /v1/connections": "which settings there are, and whether a secret proves anything, is up to the connector",
    "PATCH /v1/connections/{connection_id}": "which settings there are is up to the connector; somebody may be quicker",
    "POST /v1/connections/{connection_id}/secret": "whether a secret proves anything is up to the connector",
    "POST /v1/connections/{connection_id}/address": "a second new address waits until the first overlap is over",
    "POST /v1/connections/{connection_id}/retire": "a connection may be closed",
    "POST /v1/connections/{connection_id}/pause": "a connection may be closed",
    "POST /v1/connections/{connection_id}/resume": "a connection may be closed",
    "POST /v1/connections/{connection_id}/files": "what a file must hold is up to the connector",
    "POST /v1/connections/{connection_id}/disputes": "an end lies after its beginning, and a beginning not ahead",
    "POST /v1/connections/{connection_id}/poll": "some providers are never asked",
    "POST /v1/connections/{connection_id}/documents": "whether there are any, and what they must say, is up to the connector",
    "POST /v1/connections/{connection_id}/documents/preview": "what documents must say is up to the connector",
    "POST /v1/queues/reviews/{event_id}": "it is an alert of some kind or none, and an amount has its currency",
    "POST /v1/queues/unmatched/{alert_id}/member": "whether somebody has a number is up to the roster",
    "GET /v1/ledger/consistency": "an old size is not larger than a new one",
    "POST /v1/identity-provider": "whether there is such a provider, and whom it is for, is not a matter of form",
    "POST /v1/matters/{matter_id}/packets": "several members are for a claim, and a claim is for somebody",
    "POST /v1/incidents/{incident_id}/losses": "no day lies in the future, and not more is paid back than was lost",
    "POST /v1/reports": "days fit together and lie not ahead, and a document is of a sort that is taken",
    "POST /v1/enrollments/import": "a file is UTF-8 or it is not",
    "POST /v1/members/import": "a file is UTF-8 or it is not",
}
"""Where a request of the right form can still be refused with 422, and why. Everywhere else it must be taken."""

NOT_TO_BE_TOLD = (
    "POST /v1/connections/{connection_id}/files",
    "POST /v1/enrollments/import",
    "POST /v1/members/import",
    "POST /v1/reports",
)
"""Where a request of the wrong form cannot be told from a right one: whatever stands in a part of a form is text."""


def for_people(world: World, cookie: str) -> ASGIApp:
    """The application, where the value of somebody's cookie is good as a bearer too: it can be left out and spoilt as one."""
    name = cookie_name(world.context.settings)
    person = [(b"cookie", f"{name}={cookie}".encode()), (b"sec-fetch-site", b"same-origin")]
    described = world.app.openapi()
    for operation in (operation for item in described["paths"].values() for operation in item.values()):
        operation.update({"security": [{"token": []}]} if "security" in operation else {})

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/openapi.json":
            await JSONResponse(described)(scope, receive, send)
            return
        named = [(key, value) for key, value in scope["headers"] if key != b"authorization"]
        if dict(scope["headers"]).get(b"authorization") == f"Bearer {cookie}".encode():
            scope["headers"] = [(key, value) for key, value in named if key not in dict(person)] + person
        await world.app(scope, receive, send)

    return front


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """An application behind a real server in this loop; its address."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", lifespan="off", access_log=False))
    running = asyncio.create_task(server.serve())
    while not server.started and not running.done():  # noqa: ASYNC110 - uvicorn sets a flag, no event
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await running


def refusable(spec: dict[str, Any]) -> list[str]:
    """The operations of NOT_BY_SHAPE, those that take a cursor among them."""
    found = []
    for path, item in spec["paths"].items():
        for method, operation in item.items():
            name = f"{method.upper()} {path}"
            takes_cursor = any(parameter["name"] == "cursor" for parameter in operation.get("parameters", ()))
            if takes_cursor or name in NOT_BY_SHAPE:
                found.append(name)
    return found


def configuration(spec: dict[str, Any], ids: dict[str, str]) -> str:
    """Schemathesis' settings: real ids where there are some, and where 422 may answer a request of the right form."""
    lines = [f"seed = {SEED}", "[parameters]", *(f'"path.{name}" = "{ids[name]}"' for name in GIVEN)]
    for name in refusable(spec):
        allowed = '["2xx", "3xx", "401", "403", "404", "409", "422", "503"]'
        lines += [
            "[[operations]]",
            f"include-name = {json.dumps(name)}",
            f"checks.positive_data_acceptance.expected-statuses = {allowed}",
        ]
        if name in NOT_TO_BE_TOLD:
            lines.append('checks.negative_data_rejection.expected-statuses = ["2xx", "4xx", "503"]')
    return "\n".join(lines) + "\n"


def operations_of(who: str, spec: dict[str, Any]) -> list[str]:
    """The described operations that somebody may use, `GET /v1/...`; nobody's are all of them."""
    described = [(method.upper(), path) for path, item in spec["paths"].items() for method in item]
    own = [(method, path) for method, path in described if POLICY[method, path].public or who in POLICY[method, path].roles]
    return [f"{method} {path}" for method, path in (described if who == NOBODY else own)]


async def run(world: World, folder: Path, ids: dict[str, str], who: str, secret: str | None) -> tuple[int, str]:
    """One run, as a person, who may do more than their programs; its exit code and what it printed."""
    app = world.app if secret is None else for_people(world, secret)
    settings = folder / "schemathesis.toml"
    settings.write_text(configuration(world.app.openapi(), ids))
    program = str(Path(sys.executable).parent / "schemathesis")
    async with served(app) as address:
        command = [program, "--config-file", str(settings), "run", f"{address}/openapi.json", "--checks", "all", "--no-color"]
        command += ["--max-examples", str(EXAMPLES), "--phases", PHASES if secret else PHASES_OF_NOBODY]
        command += ["-H", f"Authorization: Bearer {secret}"] if secret else []
        command += [argument for name in operations_of(who, world.app.openapi()) for argument in ("--include-name", name)]
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await process.communicate()
    return process.returncode or 0, printed.decode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("who", "database_kind"),
    [*((who, "postgresql") for who in (NOBODY, *Role)), (Role.ADMIN, "sqlite")],
    indirect=["database_kind"],
)
async def test_the_api_keeps_its_word(world: World, who: str, tmp_path: Path) -> None:
    scene: Scene = await make_scene(world)
    secret = None if who == NOBODY else await world.session(Role(who))
    code, printed = await run(world, tmp_path, scene.places["own"], who, secret)
    assert code == 0, printed
    count = len(operations_of(who, world.app.openapi()))
    assert f"Tested: {count}\n" in printed, "every operation was tested"
