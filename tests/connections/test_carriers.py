"""Services that bring mail, in the real core: which secret they take, what they ask an admin, and one mail by all of them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select

from app.access.roles import Role
from app.connections import service as connections
from app.intake.models import AlertRow, Event, EventOutcome, Receipt
from app.kit import clock
from app.members import service as members
from app.members.roster import EnrollmentEntry
from connectors.contract import Sender
from connectors.registry import registry
from connectors.testing.cases import Case
from connectors.testing.round_trip import sandbox_of
from connectors.testing.signing import proven, secrets_for
from tests.connectors.suite import cases
from tests.intake.counting import books
from tests.support.world import World

CARRIERS = ("mailgun", "sendgrid", "postmark", "ses")
TO = "m-4kq2riverbend@in.union.example"


async def create_mail(world: World) -> connections.Created:
    """The connection that takes what carriers bring: it is there first."""
    return await create(world, "mail", settings=sandbox_of(registry()["mail"])(clock.now).settings("https://x.example"))


async def create(world: World, connector: str, **more: Any) -> connections.Created:
    async with world.context.database.begin() as tx:
        return await connections.create_connection(
            tx, world.context.keyring, world.union.id, connector=connector, title=connector, sender=Sender.PROVIDER, **more
        )


async def create_by_page(world: World, **fields: str) -> httpx.Response:
    async with await world.sign_in(Role.ADMIN) as admin:
        return await admin.post("/admin/connections", data={"title": "Mails", "sender": "provider", **fields})


def fixture(name: str) -> Case:
    return next(case for case in cases(name.partition(":")[0]) if str(case) == name)


async def post(world: World, made: connections.Created, case: Case, body: bytes | None = None, **more: str) -> httpx.Response:
    """A fixture, proven by the new secret of the suite, or another body in its place; `more`: other headers."""
    assert case.connector.webhook is not None
    verifier: Any = case.connector.webhook.verifier
    sent = proven(verifier, secrets_for(verifier)[0], case.body if body is None else body, clock.now())
    assert sent is not None
    return await world.client.post(made.path, content=sent[0], headers={"content-type": case.media_type, **sent[1], **more})


def secret_of(connector: str) -> str:
    plan = registry()[connector].webhook
    assert plan is not None
    verifier: Any = plan.verifier
    return secrets_for(verifier)[0].value


@pytest.mark.parametrize(("connector", "words"), [("mailgun", "HTTP webhook signing key"), ("ses", "the ARN of the topic")])
async def test_a_secret_that_only_the_sender_has_cannot_be_left_out(world: World, connector: str, words: str) -> None:
    await create_mail(world)
    for fields in ({}, {"secret": " "}):
        answer = await create_by_page(world, connector=connector, **fields)
        assert answer.status_code == 422
        assert words in unescape(answer.text)
    async with await world.sign_in(Role.ADMIN) as admin:
        new = {"connector": connector, "title": "Mails", "sender": "provider"}
        answer = await admin.post("/v1/connections", json=new)
        assert [(error["field"], words in error["message"]) for error in answer.json()["errors"]] == [("body.secret", True)]
        shown = next(one for one in (await admin.get("/v1/connectors")).json() if one["name"] == connector)
        assert words in shown["secret_is"]
        made = (await admin.post("/v1/connections", json={**new, "secret": secret_of(connector)})).json()
        replaced = await admin.post(f"/v1/connections/{made['id']}/secret", json={})
        assert replaced.status_code == 422
        assert words in replaced.text


async def test_ses_takes_no_key_without_its_topic(world: World) -> None:
    key = secret_of("ses").partition(" ")[2]
    await create_mail(world)
    answer = await create_by_page(world, connector="ses", secret=key)
    assert answer.status_code == 422
    assert "This secret proves nothing. Give the ARN of the topic" in unescape(answer.text)
    assert key not in answer.text


async def test_sendgrid_goes_from_a_password_to_a_key(world: World) -> None:
    case = fixture("sendgrid:webhook__mail.multipart")
    await create_mail(world)
    made = await create(world, "sendgrid")
    assert made.secret.startswith("harmline:")
    basic = httpx.BasicAuth(*made.secret.split(":"))._auth_header
    plain = {"content-type": case.media_type}
    assert (await world.client.post(made.path, content=case.body, headers=plain)).status_code == 401
    assert (await world.client.post(made.path, content=case.body, headers={**plain, "authorization": basic})).status_code == 202
    assert (await post(world, made, case)).status_code == 401, "it has no key yet"
    async with await world.sign_in(Role.ADMIN) as admin:
        answer = await admin.post(f"/v1/connections/{made.connection.id}/secret", json={"secret": secret_of("sendgrid")})
        assert answer.status_code == 200, answer.text
    assert (await post(world, made, case)).status_code == 202


async def test_a_question_of_amazons_stands_on_the_page_of_the_connection_as_long_as_it_can_be_answered(world: World) -> None:
    """Nothing is visited by itself. Another topic's question is refused at the door, whoever signed it."""
    case = fixture("ses:webhook__SubscriptionConfirmation")
    await create_mail(world)
    made = await create(world, "ses", secret=secret_of("ses"))
    other = {**json.loads(case.body), "TopicArn": "arn:aws:sns:us-east-1:210987654321:somebody-elses"}
    assert (
        await world.client.post(made.path, content=json.dumps(other), headers={"content-type": "text/plain"})
    ).status_code == 401
    for _ in range(2):
        assert (await post(world, made, case)).status_code == 202
        clock.set_to(clock.now() + timedelta(seconds=1))
    await world.workers.drain()
    shown = await page(world, made)
    address = json.loads(case.body)["SubscribeURL"]
    assert (shown.count(address), "The service asks you" in shown) == (1, True)
    assert f'href="{address}' not in shown, "a stranger's text is not made a link"
    clock.set_to(clock.now() + timedelta(days=3, seconds=1))
    assert "The service asks you" not in await page(world, made)


