"""The providers that are asked, as fakes on real HTTP, and who brings mails; made of nothing but a seed and whom they know."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from datetime import datetime
from urllib.parse import urlsplit

from app.demo.enrollment import ASKED, Book, Service
from connectors.array.sandbox import ArraySandbox
from connectors.crs.sandbox import CrsSandbox
from connectors.hibp.sandbox import HibpSandbox
from connectors.http import sandbox_allowed
from connectors.mailgun.sandbox import MailgunSandbox
from connectors.method.sandbox import MethodSandbox
from connectors.sandboxing import Sandbox, serving

FAST = 60_000
"""Requests a minute: the two years must not take two years."""


class Providers:
    """The fakes with everything that they have learnt. Two that learn the same in the same order say the same."""

    def __init__(self, now: Callable[[], datetime], book: Book) -> None:
        """They know those whom the book has enrolled, and nothing has happened yet. `now`: aware."""
        self.bureaus, self.nightly, self.listings = ArraySandbox(now, 1), CrsSandbox(now, 2), HibpSandbox(now, 3)
        self.method, self.carrier = MethodSandbox(now, 4), MailgunSandbox(now, 5)
        # A list that bears no dates says the same until something happens: only what is documented for certain.
        self.bureaus.dated = False
        self.listings.requests_per_minute = FAST
        self.sandboxes: Mapping[Service, Sandbox] = {
            Service.BUREAUS: self.bureaus,
            Service.NIGHTLY: self.nightly,
            Service.LISTINGS: self.listings,
            Service.METHOD: self.method,
            Service.CARRIER: self.carrier,
        }
        self._addresses: dict[Service, str] = {}
        self._up: dict[Service, AsyncExitStack] = {}
        for service in ASKED:
            for one in book.enrolled[service]:
                self.sandboxes[service].enrol(one.reference)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Mapping[Service, str]]:
        """Serve them while the block lasts, each time at the same addresses, which are yielded."""
        with ExitStack() as reachable:
            try:
                for service in ASKED:
                    await self.come_back(service)
                    reachable.enter_context(sandbox_allowed(self._addresses[service]))
                yield self._addresses
            finally:
                for service in tuple(self._up):
                    await self.go_down(service)

    async def go_down(self, service: Service) -> None:
        """Nobody answers at its address any longer: connections are refused."""
        await self._up.pop(service).aclose()

    async def come_back(self, service: Service) -> None:
        """Answer again, at the same address as before; what it has learnt meanwhile is there."""
        self._up[service] = AsyncExitStack()
        port = urlsplit(self._addresses.get(service, "")).port or 0
        self._addresses[service] = await self._up[service].enter_async_context(serving(self.sandboxes[service], port))
