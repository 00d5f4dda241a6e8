"""What findings share, in the database: kept once, kept again where it is missed, and never left out in silence."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import select, update

from app.breaches.service import load_catalogue
from app.linkage import repository, service
from app.linkage.models import Link, SharedFinding
from app.linkage.sharing import Pattern, join
from app.linkage.stored import from_json
from connectors.vocabulary import AlertKind as K
from tests.linkage.test_link_service import links, org, settle, views
from tests.support.rooms import WHOLE_TIME, Rooms, at

__all__ = ["org"]


async def shared_parts(org: Rooms) -> list[SharedFinding]:
    async with org.database.begin(read_only=True) as tx:
        rows = select(SharedFinding).where(SharedFinding.organization_id == org.organization_id)
        return list((await tx.execute(rows)).scalars())


async def test_what_findings_share_is_kept_once_and_holds_nothing_of_a_member_who_is_erased(org: Rooms) -> None:
    member_id, neighbour = await org.member(WHOLE_TIME), await org.member(WHOLE_TIME)
    alerts = [
        await org.alert(who, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 5, day)) for day, who in enumerate((member_id, neighbour), 1)
    ]
    await settle(org)
    [[one], [other]] = [await links(org, who) for who in (member_id, neighbour)]
    assert one.shared_sha256 == other.shared_sha256
    assert [link.own["alerts"] for link in (one, other)] == [[[str(alert_id)]] for alert_id in alerts]
    assert {fact["code"] for link in (one, other) for fact in link.own["facts"]} == {"competing.contents_unknown_same_defendant"}
    [shared] = await shared_parts(org)
    assert {len(from_json(join(shared.said, link.own, link.incident_id)).waves) for link in (one, other)} == {2}
    await org.erase(member_id)
    await settle(org)
    assert [part.sha256 for part in await shared_parts(org)] == [shared.sha256]
    told = json.dumps(shared.said)
    assert not [one_id for one_id in (*alerts, member_id, neighbour, one.incident_id, one.id) if str(one_id) in told]
    assert "competing." not in told, "which breaches somebody was in can be one person's alone"
    assert "2023-05" not in told
    assert "May 2023" not in told


async def test_two_who_keep_the_same_at_once_keep_it_once(org: Rooms) -> None:
    """Each in an order of its own: one waits for the other, and neither fails."""
    parts = {bytes([number]) * 32: {"number": number} for number in range(50)}

    async def keep(given: dict[bytes, dict[str, Any]]) -> None:
        async with org.database.begin() as tx:
            await repository.keep_shared(tx, org.organization_id, given)

    await asyncio.gather(keep(parts), keep(dict(reversed(parts.items()))), keep(dict(list(parts.items())[25:])))
    assert {part.sha256: part.said for part in await shared_parts(org)} == parts
    elsewhere = await org.another_organization()
    async with org.database.begin(read_only=True) as tx:
        assert await repository.shared_there(tx, org.organization_id, [*parts, b"x" * 32]) == set(parts)
        assert await repository.shared_there(tx, elsewhere.organization_id, parts) == set()


async def test_what_is_shared_is_kept_again_where_an_older_database_does_not_have_it(org: Rooms) -> None:
    """A process that goes on after a restore remembers what it said, and asks whether it is there."""
    member_id = await org.member(WHOLE_TIME)
    await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 5, 1), institution="one")
    await settle(org)
    [part], [link] = await shared_parts(org), await links(org, member_id)
    elsewhere = await org.another_organization()
    async with org.database.begin() as tx:
        await load_catalogue(tx, org.keyring, elsewhere.organization_id, "oakland")
        patterns = {part.sha256: Pattern.of(part.said, 1, link.own["facts"])}
        await service._keep(tx, elsewhere.organization_id, patterns)
        await service._keep(tx, elsewhere.organization_id, patterns)
    assert [one.said for one in await shared_parts(org)] == [part.said]
    assert [one.said for one in await shared_parts(elsewhere)] == [part.said]


async def test_a_link_without_its_words_is_not_left_out_in_silence(org: Rooms) -> None:
    member_id = await org.member(WHOLE_TIME)
    alert_id = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 5, 1))
    await settle(org)
    incident_id = await org.incident_of(member_id, alert_id)
    assert len(await views(org, member_id, incident_id)) == 1
    async with org.database.begin() as tx:
        await tx.execute(update(Link).where(Link.member_id == member_id).values(shared_sha256=b"x" * 32))
    with pytest.raises(LookupError, match="words"):
        await views(org, member_id, incident_id)
