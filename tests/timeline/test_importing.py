"""Files handed in over the API: tried out and shown masked, kept whole, refused with what is wrong, nobody else's business."""

from __future__ import annotations

import gzip
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select
from starlette.formparsers import SpooledTemporaryFile

from app.access.roles import Role
from app.connections import documents
from app.connections.service import create_connection
from app.intake import handing_in
from app.intake.models import Receipt
from app.ledger.service import SYSTEM
from app.timeline import importing
from connectors.contract import Sender
from tests.intake.counting import books
from tests.intake.exports import connected, exported, handed, mailbox
from tests.intake.test_handing_in import timelines
from tests.support.rows import LOG, counts
from tests.support.world import World

MAIL = (
    b"From: Alerts <alerts@monitor.example>\r\nTo: somebody@alerts.example.org\r\nSubject: A new account\r\n"
    b"Message-ID: <one@monitor.example>\r\nDate: Mon, 20 Mar 2023 10:00:00 +0000\r\n\r\nSomething was opened.\r\n"
)


async def sent(world: World, connection_id: UUID, file: bytes, query: str = "", **fields: str) -> httpx.Response:
    """A file, sent by the admin."""
    async with await world.sign_in(Role.ADMIN) as admin:
        path = f"/v1/connections/{connection_id}/files{query}"
        return await admin.post(path, files={"file": ("an export.csv", file, "application/x-anything")}, data=fields)


async def kept_so_far(world: World) -> dict[str, int]:
    """How many rows each table has, those left out that signing in adds to, and the log of it."""
    found = await counts(world.context.database)
    return {table: count for table, count in found.items() if table not in {"session", "ledger_entry"} | LOG}


async def test_a_trial_says_what_a_file_would_become_and_keeps_nothing(world: World) -> None:
    connection_id = await connected(world)
    rows = (
        ("ref-one", "y", "nonsense", ""),
        ("ref-one", "z", "ssn.use"),
        ("", "w", "ssn.use", ""),
        ("4111 1111 1111 1111", "v", "ssn.use", ""),
    )
    before = await kept_so_far(world)
    answer = await sent(world, connection_id, exported(2, *rows), "?dry_run=true")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    first = found.pop("first")
    assert found == {
        "rows": 6,
        "kinds": {"new_account.credit_card": 2, "ssn.use": 1},
        "ignored": 0,
        "handed_on": 0,
        "for_a_person": 1,
        "wrong_rows": 2,
        "wrong": ["row 5: 3 columns instead of 4", "row 6, column 'member'"],
    }
    assert [one["member_ref"] for one in first] == ["ref-one", "ref-two", "•••• •••• •••• 1111"]
    assert await kept_so_far(world) == before


async def test_a_file_is_kept_whole_once_and_read(world: World) -> None:
    connection_id, file = await connected(world), exported(700, ("ref-one", "x", "nonsense", ""))
    first = (await sent(world, connection_id, file)).json()
    assert (first["rows"], first["size"], first["already"]) == (701, len(file), False)
    assert len(await timelines(world)) == 700
    again = (await sent(world, connection_id, file)).json()
    assert again == {**first, "already": True}
    found = await books(world)
    assert (found["receipts"], found["repeats"], found["new"]) == (3, 0, 700)


async def test_a_file_that_stopped_in_the_middle_is_gone_on_with(world: World) -> None:
    connection_id, file = await connected(world), exported(700)
    assert (await handed(world, connection_id, file)).rows == 256
    assert (await sent(world, connection_id, file)).json()["rows"] == 700
    assert (await books(world))["receipts"] == 3


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (b"", "This file is empty."),
        (b"Whose,What\nx,y\n", "header: there is no column 'member'"),
        (b"member,id,id\nx,y,z\n", "header: columns 2 and 3 have the same name"),
        (b"member,,type\nx,y,z\n", "header: column 2 has no name"),
        (b"\xff\xfem\x00e\x00", "header: it is not utf-8"),
        (gzip.compress(exported(2)), "header: it is packed"),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_with_what_is_wrong(world: World, file: bytes, said: str) -> None:
    connection_id = await connected(world)
    before = await kept_so_far(world)
    for query in ("", "?dry_run=true"):
        answer = await sent(world, connection_id, file, query)
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["field"] == "body.file"
        assert said in error["message"]
    assert await kept_so_far(world) == before


