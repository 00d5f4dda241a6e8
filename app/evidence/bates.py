"""Bates numbers: `OPOA-0000001`. Each is given once and never again, to whatever, in the whole organization."""

import re
from collections.abc import Sequence
from uuid import UUID

from app.evidence import repository
from app.evidence.models import BatesNumber
from app.kit import clock
from app.kit.database import Transaction
from app.kit.errors import Problem
from app.kit.rows import insert_rows

DIGITS = 7
_PREFIX = re.compile(r"[A-Z][A-Z0-9]{1,11}")


def written(prefix: str, number: int) -> str:
    """A number as it stands on an exhibit."""
    return f"{prefix}-{number:0{DIGITS}d}"


def require_prefix(prefix: str) -> None:
    """Raises a 422 Problem for what is no prefix: 2 to 12 capital letters and digits, a letter first."""
    if not _PREFIX.fullmatch(prefix):
        raise Problem(422, "A prefix is 2 to 12 capital letters and digits, and begins with a letter, such as OPOA.")


async def give(tx: Transaction, organization_id: UUID, matter_id: UUID, prefix: str, exhibits: Sequence[str]) -> dict[str, str]:
    """The numbers of some exhibits of a matter, in writing; those that have none yet get the next ones, in the order given."""
    await repository.hold_numbers(tx, organization_id)
    known = await repository.numbers_of(tx, matter_id, prefix)
    following = await repository.last_number(tx, organization_id, prefix) + 1
    new = [one for one in dict.fromkeys(exhibits) if one not in known]
    given = {one: number for number, one in enumerate(new, following)}
    same = {"matter_id": matter_id, "prefix": prefix, "organization_id": organization_id, "given_at": clock.now()}
    await insert_rows(tx, BatesNumber, [same | {"exhibit": one, "number": number} for one, number in given.items()])
    known |= given
    return {one: written(prefix, known[one]) for one in exhibits}
