"""Counsel of the organization: two who must not see M-1 (one works on another matter, one on none), and one who may."""

from __future__ import annotations

from app.access import service as access
from app.access.roles import Role
from app.breaches.exposure import ExposureBasis
from app.breaches.service import open_matter, record_evidence
from app.ledger.service import SYSTEM
from connectors.vocabulary import DataElement
from tests.support.world import Tenant, World

OF_ANOTHER_MATTER = "counsel of another matter"
OF_NO_MATTER = "counsel of no matter"
OF_THE_MATTER = "counsel of the matter"
ANOTHER_BREACH = "oakland-2021"
"""Nobody is known to be in it but M-2, who got a letter."""

SEES_M1 = frozenset(
    {
        "/v1/incidents/{incident_id}",
        "/v1/incidents/{incident_id}/originals/{event_id}",
        "/v1/incidents/{incident_id}/losses",
        "/v1/matters/{matter_id}/incidents",
        "/v1/matters/{matter_id}/packets",
        "/v1/matters/{matter_id}/packets/{packet_id}",
        "/matters/{matter_id}/packets",
        "/matters/{matter_id}/packets/{packet_id}",
        "/incidents/{incident_id}",
        "/incidents/{incident_id}/originals/{event_id}",
        "/matters/{matter_id}",
    }
)
"""What counsel of M-1's matter is let see of M-1; everywhere else they must not tell the worlds apart."""


async def add_colleagues(world: World) -> None:
    """Two more counsel with accounts of those names, and a matter over a breach that exposed M-2 and not M-1."""
    context, union = world.context, world.union
    async with context.database.begin() as tx:
        for number, name in enumerate((OF_ANOTHER_MATTER, OF_NO_MATTER)):
            account = await access.create_account(tx, context.keyring, union.id, f"counsel-{number}@union.example")
            await access.grant_role(tx, context.keyring, account, Role.COUNSEL)
            union.accounts[name] = account.id
        union.accounts[OF_THE_MATTER] = union.accounts[Role.COUNSEL]
        where = (tx, context.keyring, union.id)
        m2 = union.members["M-2"]
        await record_evidence(*where, m2, ANOTHER_BREACH, "wave-1", ExposureBasis.NOTICE_LETTER, [DataElement.SSN])
        await open_matter(*where, ANOTHER_BREACH, "Another matter", union.accounts[OF_ANOTHER_MATTER], SYSTEM)


def colleagues(tenant: Tenant) -> list[tuple[str, Role, str, Tenant]]:
    """They as those lists name people that say who signs in, in which role, as whom, where."""
    return [(name, Role.COUNSEL, name, tenant) for name in (OF_ANOTHER_MATTER, OF_NO_MATTER, OF_THE_MATTER)]


def may_tell(who: str, path: str) -> bool:
    """Whether this person is let see M-1's things at this route, so that its answers differ as they should."""
    return who == OF_THE_MATTER and path in SEES_M1
