"""The baseline: a FastAPI handler that reads the body, verifies the signature and answers. It keeps nothing."""

from __future__ import annotations

import os

from fastapi import FastAPI, HTTPException, Request

from app.kit import clock
from connectors.verifiers import Outcome, Secret, StandardWebhooks


def create_app() -> FastAPI:
    """The application; the secret comes from the environment."""
    app, verifier, secrets = FastAPI(), StandardWebhooks(), [Secret("only", os.environ["BENCH_SECRET"])]

    @app.post("/", status_code=202)
    async def take(request: Request) -> dict[str, bool]:
        found = verifier.check(await request.body(), request.headers, secrets, clock.now())
        if found.outcome is not Outcome.AUTHENTIC:
            raise HTTPException(401)
        return {"repeat": False}

    return app
