"""A thousand values put in through every door are found in no log, error, address, mail, database or other person's answer."""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from sqlalchemy import MetaData, inspect, text

from app.access.policy import POLICY
from app.access.roles import Role
from app.kit.database import Database
from app.kit.logging import configure
from app.statistics.workers import publish_release
from tests.api.canaries import INSTITUTION, WORD
from tests.api.doors import Doors, Person
from tests.api.every_route import everywhere
from tests.support.mail_server import Post, mail_server
from tests.support.scraped import monitor
from tests.support.world import Tenant, World, make_world

MOST_PAGES = 60
IN_PLAIN = {("member_event", "institution")}
"""Where an institution's canonical name stands in plain, because correlation and cubes need it."""


@dataclass
class Filled:
    """A world after everything went through it, what was logged meanwhile, and what was mailed."""

    doors: Doors
    log: io.StringIO
    post: Post

    @property
    def world(self) -> World:
        return self.doors.world


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything that the service logs, at DEBUG, set up as the service sets it up."""
    written, root = io.StringIO(), logging.getLogger()
    before = root.handlers[:], root.level, {name: logging.getLogger(name).level for name in logging.root.manager.loggerDict}
    monkeypatch.setattr(sys, "stderr", written)
    configure(logging.DEBUG)
    logging.getLogger("mail").setLevel(logging.CRITICAL)  # the tests' own mail server, not the service
    yield written
    structlog.reset_defaults()
    root.handlers, level, levels = before[0], before[1], before[2]
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)


@pytest.fixture
async def filled(database_url: str, log: io.StringIO) -> AsyncIterator[Filled]:
    with mail_server() as (post, port):
        async with make_world(database_url, smtp_url=f"smtp://127.0.0.1:{port}") as world:
            doors = Doors(world)
            await doors.everything()
            answered = await everywhere(world, doors.canaries)
            assert {answer.status_code for answer in answered} >= {303, 401, 404, 410, 422}
            await world.workers.drain()
            async with world.context.database.begin() as tx:
                await publish_release(tx, world.context, world.union.id)
            yield Filled(doors, log, post)


async def read_everything(world: World, browser: httpx.AsyncClient, role: Role) -> list[httpx.Response]:
    """Every GET of a role, and every page that one of its answers links or names."""
    todo = [path for (method, path), rule in POLICY.items() if method == "GET" and role in rule.roles and "{" not in path]
    answers: list[httpx.Response] = []
    done: set[str] = set()
    while todo and len(done) < MOST_PAGES:
        path = todo.pop(0)
        if path in done:
            continue
        done.add(path)
        answer = await browser.get(path)
        answers.append(answer)
        found = re.findall(r'href="(/(?:incidents|matters|timeline)[^"#]*)"', answer.text)
        if path in ("/v1/me/timeline", "/v1/matters"):
            items = answer.json() if isinstance(answer.json(), list) else answer.json()["items"]
            kind = "incidents/{}" if "timeline" in path else "matters/{}/incidents"
            found += [f"/v1/{kind.format(item['id'])}" for item in items]
        todo += [path for path in found if path not in done]
    return answers


def said(answer: httpx.Response) -> str:
    return f"{answer.status_code} {dict(answer.headers)} {answer.text}"


async def dump(owner_url: str) -> dict[tuple[str, str], bytes]:
    """All values of every column of every table that the database has, as bytes."""
    held: dict[tuple[str, str], bytes] = {}
    database = Database(owner_url)
    async with database.engine.connect() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        await connection.run_sync(MetaData().reflect)
        for name in names:
            result = await connection.execute(text(f'SELECT * FROM "{name}"'))
            columns, rows = list(result.keys()), result.all()
            for place, column in enumerate(columns):
                values = (row[place] for row in rows)
                held[name, column] = b"\n".join(v if isinstance(v, bytes) else str(v).encode() for v in values)
    await database.close()
    return held


def own_words(person: Person) -> set[str]:
    return {value.lower() for value in person.own}


@pytest.mark.long
@pytest.mark.parametrize("database_kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True)
async def test_a_thousand_canaries_stay_where_they_belong(filled: Filled, record_property: Callable[[str, object], None]) -> None:
    canaries = filled.doors.canaries
    record_property("canaries", len(canaries.given))
    assert len(canaries.given) >= 1000, len(canaries.given)
    await assert_a_member_reads_their_own(filled)
    await assert_strangers_read_nothing(filled)
    await assert_counsel_reads_the_factual_lane(filled)
    await assert_an_erased_member_is_gone(filled)
    assert_quiet_log(filled)
    await assert_metrics(filled)
    for answer in filled.doors.refusals:
        assert canaries.found_in(said(answer)) == {}, (answer.request.method, answer.status_code)
    assert {answer.status_code for answer in filled.doors.refusals} <= {200, 303, 400, 401, 403, 404, 405, 410, 415, 422}
    assert_mails(filled)
    await assert_store(filled)
    assert_files(filled.world)


def assert_quiet_log(filled: Filled) -> None:
    written = filled.log.getvalue()
    assert '"level": "debug"' in written or '"level": "warning"' in written, "nothing was captured"
    lines = [line for line in written.splitlines() if filled.doors.canaries.found_in(line)]
    assert lines == []


async def assert_metrics(filled: Filled) -> None:
    """What a monitor reads after all of it names nobody: no word that came in, and no id at all."""
    workers = filled.world.workers
    for tick in (workers.watch, workers.watcher.measure, workers.watcher.check_accounts):
        await tick()
    with monitor() as one:
        told = one.text()
    assert 'harmline_quarantined_share{connector="standard"}' in told, "the gauges are set"
    assert filled.doors.canaries.found_in(told) == {}
    assert re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}", told) == []


def assert_mails(filled: Filled) -> None:
    assert filled.post.mails, "the invited people got their links"
    for to, mail in filled.post.mails:
        assert filled.doors.canaries.found_in(mail.get_content() + str(mail["Subject"]) + str(mail["Message-ID"])) == {}
        assert filled.doors.canaries.found_in(" ".join(to)).keys() == filled.doors.canaries.found_in(str(mail["To"])).keys()


async def assert_store(filled: Filled) -> None:
    held = await dump(filled.world.owner_url)
    assert len({table for table, _ in held}) >= 30
    found = {place: filled.doors.canaries.found_in(values) for place, values in held.items()}
    wrong = {place: hits for place, hits in found.items() if hits and place not in IN_PLAIN}
    assert wrong == {}
    for place in IN_PLAIN:
        assert found[place], "the canonical name is there, so the search finds what is there"
        assert all(value.startswith(INSTITUTION) for value in found[place])


def assert_files(world: World) -> None:
    """The bytes of the database's own files: an institution's name may stand there, nothing else."""
    if not world.context.database.is_sqlite:
        return
    path = Path(world.context.settings.database_url.partition("///")[2])
    raw = b"".join(file.read_bytes() for file in path.parent.glob(path.name + "*")).lower()
    assert INSTITUTION.encode() in raw, "the search finds what is there"
    for marker in (WORD.encode(), b"981-7"):
        assert marker not in raw, marker


async def assert_a_member_reads_their_own(filled: Filled) -> None:
    doors, world = filled.doors, filled.world
    reader, canaries = doors.people[0], doors.canaries
    async with await world.sign_in(Role.MEMBER, reader.number) as browser:
        answers = await read_everything(world, browser, Role.MEMBER)
    assert len(answers) >= 10
    read = canaries.found_in(" ".join(said(answer) for answer in answers))
    assert set(read) <= own_words(reader), "a member reads their own and nobody else's"
    assert {"summary", "institution", "note"} <= set(read.values()), "the search finds what is there"
    assert not [value for value, what in read.items() if what.startswith("number")], "long numbers are masked"


STRANGERS: list[tuple[Role, bool]] = [
    *((role, False) for role in (Role.STAFF, Role.CASEWORKER, Role.AUDITOR, Role.ADMIN)),
    *((role, True) for role in Role),
]


async def assert_strangers_read_nothing(filled: Filled) -> None:
    world, canaries = filled.world, filled.doors.canaries
    for role, elsewhere in STRANGERS:
        tenant: Tenant = world.other if elsewhere else world.union
        async with await world.sign_in(role, tenant=tenant) as browser:
            answers = await read_everything(world, browser, role)
        assert len(answers) >= 3
        roster = [answer for answer in answers if answer.request.url.path == "/v1/members"]
        others = [answer for answer in answers if answer not in roster]
        assert canaries.found_in(" ".join(map(said, others))) == {}, (role, elsewhere)
        seen: dict[str, Any] = canaries.found_in(" ".join(map(said, roster)))
        allowed = {"external id", "name", "e-mail"} if role is Role.ADMIN and not elsewhere else set()
        assert set(seen.values()) == allowed, (role, elsewhere)


async def assert_counsel_reads_the_factual_lane(filled: Filled) -> None:
    world, canaries = filled.world, filled.doors.canaries
    async with await world.sign_in(Role.COUNSEL) as browser:
        answers = await read_everything(world, browser, Role.COUNSEL)
    read = set(canaries.found_in(" ".join(map(said, answers))).values())
    assert read <= {
        "counsel: title",
        "counsel: reason",
        "institution",
        "summary",
        "note",
        "note of a form",
        "alert id",
        "reference",
    }
    assert {"counsel: title", "counsel: reason", "institution", "summary"} <= read


async def assert_an_erased_member_is_gone(filled: Filled) -> None:
    doors, world = filled.doors, filled.world
    gone = doors.people[0]
    caller = await doors.caller(gone)
    async with await world.sign_in(Role.COUNSEL) as counsel, await world.sign_in(Role.ADMIN) as admin:
        for hold in (await counsel.get("/v1/holds")).json():
            assert (await counsel.delete(f"/v1/holds/{hold['id']}")).status_code == 204
        assert (await admin.post(f"/v1/members/{caller.member_id}/erasure")).status_code == 204
        for when in ("at once", "after the workers"):
            for browser, role in ((counsel, Role.COUNSEL), (admin, Role.ADMIN)):
                answers = await read_everything(world, browser, role)
                failed = [answer.request.url.path for answer in answers if answer.status_code not in (200, 303)]
                assert failed == [], (when, role)
                read = doors.canaries.found_in(" ".join(map(said, answers)))
                assert not set(read) & own_words(gone), (when, role)
            await world.workers.drain()
