"""Harmline with its one hot route left to the framework, which answers it by the same code: what the gateway saves."""

from __future__ import annotations

from fastapi import FastAPI

from app.intake import gateway
from benchmarks.support import harmline


def create_app() -> FastAPI:
    """The application, whose gateway finds nothing addressed to it and passes everything on."""
    gateway.PREFIX = "nothing begins like this"
    return harmline.create_app()
