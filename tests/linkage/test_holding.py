"""Who finds links holds members, and waits for others in one order: no two of them ever wait for each other."""

import asyncio

import pytest

from app.breaches import workers as breach_workers
from app.incidents.topics import INCIDENTS_CHANGED
from app.kit import clock
from app.kit.ids import uuid7
from app.kit.outbox import Heard
from app.linkage.workers import consumer, linker
from app.members.repository import lock_members
from connectors.vocabulary import AlertKind as K
from tests.linkage.test_link_service import links, org
from tests.support.rooms import WHOLE_TIME, Rooms, at

__all__ = ["org"]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
async def test_who_brings_alerts_of_two_organizations_and_who_is_told_of_both_wait_for_each_other_in_one_order(
    org: Rooms,
) -> None:
    """Both find what the first organization's findings share, and both hold a member of the second."""
    elsewhere = await org.another_organization()
    told_of, brought = await org.member(WHOLE_TIME), await org.member(WHOLE_TIME)
    of_the_other = await elsewhere.member(WHOLE_TIME)
    await org.run(breach_workers.consumer(org.context))
    _, alert_id = [await org.alert(one, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 5, 1)) for one in (told_of, brought)]
    incident_id = await org.incident_of(brought, alert_id)
    whose = {told_of: org.organization_id, of_the_other: elsewhere.organization_id}
    messages = [
        Heard(uuid7(), number, INCIDENTS_CHANGED, owner, {"member_id": str(member_id)}, clock.now())
        for number, (member_id, owner) in enumerate(whose.items(), 1)
    ]

    async def told() -> None:
        async with org.database.begin() as tx:
            await consumer(org.context).handle(tx, messages)

    async with org.database.begin() as tx:
        await lock_members(tx, [brought, of_the_other])
        other = asyncio.create_task(told())
        await asyncio.sleep(0.5)  # until it has come as far as it comes
        await linker(org.context)(tx, org.organization_id, {brought: {incident_id}})
    await other
    assert [len(await links(org, one)) for one in (told_of, brought)] == [1, 1]
