"""The naive way, as it is usually written with FastAPI and SQLAlchemy: a session for each request, look, insert, commit.

It does far less than Harmline (no sealing, no ledger, the body as it is), and each commit of it is flushed as Harmline's are:
SQLite gets the same WAL and synchronous=FULL, and a time-out that lets writers wait for each other. Its pool is the default.
"""

import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import Depends, FastAPI, HTTPException, Request
from sqlalchemy import JSON, DateTime, String, event, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from connectors.verifiers import Outcome, Secret, StandardWebhooks


class Base(DeclarativeBase):
    """Base of the one table."""


class Delivery(Base):
    """One delivery, by the sender's own id."""

    __tablename__ = "delivery"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    external_id: Mapped[str] = mapped_column(String(255), unique=True)
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


def open_engine(url: str) -> AsyncEngine:
    """An engine with the default pool whose commits are flushed."""
    if not url.startswith("sqlite"):
        return create_async_engine(url)
    engine = create_async_engine(url, connect_args={"timeout": 60})

    @event.listens_for(engine.sync_engine, "connect")
    def _durable(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def create_app() -> FastAPI:
    """The application; the database and the secret come from the environment."""
    app, verifier, secrets = FastAPI(), StandardWebhooks(), [Secret("only", os.environ["BENCH_SECRET"])]
    sessions = async_sessionmaker(open_engine(os.environ["BENCH_DATABASE_URL"]), expire_on_commit=False)

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as opened:
            yield opened

    @app.post("/", status_code=202)
    async def take(request: Request, db: Annotated[AsyncSession, Depends(session)]) -> dict[str, Any]:
        body = await request.body()
        if verifier.check(body, request.headers, secrets, datetime.now(UTC)).outcome is not Outcome.AUTHENTIC:
            raise HTTPException(401)
        told = json.loads(body)
        known = (await db.execute(select(Delivery).where(Delivery.external_id == told["id"]))).scalar_one_or_none()
        if known is not None:
            return {"repeat": True}
        db.add(Delivery(external_id=told["id"], body=told, received_at=datetime.now(UTC)))
        try:
            await db.commit()
        except IntegrityError:  # another request was first
            await db.rollback()
            return {"repeat": True}
        return {"repeat": False}

    return app
