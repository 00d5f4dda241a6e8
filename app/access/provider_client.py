"""Speaks with an organization's provider: its description, the exchange of a code, its keys. In no transaction: it takes a while.

Authlib writes the address and the request of OAuth 2.0; below it is our own guard (`connectors/guarded`). Every answer is bounded
in size and time, and no redirect is followed.
"""

import json
import time
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from authlib.deprecate import AuthlibDeprecationWarning

from app.access.id_tokens import ALGORITHMS, Expected, NotGood, Said, believed, verified_email
from app.kit.config import Settings
from connectors.asking import NotAllowed, ProviderError
from connectors.guarded import GuardedTransport, base_for
from connectors.http import HttpError

with warnings.catch_warnings():
    # It would rather have httpx2, says so at every start, and works as well with the httpx that is pinned here.
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.integrations.base_client import OAuthError
    from authlib.integrations.httpx_client import AsyncOAuth2Client
    from authlib.oauth2.client import OAuth2Client

SCOPE = "openid email"
WELL_KNOWN = "/.well-known/openid-configuration"
LONGEST_ADDRESS = 500
_ADDRESSES = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_AUTH_METHODS = ("client_secret_basic", "client_secret_post")
PATIENCE = 10.0
"""Seconds for one whole answer of a provider."""

_KNOWN_FOR = 300.0
_MOST_KNOWN = 64


class Away(Exception):
    """The provider does not answer, or not as it should. The message is for a person and names no address."""


class Unsuitable(Exception):
    """What a provider says of itself does not fit. The message is for an admin."""


@dataclass(frozen=True)
class Description:
    """What a provider says of itself. `names_itself`: it says with every answer whose it is (RFC 9207).

    `userinfo_endpoint`: where it says more of somebody than in its token, if anywhere.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    auth_method: str
    names_itself: bool


@dataclass(frozen=True)
class Client:
    """Who we are to a provider. Holds a secret."""

    client_id: str
    secret: str
    redirect_uri: str


_known: dict[str, tuple[float, Description]] = {}
"""Descriptions that were read a moment ago, so that strangers who press the button do not make us ask each time."""


def redirect_uri(settings: Settings) -> str:
    """Where providers send people back to; an admin writes it into the provider's own settings."""
    return f"{settings.origin}/sign-in/provider/callback"


def require_issuer(settings: Settings, issuer: str) -> None:
    """NotAllowed for an issuer that is never connected to."""
    if len(issuer) > LONGEST_ADDRESS or "?" in issuer:
        raise NotAllowed("The address is too long, or holds a question mark")
    base_for(issuer, at_home=settings.unsafe_links)


def host_of(issuer: str) -> str:
    """The issuer as people know it: its host."""
    return issuer.partition("://")[2].partition("/")[0]


@asynccontextmanager
async def _speaking(settings: Settings, **options: Any) -> AsyncIterator[Any]:
    transport = GuardedTransport(at_home=settings.unsafe_links, total=PATIENCE)
    async with AsyncOAuth2Client(transport=transport, follow_redirects=False, trust_env=False, **options) as client:
        yield client


