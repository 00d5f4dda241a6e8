"""Files that people hand in: tried out, kept piece by piece, gone on with after a kill, read by what columns mean."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from app.connections import documents, managing
from app.connections.models import ReadingDocument
from app.incidents.models import MemberEvent
from app.intake import handing_in, workers
from app.intake.models import Event, HandedIn, Receipt
from app.intake.sealing import open_body
from app.kit import clock
from app.kit.errors import Problem
from app.kit.ids import uuid7
from app.ledger.service import SYSTEM
from app.whole_files import hand_in_all
from connectors.file import rows
from tests.intake.counting import books
from tests.intake.exports import connected, exported, handed
from tests.support.commands import done, run
from tests.support.rows import counts
from tests.support.world import World

DOCUMENT = "{member: Whose, kind: {column: What, words: {Card: new_account.credit_card}}, institution: Where}"


async def timelines(world: World) -> list[tuple[UUID, str | None, str]]:
    await world.workers.drain()
    async with world.context.database.begin(read_only=True) as tx:
        found = await tx.execute(select(MemberEvent.member_id, MemberEvent.institution, MemberEvent.grade))
        return sorted((one, name, grade) for one, name, grade in found)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MOST_ROWS", 3)


@pytest.mark.usefixtures("small_pieces")
async def test_a_file_comes_in_once_however_often_it_is_stopped(world: World) -> None:
    connection_id, file = await connected(world), exported(10, ("ref-one", "x-bad", "new_account.auto"))
    come, seen = await handed(world, connection_id, file), []
    while come.finished_at is None:
        seen.append(come.rows)
        with pytest.raises(RuntimeError):
            await killed(world, connection_id, file)
        come = await handed(world, connection_id, file)
    assert seen == [3, 6, 9, 11], "what was not committed was done again, and nothing twice"
    found = await books(world)
    assert (found["receipts"], found["repeats"]) == (4, 0)
    told = await timelines(world)
    assert [name for _, name, _ in told] == sorted(f"bank {n}" for n in range(10)) or len(told) == 10
    assert {grade for _, _, grade in told} == {"organization"}
    after = await counts(world.context.database)
    assert (await handed(world, connection_id, file)).finished_at == come.finished_at
    assert await counts(world.context.database) == after, "a file that is finished is left alone"
    assert await bytes_kept(world, connection_id) == file.partition(b"\n")[2]


async def killed(world: World, connection_id: UUID, file: bytes) -> None:
    opened = io.BytesIO(file)
    async with world.context.database.begin() as tx:
        where = (tx, world.context.keyring, world.union.id, connection_id)
        await handing_in.hand_in(*where, opened, handing_in.measured(opened), told={}, actor=SYSTEM, at_once=1)
        raise RuntimeError("killed before the COMMIT")


async def bytes_kept(world: World, connection_id: UUID) -> bytes:
    async with world.context.database.begin(read_only=True) as tx:
        query = select(Receipt).where(Receipt.connection_id == connection_id).order_by(Receipt.id)
        bodies = [await open_body(tx, world.context.keyring, row) for row in (await tx.execute(query)).scalars()]
    return b"".join(body or b"" for body in bodies)


async def test_a_bad_row_is_named_by_its_number_and_waits_alone(world: World) -> None:
    connection_id = await connected(world)
    file = exported(1, ("ref-one", "x", "new_account.auto"), ("ref-one", "y", "nonsense", ""), ("", "z", "ssn.use", ""))
    await handed(world, connection_id, file, at_once=None)
    assert len(await timelines(world)) == 1
    async with world.context.database.begin(read_only=True) as tx:
        query = select(Event.reason, Event.path).where(Event.outcome == "quarantined").order_by(Event.position)
        assert [tuple(row) for row in (await tx.execute(query)).all()] == [
            ("broken item", "row 3: 3 columns instead of 4"),
            ("its word for what happened has no meaning yet", "for a person"),
            ("malformed field", "row 5, column 'member'"),
        ]


async def test_a_trial_says_all_of_it_and_keeps_nothing(world: World) -> None:
    connection_id = await connected(world)
    before = await counts(world.context.database)
    file = exported(2, ("ref-one", "x", "new_account.auto"), ("ref-one", "y", "nonsense", ""))
    async with world.context.database.begin(read_only=True) as tx:
        _, reader = await handing_in.open_target(tx, world.union.id, connection_id)
    found = handing_in.tried(reader, io.BytesIO(file), {})
    assert (found.rows, dict(found.alerts), found.for_a_person) == (4, {"new_account.credit_card": 2}, 1)
    assert (found.wrong_rows, found.wrong) == (1, ["row 4: 3 columns instead of 4"])
    assert [one["institution"] for one in found.first] == ["Bank 0", "Bank 1"]
    assert await counts(world.context.database) == before


async def test_the_same_rows_in_another_file_are_sightings(world: World) -> None:
    connection_id = await connected(world)
    await handed(world, connection_id, exported(2), at_once=None)
    await handed(world, connection_id, exported(3), at_once=None)
    assert len(await timelines(world)) == 5
    found = await books(world)
    assert (found["new"], found["sightings"], found["alerts"]) == (3, 2, 3)


async def test_columns_are_read_by_the_document_of_the_connection(world: World) -> None:
    connection_id, file = await connected(world), b"Whose;What;Where\nref-one;Card;Bank\nref-two;Loan;Lender\n"
    with pytest.raises(Problem, match="no column 'member'"):
        await handed(world, connection_id, file, at_once=None)
    assert await written(world, connection_id, DOCUMENT) == 1
    await handed(world, connection_id, file, at_once=None)
    assert len(await timelines(world)) == 1
    better = DOCUMENT.replace("new_account.credit_card", "new_account.credit_card, Loan: new_account.personal_loan")
    assert await written(world, connection_id, better) == 2
    await workers.replay(world.context, world.union.id, SYSTEM)
    assert len(await timelines(world)) == 2, "what waited is read by the newer one"
    async with world.context.database.begin(read_only=True) as tx:
        read_by = set((await tx.execute(select(Event.normaliser))).scalars())
    assert len(read_by) == 2
    assert all(one.startswith("file by ") for one in read_by), "by which document it was read is on each event"


async def written(world: World, connection_id: UUID, text: str | None, **more: Any) -> int:
    async with world.context.database.begin() as tx:
        where = (tx, world.context.keyring, world.union.id, connection_id)
        return await documents.write(*where, name=more.pop("name", "columns"), text=text, actor=SYSTEM, **more)


async def test_a_document_that_cannot_be_read_by_any_more_sets_aside_and_loses_nothing(world: World) -> None:
    """One that an earlier edition of the connector took: nobody could write it today."""
    connection_id, good = await connected(world), "{member: member, kind: ssn.use}"
    await handed(world, connection_id, exported(2), at_once=None)
    async with world.context.database.begin() as tx:
        row = {"connection_id": connection_id, "name": "columns", "version": 1, "organization_id": world.union.id}
        tx.add(ReadingDocument(**row, text="{member: member, colour: red}", written_at=clock.now()))
    assert await timelines(world) == []
    async with world.context.database.begin(read_only=True) as tx:
        found = (await tx.execute(select(Receipt.state, Receipt.reason))).one()
    assert tuple(found) == ("unsplittable", "the documents of this connection")
    await written(world, connection_id, good)
    await workers.replay(world.context, world.union.id, SYSTEM)
    assert len(await timelines(world)) == 2


@pytest.mark.parametrize(
    ("name", "text", "after", "status"),
    [
        ("columns", "{member: x}", None, 422),
        ("columns", "{member: x, kind: ssn.use}", 7, 409),
        ("other", "{member: x, kind: ssn.use}", None, 422),
        ("", "{member: x, kind: ssn.use}", None, 422),
        ("columns", "x" * 100_001, None, 422),
        ("columns", None, None, 404),
    ],
)
async def test_a_document_that_would_not_do_is_refused(
    world: World, name: str, text: str | None, after: int | None, status: int
) -> None:
    connection_id = await connected(world)
    with pytest.raises(Problem) as refused:
        await written(world, connection_id, text, name=name, after=after)
    assert refused.value.status == status


async def test_versions_stay_and_one_can_be_withdrawn(world: World) -> None:
    connection_id = await connected(world)
    texts = ["{member: a, kind: ssn.use}", "{member: b, kind: ssn.use}", None, "{member: c, kind: ssn.use}"]
    for number, text in enumerate(texts):
        assert await written(world, connection_id, text, after=number) == number + 1
    async with world.context.database.begin(read_only=True) as tx:
        kept = await documents.versions(tx, world.union.id, connection_id)
        assert [(one.version, one.text) for one in kept] == [(4 - n, text) for n, text in enumerate(reversed(texts))]
        assert await documents.present(tx, [connection_id]) == {connection_id: {"columns": texts[-1]}}
        assert await documents.versions(tx, world.other.id, connection_id) == []


async def test_a_connection_that_takes_no_files_says_so(world: World) -> None:
    connection_id = await connected(world)
    for wrong, status in ((world.union.connection.connection.id, 409), (uuid7(), 404)):
        with pytest.raises(Problem) as refused:
            await handed(world, wrong, exported(1))
        assert refused.value.status == status
    async with world.context.database.begin() as tx:
        await managing.close(tx, world.context.keyring, world.union.id, connection_id)
    with pytest.raises(Problem) as refused:
        await handed(world, connection_id, exported(1))
    assert refused.value.status == 409


async def test_two_who_hand_in_the_same_file_follow_one_another(world: World, tmp_path: Path) -> None:
    connection_id, file = await connected(world), tmp_path / "export.csv"
    file.write_bytes(exported(700))
    seen: list[int] = []
    first = await hand_in_all(world.context, world.union.id, connection_id, file, told=lambda come: seen.append(come.rows))
    again = await hand_in_all(world.context, world.union.id, connection_id, file)
    assert (first.rows, again.rows, seen) == (700, 700, [700])
    async with world.context.database.begin(read_only=True) as tx:
        assert len((await tx.execute(select(HandedIn))).all()) == 1


def test_the_command_line_tries_out_and_hands_in(home: Path, tmp_path: Path) -> None:
    done("keys", "create")
    made = done("organization", "Invented Union", "--admin", "admin@union.example")
    where = ("--organization", made["organization"])
    connection = done("connections", "add", *where, "--connector", "file", "--title", "Exports", "--sender", "organization")
    there = (*where, "--connection", connection["connection"])
    file, columns = tmp_path / "export.csv", tmp_path / "columns.yaml"
    file.write_bytes(b"Whose,What,Where\nref-one,Card,Bank\nref-two,Loan\n")
    columns.write_text(DOCUMENT, encoding="utf-8")
    assert done("files", "columns", *there, str(columns)) == {"version": 1}
    trial = run("files", "try", *there, str(file))
    assert trial.exit_code == 1, "a row is wrong"
    assert "row 3: 2 columns instead of 3" in trial.stdout
    assert done("files", "add", *there, str(file))["rows"] == 2
    assert home.exists()
