"""A member's own key, and what is sealed under it."""

import json
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from app.kit import crypto
from app.kit.database import Transaction
from app.kit.keyring import Keyring
from app.members.models import Member
from app.members.repository import LockedMember


class Profile(BaseModel):
    """What names a person."""

    external_id: str
    name: str
    email: str | None = None


class Erased(Exception):
    """The member's key is destroyed: nothing sealed under it can be read again."""


async def open_key(tx: Transaction, keyring: Keyring, member: Member | LockedMember) -> bytes:
    """The member's key. Raises Erased."""
    if member.wrapped_key is None:
        raise Erased
    return await keyring.unwrap(tx, member.organization_id, member.wrapped_key, "member", member.id)


def seal_profile(key: bytes, member_id: UUID, profile: Profile) -> bytes:
    """Seal what names a person."""
    return crypto.seal(key, profile.model_dump_json().encode(), crypto.place("member", "sealed", member_id))


async def open_profile(tx: Transaction, keyring: Keyring, member: Member) -> Profile:
    """What names a person, opened. Raises Erased."""
    key = await open_key(tx, keyring, member)
    if member.sealed is None:
        raise Erased
    return Profile.model_validate_json(crypto.unseal(key, member.sealed, crypto.place("member", "sealed", member.id)))


def seal_json(key: bytes, value: Any, *where: object) -> bytes:
    """Seal any JSON value under a member's key, bound to its place."""
    return crypto.seal(key, json.dumps(value).encode(), crypto.place(*where))


def open_json(key: bytes, sealed: bytes, *where: object) -> Any:
    """Open what `seal_json` made for the same place."""
    return json.loads(crypto.unseal(key, sealed, crypto.place(*where)))