async def _read(client: Any, address: str, *, as_somebody: bool = False) -> Mapping[str, Any]:
    """A JSON object of the provider. `as_somebody`: with the token that was got for them. Raises Away."""
    try:
        answer = await client.request("GET", address, withhold_token=not as_somebody)
    except ProviderError as error:
        raise Away(str(error)) from None
    except OAuthError:
        raise Away("The provider's token is of a sort that is not known") from None
    if answer.status_code != 200:
        raise Away(f"The provider answered with status {answer.status_code}")
    try:
        found = json.loads(answer.content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Away("The provider's answer cannot be read")
    return found


async def described(settings: Settings, issuer: str, *, anew: bool = False) -> Description:
    """What the provider says of itself, not older than five minutes; `anew`: asked now. Raises Away or Unsuitable."""
    known = _known.get(issuer)
    if known is not None and not anew and time.monotonic() - known[0] < _KNOWN_FOR:
        return known[1]
    async with _speaking(settings) as client:
        found = _fitting(settings, issuer, await _read(client, issuer.rstrip("/") + WELL_KNOWN))
    _known.pop(issuer, None)
    while len(_known) >= _MOST_KNOWN:
        del _known[next(iter(_known))]
    _known[issuer] = time.monotonic(), found
    return found


def _fitting(settings: Settings, issuer: str, said: Mapping[str, Any]) -> Description:
    if said.get("issuer") != issuer:
        raise Unsuitable("The provider calls itself by another issuer. Copy it exactly, with or without the slash at its end.")
    asking, exchanging, keys = [_address(settings, said.get(name)) for name in _ADDRESSES]
    more = _address(settings, said["userinfo_endpoint"]) if said.get("userinfo_endpoint") is not None else None
    for name, wanted, missing in _NEEDED:
        offered = said.get(name)
        if isinstance(offered, list) and not set(map(str, offered)) & set(wanted):
            raise Unsuitable(missing)
    methods = said.get("token_endpoint_auth_methods_supported")
    offered = methods if isinstance(methods, list) else list(_AUTH_METHODS)
    method = next((one for one in _AUTH_METHODS if one in offered), None)
    if method is None:
        raise Unsuitable("The provider takes no client secret. Register Harmline there as a web application with a secret.")
    names_itself = said.get("authorization_response_iss_parameter_supported") is True
    return Description(issuer, asking, exchanging, keys, more, method, names_itself)


_NEEDED = (
    ("response_types_supported", ("code",), "The provider does not offer the authorization code flow."),
    ("code_challenge_methods_supported", ("S256",), "The provider does not offer PKCE with S256."),
    (
        "id_token_signing_alg_values_supported",
        ALGORITHMS,
        f"The provider signs in no way that is taken here. Choose one of {', '.join(ALGORITHMS)} there.",
    ),
)
"""What must be offered, where it is said what is offered at all."""


def _address(settings: Settings, value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_ADDRESS or not value.isascii() or not value.isprintable():
        raise Unsuitable("The provider's description lacks an address that is needed.")
    try:
        base_for(value, at_home=settings.unsafe_links)
    except NotAllowed as error:
        raise Unsuitable(f"One of the provider's own addresses cannot be used. {error}.") from None
    return value


def question(found: Description, client: Client, state: str, nonce: str, verifier: str, *, fresh: bool) -> str:
    """The address at the provider to which a person's browser is sent. `fresh`: they are to show there anew who they are."""
    options = {"prompt": "login", "max_age": "0"} if fresh else {}
    writing = OAuth2Client(
        None, client_id=client.client_id, redirect_uri=client.redirect_uri, scope=SCOPE, code_challenge_method="S256"
    )
    url, _ = writing.create_authorization_url(
        found.authorization_endpoint, state=state, code_verifier=verifier, nonce=nonce, **options
    )
    return str(url)


async def answer(
    settings: Settings, found: Description, client: Client, code: str, verifier: str, expected: Expected, now: datetime
) -> Said:
    """What the provider says of whoever came back with this code. Raises Away, or NotGood."""
    options = {
        "client_id": client.client_id,
        "client_secret": client.secret,
        "token_endpoint_auth_method": found.auth_method,
        "redirect_uri": client.redirect_uri,
    }
    async with _speaking(settings, **options) as speaking:
        token = await _exchanged(speaking, found, code, verifier)
        said = believed(token, await _read(speaking, found.jwks_uri), expected, now)
        if not said.names_email and found.userinfo_endpoint is not None:
            said = await _with_email(speaking, found.userinfo_endpoint, said)
    return said


async def _with_email(speaking: Any, address: str, said: Said) -> Said:
    """The same with the address, from where many providers say it (OpenID Connect Core, 5.3). Raises Away, or NotGood."""
    more = await _read(speaking, address, as_somebody=True)
    if more.get("sub") != said.subject:
        raise NotGood("userinfo of somebody else")
    return replace(said, email=verified_email(more))


async def _exchanged(speaking: Any, found: Description, code: str, verifier: str) -> str:
    """The ID token for a code."""
    try:
        tokens = await speaking.fetch_token(
            found.token_endpoint, grant_type="authorization_code", code=code, code_verifier=verifier
        )
    except ProviderError as error:
        raise Away(str(error)) from None
    except OAuthError:
        raise NotGood("code") from None
    except (HttpError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # What Authlib raises for whatever is no answer of a token endpoint.
        raise Away("The provider's answer to the code cannot be read") from None
    raw = tokens.get("id_token")
    if not isinstance(raw, str) or not raw:
        raise NotGood("no id_token")
    return raw