async def page(world: World, made: connections.Created) -> str:
    async with await world.sign_in(Role.ADMIN) as admin:
        return unescape((await admin.get(f"/admin/connections/{made.connection.id}")).text)


async def test_the_address_of_a_route_of_mailguns_may_end_in_mime(world: World) -> None:
    await create_mail(world)
    made = await create(world, "mailgun", secret=secret_of("mailgun"))
    case = fixture("mailgun:webhook__mail.form")
    assert (await post(world, replace(made, path=f"{made.path}?mime"), case)).status_code == 202


async def test_one_mail_by_every_carrier_is_one_alert(world: World) -> None:
    """Each brings the same bytes to the same person; what it adds of its own stays in its own receipt."""
    receiver = await create_mail(world)
    await enroll(world, receiver.connection.id)
    mail = mail_of(fixture("mailgun:webhook__mail.form"))
    for name in CARRIERS:
        made = await create(world, name, secret=secret_of(name))
        assert (await post(world, made, *carried(name, mail))).status_code == 202
    await world.workers.drain()
    found = await books(world)
    assert (found["alerts"], found["sightings"], found["handed_on"], found["quarantined"]) == (1, 3, 4, 0)
    async with world.context.database.begin(read_only=True) as tx:
        assert (await tx.execute(select(func.count()).select_from(AlertRow))).scalar_one() == 1
        here = Receipt.connection_id == receiver.connection.id
        assert (await tx.execute(select(func.count()).select_from(Receipt).where(here))).scalar_one() == len(CARRIERS)
        outcomes = select(Event.outcome).where(Event.connection_id == receiver.connection.id)
        assert set((await tx.execute(outcomes)).scalars()) == {EventOutcome.NEW, EventOutcome.SIGHTING}
    assert [entry["alerts"] for entry in await world.timeline()] == [1]


async def enroll(world: World, connection_id: UUID) -> None:
    async with world.context.database.begin() as tx:
        entries = [EnrollmentEntry(0, "M-1", TO, True, None, None)]
        await members.import_enrollments(tx, world.context.keyring, world.union.id, connection_id, entries, ())


def mail_of(case: Case) -> bytes:
    """The raw mail in a fixture."""
    said: Any = case.connector.normalise(case.events()[0])  # type: ignore[arg-type]
    assert isinstance(said.body, bytes)
    return said.body


def carried(name: str, mail: bytes) -> tuple[Case, bytes]:
    """A fixture of a carrier with another mail in it."""
    case = next(one for one in cases(name) if one.event == "mail" and "~" not in one.path.name)
    if name == "mailgun":
        return case, case.body
    own = mail_of(case)
    if name == "sendgrid":
        return case, case.body.replace(own, mail)
    tree = json.loads(case.body)
    if name == "postmark":
        return case, json.dumps({**tree, "RawEmail": mail.decode()}).encode()
    return case, json.dumps({**tree, "Message": json.dumps({**json.loads(tree["Message"]), "content": mail.decode()})}).encode()
