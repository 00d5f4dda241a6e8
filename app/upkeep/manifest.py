"""What a backup says of itself: its files with their hashes, and what has to be found in them when they are restored."""

import hashlib
import hmac
import json
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from app.kit import canonical, crypto
from app.kit.crypto import Unreadable
from app.kit.errors import Problem
from app.kit.keyring import Keyring

NAME = "manifest.json"
_BLOCK = 1 << 20


class LedgerEnd(BaseModel):
    """How long the ledger is, and its last entry. `commitment`: hex."""

    entries: int
    last: str | None
    commitment: str | None


class Census(BaseModel):
    """What stands in a database at one moment: rows by table, the accounts of intake by organization, the ledger's end."""

    tables: dict[str, int]
    accounts: dict[str, dict[str, Any]]
    ledger: LedgerEnd


class Manifest(BaseModel):
    """A backup's description. `files`: SHA-256 in hex by name; `key`: fingerprint of the key that opens what is sealed."""

    format: Literal[1] = 1
    made_at: datetime
    kind: Literal["sqlite", "postgresql"]
    schema_revision: str
    key: str
    files: dict[str, str]
    census: Census


def fingerprint(keyring: Keyring) -> str:
    """Which top key this is, in 16 letters: says nothing about the key itself."""
    return keyring.vault.newest


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


_PLACE = crypto.place("manifest of a backup")


def _hash(manifest: dict[str, Any]) -> bytes:
    return hashlib.sha256(canonical.dumps(manifest)).digest()


async def _is_ours(keyring: Keyring, name: str, code: str, manifest: dict[str, Any]) -> bool:
    try:
        said = await keyring.vault.unwrap(name, bytes.fromhex(code), _PLACE)
        return hmac.compare_digest(said, _hash(manifest))
    except (Unreadable, ValueError, RecursionError):  # no code of ours, or what has no canonical form: it was never hashed
        return False


async def write_manifest(folder: Path, manifest: Manifest, keyring: Keyring) -> None:
    """Write it into a backup's folder, with a code that only the holder of the top key can make."""
    told = manifest.model_dump(mode="json")
    code = (await keyring.vault.wrap(_hash(told), _PLACE)).hex()
    (folder / NAME).write_text(json.dumps({"manifest": told, "code": code}, indent=1) + "\n", "utf-8")


async def read_manifest(folder: Path, keyring: Keyring) -> Manifest:
    """Read a backup's description. Raises a Problem when it is none, another key's, or not as it was written."""
    try:
        whole = json.loads((folder / NAME).read_text("utf-8"))
        manifest = Manifest.model_validate(whole["manifest"])
        code = str(whole["code"])
    except FileNotFoundError:
        raise Problem(404, f"{folder} is no backup: it has no {NAME}.") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Problem(422, f"{folder / NAME} cannot be read: take another backup.") from None
    if manifest.key != fingerprint(keyring):
        raise Problem(409, f"This backup needs the key {manifest.key}, and HARMLINE_KEY_FILE holds {fingerprint(keyring)}.")
    if not await _is_ours(keyring, manifest.key, code, whole["manifest"]):
        raise Problem(422, f"{folder / NAME} is not as it was written: take another backup.")
    return manifest


def amiss(folder: Path, manifest: Manifest) -> list[str]:
    """Which files of a backup are not as they were written, in plain words; nothing when all are."""
    found = []
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif file_hash(path) != expected:
            found.append(f"{name} was changed, or is damaged")
    others = {path.name for path in folder.iterdir()} - manifest.files.keys() - {NAME}
    return found + [f"{name} does not belong here" for name in sorted(others)]


def differences(expected: Census, found: Census) -> list[str]:
    """In what two databases differ, in plain words."""
    tables = sorted(expected.tables.keys() | found.tables.keys())
    rows = [(name, expected.tables.get(name), found.tables.get(name)) for name in tables]
    said = [f"{name}: {now} rows, not {then}" for name, then, now in rows if then != now]
    if expected.ledger != found.ledger:
        said.append(
            f"ledger: ends with {found.ledger.last} after {found.ledger.entries} entries, "
            f"not with {expected.ledger.last} after {expected.ledger.entries}"
        )
    others = [one for one, told in sorted(expected.accounts.items()) if found.accounts.get(one) != told]
    return said + [f"the accounts of organization {organization} are other ones" for organization in others]
