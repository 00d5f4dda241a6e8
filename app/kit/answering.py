"""An answer whose head was written beforehand leaves in one piece.

uvicorn looks through every character of every header field, puts the head together and writes it, and then writes the body:
for a small answer with the fields that every answer of this house has, that is a tenth of the whole request, and two packets.
An application that answers the same thing a thousand times a second gives the lines of its head along. Whoever does not know
them reads `headers`, where the same stands as ever.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from starlette.types import Message, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

LINES = "harmline.lines"
"""In the message that starts an answer: its header fields as they are written, the length of the body among them."""


WHOLE = "harmline.whole"
"""In the scope of a request: all of its body, where that came along with the head. It may be read there or received as ever."""


def came_whole(cycle: Any) -> bytes | None:
    """The body of one of uvicorn's requests if all of it is there already, and nobody waits to be told to send it."""
    if cycle.more_body or cycle.waiting_for_100_continue or cycle.disconnected or cycle.response_complete:
        return None
    return bytes(cycle.body)


def lines(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Header fields as they are written. They must be known to be good: nobody looks at them again."""
    return b"".join([b"%b: %b\r\n" % field for field in fields])


class _Own:
    """The server's own fields as they are written: one list for all that is answered in a second."""

    fields: Sequence[tuple[bytes, bytes]] = ()
    written = b""

    def lines_of(self, fields: Sequence[tuple[bytes, bytes]]) -> bytes:
        if fields is not self.fields:
            self.fields, self.written = fields, lines(fields)
        return self.written


_own = _Own()


def head(status: int, fields: Sequence[tuple[bytes, bytes]]) -> Message:
    """The message that starts an answer, with the lines along. `fields`: known to be good, the length of the body among them."""
    return {"type": "http.response.start", "status": status, "headers": list(fields), LINES: lines(fields)}


def in_one_piece(cycle: Any, send: Send) -> Send:
    """`send` of one of uvicorn's requests, except that an answer with `LINES` is written at once, head and body.

    The server waits with the head for the first part of the body, as ASGI has it.
    """
    held: Message | None = None

    async def sent(message: Message) -> None:
        nonlocal held
        if held is None and LINES in message:
            held = message
            return
        start, held = held, None
        if start is not None:
            if _is_whole(cycle, message):
                _write(cycle, start, message.get("body", b""))
                return
            await send(start)
        await send(message)

    return sent


def _is_whole(cycle: Any, message: Message) -> bool:
    """Whether nothing stands against writing it as it is: no more to come, somebody there to read it, and no HEAD."""
    waits = cycle.disconnected or cycle.response_started or cycle.flow.write_paused
    return not (waits or message.get("more_body") or cycle.scope["method"] == "HEAD") and cycle.keep_alive


def _write(cycle: Any, start: Message, body: bytes) -> None:
    """What uvicorn's `send` does with the two messages of a whole answer of a known length, on a connection that stays."""
    own = _own.lines_of(cycle.default_headers)
    cycle.response_started, cycle.waiting_for_100_continue, cycle.chunked_encoding = True, False, False
    cycle.transport.write(b"".join((STATUS_LINE[start["status"]], own, start[LINES], b"\r\n", body)))
    cycle.response_complete = True
    cycle.message_event.set()
    cycle.on_response()
