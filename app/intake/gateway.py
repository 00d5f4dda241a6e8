"""The way past the framework for what comes by the thousand: deliveries. What they are told is the same on either way."""

import math
import time
from collections.abc import Sequence
from datetime import UTC
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

import structlog
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.connections.doors import Doors
from app.connections.service import Addressed, Door
from app.intake import receive as receiving
from app.intake.delivery import Body, Delivery, Given, Gone, Late, source_of
from app.intake.desk import Desk, Full
from app.intake.first_byte import RECEIPT_ID
from app.intake.limits import Admission
from app.intake.receive import Arrival, Kept
from app.intake.refusals import Refusals
from app.kit import clock
from app.kit.answering import WHOLE, head
from app.kit.errors import RETRY_SECONDS, Problem, problem_response
from app.kit.ids import written
from app.kit.limits import Limits
from app.kit.slow import in_time
from connectors.verifiers import Outcome, Verification

log = structlog.get_logger(__name__)

PREFIX = "/webhooks/"
_CHECKS = 3
"""How often a delivery is checked anew because its connection was changed in that very moment."""

NOBODY = UUID(int=0)
_REASONS = {
    401: "not_authentic",
    408: "too_slow",
    410: "closed",
    413: "too_large",
    415: "wrong_type",
    429: "too_fast",
}
"""What a refusal is counted as; a 503 is none, for the delivery comes again."""

_Admitted = tuple[Addressed, Verification, bytes]


def not_authentic() -> Problem:
    """The one answer to whatever does not prove itself, whether or not there is such an address."""
    return Problem(401, "This delivery does not prove that it comes from the sender of this address.")


def try_again(detail: str = "Nothing was kept. Send it again.") -> Problem:
    """The answer while it cannot be kept; senders take it as a reason to come again."""
    return Problem(503, detail, headers={"Retry-After": RETRY_SECONDS})


def in_turn(seconds: float) -> None:
    """Raises a 429 Problem while there is something to wait for."""
    if seconds:
        headers = {"Retry-After": str(math.ceil(seconds))}
        raise Problem(429, "Too many deliveries at once. Nothing was kept; send it again.", headers=headers)


class Intake:
    """Takes deliveries in: who is it for, does it prove itself, keep it. One for each process."""

    def __init__(self, doors: Doors, desk: Desk, limits: Limits) -> None:
        """`limits`: how often somebody may knock, and how slowly a body may come."""
        self.desk = desk
        self.refusals = Refusals()
        self._admission = Admission(limits)
        self._limits = limits
        self._doors = doors

    async def take(self, connection_id: str, token: str, scope: Scope, receive: Receive) -> Kept:
        """Keep one delivery. Raises the Problem that is its answer otherwise, and Gone."""
        path, source = f"{connection_id}/{token}", source_of(scope)
        try:
            in_turn(self._admission.knock(source, path, time.monotonic()))
            headers = Given(scope["headers"])
            whole = scope.get(WHOLE)
            asked = receive if whole is not None else in_time(receive, self._limits)
            body = Body(asked, headers.get("content-length", ""), whole)
            return await self._take(Delivery(scope[RECEIPT_ID], connection_id, token, path, headers, source, body))
        except Problem as refusal:
            if refusal.status in _REASONS:
                self._count(connection_id, token, refusal.status)
            raise
        except Full:
            raise try_again("Too much is coming in just now. Send it again.") from None
        except (DBAPIError, PoolTimeout, OSError) as error:
            log.error("store unavailable", error=type(error).__name__)
            raise try_again() from None

    async def _take(self, came: Delivery) -> Kept:
        door, its_turn = self._doors.known(came.connection_id), False
        doubted = self._doors.was_missing(came.connection_id)
        if door is not None:
            try:
                to, proof, body = await _admitted(door, came)
            except Late:
                raise
            except Problem:
                door, doubted = None, True  # what is remembered may be old: nothing is refused by it
        for _ in range(_CHECKS):
            if door is None:
                to, proof, body = await self._looked_closer(came, doubted=doubted)
            if not its_turn:
                in_turn(self._admission.authentic(came.connection_id, came.source, came.path, time.monotonic()))
                its_turn = True
            arrival = _arrival(to, proof, body, came)
            sealing = partial(receiving.make_ready, to.keys, to.origin, arrival, to.origin.revision)
            kept = await self.desk.keep(len(body), sealing)
            if kept is not None:
                return kept
            door, doubted = None, False
        raise try_again()

    async def _looked_closer(self, came: Delivery, *, doubted: bool) -> _Admitted:
        """`_admitted`, by the connection as it is now. Until that is known it counts as a forgery: a flood waits for its turn.

        Whoever comes while a connection is read for the first time waits for that reading and costs nothing.
        """
        place = came.source, came.path
        suspect = None
        if doubted or not self._doors.is_asked(came.connection_id):
            suspect = self._admission.suspect(*place, time.monotonic(), doubted=doubted)
            in_turn(suspect.wait)
        forged = False
        try:
            return await _admitted(await self._doors.read(came.connection_id), came)
        except Problem as refusal:
            forged = refusal.status == 401
            raise
        finally:
            if suspect is not None:
                self._admission.settle(suspect, time.monotonic(), forged=forged)
            elif forged:
                self._admission.proved_nothing(*place, time.monotonic())

    def _count(self, connection_id: str, token: str, status: int) -> None:
        """Count it where it was addressed to. A wrong token is no address: whoever guesses raises no connection's alarm."""
        door = self._doors.known(connection_id)
        known = door is not None and door.addressed(token) is not None
        ids = (door.origin.organization_id, door.origin.id) if door and known else (NOBODY, NOBODY)
        self.refusals.count(*ids, _REASONS[status], clock.now().astimezone(UTC))


