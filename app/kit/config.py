"""Settings, from the environment only. Every name begins with HARMLINE_; an unsafe or empty value stops the start."""

from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, HttpUrl, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_DRIVERS = {
    "sqlite://": "sqlite+aiosqlite://",
    "postgres://": "postgresql+asyncpg://",
    "postgresql://": "postgresql+asyncpg://",
}


class Settings(BaseSettings):
    """All settings with their defaults: SQLite and keys under `var/`, http://localhost:8000, no mail server."""

    model_config = SettingsConfigDict(env_prefix="HARMLINE_", extra="ignore", hide_input_in_errors=True)

    database_url: str = "sqlite+aiosqlite:///var/harmline.db"
    key_file: Path = Path("var/keys/top.key")
    base_url: HttpUrl = HttpUrl("http://localhost:8000")
    smtp_url: SecretStr | None = Field(default=None, description="smtp://user:password@host:port, or smtps://")
    mail_from: Annotated[str, Field(min_length=3)] = "harmline@localhost"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(gt=0, lt=65536)] = 8000
    worker_interval: Annotated[float, Field(gt=0, le=60)] = 0.25

    @field_validator("database_url")
    @classmethod
    def _async_driver(cls, value: str) -> str:
        for plain, driver in _DRIVERS.items():
            if value.startswith(plain):
                value = driver + value.removeprefix(plain)
        if not value.startswith(("sqlite+aiosqlite://", "postgresql+asyncpg://")):
            raise ValueError("HARMLINE_DATABASE_URL must begin with sqlite:// or postgresql://")
        return value

    @property
    def origin(self) -> str:
        """Scheme, host and port under which people reach the service, without a path."""
        return str(self.base_url).rstrip("/")

    @property
    def https(self) -> bool:
        """Whether people reach the service over TLS; cookies are then `Secure` and `__Host-`."""
        return self.base_url.scheme == "https"


@lru_cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
