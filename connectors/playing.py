"""A fake provider for a person to play with: a page to enrol people, let things happen, send, and let it misbehave.

For this machine only. What the page does is asked for by forms of its own; whatever another page asks for is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from connectors.http import HttpError
from connectors.sandboxing import Fault, Happening, Manner, Sandbox
from connectors.vocabulary import AlertKind

PAGE = "/_play"
PEOPLE = ("avery.invented@example.org", "blake.invented@example.org")
BEFOREHAND = (
    AlertKind.NEW_ACCOUNT_CREDIT_CARD,
    AlertKind.INQUIRY_HARD,
    AlertKind.FILE_CHANGE_ADDRESS,
    AlertKind.EXPOSURE_CREDENTIALS,
)
"""What has happened to each of them before anybody plays: whoever is asked about is known, and something is to be found."""

MOST_MADE_UP = 1000
MOST_SEEN = 20
MOST_SECONDS = 3600

Form = Mapping[str, str]


class NotSo(ValueError):
    """What was typed cannot be done; says why, in words for a person."""


class Playground:
    """One fake provider with its page. The page itself never misbehaves."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Two people are known, and something happened to each."""
        self.sandbox = sandbox
        self.people: list[str] = []
        self.told: list[str] = []
        self.said = ""
        self._acts: Mapping[str, Callable[[Form], Coroutine[Any, Any, str]]] = {
            "enrol": self._enrol,
            "happen": self._happen,
            "send": self._send,
            "misbehave": self._misbehave,
            "behave": self._behave,
        }
        for number, reference in enumerate(PEOPLE):
            self._know(reference)
            for days, kind in enumerate(BEFOREHAND, 1):
                at = sandbox.now() - timedelta(days=10 * days, hours=number)
                self._learn(Happening(reference, kind, at, "Invented Lender", f"{4300 + number}"))

    @property
    def app(self) -> ASGIApp:
        """The provider as an ASGI application, with its page at `PAGE` and nothing else of ours."""
        own = [
            Route("/", lambda _: RedirectResponse(PAGE, 303)),
            Route(PAGE, self._page),
            Route(PAGE + "/{act}", self._do, methods=["POST"]),
        ]
        return Starlette(routes=[*own, Mount("/", self.sandbox.app)])

    def _know(self, reference: str) -> None:
        self.sandbox.enrol(reference)
        if reference not in self.people:
            self.people.append(reference)

    def _learn(self, happening: Happening) -> str | None:
        told = self.sandbox.tell(happening)
        if told is not None:
            self.told.append(f"{told}: {happening.kind.value}, {happening.reference}")
        return told

    async def _page(self, request: Request) -> Response:
        return self._written(str(request.base_url).rstrip("/"))

    def _written(self, base_url: str, problem: str = "") -> Response:
        sandbox = self.sandbox
        text = _PAGES.get_template("playing.html").render(
            sandbox=sandbox,
            settings=sandbox.settings(base_url),
            base_url=base_url,
            page=PAGE,
            paths=[getattr(route, "path", "") for route in sandbox.routes()],
            kinds=list(AlertKind),
            faults=list(Fault),
            manners=list(Manner),
            people=self.people,
            told=self.told[::-1],
            waiting=[one for one in sandbox.faults.waiting if one.times > 0],
            seen=sandbox.faults.seen[: -MOST_SEEN - 1 : -1],
            said=problem or self.said,
            problem=bool(problem),
            most=MOST_MADE_UP,
        )
        return HTMLResponse(text, 400 if problem else 200)

    async def _do(self, request: Request) -> Response:
        act = self._acts.get(request.path_params["act"])
        if act is None:
            return Response(status_code=404)
        if not _is_our_own(request):
            return HTMLResponse("This page is used from this machine, by its own forms.", 403)
        form = {name: value.strip() for name, value in parse_qsl((await request.body()).decode("utf-8", "replace"))}
        try:
            self.said = await act(form)
        except NotSo as error:
            return self._written(str(request.base_url).rstrip("/"), str(error))
        return RedirectResponse(PAGE, 303)

    async def _enrol(self, form: Form) -> str:
        reference = form.get("reference") or _no("Write whom it is to know.")
        self._know(reference)
        return f"It knows {reference}."

    async def _happen(self, form: Form) -> str:
        happening = Happening(
            form.get("reference") or _no("Write to whom it happened."),
            _one_of(AlertKind, form.get("kind", "")),
            self.sandbox.now() - timedelta(days=_number(form, "days_ago", 0, 36_500)),
            form.get("institution") or None,
            form.get("last_four") or None,
            _amount(form.get("amount", "")),
        )
        told = self._learn(happening)
        if told is None:
            return "It does not tell of that: it knows nobody by that name, or it never tells of such things."
        return f"It learnt of {told}. {_waits(self.sandbox.to_send())}"

    async def _send(self, form: Form) -> str:
        url = _address(form.get("url", ""))
        manner, count = _one_of(Manner, form.get("manner", "")), _number(form, "count", 1, MOST_MADE_UP)
        try:
            answers = await self.sandbox.push(url, manner, count)
        except HttpError:
            return f"Nobody answers there. {_waits(self.sandbox.to_send())}"
        shown = ", ".join(str(status) for status in answers[:MOST_SEEN])
        return f"Sent {len(answers)}; answered: {shown or 'nothing was waiting'}. {_waits(self.sandbox.to_send())}"

    async def _misbehave(self, form: Form) -> str:
        fault, times = _one_of(Fault, form.get("fault", "")), _number(form, "times", 1, 10_000)
        seconds = _number(form, "seconds", 1, MOST_SECONDS)
        self.sandbox.misbehave(fault, times=times, path=form.get("path", ""), seconds=seconds)
        return f"The next {times} requests are answered with: {fault.value}."

    async def _behave(self, _: Form) -> str:
        self.sandbox.behave()
        return "It behaves."


def _is_our_own(request: Request) -> bool:
    """Whether a form of this page, on this machine, asks. Another page that is open in the same browser must not."""
    host = request.headers.get("host", "")
    named = urlsplit(f"//{host}").hostname in {"127.0.0.1", "localhost"}
    origin = request.headers.get("origin")
    return named and origin in (None, f"http://{host}")


def _no(why: str) -> str:
    raise NotSo(why)


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole or not url.isascii() or not url.isprintable():
        raise NotSo("Write the whole address to send to, as Harmline shows it: http://localhost:8000/webhooks/…")
    return url


def _one_of(words: Any, word: str) -> Any:
    try:
        return words(word)
    except ValueError:
        raise NotSo(f"Choose one of these: {', '.join(one.value for one in words)}.") from None


def _number(form: Form, name: str, least: int, most: int) -> int:
    text = form.get(name) or str(least)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise NotSo(f"Write a number from {least} to {most}.")
    return int(text)


def _amount(text: str) -> Decimal | None:
    try:
        amount = Decimal(text) if text else None
    except InvalidOperation:
        raise NotSo("Write an amount like 1200.50.") from None
    if amount is not None and not (amount.is_finite() and Decimal(0) <= amount < Decimal(10) ** 9):
        raise NotSo("Write an amount like 1200.50.")
    return amount


def _waits(count: int) -> str:
    return f"{count} wait to be sent." if count else "Nothing waits to be sent."


_PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True)
