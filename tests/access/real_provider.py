"""A real OpenID provider (npm's oidc-provider) as a process on this machine: installed by its own lock file, started, stopped.

`python -m tests.access.real_provider` installs it, or says why it cannot be.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from connectors.http import sandbox_allowed
from tests.access.fake_provider import CLIENT, SECRET
from tests.repo.tree import ROOT
from tests.web.browsing import free_socket

SOURCE = Path(__file__).with_name("oidc_provider")
FILES = ("package.json", "package-lock.json", "server.mjs")
TO_INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
INSTALL_SECONDS, START_SECONDS = 180.0, 30.0


class NoProvider(Exception):
    """Node.js or npm is not there, or npm could not install."""


def installed() -> Path:
    """The folder with the provider and its packages, just as the lock file says. Raises NoProvider."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NoProvider("No Node.js with npm was found")
    files = {name: (SOURCE / name).read_bytes() for name in FILES}
    mark = hashlib.sha256(b"\0".join(files.values())).hexdigest()[:16]
    folder = ROOT / "var" / "oidc-provider" / mark
    if (folder / "ready").exists():
        return folder
    making = folder.with_name(f"{mark}-{os.getpid()}")
    making.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (making / name).write_bytes(content)
    try:
        subprocess.run([npm, *TO_INSTALL], cwd=making, check=True, timeout=INSTALL_SECONDS, capture_output=True)
    except (subprocess.SubprocessError, OSError):
        shutil.rmtree(making)
        raise NoProvider("npm could not install it; perhaps it cannot reach its registry") from None
    (making / "ready").touch()
    if not folder.exists():
        making.rename(folder)
    return folder


@asynccontextmanager
async def running(redirect_uri: str) -> AsyncIterator[str]:
    """The provider with us as its client; its issuer. It ends with the block."""
    listening = free_socket()
    port = listening.getsockname()[1]
    listening.close()
    process = await asyncio.create_subprocess_exec(
        str(shutil.which("node")),
        *("server.mjs", str(port), CLIENT, SECRET, redirect_uri),
        cwd=installed(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            while not (line := await process.stdout.readline()).startswith(b"listening"):
                assert line, "it ended before it listened"
        issuer = f"http://127.0.0.1:{port}"
        with sandbox_allowed(issuer):
            yield issuer
    finally:
        process.terminate()
        await process.wait()


if __name__ == "__main__":
    try:
        installed()
    except NoProvider as reason:
        print(f"{reason}, so the tests with a real OpenID provider are left out.", file=sys.stderr)
        sys.exit(1)
