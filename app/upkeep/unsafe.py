"""Single things that must not be, each a question to the facts. Pure."""

from base64 import b64decode
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from sqlalchemy.engine import URL, make_url

from app.kit.config import Settings
from app.kit.migrate import revisions
from app.upkeep.facts import Facts, FileFacts

GUESSED = frozenset(
    {"", "postgres", "password", "passwort", "secret", "changeme", "change-me", "harmline", "admin", "root", "test"}
)
FLEETING = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path("/run"))  # noqa: S108 - named to be refused
DOOR_ALONE = "door"
"""The role of a process that has the door's key, and not the top key."""

TLS_MODES = frozenset({"require", "verify-ca", "verify-full"})


class Check(NamedTuple):
    """One thing that must not be: which setting it is about, what is wrong, how to mend it."""

    name: str
    setting: str
    finds: Callable[[Facts], bool]
    says: str
    mend: str
    always: bool = False
    """Also in development."""


def is_local(host: str | None) -> bool:
    """Whether a host is this machine and nothing else."""
    if host in {"localhost", None, ""} or (host or "").startswith("/"):
        return True
    try:
        return ip_address((host or "").strip("[]")).is_loopback
    except ValueError:
        return False


def is_production(settings: Settings) -> bool:
    """Whether people reach the service from other machines."""
    return not is_local(settings.base_url.host)


def everywhere(host: str) -> bool:
    """Whether an address to listen at is every one there is."""
    return host in {"", "0.0.0.0", "::", "[::]", "*"}  # noqa: S104 - named to be refused


def lies_open(file: FileFacts | None, bits: int) -> bool:
    """Whether a file or folder has any of these permission bits."""
    return file is not None and bool(file.mode & bits)


def somebody_elses(facts: Facts, file: FileFacts | None) -> bool:
    """Whether a file belongs to another user."""
    return file is not None and file.uid not in {facts.euid, 0}


def too_wide(facts: Facts) -> bool:
    """Whether a trusted network is wider than any network of proxies."""
    networks = [ip_network(part.strip()) for part in facts.settings.trusted_proxies.split(",")]
    return any(one.prefixlen < (8 if one.version == 4 else 32) for one in networks)


def only_ourselves(facts: Facts) -> bool:
    """Whether this machine alone is trusted as a proxy."""
    return all(ip_network(part.strip()).is_loopback for part in facts.settings.trusted_proxies.split(","))


def fleeting(path: Path) -> bool:
    """Whether a path is in a folder that is emptied."""
    return any(path.absolute().is_relative_to(folder) for folder in FLEETING)


def store_path(facts: Facts) -> Path | None:
    """The file of SQLite; None for PostgreSQL, and for a database in memory."""
    address = url(facts)
    return Path(address.database) if is_sqlite(facts) and address.database and address.database != ":memory:" else None


def url(facts: Facts) -> URL:
    """The database's address."""
    return make_url(facts.settings.database_url)


def is_sqlite(facts: Facts) -> bool:
    """Whether the database is SQLite."""
    return facts.settings.database_url.startswith("sqlite")


def is_elsewhere(facts: Facts) -> bool:
    """Whether PostgreSQL is on another machine: not by a socket, not here, not a neighbour in one container network."""
    host = url(facts).host
    return not is_sqlite(facts) and not is_local(host) and "." in (host or "")


def tls(facts: Facts) -> str | None:
    """How PostgreSQL is to be asked for TLS, if it is."""
    found = url(facts).query.get("ssl")
    return found if isinstance(found, str) else None


def weak_password(facts: Facts) -> bool:
    """Whether PostgreSQL's password, over a network, can be guessed."""
    address = url(facts)
    if is_sqlite(facts) or is_local(address.host):
        return False
    password = str(address.password or "")
    return (
        password.lower() in GUESSED | {(address.username or "").lower(), (address.database or "").lower()} or len(password) < 12
    )


def weak_alarm_secret(facts: Facts) -> bool:
    """Whether the alarm webhook's secret was not made at random."""
    secret = facts.settings.alarm_webhook_secret
    if secret is None:
        return False
    return len(set(b64decode(secret.get_secret_value().removeprefix("whsec_")))) < 12


def smtp(facts: Facts) -> tuple[str, str | None]:
    """Scheme and host of the mail server."""
    found = facts.settings.smtp_url
    parts = urlsplit(found.get_secret_value()) if found else urlsplit("smtp://localhost")
    return parts.scheme, parts.hostname


def mute(facts: Facts) -> bool:
    """Whether nobody would learn of an alarm."""
    return facts.settings.smtp_url is None and facts.settings.alarm_webhook_url is None


def newer(facts: Facts) -> bool:
    """Whether the database's revision is one that this code does not know."""
    return facts.store is not None and facts.store.revision is not None and facts.store.revision not in revisions()


def keys_among_backups(facts: Facts) -> bool:
    """Whether a key file or the list of erasures is in the folder of the backups."""
    named, folder = facts.settings, facts.settings.backup_folder.absolute()
    return any(path.absolute().is_relative_to(folder) for path in (named.key_file, named.door_key, named.journal))
