"""Settings, from the environment only. Every name begins with HARMLINE_; an unsafe or empty value stops the start."""

from base64 import b64decode
from functools import lru_cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, HttpUrl, SecretStr, field_validator, model_validator

from app.kit.attesters import Attesters, reachable
from app.kit.vault import Lock

_DRIVERS = {
    "sqlite://": "sqlite+aiosqlite://",
    "postgres://": "postgresql+asyncpg://",
    "postgresql://": "postgresql+asyncpg://",
}


def _with_driver(value: str) -> str:
    for plain, driver in _DRIVERS.items():
        if value.startswith(plain):
            value = driver + value.removeprefix(plain)
    return value


def _require_reachable(setting: str, url: str) -> None:
    """ValueError for an address that the outgoing client would never connect to."""
    try:
        reachable(url)
    except ValueError as error:
        reason = str(error)
    else:
        return
    raise ValueError(f"{setting}: {reason}")


def _is_signing_secret(value: str) -> bool:
    """Whether this is a secret of Standard Webhooks: whsec_ and 24 to 64 bytes in base64."""
    try:
        key = b64decode(value.removeprefix("whsec_"), validate=True)
    except ValueError:
        return False
    return value.startswith("whsec_") and 24 <= len(key) <= 64


class Settings(Attesters):
    """All settings with their defaults: SQLite and keys under `var/`, http://localhost:8000, no mail server."""

    database_url: str = "sqlite+aiosqlite:///var/harmline.db"
    owner_url: str | None = Field(
        default=None, description="PostgreSQL: whoever owns the tables, for `harmline migrate` and for nothing else"
    )
    key_file: Path = Path("var/keys/top.key")
    door_key_file: Path | None = Field(
        default=None, description="what takes deliveries in while the top key is away; none: door.key beside the key file"
    )
    key_passphrase_file: Path | None = Field(default=None, description="the passphrase that opens the key file")
    key_identity_file: Path | None = Field(default=None, description="the age identity that opens the key file")
    journal_file: Path | None = Field(
        default=None, description="who must stay erased when an old backup is restored; none: beside the key file"
    )
    backup_folder: Path = Field(default=Path("var/backups"), description="where backups are made")
    packet_folder: Path = Field(
        default=Path("var/packets"),
        description="where packets of evidence lie, sealed, while they are built and until they go; one folder for all processes",
    )
    base_url: HttpUrl = HttpUrl("http://localhost:8000")
    smtp_url: SecretStr | None = Field(default=None, description="smtp://user:password@host:port, or smtps://")
    mail_from: Annotated[str, Field(min_length=3)] = "harmline@localhost"
    alarm_webhook_url: SecretStr | None = Field(default=None, description="https:// address that is told of alarms")
    alarm_webhook_secret: SecretStr | None = Field(
        default=None, description="whsec_..., by which it knows them (Standard Webhooks)"
    )
    security_contact: str | None = Field(
        default=None, description="whom to tell of a weakness: mailto:, https: or tel:; none: the address that mail comes from"
    )
    host: str = "127.0.0.1"
    port: Annotated[int, Field(gt=0, lt=65536)] = 8000
    trusted_proxies: str = Field(
        default="127.0.0.1",
        description="addresses or networks of the reverse proxies in front, with commas: whom X-Forwarded-For is believed from",
    )
    most_waiting: Annotated[int, Field(gt=0)] = Field(
        default=1000, description="how many deliveries may wait for their COMMIT; more are told to come again (503)"
    )
    metrics_port: Annotated[int | None, Field(gt=0, lt=65536)] = Field(default=None, description="none: no metrics are served")
    metrics_host: str = Field(default="127.0.0.1", description="where metrics are served; they know no password")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    canary: bool = Field(default=True, description="whether an alert of nobody's goes through the whole path every hour")
    canary_url: HttpUrl | None = Field(
        default=None, description="https:// origin it is sent to, instead of this process's own port"
    )
    unsafe_store: bool = Field(
        default=False,
        description="start over a PostgreSQL that does not flush what it commits: for tests and demonstrations only",
    )
    unsafe_links: bool = Field(
        default=False,
        description="a link by mail signs in all the way, without passkey or password: for demonstrations on localhost only",
    )
    unsafe_login: bool = Field(
        default=False,
        description="start with a PostgreSQL login that row-level security does not bind: for tests and demonstrations only",
    )
    dns_servers: str = Field(
        default="",
        description="addresses of DNS servers with commas, such as 9.9.9.9 or 127.0.0.1:5353; empty: those of the machine",
    )
    worker_interval: Annotated[float, Field(gt=0, le=60)] = 0.25

    @field_validator("trusted_proxies")
    @classmethod
    def _named_proxies(cls, value: str) -> str:
        try:
            for part in value.split(","):
                ip_network(part.strip())
        except ValueError:
            raise ValueError("HARMLINE_TRUSTED_PROXIES must be addresses or networks with commas, such as 10.0.0.0/8") from None
        return value

    @field_validator("dns_servers")
    @classmethod
    def _dns_servers_are_addresses(cls, value: str) -> str:
        for part in filter(None, (one.strip() for one in value.split(","))):
            address, _, port = part.rpartition(":") if part.count(":") == 1 else (part, "", "53")
            try:
                ip_address(address)
                right = 0 < int(port) < 2**16
            except ValueError:
                right = False
            if not right:
                raise ValueError("HARMLINE_DNS_SERVERS must be addresses with commas, such as 9.9.9.9 or 127.0.0.1:5353")
        return value

    @field_validator("security_contact")
    @classmethod
    def _contact_is_an_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not value.startswith(("mailto:", "https://", "tel:")) or not value.isprintable() or " " in value:
            raise ValueError("HARMLINE_SECURITY_CONTACT must begin with mailto:, https:// or tel:, without blanks")
        return value

    @field_validator("canary_url")
    @classmethod
    def _canary_can_be_sent(cls, value: HttpUrl | None) -> HttpUrl | None:
        if value is not None:
            _require_reachable("HARMLINE_CANARY_URL", str(value))
        return value

    @field_validator("owner_url")
    @classmethod
    def _owner_by_the_same_driver(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("postgres://", "postgresql://", "postgresql+asyncpg://")):
            raise ValueError("HARMLINE_OWNER_URL must begin with postgresql://")
        return value and _with_driver(value)

    @field_validator("database_url")
    @classmethod
    def _async_driver(cls, value: str) -> str:
        value = _with_driver(value)
        if not value.startswith(("sqlite+aiosqlite://", "postgresql+asyncpg://")):
            raise ValueError("HARMLINE_DATABASE_URL must begin with sqlite:// or postgresql://")
        return value

    @model_validator(mode="after")
    def _links_only_at_home(self) -> "Settings":
        if self.unsafe_links and self.base_url.host not in ("localhost", "127.0.0.1"):
            raise ValueError("HARMLINE_UNSAFE_LINKS is for demonstrations on localhost: leave it out, and sign in with passkeys")
        return self

    @model_validator(mode="after")
    def _one_way_to_open(self) -> "Settings":
        if self.key_passphrase_file is not None and self.key_identity_file is not None:
            raise ValueError("HARMLINE_KEY_PASSPHRASE_FILE and HARMLINE_KEY_IDENTITY_FILE do not go together: set one")
        return self

    @model_validator(mode="after")
    def _alarms_can_be_sent(self) -> "Settings":
        url, secret = self.alarm_webhook_url, self.alarm_webhook_secret
        if (url is None) != (secret is None):
            raise ValueError("HARMLINE_ALARM_WEBHOOK_URL and HARMLINE_ALARM_WEBHOOK_SECRET stand together")
        if url is not None:
            _require_reachable("HARMLINE_ALARM_WEBHOOK_URL", url.get_secret_value())
        if secret is not None and not _is_signing_secret(secret.get_secret_value()):
            raise ValueError("HARMLINE_ALARM_WEBHOOK_SECRET must be whsec_ and 24 to 64 bytes in base64")
        return self

    @property
    def key_lock(self) -> Lock:
        """What opens the key file."""
        return Lock(self.key_passphrase_file, self.key_identity_file)

    @property
    def door_key(self) -> Path:
        """The file of the door's key, which may be missing: then deliveries need the top key."""
        return self.door_key_file or self.key_file.with_name("door.key")

    @property
    def migrating_url(self) -> str:
        """Where migrations run: as the owner of the tables, where one is named."""
        return self.owner_url or self.database_url

    @property
    def origin(self) -> str:
        """Scheme, host and port under which people reach the service, without a path."""
        return str(self.base_url).rstrip("/")

    @property
    def journal(self) -> Path:
        """The list of erasures, which no backup holds."""
        return self.journal_file or self.key_file.with_name("erasures.jsonl")

    @property
    def https(self) -> bool:
        """Whether people reach the service over TLS; cookies are then `Secure` and `__Host-`."""
        return self.base_url.scheme == "https"


@lru_cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
