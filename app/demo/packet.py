"""The packet of the scenario's matter, as counsel would take it to court."""

from pathlib import Path

from app.breaches.repository import of_organization
from app.demo.play import Played
from app.demo.truth import FOCAL_BREACH
from app.evidence.building import build
from app.evidence.exhibits import Variant
from app.evidence.ordering import Order

PREFIX = "OPOA"


async def leave_packet(played: Played, to: Path) -> str:
    """Build it at `to`, which must not be there yet, and say so in one line. Raises a Problem."""
    await played.stage.workers.drain()
    async with played.context.database.begin(read_only=True) as tx:
        matters = await of_organization(tx, played.union.id)
    (matter,) = (matter for matter, breach in matters if breach.key == FOCAL_BREACH)
    made = await build(played.context, Order(matter.id, Variant.SEALED, PREFIX), to)
    return f"The packet {made.number} is in {to}: {made.exhibits} exhibits. To check it: python3 -I -S {to}/verify.py {to}"
