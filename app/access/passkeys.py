"""Passkeys (WebAuthn, level 2): what a browser is asked, and whether its answer is good. The person is always verified.

A challenge is not stored: it says by itself what for, for whom and until when, under a key of ours. The one that was answered
is written down, so that no answer counts twice.
"""

import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import webauthn
from webauthn.helpers import bytes_to_base64url, parse_authentication_credential_json, parse_client_data_json
from webauthn.helpers import parse_registration_credential_json as parse_registration
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from app.access import credentials
from app.access.models import Passkey
from app.kit import clock
from app.kit.config import Settings
from app.kit.crypto import token_hash
from app.kit.database import Transaction
from app.kit.keyring import Keyring

GOOD_FOR = timedelta(minutes=5)
MOST_KEYS = 20
_NONCE, _TIME, _PROOF = 16, 8, 32
_FIELD = "passkey.challenge"
_BROKEN = (WebAuthnException, ValueError, KeyError, TypeError, AttributeError)
"""What a browser's answer may be that is none: the library reads what strangers send and raises all of these."""


class Purpose(StrEnum):
    """What a challenge is for; an answer to one is none to another."""

    SIGN_IN = "sign in"
    CONFIRM = "confirm"
    ENROL = "enrol"


@dataclass(frozen=True)
class Enrolled:
    """A new passkey's public half."""

    credential_id: bytes
    public_key: bytes
    sign_count: int


def relying_party(settings: Settings) -> str:
    """The name that passkeys are bound to: the host of the service's own address."""
    return str(settings.base_url.host)


async def _proof(tx: Transaction, keyring: Keyring, said: bytes, purpose: Purpose, subject: UUID | None) -> bytes:
    return await keyring.system_index(tx, _FIELD, f"{said.hex()} {purpose} {subject}")


async def challenge(tx: Transaction, keyring: Keyring, purpose: Purpose, subject: UUID | None) -> bytes:
    """A new challenge. `subject`: the session that it is for; None for somebody who is not signed in."""
    until = int((clock.now() + GOOD_FOR).timestamp())
    said = secrets.token_bytes(_NONCE) + until.to_bytes(_TIME, "big")
    return said + await _proof(tx, keyring, said, purpose, subject)


async def good_until(tx: Transaction, keyring: Keyring, given: bytes, purpose: Purpose, subject: UUID | None) -> datetime | None:
    """When a challenge ends that is one of ours for this; None for any other, and for one that is too old."""
    said, proof = given[: _NONCE + _TIME], given[_NONCE + _TIME :]
    if not hmac.compare_digest(proof, await _proof(tx, keyring, said, purpose, subject)):
        return None
    until = datetime.fromtimestamp(int.from_bytes(said[_NONCE:], "big"), UTC)
    return until if until > clock.now() else None


async def _spend(tx: Transaction, keyring: Keyring, given: bytes, purpose: Purpose, subject: UUID | None) -> bool:
    until = await good_until(tx, keyring, given, purpose, subject)
    return until is not None and await credentials.spend_challenge(tx, token_hash(given.hex()), until)


async def to_enrol(
    tx: Transaction, settings: Settings, keyring: Keyring, session: UUID, account: UUID, name: str, known: Sequence[Passkey]
) -> Any:
    """What a browser needs to make a passkey, as JSON. `name`: how the person will find it again; `known`: not once more."""
    options = webauthn.generate_registration_options(
        rp_id=relying_party(settings),
        rp_name="Harmline",
        user_id=account.bytes,
        user_name=name,
        challenge=await challenge(tx, keyring, Purpose.ENROL, session),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=key.credential_id) for key in known],
    )
    return json.loads(webauthn.options_to_json(options))


async def to_sign(tx: Transaction, settings: Settings, keyring: Keyring, purpose: Purpose, session: UUID | None) -> Any:
    """What a browser needs to sign with whichever passkey the person chooses, as JSON. Nobody learns who has one."""
    options = webauthn.generate_authentication_options(
        rp_id=relying_party(settings),
        challenge=await challenge(tx, keyring, purpose, session),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return json.loads(webauthn.options_to_json(options))


async def enrolled(tx: Transaction, settings: Settings, keyring: Keyring, session: UUID, answer: Any) -> Enrolled | None:
    """The passkey that a browser made for this session, spending its challenge; None when the answer is no good."""
    try:
        made = parse_registration(answer)
        given = parse_client_data_json(made.response.client_data_json).challenge
        if not await _spend(tx, keyring, given, Purpose.ENROL, session):
            return None
        found = webauthn.verify_registration_response(
            credential=made,
            expected_challenge=given,
            expected_rp_id=relying_party(settings),
            expected_origin=settings.origin,
            require_user_verification=True,
        )
    except _BROKEN:
        return None
    return Enrolled(found.credential_id, found.credential_public_key, found.sign_count)


async def signed_by(
    tx: Transaction, settings: Settings, keyring: Keyring, purpose: Purpose, session: UUID | None, answer: Any
) -> Passkey | None:
    """The passkey that signed for this purpose and session, its challenge spent and its use noted; None when none did."""
    try:
        signed = parse_authentication_credential_json(answer)
        given = parse_client_data_json(signed.response.client_data_json).challenge
        key = await credentials.live_passkey(tx, signed.raw_id)
        if key is None or not await _spend(tx, keyring, given, purpose, session):
            return None
        found = webauthn.verify_authentication_response(
            credential=signed,
            expected_challenge=given,
            expected_rp_id=relying_party(settings),
            expected_origin=settings.origin,
            credential_public_key=key.public_key,
            credential_current_sign_count=key.sign_count,
            require_user_verification=True,
        )
    except _BROKEN:
        return None
    if signed.response.user_handle not in (None, key.account_id.bytes):
        return None
    key.sign_count, key.last_used_at = found.new_sign_count, clock.now()
    return key


def shown_id(key: Passkey) -> str:
    """A passkey's own id as browsers write it."""
    return bytes_to_base64url(key.credential_id)