def _arrival(to: Addressed, proof: Verification, body: bytes, came: Delivery) -> Arrival:
    """What is kept of it: the body, and of the headers those that prove something."""
    telling = to.plan.verifier.headers
    read = {name: value for name, value in came.headers.items() if name in telling}
    return Arrival(body, proof, headers=read, source=came.source, receipt_id=came.receipt_id)


async def _admitted(door: Door | None, came: Delivery) -> _Admitted:
    """Whom it is addressed to, its proof, and the body that it is of. Raises a 401, 410, 413 or 415 Problem."""
    to, headers = door.addressed(came.token) if door else None, came.headers
    if to is None:
        raise not_authentic()
    if to.is_closed:
        raise Problem(410, "This connection is closed.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "Send the body as it is, without a content encoding.")
    if headers.get("content-type", "").partition(";")[0].strip().lower() not in to.plan.media_types:
        raise Problem(415, f"Send the body as {', '.join(sorted(to.plan.media_types))}.")
    body = await came.body.read(to.plan.largest_body)
    proof = receiving.verify(to, body, headers, came.source)
    if proof.outcome is Outcome.REFUSED:
        raise not_authentic()
    return to, proof, body


def answer_of(kept: Kept) -> bytes:
    """The body of a 202."""
    return b'{"receipt":"%b","repeat":%b}' % (written(kept.receipt_id).encode(), b"true" if kept.repeat else b"false")


_Fields = tuple[tuple[bytes, bytes], ...]
_JSON: _Fields = ((b"content-type", b"application/json"),)
_PROBLEM: _Fields = ((b"content-type", b"application/problem+json"),)


@lru_cache(maxsize=64)
def _problem_body(status: int, detail: str | None) -> bytes:
    """The body of a refusal. There are few, and under a flood of forgeries each is said a thousand times a second."""
    return bytes(problem_response(Problem(status, detail)).body)


class Gateway:
    """ASGI: takes the deliveries, and lets everything else go on to the application."""

    def __init__(self, app: FastAPI, further: ASGIApp, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """`further`: where other requests go; `headers`: those that every answer of the application carries."""
        self._app = app
        self._further = further
        self._headers = list(headers)
        self._head = lru_cache(maxsize=64)(self._head_of)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        addressed = _addressed(scope)
        if addressed is None:
            await self._further(scope, receive, send)
            return
        intake: Intake = self._app.state.intake
        try:
            kept = await intake.take(*addressed, scope, receive)
        except Gone:
            return
        except Exception as error:  # whatever it is: its text must not reach the server's log
            await self._refuse(error, scope, receive, send)
            return
        body = answer_of(kept)
        await self._say(202, _JSON, body, send)

    async def _say(self, status: int, fields: _Fields, body: bytes, send: Send) -> None:
        """An answer with the fields of every answer, and with some of its own."""
        await send(self._head(status, fields, len(body)))
        await send({"type": "http.response.body", "body": body})

    def _head_of(self, status: int, fields: _Fields, length: int) -> Message:
        """How such an answer begins; there are few, so each is written once."""
        return head(status, [*self._headers, *fields, (b"content-length", b"%d" % length)])

    async def _refuse(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        if isinstance(error, Problem) and not error.errors and not isinstance(error, Late):
            own = [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
            await self._say(error.status, (*_PROBLEM, *own), _problem_body(error.status, error.detail), send)
            return
        if isinstance(error, Problem):
            response = problem_response(error)  # this one ends the connection, which only the server can
        else:
            handler: Any = self._app.exception_handlers[Exception]
            response = await handler(Request(scope), error)
        response.raw_headers += self._headers
        await response(scope, receive, send)


def _addressed(scope: Scope) -> tuple[str, str] | None:
    """The connection and the token that a delivery is addressed to; None for any other request."""
    if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(PREFIX):
        return None
    connection_id, _, token = scope["path"].removeprefix(PREFIX).partition("/")
    return (connection_id, token) if connection_id and token and "/" not in token else None
