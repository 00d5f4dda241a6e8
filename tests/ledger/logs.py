"""A log that a witness looks at, over real sockets; it also does what no Harmline does: it lies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from app.ledger.notes import Checkpoint, Note, Signer, to_base64
from app.ledger.tree import consistency_ranges, root_of

TOKEN = "hl_read_the_ledger"


class Log:
    """What it says can be changed at any time. `broken`: a status that it answers with instead."""

    def __init__(self, signer: Signer, leaves: list[bytes], size: int) -> None:
        self.signer, self.leaves, self.size, self.broken = signer, leaves, size, 0
        self.proof: str | None = None

    def checkpoint(self) -> bytes:
        said = Checkpoint(self.signer.key.name, self.size, root_of(self.leaves[: self.size]))
        return bytes(Note(said.text, (self.signer.sign(said.text),)))

    def consistency(self, old: int, new: int) -> str:
        if self.proof is not None:
            return self.proof
        return "".join(f"{to_base64(root_of(self.leaves[start:end]))}\n" for start, end in consistency_ranges(old, new))

    def answer(self, target: str, authorization: str) -> tuple[int, bytes]:
        parts = urlsplit(target)
        if self.broken or authorization != f"Bearer {TOKEN}":
            return self.broken or 401, b"<html>"
        if parts.path == "/v1/ledger/checkpoint":
            return 200, self.checkpoint()
        asked = parse_qs(parts.query)
        return 200, self.consistency(int(asked["old"][0]), int(asked["new"][0])).encode()


@contextmanager
def served(log: Log) -> Iterator[str]:
    """Serve it; gives the address of its ledger."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = log.answer(self.path, self.headers.get("authorization", ""))
            self.send_response(status)
            self.send_header("content-type", "text/plain; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/ledger"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
