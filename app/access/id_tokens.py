"""Whether an ID token is what a provider says of somebody, to us, now (OpenID Connect Core, 3.1.3.7). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, GuestProtocol, Key, RSAKey, import_key
from joserfc.jws import JWSRegistry

ALGORITHMS = ("RS256", "PS256", "ES256", "ES384")
"""Signatures that only the provider can make: nothing with a shared secret, and never "none"."""

LEEWAY = 60
"""Seconds by which the provider's clock may differ from ours."""

OLDEST = 600
"""Seconds: a token was made for the sign-in that is under way."""

MOST_KEYS = 100
_SMALLEST_RSA = 2048
_LONGEST_SUBJECT = 255
_KINDS: Mapping[str, type[RSAKey] | type[ECKey]] = {"RS256": RSAKey, "PS256": RSAKey, "ES256": ECKey, "ES384": ECKey}
_OF_THE_KEY = ("kty", "n", "e", "crv", "x", "y")
_REGISTRY = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)


class NotGood(Exception):
    """A token that is not to be believed. The message is a word for the log; nothing of the token is in it."""


@dataclass(frozen=True)
class Expected:
    """What a token must say. `fresh_since`: the person must have shown who they are since then; None: whenever it was."""

    issuer: str
    client_id: str
    nonce: str
    fresh_since: datetime | None = None


@dataclass(frozen=True)
class Said:
    """What the provider says of somebody. `email`: None unless it says that it has verified the address.

    `names_email`: whether the token says anything of an address; if not, the provider may say it elsewhere.
    """

    subject: str
    email: str | None
    proven_at: datetime | None
    names_email: bool


def verified_email(claims: Mapping[str, Any]) -> str | None:
    """The address that a provider says it has verified; anything but a plain yes is no.

    In ASCII only: some letters of other scripts become ours when capitals are made small, and would make it another's.
    """
    email = claims.get("email")
    return email if claims.get("email_verified") is True and isinstance(email, str) and email.isascii() else None


def believed(raw: str, keys: object, expected: Expected, now: datetime) -> Said:
    """What a token says, when it is one for us. `keys`: the provider's JSON Web Key Set. Raises NotGood."""
    seconds = int(now.timestamp())
    try:
        claims = jwt.decode(raw, _chooser(keys), algorithms=ALGORITHMS, registry=_REGISTRY).claims
        required: Any = {name: {"essential": True} for name in ("iss", "sub", "aud", "exp", "iat")}
        jwt.JWTClaimsRegistry(now=seconds, leeway=LEEWAY, **required).validate(claims)
    except JoseError as error:
        raise NotGood(error.error or type(error).__name__) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # What a provider may send that is none: the library reads it and raises all of these.
        raise NotGood("unreadable") from None
    if claims["iat"] < seconds - OLDEST - LEEWAY:
        raise NotGood("too old")
    _require_ours(claims, expected)
    subject = claims["sub"]
    if not 0 < len(subject) <= _LONGEST_SUBJECT:
        raise NotGood("sub")
    return Said(subject, verified_email(claims), _proven(claims, expected, now), "email" in claims)


def _require_ours(claims: Mapping[str, Any], expected: Expected) -> None:
    if claims["iss"] != expected.issuer:
        raise NotGood("iss")
    if claims["aud"] not in (expected.client_id, [expected.client_id]):
        raise NotGood("aud")
    if claims.get("azp", expected.client_id) != expected.client_id:
        raise NotGood("azp")
    if claims.get("nonce") != expected.nonce:
        raise NotGood("nonce")


def _proven(claims: Mapping[str, Any], expected: Expected, now: datetime) -> datetime | None:
    """When the person showed the provider who they are, never later than now; None when it does not say."""
    seconds = claims.get("auth_time")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= now.timestamp() + LEEWAY:
        if expected.fresh_since is not None:
            raise NotGood("auth_time")
        return None
    if expected.fresh_since is not None and seconds < expected.fresh_since.timestamp() - LEEWAY:
        raise NotGood("auth_time")
    return min(now, datetime.fromtimestamp(seconds, UTC))


def _chooser(keys: object) -> Any:
    """Finds the one public key that a token names and that may sign in its way. A set that cannot be read holds none."""
    listed = keys.get("keys") if isinstance(keys, dict) else None
    entries = [one for one in listed if isinstance(one, dict)][:MOST_KEYS] if isinstance(listed, list) else []

    def choose(token: GuestProtocol) -> Key:
        header = token.headers()
        algorithm, wanted = header.get("alg"), header.get("kid")
        usable = [one for one in entries if _may_sign(one, str(algorithm))]
        named = usable if wanted is None else [one for one in usable if one.get("kid") == wanted]
        if len(named) != 1:
            raise NotGood("key")
        key = import_key({name: value for name, value in named[0].items() if name in _OF_THE_KEY})
        if not isinstance(key, _KINDS[str(algorithm)]):
            raise NotGood("key")
        if isinstance(key, RSAKey) and key.public_key.key_size < _SMALLEST_RSA:
            raise NotGood("key")
        return key

    return choose


def _may_sign(entry: Mapping[str, Any], algorithm: str) -> bool:
    kind = _KINDS.get(algorithm)
    return (
        kind is not None
        and entry.get("kty") == kind.key_type
        and entry.get("use", "sig") == "sig"
        and entry.get("alg", algorithm) == algorithm
    )
