"""The real application as a measured server; without its workers (BENCH_WORK is not set) where only receiving is measured."""

from __future__ import annotations

import os

from fastapi import FastAPI

from app import main
from app.kit.config import settings


def create_app() -> FastAPI:
    """The application; its settings come from the environment, as always."""
    return main.create_app(settings(), work="BENCH_WORK" in os.environ)
