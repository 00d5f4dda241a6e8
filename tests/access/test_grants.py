"""Who may give which role, and that nobody is locked out of an organization."""

from __future__ import annotations

import asyncio
from itertools import product
from uuid import UUID

import pytest
from sqlalchemy import select

from app.access import service as access
from app.access.models import Account, RoleGrant
from app.access.roles import Role
from app.access.service import may_grant
from app.kit import clock
from app.kit.errors import Problem
from app.kit.letters import Letter
from app.ledger.models import LedgerEntry
from app.members import service as members
from tests.access.scene import Scene
from tests.support.world import World

OFFICE = {Role.STAFF, Role.CASEWORKER, Role.ADMIN, Role.AUDITOR}


def test_who_may_grant_what() -> None:
    granted = {granter: {role for role in Role if may_grant(granter, role)} for granter in (Role.ADMIN, Role.COUNSEL)}
    assert granted == {Role.ADMIN: OFFICE, Role.COUNSEL: {Role.COUNSEL}}


async def test_a_role_is_granted_and_taken_back_only_by_who_may(world: World) -> None:
    scene = Scene(world)
    for granter, role in product((Role.ADMIN, Role.COUNSEL), Role):
        other = world.union.accounts["M-2"] if role is Role.MEMBER else await scene.staff_account(role)
        async with await world.sign_in(granter) as browser:
            before = await scene.digest()
            invited = await browser.post("/v1/accounts", json={"email": "new@example.org", "role": role})
            taken = await browser.delete(f"/v1/accounts/{other}/roles/{role}")
            expected = (201, 204) if may_grant(granter, role) else (403, 403)
            assert (invited.status_code, taken.status_code) == expected, (granter, role)
            assert (await scene.digest() == before) is not may_grant(granter, role)


async def test_the_last_admin_and_the_last_counsel_stay(world: World) -> None:
    for role in (Role.ADMIN, Role.COUNSEL):
        async with await world.sign_in(role) as browser:
            path = f"/v1/accounts/{world.union.accounts[role]}/roles/{role}"
            assert (await browser.delete(path)).status_code == 409
            await Scene(world).staff_account(role)
            assert (await browser.delete(path)).status_code == 204
            assert (await browser.get("/v1/me")).status_code == 401


async def test_two_admins_cannot_take_each_other_out_at_once(world: World) -> None:
    scene, database = Scene(world), world.context.database
    first, second = world.union.accounts[Role.ADMIN], await scene.staff_account(Role.ADMIN)
    caller = await scene.principal(Role.ADMIN)

    async def take_second() -> int:
        try:
            async with database.begin() as tx:
                await access.revoke_role(tx, world.context.keyring, caller, second, Role.ADMIN)
        except Problem as problem:
            return problem.status
        return 204

    async with database.begin() as tx:
        await access.revoke_role(tx, world.context.keyring, caller, first, Role.ADMIN)
        other = asyncio.create_task(take_second())
        done, _ = await asyncio.wait({other}, timeout=0.3)
        assert not done, "it waits for the one that came first"
    assert await other == 409


async def test_a_role_given_twice_at_once_is_taken_back_whole(world: World) -> None:
    scene = Scene(world)
    account_id = await scene.staff_account()
    async with world.context.database.begin() as tx:
        tx.add(
            RoleGrant(
                organization_id=world.union.id, account_id=account_id, role=Role.STAFF, granted_by=None, granted_at=clock.now()
            )
        )
    async with await world.sign_in(Role.ADMIN) as browser:
        assert (await browser.delete(f"/v1/accounts/{account_id}/roles/staff")).status_code == 204
        assert str(account_id) not in (await browser.get("/v1/accounts")).text
        assert (await browser.delete(f"/v1/accounts/{account_id}/roles/staff")).status_code == 404


async def test_the_first_counsel_is_set_up_once(world: World) -> None:
    keyring = world.context.keyring
    async with world.context.database.begin() as tx:
        fresh = await members.create_organization(tx, keyring, "A new union")
        token = await access.first_counsel(tx, keyring, fresh.id, "first@example.org")
    async with world.browser() as browser:
        assert (await browser.post(f"/sign-in/{token}")).status_code == 303
        assert (await browser.get("/welcome")).status_code == 200
    for organization_id in (fresh.id, world.union.id):
        async with world.context.database.begin() as tx:
            with pytest.raises(Problem) as refused:
                await access.first_counsel(tx, keyring, organization_id, "second@example.org")
        assert refused.value.status == 409


async def test_inviting_the_same_person_twice_makes_one_account(world: World) -> None:
    async with await world.sign_in(Role.ADMIN) as browser:
        answers = [
            (await browser.post("/v1/accounts", json={"email": email, "role": role})).json()
            for email, role in (
                ("new@example.org", "staff"),
                (" NEW@example.org".strip(), "staff"),
                ("new@example.org", "auditor"),
            )
        ]
    assert len({answer["account_id"] for answer in answers}) == 1
    async with world.context.database.begin(read_only=True) as tx:
        grants = select(RoleGrant).where(RoleGrant.account_id == Account.id, Account.id == UUID(answers[0]["account_id"]))
        assert len((await tx.execute(grants)).scalars().all()) == 2


async def test_every_change_of_a_role_is_in_the_ledger(world: World) -> None:
    async with await world.sign_in(Role.ADMIN) as browser:
        invited = (await browser.post("/v1/accounts", json={"email": "new@example.org", "role": "staff"})).json()
        await browser.delete(f"/v1/accounts/{invited['account_id']}/roles/staff")
    async with world.context.database.begin(read_only=True) as tx:
        rows = (await tx.execute(select(LedgerEntry).where(LedgerEntry.kind == "role").order_by(LedgerEntry.id))).scalars()
        own = [row for row in rows if row.subjects == {"account": invited["account_id"]}]
    assert [(row.actor_role, row.actor_id) for row in own] == [("admin", world.union.accounts[Role.ADMIN])] * 2


async def test_whoever_may_give_the_same_roles_is_told_of_each(world: World) -> None:
    world.union.accounts["second admin"] = await Scene(world).staff_account(Role.ADMIN)
    async with await world.sign_in(Role.ADMIN) as admin:
        made = await admin.post("/v1/accounts", json={"email": "new@example.org", "role": "auditor"})
        assert (await admin.delete(f"/v1/accounts/{made.json()['account_id']}/roles/auditor")).status_code == 204
    async with await world.sign_in(Role.COUNSEL) as counsel:
        assert (await counsel.post("/v1/accounts", json={"email": "new@example.org", "role": "counsel"})).status_code == 201
    async with world.context.database.begin(read_only=True) as tx:
        told = (await tx.execute(select(Letter).where(Letter.kind == access.ROLE_LETTER).order_by(Letter.id))).scalars().all()
    assert [(one.recipient, one.about.split()[0]) for one in told] == [
        (world.union.accounts["second admin"], "given"),
        (world.union.accounts["second admin"], "taken"),
    ], "there is no second counsel to be told"
