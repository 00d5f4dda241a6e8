"""A form with a file is read within bounds, and never lies on a disk in plain."""

from __future__ import annotations

from tempfile import SpooledTemporaryFile
from typing import Any

import httpx
import pytest
from fastapi import Request

from app.kit.edge import LARGEST_UPLOAD
from app.kit.errors import Problem
from app.kit.uploads import LARGEST_FIELD, Upload, read_upload

LARGEST = 20 * 1024 * 1024


async def read(largest: int = LARGEST, **send: Any) -> Upload:
    sent = httpx.Request("POST", "http://test/", **send)
    body = sent.read()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(name.lower(), value) for name, value in sent.headers.raw]
    return await read_upload(Request({"type": "http", "method": "POST", "headers": headers}, receive), "document", largest)


async def test_fields_and_file_come_as_they_were_sent() -> None:
    found = await read(data={"a": "one", "b": "Señora"}, files={"document": ("any name", b"\x00\xff\r\n--")})
    assert (dict(found.fields), found.file) == ({"a": "one", "b": "Señora"}, b"\x00\xff\r\n--")
    assert "xff" not in repr(found)


PART = b'--b\r\nContent-Disposition: form-data; name="document"; filename="%s"\r\n\r\n%s\r\n'
BOUNDED = {"content-type": "multipart/form-data; boundary=b"}


async def test_no_file_chosen_is_none_and_an_empty_one_is_empty() -> None:
    """As browsers send them."""
    assert (await read(content=PART % (b"", b"") + b"--b--\r\n", headers=BOUNDED)).file is None
    assert (await read(data={"a": "1"}, files={"document": ("empty.pdf", b"")})).file == b""


async def test_of_a_field_given_twice_the_first_counts() -> None:
    assert (await read(data={"a": ["one", "two"]}, files={"document": ("x", b"x")})).fields == {"a": "one"}


async def test_the_largest_file_lies_on_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Any) -> None:
        raise AssertionError("a document was written to a disk in plain")

    monkeypatch.setattr(SpooledTemporaryFile, "rollover", refuse)
    found = await read(files={"document": ("a", bytes(LARGEST))})
    assert found.file is not None
    assert len(found.file) == LARGEST
    assert LARGEST_UPLOAD > LARGEST


@pytest.mark.parametrize(
    ("send", "status"),
    [
        ({"json": {}}, 415),
        ({"data": {"a": "1"}}, 415),
        ({"files": {"document": ("a", bytes(11))}}, 413),
        ({"files": {"other": ("a", b"x")}}, 422),
        ({"files": [("document", ("a", b"x")), ("document", ("b", b"x"))]}, 422),
        ({"data": {str(n): "x" for n in range(100)}, "files": {"document": ("a", b"x")}}, 422),
        ({"data": {"a": "x" * (LARGEST_FIELD + 1)}, "files": {"document": ("a", b"x")}}, 422),
        ({"content": b"--b\r\nx", "headers": BOUNDED}, 422),
        ({"content": PART % (b"a", b"x"), "headers": BOUNDED}, 422),
        ({"content": (PART % (b"a", b"x"))[:-3], "headers": BOUNDED}, 422),
        ({"content": b"", "headers": BOUNDED}, 422),
        ({"content": b"\r\nwords\r\n--b--\r\n", "headers": BOUNDED}, 422),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 422),
    ],
)
async def test_what_is_no_such_form_or_too_much_is_refused(send: dict[str, Any], status: int) -> None:
    with pytest.raises(Problem) as refused:
        await read(10, **send)
    assert refused.value.status == status


@pytest.mark.parametrize("charset", ["idna", "undefined", "unicode_escape", "utf-7", "latin-1", "none"])
async def test_a_form_is_in_utf_8(charset: str) -> None:
    """Some of these names make the decoder raise, and some give texts that cannot be kept."""
    form = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\\ud800.\xff\r\n--b--\r\n'
    with pytest.raises(Problem) as refusal:
        await read(content=form, headers={"content-type": f"multipart/form-data; charset={charset}; boundary=b"})
    assert refusal.value.status == 415
    named = {"content-type": "multipart/form-data; charset=UTF-8; boundary=b"}
    assert (await read(content=form.replace(b"\xff", "é".encode()), headers=named)).fields == {"a": "\\ud800.é"}


@pytest.mark.parametrize("charset", ["", "; charset=utf-8"])
async def test_a_field_that_is_no_utf_8_is_refused(charset: str) -> None:
    """The library would read it as Latin-1: another text than was meant."""
    form = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\xe9\r\n--b--\r\n'
    with pytest.raises(Problem) as refusal:
        await read(content=form, headers={"content-type": f"multipart/form-data{charset}; boundary=b"})
    assert refusal.value.status == 422


async def test_a_sender_who_breaks_off_leaves_nothing() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    with pytest.raises(Exception) as broken:  # noqa: PT011 - the framework's own, and no Problem of ours
        await read_upload(Request({"type": "http", "method": "POST", "headers": headers}, receive), "document", 10)
    assert not isinstance(broken.value, Problem)
