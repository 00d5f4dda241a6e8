"""`python -m app.publishing ORGANIZATION`: publish the next edition of the statistics.

A program of its own, because it loads SciPy, which no other command should wait for.
"""

import asyncio
import json
import logging
import sys
from typing import Any
from uuid import UUID

from app.kit.config import settings
from app.kit.context import Context, open_context
from app.kit.logging import configure
from app.members.repository import organization
from app.statistics.build import ReleaseError
from app.statistics.workers import publish_release


async def publish(context: Context, organization_id: UUID) -> dict[str, Any]:
    """Make, audit and store the next edition; says how much it shows. Raises ReleaseError."""
    async with context.database.begin() as tx:
        if await organization(tx, organization_id) is None:
            raise ReleaseError("there is no organization with this id")
        made = await publish_release(tx, context, organization_id)
    await context.database.close()
    shown = sum(cell.value is not None for cube in made.cubes for cell in cube.cells)
    return {"as_of": made.as_of.isoformat(), "visible_cells": shown, "hidden_cells": made.audit.hidden_cells}


def main(organization_id: str) -> int:
    """Publish, print, and return the exit code."""
    configure(logging.WARNING)
    try:
        report = asyncio.run(publish(open_context(settings()), UUID(organization_id)))
    except ReleaseError as error:
        sys.stderr.write(f"Nothing was published: {error}.\n")
        return 1
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
