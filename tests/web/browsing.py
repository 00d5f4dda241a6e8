"""A real server on a free port and a real browser before it, in the test's own event loop."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, async_playwright, expect

from app.access.gate import cookie_name
from app.access.roles import Role
from tests.repo.tree import ROOT
from tests.support.world import World

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1100, "height": 900}
SCREENS = ROOT / "docs" / "screens"

expect.set_options(timeout=20_000)  # another test may have most of this machine; Playwright's own is five seconds


@dataclass
class Site:
    """A served world and a browser."""

    world: World
    address: str
    browser: Browser
    trouble: list[str] = field(default_factory=list)

    async def signed_in(self, role: Role, who: str = "", **options: Any) -> Page:
        """A page of a new browser context, signed in all the way, on the role's first page."""
        page = await self.opened(**options)
        cookie = await self.world.session(role, who)
        name = cookie_name(self.world.context.settings)
        await page.context.add_cookies(
            [{"name": name, "value": cookie, "url": self.address, "httpOnly": True, "sameSite": "Lax"}]
        )
        await page.goto("/")
        return page

    async def opened(self, **options: Any) -> Page:
        """A page of a new browser context, nobody signed in, nothing opened yet."""
        context: BrowserContext = await self.browser.new_context(base_url=self.address, **({"viewport": PHONE} | options))
        page = await context.new_page()
        page.on("dialog", self._on_dialog)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        return page

    async def _on_dialog(self, dialog: Dialog) -> None:
        self.trouble.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") or "executed" in message.text:
            self.trouble.append(f"console: {message.text}")


def free_socket() -> socket.socket:
    """A listening socket on a port that nobody else has."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    return listening


@asynccontextmanager
async def site(world: World, chromium: str) -> AsyncIterator[Site]:
    """Serve the world and open a browser; both end with the block."""
    listening = free_socket()
    server = uvicorn.Server(uvicorn.Config(world.app, lifespan="off", log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=[*FLAGS])
        try:
            yield Site(world, f"http://localhost:{listening.getsockname()[1]}", browser)
        finally:
            await browser.close()
            server.should_exit = True
            with suppress(asyncio.CancelledError):
                await serving


async def picture(page: Page, name: str, **options: Any) -> None:
    """Write a picture of the page into the documents, only when HARMLINE_SCREENS=1: a test run leaves the tree as it was."""
    if os.environ.get("HARMLINE_SCREENS") == "1":
        await page.screenshot(path=SCREENS / f"{name}.png", **options)


async def fits(page: Page) -> bool:
    """Whether a page, once it is there, is no wider than the window: right after a press there may be nothing of it yet."""
    await page.wait_for_load_state()
    return bool(await page.locator("html").evaluate("html => html.scrollWidth <= html.clientWidth"))
