"""Errors as RFC 9457 problem details: what is wrong and how to mend it; no stack, no value, no configuration."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from app.kit.crypto import KeysAway

log = structlog.get_logger(__name__)

RETRY_SECONDS = "5"
STORE_AWAY = (OperationalError, InterfaceError, PoolTimeout, ConnectionError)
"""What it looks like when the database cannot be reached, or gives nobody a turn."""


class FieldError(BaseModel):
    """One field that is wrong: where it stands and what to do."""

    field: str
    message: str


class ProblemBody(BaseModel):
    """The body of every error (RFC 9457), media type application/problem+json."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    errors: list[FieldError] | None = None


class Problem(Exception):
    """A refusal with its HTTP status. `detail` is for a person and never holds a value that was sent."""

    def __init__(
        self,
        status: int,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = headers


def not_found() -> Problem:
    """The one answer for what is not there and for what is not yours: nobody can tell which."""
    return Problem(404, "There is nothing here that you can see.")


def problem_response(problem: Problem) -> JSONResponse:
    """The problem as an HTTP answer."""
    body = ProblemBody(
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        errors=problem.errors or None,
    )
    return JSONResponse(
        body.model_dump(exclude_none=True),
        status_code=problem.status,
        headers=problem.headers,
        media_type="application/problem+json",
    )


def field_errors(errors: Sequence[Any]) -> list[FieldError]:
    """Pydantic's errors as field paths and messages, without what was sent: a name that is not known is written "*"."""
    return [_field_error(error["type"], error["loc"], error["msg"]) for error in errors]


def _field_error(kind: str, loc: Sequence[str | int], message: str) -> FieldError:
    unknown = kind == "extra_forbidden"
    parts = [*map(str, loc[:-1]), "*"] if unknown else [*map(str, loc)]
    if unknown:
        message = "There is a field here that is not known. Leave it out."
    return FieldError(field=".".join(parts), message=_OWN_WORDS.get(kind, message.removeprefix("Value error, ")))


_OWN_WORDS = {"uuid_parsing": "Input should be a valid UUID", "uuid_type": "Input should be a valid UUID"}
"""Where pydantic's own message would repeat a part of what was sent."""


_DEFINED = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
SCHEMAS: dict[str, Any] = {**_DEFINED.pop("$defs"), "ProblemBody": _DEFINED}
"""What `described` refers to, for the description's components."""


async def _on_problem(request: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, Problem)  # noqa: S101 - registered for this class only
    return problem_response(problem)


async def _on_validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    detail = "Some fields are not right. Each is named below with what it needs."
    return problem_response(Problem(422, detail, errors=field_errors(error.errors())))


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    headers = dict(error.headers) if error.headers else None
    if error.status_code == 404:
        return problem_response(not_found())
    if error.status_code == 405:
        headers = {"Allow": ", ".join(sorted(_methods_of(request)))}
    return problem_response(Problem(error.status_code, _WORDS.get(error.status_code), headers=headers))


_WORDS = {408: "The body came too slowly. Send it again.", 413: "The body is too large."}
"""What to do, where the status alone does not say it."""


def _methods_of(request: Request) -> set[str]:
    """Every method that some route takes at this path."""
    path, methods = request.scope["path"], set[str]()
    for route in iter_route_contexts(request.app.routes):
        pattern = getattr(route, "path_regex", None)
        if pattern is not None and pattern.match(path):
            methods |= route.methods or set()
    return methods


async def _on_no_store(request: Request, error: Exception) -> JSONResponse:
    log.error("store unavailable", error=type(error).__name__, route=getattr(request.scope.get("route"), "path", None))
    headers = {"Retry-After": RETRY_SECONDS}
    return problem_response(Problem(503, "The database does not answer. Nothing was changed; try again.", headers=headers))


async def _on_no_keys(request: Request, error: Exception) -> JSONResponse:
    log.error("keys away", route=getattr(request.scope.get("route"), "path", None))
    detail = "The key that this takes is away just now. Nothing was changed, and what is delivered is kept; try again."
    return problem_response(Problem(503, detail, headers={"Retry-After": RETRY_SECONDS}))


async def _on_anything(request: Request, error: Exception) -> JSONResponse:
    log.error("request failed", error=type(error).__name__, route=getattr(request.scope.get("route"), "path", None))
    return problem_response(Problem(500, "Something went wrong on our side. Nothing you sent was lost; try again."))


def described(answers: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """Refusals for OpenAPI: each status with when it comes; the body is always a problem detail."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemBody"}}}
    return {status: {"description": when, "content": content} for status, when in answers.items()}


RESPONSES = described(
    {
        400: "The body cannot be read at all.",
        401: "Nobody is signed in, or the token is not good, or no longer.",
        403: "Your role or the token's scopes do not allow this, or it came from another site.",
        404: "Not there, or not yours: nobody can tell which.",
        405: "This path does not take this method; `Allow` names those it takes.",
        408: "The body came too slowly.",
        409: "It does not fit with what is there now.",
        413: "The body is too large.",
        422: "Some fields are not right; each is named with what it needs.",
        500: "Something went wrong on our side.",
        503: "The database does not answer, or the top key is away. Try again after `Retry-After` seconds.",
    }
)
"""What every route may answer besides its own; for OpenAPI."""


def register(app: FastAPI) -> None:
    """Make every error of `app` a problem detail."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    for away in STORE_AWAY:
        app.add_exception_handler(away, _on_no_store)
    app.add_exception_handler(KeysAway, _on_no_keys)
    app.add_exception_handler(Exception, _on_anything)
