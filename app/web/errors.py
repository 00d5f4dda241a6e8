"""Errors as pages for people; programs' paths keep their problem details."""

import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.access.gate import ConfirmFirst, require_principal
from app.access.policy import POLICY
from app.access.walls import acting_for
from app.kit.context import Context
from app.kit.crypto import KeysAway
from app.kit.errors import STORE_AWAY, Problem, ProblemBody, not_found, problem_response
from app.kit.uploads import FORM_WITH_FILE
from app.web.forms import read_form
from app.web.templating import page
from app.web.ways_in_pages import confirm_page

Handler = Callable[[Request, Exception], Awaitable[Response]]

FOR_PROGRAMS = ("/v1", "/webhooks", "/static", "/livez", "/readyz", "/openapi.json", "/.well-known")
"""The first parts of the paths that answer with problem details."""

_TITLES = {
    400: "This cannot be read",
    401: "Please sign in",
    403: "This is not open to you",
    404: "Nothing here",
    405: "This cannot be done here",
    409: "Something has changed meanwhile",
    410: "This is over",
    413: "Too much at once",
    415: "This cannot be read",
    422: "Something is not right yet",
    429: "Too many tries",
    500: "Something went wrong on our side",
    503: "Not available at the moment",
}


_SAVED = "/download"
"""How the path of an act ends whose answer is a file to be saved; before it stands the page on which it is asked for."""


def is_page(path: str) -> bool:
    """Whether a person reads what stands under this path."""
    return not any(path == start or path.startswith(f"{start}/") for start in FOR_PROGRAMS)


def _wrapped(inner: Handler) -> Handler:
    async def handle(request: Request, error: Exception) -> Response:
        if not is_page(request.url.path):
            return await inner(request, error)
        if isinstance(error, ConfirmFirst):
            return await _confirm_first(request, error)
        if isinstance(error, RequestValidationError) and any(e["loc"][0] == "path" for e in error.errors()):
            return error_page(request, problem_response(not_found()))
        return error_page(request, await inner(request, error))

    return handle


async def _confirm_first(request: Request, error: ConfirmFirst) -> Response:
    """Ask whoever is signed in to show that it is them, and keep what they typed: it is sent once more afterwards.

    A file is not kept: its page is opened again, and there they choose it once more. So is the page from which a file leaves: one
    that is saved would leave them on the page where they showed that it is them.
    """
    context: Context = request.app.state.context
    caller = require_principal(request)
    then, fields, file = request.url.path, None, request.headers.get("content-type", "").lower().startswith(FORM_WITH_FILE)
    if then.endswith(_SAVED):
        then = then.removesuffix(_SAVED)
    elif request.method not in ("GET", "HEAD") and not (file and ("GET", request.scope["route"].path) in POLICY):
        try:
            posted = await read_form(request)
        except Problem:
            return error_page(request, problem_response(error))
        fields = [(name, value) for name in posted.names() for value in posted.all(name)]
    acting = acting_for(POLICY["GET", "/confirm"], caller)
    async with context.database.begin(read_only=True, acting=acting) as tx:
        return await confirm_page(request, tx, caller, status=403, then=then, again=fields, file=file)


def error_page(request: Request, answer: Response) -> Response:
    """A problem's answer as a page with the same status and headers."""
    body = ProblemBody.model_validate(json.loads(bytes(answer.body)))
    title = _TITLES.get(body.status, HTTPStatus(body.status).phrase)
    shown = page(request, "error.html", body.status, title=title, detail=body.detail, errors=body.errors or [])
    for name in ("location", "allow", "retry-after", "www-authenticate"):
        if name in answer.headers:
            shown.headers[name] = answer.headers[name]
    return shown


def register_error_pages(app: FastAPI) -> None:
    """Show the errors of pages as pages, on top of the handlers that `app` has already."""
    for kind in (Problem, RequestValidationError, HTTPException, Exception, *STORE_AWAY, KeysAway):
        app.add_exception_handler(kind, _wrapped(cast("Handler", app.exception_handlers[kind])))
