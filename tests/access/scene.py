"""What the authorization tests stand on: two organizations with something of everything in each, and a digest of it all."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, update

from app.access import providers
from app.access import service as access
from app.access.policy import scopes_of
from app.access.providers import Wanted
from app.access.roles import Principal, Role
from app.breaches.repository import matters_of
from app.connections import documents
from app.connections.disputing import dispute
from app.connections.service import Created, create_connection
from app.evidence.building import PACKET
from app.evidence.folder import Folder, Sealed
from app.evidence.models import Packet, PacketMember, PacketTaken, State
from app.evidence.outlining import Outline
from app.evidence.packets import parcel_of, place_of, wrapped_at
from app.incidents import repository as incidents
from app.incidents.models import Unmatched
from app.intake import forwarding, look_ups, looking_up
from app.intake.models import LookUp, LookUpState
from app.intake.workers import write_refusals
from app.kit import clock
from app.kit.database import Base
from app.kit.ids import uuid7
from app.kit.keyring import Lane
from app.ledger import attestations
from app.ledger.models import Leaf
from app.ledger.service import SYSTEM
from app.members import service as members
from app.members.repository import member as find
from app.members.roster import RosterEntry
from app.statistics.workers import publish_release
from app.timeline import break_glass
from connectors.contract import Sender
from tests.incidents.reports import PDF, event_of, reported
from tests.support.world import NOW, ROSTER, Filled, Tenant, World, alert, free_consumers, make_world
from tests.timeline.mails import Mailed, mail, mailed_world, question

BOOKKEEPING = frozenset({"session", "api_token", "sign_in_link"})
"""Where signing in and using a token leave their marks."""


@dataclass
class Scene:
    """A world in which M-1 and M-2 of both organizations have an incident each. `places`: ids by whose they are."""

    world: World
    places: dict[str, dict[str, str]] = field(default_factory=dict)
    mailed: dict[UUID, Mailed] = field(default_factory=dict)

    async def principal(self, role: Role, who: str = "", tenant: Tenant | None = None) -> Principal:
        tenant = tenant or self.world.union
        member = tenant.members[who or "M-1"] if role is Role.MEMBER else None
        return Principal(tenant.id, tenant.accounts[who or role], role, member)

    async def token(self, role: Role, scopes: frozenset[str] | None = None, who: str = "") -> tuple[UUID, str]:
        """A program's token of a role, with all its scopes unless told otherwise: its id and its secret."""
        caller = await self.principal(role, who)
        async with self.world.context.database.begin() as tx:
            wanted = scopes_of(role) if scopes is None else scopes
            secret, row = await access.create_token(tx, self.world.context.keyring, caller, "test", wanted, 30)
        return row.id, secret

    async def staff_account(self, role: Role = Role.STAFF, tenant: Tenant | None = None) -> UUID:
        """One more person in a role."""
        context, tenant = self.world.context, tenant or self.world.union
        async with context.database.begin() as tx:
            account = await access.create_account(tx, context.keyring, tenant.id, f"{uuid7()}@example.org")
            await access.grant_role(tx, context.keyring, account, role)
        return account.id

    async def another_member(self) -> UUID:
        """One more person on the roster."""
        context, number = self.world.context, await self.another_number()
        async with context.database.begin() as tx:
            found = await members.find_member(tx, context.keyring, self.world.union.id, number)
            assert found is not None
        return found.id

    async def another_number(self) -> str:
        """One more person on the roster, by the organization's own number."""
        context, number = self.world.context, f"X-{uuid7()}"
        entry = RosterEntry(2, number, "Drew Invented", None, set(ROSTER[0].jobs))
        async with context.database.begin() as tx:
            await members.import_roster(tx, context.keyring, self.world.union.id, [entry], [])
        return number

    async def polled_connection(self) -> UUID:
        """One more connection, whose provider sends signed notices and is asked about them."""
        return (await self._polled(self.world.union)).connection.id

    async def file_connection(self) -> UUID:
        """One more connection, to which people hand in files."""
        context = self.world.context
        async with context.database.begin() as tx:
            where = (tx, context.keyring, self.world.union.id)
            made = await create_connection(*where, connector="file", title="Exports", sender=Sender.ORGANIZATION)
        return made.connection.id

    async def _polled(self, tenant: Tenant) -> Created:
        context, settings, title = self.world.context, {"api_key": "k", "secret": "s"}, "Credit Watch"
        async with context.database.begin() as tx:
            return await create_connection(
                tx, context.keyring, tenant.id, connector="crs", title=title, sender=Sender.PROVIDER, settings=settings
            )

    async def _notice(self, tenant: Tenant) -> LookUp:
        """A notice that proves itself, as it came in; nobody has asked its provider yet."""
        made = await self._polled(tenant)
        body = json.dumps([{"type": "ALERT", "user_id": f"user-{uuid7()}", "alert_id": f"alert-{uuid7()}"}])
        proof = base64.b64encode(made.secret.encode()).decode()
        headers = {"content-type": "application/json", "authorization": f"Basic {proof}"}
        assert (await self.world.client.post(made.path, content=body, headers=headers)).status_code == 202
        await self.world.workers.drain()
        async with self.world.context.database.begin(read_only=True) as tx:
            return (await tx.execute(select(LookUp).where(LookUp.connection_id == made.connection.id))).scalar_one()

    async def notice_not_found(self, tenant: Tenant | None = None, *, proven: bool = True, misses: int = 100) -> UUID:
        """The event of a notice that its provider did not know, so often in a row or until nobody asks it any more."""
        tenant = tenant or self.world.union
        told = await self._notice(tenant)
        async with self.world.context.database.begin() as tx:
            row = await look_ups.row(tx, told.connection_id, told.key)
            row.state, row.due_at, row.trusted = LookUpState.DUE, clock.now(), row.trusted and proven
            while row.state == LookUpState.DUE and row.attempts < misses:
                looking_up.after_a_miss(row)
            await tx.flush()
            waits = await look_ups.not_found(tx, tenant.id, row.event_id)
            assert (waits is not None) is (proven and row.state == LookUpState.UNKNOWN), "a person decides about it, or not"
        return told.event_id

    async def mail_connection(self, tenant: Tenant | None = None) -> UUID:
        """The organization's mail connection, made if there is none."""
        tenant = tenant or self.world.union
        if tenant.id not in self.mailed:
            self.mailed[tenant.id] = await mailed_world(self.world, tenant)
        return self.mailed[tenant.id].connection_id

    async def rule(self) -> str:
        """The name of a rule that an admin wrote."""
        where, name = (self.world.context.keyring, self.world.union.id, await self.mail_connection()), f"r-{uuid7()}"
        caller = await self.principal(Role.ADMIN)
        async with self.world.context.database.begin() as tx:
            await documents.write(tx, *where, name=name, text="title: Some service\n", actor=caller.actor)
        return name

    async def address(self, who: str, tenant: Tenant | None = None) -> str:
        """A member's forwarding address, made if there is none."""
        await self.mail_connection(tenant)
        caller = await self.principal(Role.MEMBER, who, tenant)
        async with self.world.context.database.begin() as tx:
            made = await forwarding.address_of(tx, self.world.context, caller)
            if made.address is None:
                made = await forwarding.make(tx, self.world.context, caller)
        assert made.address is not None
        return made.address

    async def asked_address(self) -> None:
        """M-1 has a forwarding address, and a mailbox has asked of it whether mails may be forwarded to it."""
        address = await self.address("M-1")
        await self.mailed[self.world.union.id].bring(question(), address)

    async def left_to_a_person(self, tenant: Tenant | None = None, *, who: str = "M-1") -> UUID:
        """The event of a mail to a member's address that only a person can tell."""
        tenant = tenant or self.world.union
        address = await self.address(who, tenant)
        mailed = self.mailed[tenant.id]
        return (await mailed.event(await mailed.bring(mail(), address))).id

    async def refused_review(self) -> UUID:
        """The event of a mail to a member who has not agreed that anybody reads such a thing."""
        event_id = await self.left_to_a_person(who="M-2")
        member_id, connection_id = self.world.union.members["M-2"], await self.mail_connection()
        async with self.world.context.database.begin() as tx:
            member = await find(tx, self.world.union.id, member_id)
            assert member is not None
            where = (tx, self.world.context.keyring, member, connection_id)
            await members.record_consent(*where, given=True, source=members.OWN_ANSWER, actor=SYSTEM)
        return event_id

    async def nobodys_alert(self, tenant: Tenant | None = None) -> UUID:
        """An alert under a reference that nobody is enrolled with."""
        assert (await self.world.deliver(alert(id=f"n-{uuid7()}", member=f"ref-{uuid7()}"), tenant)).status_code == 202
        await self.world.workers.drain()
        async with self.world.context.database.begin(read_only=True) as tx:
            return (await tx.execute(select(Unmatched.alert_id).order_by(Unmatched.alert_id.desc()).limit(1))).scalar_one()

    async def unreadable_receipt(self, tenant: Tenant | None = None) -> UUID:
        """A delivery that nothing can be made of."""
        answer = await self.world.deliver(f"no JSON {uuid7()}".encode(), tenant)
        await self.world.workers.drain()
        return UUID(answer.json()["receipt"])

    async def hold(self, tenant: Tenant) -> UUID:
        """A legal hold on M-3."""
        caller = await self.principal(Role.COUNSEL, tenant=tenant)
        async with self.world.context.database.begin() as tx:
            placed = await members.place_hold(tx, self.world.context.keyring, caller, tenant.members["M-3"], "Because.")
        return placed.id

    async def packet(self, tenant: Tenant, *, ready: bool = False) -> UUID:
        """A packet of the matter that counsel was shown, with somebody who took it along; `ready`: there are files of it too."""
        context, packet_id, account = self.world.context, uuid7(), tenant.accounts[Role.COUNSEL]
        async with context.database.begin() as tx:
            ((matter, _),) = await matters_of(tx, tenant.id, account)
            said = Outline(1, NOW, 1, 0, 3, {"redacted": 1})
            wanted = {"variant": "redacted", "prefix": "OPOA", "size": None, "members": [str(tenant.members["M-1"])]}
            row = Packet(id=packet_id, organization_id=tenant.id, matter_id=matter.id, wanted=wanted, outline=said.stored())
            row.state, row.asked_by, row.asked_at = State.SHOWN, account, NOW
            row.claim_sealed = await context.keyring.seal(
                tx, tenant.id, Lane.FACTUAL, "24/117", "packet", "claim_sealed", packet_id
            )
            tx.add(row)
            await tx.flush()
            tx.add(PacketMember(member_id=tenant.members["M-1"], packet_id=packet_id, organization_id=tenant.id, connections=[]))
            tx.add(PacketTaken(packet_id=packet_id, organization_id=tenant.id, account_id=account, at=NOW))
            if ready:
                key, row.wrapped_key = await context.keyring.wrap_new(tx, tenant.id, *wrapped_at(packet_id))
                folder = Folder(place_of(context.settings, packet_id), Sealed(key, packet_id)).within(PACKET)
                folder.write("README.txt", b"A packet.")
                row.state, row.number, row.ready_at = State.READY, "0" * 64, NOW
                row.zip_size = parcel_of(wanted, row.number, folder).size
        return packet_id

    async def no_packets_under_way(self) -> None:
        """There are only so many at once."""
        async with self.world.context.database.begin() as tx:
            await tx.execute(update(Packet).where(Packet.state == State.LOOKING).values(state=State.SHOWN))

    async def break_glass(self, tenant: Tenant, *, approved: bool = False) -> UUID:
        """The caseworker's request to see the timeline of M-2."""
        keyring, asker = self.world.context.keyring, await self.principal(Role.CASEWORKER, tenant=tenant)
        async with self.world.context.database.begin() as tx:
            row = await break_glass.ask(tx, keyring, asker, "M-2", "They cannot be reached.")
            if approved:
                await break_glass.approve(tx, keyring, await self.principal(Role.ADMIN, tenant=tenant), row.id)
        return row.id

    async def document(self) -> dict[str, str]:
        """The ids of a report of M-1 with a document, and of the incident that it is on."""
        found = await reported(self.world, {"kind": "ssn.use", "note": str(uuid7())}, PDF)
        return {"incident_id": found["id"], "event_id": event_of(found)["event_id"]}

    async def dispute(self, tenant: Tenant) -> UUID:
        """A stretch of time marked as disputed, in which nothing came."""
        connection_id, start = tenant.connection.connection.id, NOW - timedelta(days=1000)
        where = (self.world.context.keyring, tenant.id, connection_id)
        async with self.world.context.database.begin() as tx:
            made = await dispute(tx, *where, received_from=start, received_until=start + timedelta(days=1), reason="Because.")
        return made.id

    async def own_sign_in(self, tenant: Tenant) -> UUID:
        """The organization's own sign-in, connected if there is none; nobody answers at its address, and it is for nobody."""
        context, caller = self.world.context, await self.principal(Role.ADMIN, tenant=tenant)
        wanted = Wanted("https://login.example.internal", "harmline", "a client's secret", ["nobody.example"], [])
        async with context.database.begin() as tx:
            return (await providers.keep(tx, context.keyring, caller, wanted)).id

    async def link(self) -> str:
        """A one-time link's token, not yet spent."""
        async with self.world.context.database.begin() as tx:
            return await access.create_link(tx, self.world.union.accounts[Role.STAFF], Role.STAFF)

    @staticmethod
    def missing() -> UUID:
        """An id that nothing has."""
        return uuid7()

    async def digest(self) -> dict[str, str]:
        """A hash of every row of every table, those of signing in left out; what was refused so far is written first."""
        await write_refusals(self.world.context.database, self.world.app.state.intake.refusals)
        hashes = {}
        async with self.world.context.database.begin(read_only=True) as tx:
            for table in Base.metadata.sorted_tables:
                if table.name not in BOOKKEEPING:
                    rows = sorted(repr(tuple(row)) for row in (await tx.execute(select(table))).all())
                    hashes[table.name] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
        return hashes


