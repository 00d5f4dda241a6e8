"""Connections: what is shown once and sealed after, which secrets are taken, and a change of secrets without loss."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from app.access.roles import Role
from app.connections.models import Connection, ConnectionSecret
from app.connections.repository import secrets_of
from app.connections.service import add_secret, door_of
from app.kit import clock
from app.kit.crypto import Unreadable
from connectors.verifiers import Secret, StandardWebhooks
from tests.intake.counting import all_refusals
from tests.support.rows import contents
from tests.support.world import World, alert

NEW = {"connector": "standard", "title": "Second sender", "sender": "organization"}


async def create(world: World, **change: Any) -> Any:
    async with await world.sign_in(Role.ADMIN) as admin:
        return await admin.post("/v1/connections", json={**NEW, **change})


async def test_address_and_secret_are_shown_once_and_stand_nowhere_in_plain(world: World) -> None:
    made = (await create(world)).json()
    path = made["webhook_url"].removeprefix("http://localhost:8000")
    assert (await world.deliver(alert(), path=path, secret=made["secret"])).status_code == 202
    rows = str(await contents(world.context.database))
    token = path.rpartition("/")[2]
    for word in (token, made["secret"], made["secret"].removeprefix("whsec_")):
        assert word not in rows
    async with await world.sign_in(Role.ADMIN) as admin:
        listed = (await admin.get("/v1/connections")).text
    assert made["id"] in listed
    assert token not in listed
    assert made["secret"] not in listed
    assert str(world.other.connection.connection.id) not in listed


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"connector": "nobody"}, "body.connector"),
    ({"secret": "whsec_"}, "body.secret"),
    ({"secret": "whsec_AAAA"}, "body.secret"),
    ({"secret": "plain text"}, "body.secret"),
    ({"sender": "somebody"}, "body.sender"),
    ({"title": ""}, "body.title"),
    ({"title": "a\nb"}, "body.title"),
    ({"more": 1}, "body.*"),
]


async def test_what_proves_nothing_or_is_not_known_is_refused_with_its_field(world: World) -> None:
    for change, field in REFUSED:
        answer = await create(world, **change)
        assert answer.status_code == 422, change
        assert field in [error["field"] for error in answer.json()["errors"]]
        assert str(change.get("secret", "\0")) not in answer.text


async def test_an_empty_secret_is_never_kept_one_is_made(world: World) -> None:
    answer = await create(world, secret="")
    assert answer.status_code == 201
    assert StandardWebhooks().usable(Secret("new", answer.json()["secret"]))


async def test_old_and_new_secret_are_good_side_by_side_and_a_retired_one_is_not(world: World) -> None:
    own = world.union.connection
    new = StandardWebhooks.new_secret()
    async with world.context.database.begin() as tx:
        await add_secret(tx, world.context.keyring, own.connection, new)
        assert len(await secrets_of(tx, own.connection.id, clock.now())) == 2
    for number, secret in enumerate((own.secret, new)):
        assert (await world.deliver(alert(id=f"a-{number}"), secret=secret)).status_code == 202
    async with world.context.database.begin() as tx:
        old = (await secrets_of(tx, own.connection.id, clock.now()))[-1]
        await tx.execute(update(ConnectionSecret).where(ConnectionSecret.id == old.id).values(retired_at=clock.now()))
    assert (await world.deliver(alert(id="a-2"), secret=own.secret)).status_code == 401
    assert (await world.deliver(alert(id="a-3"), secret=new)).status_code == 202


async def test_without_a_secret_nothing_is_authentic(world: World) -> None:
    async with world.context.database.begin() as tx:
        await tx.execute(update(ConnectionSecret).values(retired_at=clock.now()))
    assert (await world.deliver(alert())).status_code == 401


async def test_a_closed_connection_says_so_to_who_knows_its_address_and_counts_it(world: World) -> None:
    async with world.context.database.begin() as tx:
        own = Connection.id == world.union.connection.connection.id
        await tx.execute(update(Connection).where(own).values(closed_at=clock.now()))
    assert (await world.deliver(alert())).status_code == 410
    assert (await world.deliver(alert(), path=world.union.connection.path[:-1])).status_code == 401
    assert await all_refusals(world) == {"closed": 1, "not_authentic": 1}


async def test_a_secret_moved_to_another_connection_opens_nothing(world: World) -> None:
    """It is sealed for its own row: swapping rows in the database makes no forged delivery authentic."""
    ours, theirs = world.union.connection, world.other.connection
    async with world.context.database.begin() as tx:
        foreign = (await secrets_of(tx, theirs.connection.id, clock.now()))[0].sealed
        own = ConnectionSecret.connection_id == ours.connection.id
        await tx.execute(update(ConnectionSecret).where(own).values(sealed=foreign))
    assert (await world.deliver(alert(), secret=theirs.secret)).status_code == 500
    async with world.context.database.begin() as tx:
        with pytest.raises(Unreadable):
            await door_of(tx, world.context.keyring, ours.path.split("/")[2])


SENT = {"connector": "postmark", "title": "Postmark", "sender": "provider"}
MAIL = {"connector": "mail", "title": "Mail", "sender": "provider", "settings": {"domain": "alerts.union.example"}}


async def test_what_is_handed_on_has_a_place_to_go_to_first_and_one_only(world: World) -> None:
    early = await create(world, **SENT)
    assert early.status_code == 422
    assert early.json()["errors"] == [
        {
            "field": "body.connector",
            "message": "What comes by this is read by the connection “E-mail”. Set that one up first.",
        }
    ]
    made = await create(world, **MAIL)
    assert made.status_code == 201, made.text
    assert (await create(world, **SENT)).status_code == 201
    second = await create(world, **MAIL)
    assert (second.status_code, second.json()["errors"][0]["field"]) == (422, "body.connector")
    async with await world.sign_in(Role.ADMIN) as admin:
        assert (await admin.post(f"/v1/connections/{made.json()['id']}/close")).status_code == 200
    assert (await create(world, **SENT)).status_code == 422
    assert (await create(world, **MAIL)).status_code == 201
    async with await world.sign_in(Role.ADMIN, tenant=world.other) as elsewhere:
        assert (await elsewhere.post("/v1/connections", json={**NEW, **SENT})).status_code == 422
