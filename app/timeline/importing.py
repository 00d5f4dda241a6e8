"""A file of alerts that an admin sends: tried out and shown masked, or kept whole. It lies on no disk in plain meanwhile."""

import asyncio
import io
from dataclasses import dataclass, field
from typing import BinaryIO
from uuid import UUID

from fastapi import Request
from starlette.exceptions import HTTPException

from app.access.roles import Principal
from app.intake import handing_in
from app.kit.database import Transaction
from app.kit.errors import FieldError, Problem
from app.kit.keyring import Keyring
from app.kit.uploads import FORM_WITH_FILE, Upload, read_upload
from app.timeline.masking import mask
from app.timeline.schemas import FileKept, FileTrial
from connectors.contract import Connector

FILE, TO = "file", "to"
LARGEST = 20 * 1024 * 1024
TOO_LARGE = "This file is larger than 20 MB. Whoever runs this service hands it in by `harmline files add`, which takes any size."
_FIELDS = {
    FILE: {"type": "string", "format": "binary", "description": f"The file, at most {LARGEST} bytes, not packed."},
    TO: {
        "type": "string",
        "maxLength": handing_in.LONGEST_ADDRESS,
        "description": "For mails: the forwarding address that they came to.",
    },
}
FORM = {
    "required": True,
    "content": {FORM_WITH_FILE: {"schema": {"type": "object", "properties": _FIELDS, "required": [FILE]}}},
}
"""What POST /v1/connections/{connection_id}/files takes, as OpenAPI describes it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A file that was sent, and the other fields of its form."""

    file: BinaryIO = field(repr=False)
    known: handing_in.Measured
    form: Upload

    @property
    def told(self) -> dict[str, str]:
        """What stands beside the file. Raises a 422 Problem."""
        return handing_in.told_beside(self.form.fields.get(TO, ""))


async def read_file(request: Request) -> Sent:
    """The file of a form. Raises a 413, 415 or 422 Problem."""
    form = await _read(request)
    if not form.file:
        message = "Choose a file." if form.file is None else "This file is empty. Choose another."
        raise Problem(422, message, errors=[FieldError(field=f"body.{FILE}", message=message)])
    file = io.BytesIO(form.file)
    return Sent(file, await asyncio.to_thread(handing_in.measured, file), form)


async def _read(request: Request) -> Upload:
    try:
        return await read_upload(request, FILE, LARGEST)
    except (HTTPException, Problem) as refused:
        if isinstance(refused, Problem) and refused.status != 413:
            raise
    raise Problem(413, TOO_LARGE, errors=[FieldError(field=f"body.{FILE}", message=TOO_LARGE)])


async def try_out(reader: Connector, sent: Sent) -> FileTrial:
    """What a file would become; nothing is kept. It takes a while and needs no transaction. Raises a 422 Problem."""
    found = await asyncio.to_thread(handing_in.tried, reader, sent.file, sent.told)
    return FileTrial(
        rows=found.rows,
        kinds=found.alerts,
        ignored=found.ignored,
        handed_on=found.handed_on,
        for_a_person=found.for_a_person,
        wrong_rows=found.wrong_rows,
        wrong=found.wrong,
        first=[mask(dict(one)) for one in found.first],
    )


async def keep(tx: Transaction, keyring: Keyring, caller: Principal, connection_id: UUID, sent: Sent) -> FileKept:
    """Keep a file whole, from where it stopped if it did. Raises a 404, 409 or 422 Problem."""
    where = (tx, keyring, caller.organization_id, connection_id)
    come = await handing_in.hand_in(*where, sent.file, sent.known, told=sent.told, actor=caller.actor, at_once=None)
    assert come.finished_at is not None  # noqa: S101 - it was to be kept whole
    return FileKept(rows=come.rows, size=come.size, finished_at=come.finished_at, already=come.already)