def _authority(tenant: Tenant) -> str:
    return f"stamps-{tenant.id.hex[-12:]}"


async def _place(world: World, tenant: Tenant, who: str) -> dict[str, str]:
    """The ids of what one member has, and of what their organization has."""
    member_id = tenant.members[who]
    async with world.context.database.begin(read_only=True) as tx:
        (incident,) = await incidents.incidents_of_member(tx, member_id)
        (event,) = await incidents.events_of_member(tx, member_id)
        ((matter, _),) = await matters_of(tx, tenant.id, tenant.accounts[Role.COUNSEL])
        entry = select(Leaf.entry_id).where(Leaf.organization_id == tenant.id, Leaf.position == 0)
        entry_id = (await tx.execute(entry)).scalar_one()
    return {
        "incident_id": str(incident.id),
        "event_id": str(event.event_id),
        "alert_id": str(event.alert_id),
        "member_id": str(member_id),
        "matter_id": str(matter.id),
        "entry_id": str(entry_id),
        "authority": _authority(tenant),
        "connection_id": str(tenant.connection.connection.id),
        "connection_token": tenant.connection.path.rpartition("/")[2],
    }


async def stage(database_url: str, known: Filled) -> Filled:
    """Make a scene in a filled database, to be copied: it takes a second, and a hundred tests begin with one."""
    async with make_world(database_url, known) as world:
        scene = await make_scene(world)
        await free_consumers(world.context.database)
    mailed = {organization_id: one.connection_id for organization_id, one in scene.mailed.items()}
    return replace(known, more=(scene.places, mailed))


