"""The face of a witness: `POST /add-checkpoint`, as c2sp.org/tlog-witness has it. It needs no database and no other key.

Whoever sends is not asked who they are: the log's signature on the checkpoint is all that counts.
"""

import asyncio

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.ledger.notes import NoteError
from app.ledger.witness import Witness, WitnessError
from app.ledger.witnessing import LARGEST_OFFER, Outcome, Verdict, read_request

log = structlog.get_logger(__name__)

SIZE_TYPE = "text/x.tlog.size"
SECONDS_TO_SEND = 10.0
SECONDS_OF_A_CONNECTION = 20.0
MOST_AT_ONCE = 500
"""Connections; whoever comes then is told 503."""

STATUS = {
    Outcome.UNKNOWN_LOG: 404,
    Outcome.UNSIGNED: 403,
    Outcome.MALFORMED: 400,
    Outcome.ROLLED_BACK: 400,
    Outcome.OUT_OF_DATE: 409,
    Outcome.FORKED: 409,
    Outcome.UNPROVEN: 422,
}


class _Brief(H11Protocol):
    # uvicorn has no deadline for the head of a request: connections on which nothing comes would take every place in time
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(SECONDS_OF_A_CONNECTION, transport.close)


def _refusal(verdict: Verdict) -> Response:
    if verdict.outcome is Outcome.OUT_OF_DATE:
        # set by hand: the specification has no charset here
        return Response(f"{verdict.size}\n", STATUS[verdict.outcome], {"content-type": SIZE_TYPE})
    return PlainTextResponse(f"{verdict.reason}\n", STATUS[verdict.outcome])


async def _body(request: Request) -> bytes | None:
    whole = b""
    async for chunk in request.stream():
        whole += chunk
        if len(whole) > LARGEST_OFFER:
            return None
    return whole


def create_app(witness: Witness) -> Starlette:
    """The application around one witness."""

    async def add_checkpoint(request: Request) -> Response:
        try:
            async with asyncio.timeout(SECONDS_TO_SEND):
                raw = await _body(request)
        except (TimeoutError, ClientDisconnect):
            return PlainTextResponse("The request did not come whole in time\n", 408)
        if raw is None:
            return PlainTextResponse("The request is too large\n", 413)
        try:
            verdict, cosignature, evidence = await asyncio.to_thread(witness.consider, read_request(raw))
        except NoteError as error:
            return PlainTextResponse(f"{error}\n", 400)
        except (WitnessError, OSError) as error:
            log.error("nothing is cosigned", reason=str(error))
            return PlainTextResponse("This witness cannot cosign now\n", 503)
        if evidence:
            log.error(verdict.reason, evidence=str(evidence))
        return PlainTextResponse(cosignature.line) if cosignature else _refusal(verdict)

    return Starlette(routes=[Route("/add-checkpoint", add_checkpoint, methods=["POST"])])


def serve(witness: Witness, host: str, port: int) -> None:
    """Serve until the process is told to stop."""
    uvicorn.run(
        create_app(witness),
        host=host,
        port=port,
        http=_Brief,
        ws="none",
        log_level="warning",
        access_log=False,
        limit_concurrency=MOST_AT_ONCE,
        server_header=False,
    )
