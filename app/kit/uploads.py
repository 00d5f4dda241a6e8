"""A form with one file in it, read after it is known who sends it, and held in memory: it never lies on a disk in plain."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from app.kit.edge import LARGEST_UPLOAD
from app.kit.errors import FieldError, Problem

FORM_WITH_FILE = "multipart/form-data"
LARGEST_FIELD = 64 * 1024
MOST_FIELDS = 40
_UTF_8 = (b"utf-8", b"utf8")


class _InMemory(MultiPartParser):
    spool_max_size = LARGEST_UPLOAD + 1
    is_whole = False
    """Whether the form's end was read: one that breaks off would look as if no file had been chosen."""

    def on_end(self) -> None:
        self.is_whole = True

    def on_part_end(self) -> None:
        """As the library does; but what is no UTF-8 it would read as Latin-1."""
        if self._current_part.file is None and not _is_utf_8(self._current_part.data):
            raise MultiPartException("A field is not in UTF-8")
        super().on_part_end()


def _is_utf_8(value: bytes | bytearray) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Upload:
    """What a form brought: the first value of each field, and the bytes of its one file; None where none was chosen."""

    fields: Mapping[str, str]
    file: bytes | None = field(default=None, repr=False)


async def read_upload(request: Request, file_field: str, largest: int) -> Upload:
    """The fields and the file of a form. `largest`: bytes that the file may have. Raises a 413, 415 or 422 Problem.

    The name that a file has where it comes from is not read.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_WITH_FILE:
        raise Problem(415, f"This takes a form as {FORM_WITH_FILE}.")
    if _charset(request) not in _UTF_8:  # the library believes any name, and lets out what its decoder raises
        raise Problem(415, "Send this form in UTF-8.")
    parser = _InMemory(
        request.headers, _begun(request.stream()), max_files=1, max_fields=MOST_FIELDS, max_part_size=LARGEST_FIELD
    )
    try:
        form = await parser.parse()
    except MultiPartException:
        form = None
    if form is None or not parser.is_whole:  # raised out here, so that what was sent is not chained to it
        raise Problem(
            422, "This form cannot be read. Send it in UTF-8, with one file at most, and no more fields than there are."
        )
    try:
        given = form.multi_items()
        fields = {name: value for name, value in reversed(given) if isinstance(value, str)}
        files = [(name, value) for name, value in given if isinstance(value, UploadFile)]
        return Upload(fields, await _bytes_of(files, file_field, largest))
    finally:
        await form.close()


def _charset(request: Request) -> bytes:
    """In which the fields are, as the library reads it; no browser says so."""
    _, options = parse_options_header(request.headers["content-type"])
    return options.get(b"charset", _UTF_8[0]).lower()


async def _begun(stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """What comes, if it begins with its boundary, as browsers write it.

    What stands before that the library passes over where it comes in one piece, and refuses where it comes in two.
    """
    has_begun = False
    async for chunk in stream:
        if chunk and not has_begun and not chunk.startswith(b"-"):
            raise MultiPartException("It does not begin with its boundary")
        has_begun = has_begun or bool(chunk)
        yield chunk


async def _bytes_of(files: list[tuple[str, UploadFile]], file_field: str, largest: int) -> bytes | None:
    """A browser sends an empty file without a name where none was chosen."""
    for name, file in files:
        if name != file_field:
            raise Problem(422, "There is a file where none belongs.", errors=[_wrong(name[:100], "Take the file out.")])
        body = await file.read(largest + 1)
        if len(body) > largest:
            message = f"The file is larger than {largest // 1024 // 1024} MB."
            raise Problem(413, message, errors=[_wrong(file_field, message)])
        if body or file.filename:
            return body
    return None


def _wrong(name: str, message: str) -> FieldError:
    return FieldError(field=f"body.{name}", message=message)