def staged(world: World, known: Filled) -> Scene:
    """The scene in a copy of what `stage` made."""
    places, mailed = copy.deepcopy(known.more)
    return Scene(world, places, {whose: Mailed(world, connection_id) for whose, connection_id in mailed.items()})


async def make_scene(world: World) -> Scene:
    """Deliver one alert for each of M-1 and M-2 of both organizations, publish statistics, and gather the ids."""
    for tenant in (world.union, world.other):
        for who in ("M-1", "M-2"):
            body = alert(id=f"a-{who}", member=f"ref-{who}")
            assert (await world.deliver(body, tenant)).status_code == 202
    await world.workers.drain()
    scene = Scene(world)
    for tenant in (world.union, world.other):
        async with world.context.database.begin() as tx:
            await publish_release(tx, world.context, tenant.id)
            stamps = (tx, tenant.id, 1, _authority(tenant))
            await attestations.keep_timestamp(*stamps, b"a timestamp", NOW)
    scene.places = {
        "own": await _place(world, world.union, "M-1"),
        "other_member": await _place(world, world.union, "M-2"),
        "other_organization": await _place(world, world.other, "M-1"),
    }
    foreign = scene.places["other_organization"]
    for places, tenant in ((scene.places["own"], world.union), (foreign, world.other)):
        places["dispute_id"] = str(await scene.dispute(tenant))
        places["provider_id"] = str(await scene.own_sign_in(tenant))
        places["packet_id"] = str(await scene.packet(tenant))
    scene.places["others_packet"] = {"packet_id": foreign["packet_id"]}
    foreign["request_id"] = str(await scene.break_glass(world.other))
    foreign["hold_id"] = str(await scene.hold(world.other))
    foreign["alert_id"] = str(await scene.nobodys_alert(world.other))
    foreign["receipt_id"] = str(await scene.unreadable_receipt(world.other))
    foreign["account_id"] = str(await scene.staff_account(tenant=world.other))
    scene.places |= {
        "other_organizations_notice": {"event_id": str(await scene.notice_not_found(world.other))},
        "other_organizations_review": {"event_id": str(await scene.left_to_a_person(world.other))},
        "refused_review": {"event_id": str(await scene.refused_review())},
        "notice_to_be_asked_for": {"event_id": str(await scene.notice_not_found(misses=1))},
        "unproven_notice": {"event_id": str(await scene.notice_not_found(proven=False))},
    }
    other = await scene.token(Role.MEMBER, who="M-2")
    scene.places["other_member"]["token_id"] = str(other[0])
    return scene
