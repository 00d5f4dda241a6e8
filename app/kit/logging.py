"""Structured logs, one JSON line an entry. Values under telling names never reach a line; addresses are never logged."""

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

import structlog

_TELLING = ("token", "secret", "password", "key", "authorization", "cookie", "body", "email", "name", "ssn", "url")
_HARMLESS = frozenset({"logger", "event", "level", "route", "timestamp"})


RECEIPT: ContextVar[UUID | None] = ContextVar("receipt", default=None)
"""The receipt that everything is about just now: it is in every line, from a delivery's first byte on."""


def with_receipt(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Name the receipt that a line is about, where it does not name one itself."""
    if (receipt := RECEIPT.get()) is not None:
        entry.setdefault("receipt", str(receipt))
    return entry


@contextmanager
def about_receipt(receipt_id: UUID) -> Iterator[None]:
    """Whatever is logged inside is about this receipt."""
    token = RECEIPT.set(receipt_id)
    try:
        yield
    finally:
        RECEIPT.reset(token)


def redact(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the value of every field whose name tells that it may be secret or personal."""
    for name in entry:
        if name not in _HARMLESS and any(word in name.lower() for word in _TELLING):
            entry[name] = "[redacted]"
    return entry


def configure(level: int = logging.INFO) -> None:
    """Send every log of the process through structlog to standard error, as JSON lines."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        with_receipt,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for noisy in ("uvicorn.access", "httpx", "httpcore", "apscheduler", "sqlalchemy", "aiosqlite"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
