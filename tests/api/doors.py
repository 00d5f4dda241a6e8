"""Puts canaries in through every door of a world: deliveries, imports, answers, forms, and whatever nobody may send."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from app.access.repository import account_of_member
from app.access.roles import Principal, Role
from app.breaches import service as breaches
from app.incidents.repository import alerts_by_incident
from app.kit import clock
from app.ledger.service import SYSTEM
from app.members import service as members
from tests.access.fake_provider import connect, serving
from tests.api.canaries import Canaries
from tests.support.world import World, alert

PEOPLE = int(os.environ.get("HARMLINE_CANARY_PEOPLE", "30"))
"""`./run campaign canaries` sets it higher."""
HEADERS = ("user-agent", "referer", "x-forwarded-for", "x-request-id", "if-none-match", "accept-language", "forwarded")


@dataclass
class Person:
    """One member with what only they may read."""

    number: str
    name: str
    email: str
    reference: str
    own: set[str] = field(default_factory=set)


@dataclass
class Doors:
    """A world and the values put into it. `refusals` are the answers that said no, or that some stranger got."""

    world: World
    canaries: Canaries = field(default_factory=Canaries)
    people: list[Person] = field(default_factory=list)
    refusals: list[httpx.Response] = field(default_factory=list)

    async def everything(self) -> None:
        """Every door, in the order in which a service's life passes them."""
        await self.rosters()
        await self.deliveries()
        await self.spoilt_deliveries()
        await self.world.workers.drain()
        await self.answers()
        await self.counsel()
        await self.own_sign_in()
        await self.strangers()
        await self.bad_requests()
        await self.world.workers.drain()

    async def rosters(self) -> None:
        """The roster and the enrollments, and lists with something wrong in every row."""
        word = self.canaries.word
        for _ in range(PEOPLE):
            person = Person(word("external id"), word("name"), word("e-mail") + "@example.org", word("reference"))
            person.own = {person.number, person.name, person.email.partition("@")[0], person.reference}
            self.people.append(person)
        rows = [f"{p.number},Pat {p.name},{p.email},2012-01-01," for p in self.people]
        wrong = [f"{word('bad row')},{word('bad row')},{word('bad row')},{word('bad row')},{word('bad row')}" for _ in range(6)]
        known = [f"{p.number},{p.reference},yes" for p in self.people]
        stray = [f"{word('stray id')},{word('stray reference')},{word('stray consent')}" for _ in range(6)]
        heading, enrolled = "external_id,name,email,employed_from,employed_to", "external_id,reference,consent"
        connection = self.world.union.connection.connection.id
        async with await self.world.sign_in(Role.ADMIN) as admin:
            for path, lines, good in (
                ("/v1/members/import", [heading, *rows], True),
                ("/v1/members/import", [heading, *wrong], False),
                ("/v1/members/import", [word("bad heading")], False),
                (f"/v1/enrollments/import?connection_id={connection}", [enrolled, *known], True),
                (f"/v1/enrollments/import?connection_id={connection}", [enrolled, *stray], False),
            ):
                answer = await admin.post(path, files={"file": (word("file name") + ".csv", "\n".join(lines))})
                assert answer.status_code == 200
                assert good is not bool(answer.json()["problems"]), answer.text
                self.refusals.append(answer)

    async def deliveries(self) -> None:
        """Two alerts for everybody, one of them with a revision; long numbers stand in the words."""
        make = self.canaries
        for person in self.people:
            for number in range(2):
                own = {name: make.word(name) for name in ("alert id", "summary", "message id")}
                digits, bank = make.number("number in a summary"), make.institution("institution")
                body = alert(
                    id=own["alert id"],
                    member=person.reference,
                    summary=f"Seen: {own['summary']} with number {digits} and {digits.replace('-', '')}",
                    institution=f"The {bank} Company",
                    opened="2023-03-20" if number else "2021-01-05",
                )
                person.own |= {*own.values(), bank}
                answer = await self.world.deliver(body, message_id=own["message id"], headers={"x-note": make.word("header")})
                assert answer.status_code == 202, answer.text

    async def spoilt_deliveries(self) -> None:
        """Forged, stale, broken, unknown, for nobody, without consent, to nowhere."""
        word, deliver = self.canaries.word, self.world.deliver
        for _ in range(10):
            forged = alert(id=word("forged id"), summary=word("forged summary"), member=word("forged reference"))
            self.refusals.append(await deliver(forged, headers={"webhook-signature": f"v1,{word('signature')}"}))
            self.refusals.append(await deliver(forged, path=f"/webhooks/{word('connection')}/{word('token')}"))
            self.refusals.append(await deliver(forged, headers={"content-type": f"text/{word('media type')}"}))
            self.refusals.append(await deliver(forged, headers={"content-encoding": word("encoding")}))
        kept: list[bytes | dict[str, Any]] = []
        for _ in range(10):
            kept += [
                alert(id=word("id"), type=word("unknown type"), summary=word("summary")),
                alert(id=word("id"), **{word("unknown key"): word("unknown value")}),
                alert(id=word("id"), amount=word("amount"), bureau=word("bureau"), opened=word("date")),
                alert(id=word("id"), member=word("nobody's reference"), summary=word("nobody's summary")),
                {"alerts": [word("broken item"), {word("key"): word("value")}], word("neighbour"): 1},
                f'{{"{word("unsplittable")}": {word("no json")}'.encode(),
            ]
        for body in kept:
            assert (await deliver(body)).status_code == 202
        assert (await deliver(alert(id=word("stale")), at=clock.now() - timedelta(days=2))).status_code == 202

    async def caller(self, person: Person) -> Principal:
        """A member as the gate would see them."""
        context, union = self.world.context, self.world.union
        async with context.database.begin(read_only=True) as tx:
            found = await members.find_member(tx, context.keyring, union.id, person.number)
            assert found is not None
            account = await account_of_member(tx, union.id, found.id)
            assert account is not None
        union.accounts[person.number] = account.id
        return Principal(union.id, account.id, Role.MEMBER, found.id)

    async def answers(self) -> None:
        """Verdicts and losses, good and bad, through the API and the pages."""
        word = self.canaries.word
        for person in self.people:
            caller = await self.caller(person)
            assert caller.member_id is not None
            async with self.world.context.database.begin(read_only=True) as tx:
                held = await alerts_by_incident(tx, caller.member_id)
            incident_id, alerts = next(iter(held.items()))
            note, second, path = word("note"), word("note of a form"), f"/incidents/{incident_id}"
            person.own |= {note, second}
            loss = {"head": "oop", "amount": "12.00", "incurred_on": "2023-03-30"}
            async with await self.world.sign_in(Role.MEMBER, person.number) as browser:
                shown = [str(alert_id) for alert_id in alerts]
                good = [
                    await browser.post(f"/v1{path}/verdict", json={"answer": "not_me", "shown": shown}),
                    await browser.post(f"/v1{path}/losses", json={**loss, "note": note}),
                    await browser.post(f"{path}/losses", data={**loss, "note": second}),
                ]
                assert [answer.status_code for answer in good] == [200, 201, 303]
                for bad in (
                    {"json": {"answer": word("bad answer"), "shown": [word("bad id")]}},
                    {"json": {**loss, word("bad field"): word("bad value")}},
                    {"json": {**loss, "amount": word("bad amount"), "head": word("bad head"), "incurred_on": word("bad day")}},
                ):
                    for route in ("verdict", "losses"):
                        self.refusals.append(await browser.post(f"/v1{path}/{route}", **bad))

    async def counsel(self) -> None:
        """Counsel's own words."""
        word, context, union = self.canaries.word, self.world.context, self.world.union
        async with context.database.begin() as tx:
            title, account = word("counsel: title"), union.accounts[Role.COUNSEL]
            await breaches.open_matter(tx, context.keyring, union.id, "oakland-2023", title, account, SYSTEM)
        async with await self.world.sign_in(Role.COUNSEL) as browser:
            for _ in range(5):
                assert (await browser.post("/v1/holds", json={"reason": word("counsel: reason")})).status_code == 201
        secret = "whsec_" + base64.b64encode(word("secret").encode() * 3).decode()
        async with await self.world.sign_in(Role.ADMIN) as admin:
            made = {"connector": "standard", "title": "Another Monitor", "sender": "provider", "secret": secret}
            assert (await admin.post("/v1/connections", json=made)).status_code == 201
            for role in (Role.STAFF, Role.AUDITOR):
                invited = {"email": word("invited") + "@example.org", "role": role}
                assert (await admin.post("/v1/accounts", json=invited)).status_code == 201

    async def own_sign_in(self) -> None:
        """What goes to the organization's own provider, and what it says of people: those it lets in, and those it does not."""
        word = self.canaries.word
        async with serving() as provider:
            provider.secret = word("client secret")
            own = await connect(self.world, provider)
            async with self.world.browser() as browser:
                assert (await own.sign_in(browser, word("subject"))).status_code == 303
            for said in ({"email_verified": False}, {"iss": word("issuer")}, {"nonce": word("nonce")}, {}):
                async with self.world.browser() as browser:
                    email = f"{word('said address')}@union.example"
                    self.refusals.append(await own.sign_in(browser, word("subject"), **{"email": email, **said}))
            async with self.world.browser() as browser:
                asked = await own.go(browser)
                self.refusals.append(await own.back(browser, asked, word("code"), iss=word("named"), error=word("error")))
                self.refusals.append(await own.back(browser, {"state": word("state")}, word("code")))

    async def strangers(self) -> None:
        """Everything that somebody who is nobody can send."""
        word = self.canaries.word
        async with self.world.browser() as browser:
            for _ in range(10):
                email = f"{word('unknown address')}@example.org"
                for answer in (
                    await browser.post("/sign-in", data={"email": email}),
                    await browser.post(f"/sign-in/{word('link')}"),
                    await browser.post(
                        "/sign-in/passkey", json={"id": word("passkey"), "rawId": word("passkey"), "response": {}}
                    ),
                    await browser.get(f"/v1/{word('path')}?{word('query')}={word('query')}"),
                    await browser.get(f"/{word('page')}/?next={word('next')}"),
                    await browser.get("/v1/me", headers={"authorization": f"Bearer {word('token')}"}),
                    await browser.get("/v1/me", headers={"authorization": f"{word('scheme')} {word('credential')}"}),
                    await browser.get("/timeline", headers={"cookie": f"harmline={word('cookie')}; {word('cookie')}=1"}),
                    await browser.get(f"/static/{word('file')}"),
                    await browser.get("/", headers={"host": word("host") + ".example", "origin": f"http://{word('origin')}"}),
                    await browser.request(word("method").upper(), "/v1/me"),
                ):
                    self.refusals.append(answer)
            for _ in range(2):
                typed = {"member-email": "nobody@example.org", "password": word("password"), "code": word("code")}
                self.refusals.append(await browser.post("/sign-in/password", data=typed))
            for name in HEADERS:
                self.refusals.append(await browser.get("/v1/nothing", headers={name: word(f"header {name}")}))

    async def bad_requests(self) -> None:
        """Bodies, ids and cursors that are not right, by everybody who is somebody."""
        word = self.canaries.word
        for role in Role:
            async with await self.world.sign_in(role) as browser:
                for path, body in self._bad_bodies():
                    self.refusals.append(await browser.post(path, **body))
                for path in (
                    f"/v1/incidents/{word('id')}",
                    f"/incidents/{word('id')}/originals/{word('id')}",
                    f"/v1/matters/{word('id')}/incidents",
                    f"/v1/me/timeline?cursor={word('cursor')}&limit={word('limit')}",
                    f"/timeline?cursor={word('cursor')}",
                    f"/queues?unmatched={word('cursor')}",
                    f"/v1/members?cursor={base64.urlsafe_b64encode(json.dumps([word('cursor')]).encode()).decode()}",
                ):
                    self.refusals.append(await browser.get(path))
                self.refusals.append(await browser.delete(f"/v1/accounts/{word('id')}/roles/{word('role')}"))

    def _bad_bodies(self) -> Iterator[tuple[str, dict[str, Any]]]:
        word = self.canaries.word
        headers = {"content-type": "application/json"}
        for path in ("/v1/tokens", "/v1/connections", "/v1/accounts", "/v1/holds", "/v1/me/consents"):
            yield path, {"content": f'{{"{word("bad json")}": {word("bad json")}', "headers": headers}
            yield (
                path,
                {"json": {word("key"): word("value"), "label": [word("label")], "scopes": word("scope"), "role": word("role")}},
            )
        yield "/v1/members/import", {"files": {word("part"): (word("file name"), b"\xff" + word("content").encode())}}
        yield "/consents", {"data": {"connection_id": word("id"), "given": word("given")}}