async def test_columns_are_read_by_the_documents_of_the_connection(world: World) -> None:
    connection_id, file = await connected(world), b"Whose;What\nref-one;Card\nref-two;Score\nref-two;Loan\n"
    words = "{Card: new_account.credit_card, Score: ignore, Loan: ask}"
    text = f"{{member: Whose, kind: {{column: What, words: {words}, otherwise: ignore}}}}"
    async with world.context.database.begin() as tx:
        where = (tx, world.context.keyring, world.union.id, connection_id)
        await documents.write(*where, name="columns", text=text, actor=SYSTEM)
    found = (await sent(world, connection_id, file, "?dry_run=true")).json()
    assert (found["kinds"], found["ignored"], found["for_a_person"]) == ({"new_account.credit_card": 1}, 1, 1)
    assert (await sent(world, connection_id, file)).json()["rows"] == 3
    assert len(await timelines(world)) == 1


async def test_mails_come_with_the_address_that_they_came_to(world: World) -> None:
    connection_id = await mailbox(world, Sender.ORGANIZATION)
    found = await sent(world, connection_id, MAIL, "?dry_run=true", to="Somebody@alerts.example.org")
    assert (found.status_code, found.json()["rows"]) == (200, 1)
    assert (await sent(world, connection_id, MAIL, to="x" * 400)).json()["errors"][0]["field"] == "body.to"
    kept = await sent(world, connection_id, MAIL, to="Somebody@alerts.example.org")
    assert (kept.status_code, kept.json()["rows"]) == (200, 1)


async def test_a_file_that_is_too_large_is_told_where_it_is_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    connection_id = await connected(world)
    by_the_edge = await sent(world, connection_id, b"x" * (22 * 1024 * 1024))
    monkeypatch.setattr(importing, "LARGEST", 1000)
    for answer in (by_the_edge, await sent(world, connection_id, b"x" * 1001)):
        assert answer.status_code == 413
        assert "harmline files add" in answer.json()["errors"][0]["message"]


async def test_a_file_never_lies_on_a_disk_in_plain(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Any) -> None:
        raise AssertionError("it went to a disk")

    monkeypatch.setattr(SpooledTemporaryFile, "rollover", refused)
    connection_id, file = await connected(world), exported(40_000)
    assert len(file) > 1024 * 1024
    assert (await sent(world, connection_id, file)).json()["rows"] == 40_000


async def test_who_hands_in_nothing_or_to_the_wrong_place_is_told_so(world: World) -> None:
    connection_id, standard = await connected(world), world.union.connection.connection.id
    async with await world.sign_in(Role.ADMIN) as admin:
        path = f"/v1/connections/{connection_id}/files"
        assert (await admin.post(path, json={})).status_code == 415
        nothing = await admin.post(path, files={"other": ("a", b"", "text/csv")})
        assert nothing.status_code == 422
    assert (await sent(world, standard, exported(1))).status_code == 409
    assert (await sent(world, standard, exported(1), "?dry_run=true")).status_code == 409
    async with await world.sign_in(Role.ADMIN, tenant=world.other) as stranger:
        for query in ("", "?dry_run=true"):
            path = f"/v1/connections/{connection_id}/files{query}"
            foreign = await stranger.post(path, files={"file": ("a.csv", exported(1), "text/csv")})
            assert foreign.status_code == 404
    async with world.context.database.begin(read_only=True) as tx:
        assert (await tx.execute(select(func.count()).select_from(Receipt))).scalar_one() == 0


async def test_two_organizations_files_are_two(world: World) -> None:
    """The same bytes in another organization are another file there, and nothing of one is seen at the other."""
    connection_id, file = await connected(world), exported(3)
    async with world.context.database.begin() as tx:
        where = (tx, world.context.keyring, world.other.id)
        made = await create_connection(*where, connector="file", title="Exports", sender=Sender.ORGANIZATION)
    assert (await sent(world, connection_id, file)).json()["already"] is False
    async with await world.sign_in(Role.ADMIN, tenant=world.other) as admin:
        path = f"/v1/connections/{made.connection.id}/files"
        assert (await admin.post(path, files={"file": ("a.csv", file, "text/csv")})).json()["already"] is False
        page = await admin.get(f"/admin/connections/{made.connection.id}/files")
        assert page.text.count("Kept whole") == 1
    async with world.context.database.begin(read_only=True) as tx:
        for tenant, its in ((world.union, connection_id), (world.other, made.connection.id)):
            assert len(await handing_in.latest(tx, tenant.id, its)) == 1
        assert await handing_in.latest(tx, world.other.id, connection_id) == []
