"""What a provider's token may not be: every lie is refused, over real HTTP, and opens nothing."""

from __future__ import annotations

import hmac
import json
import warnings
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse

from app.access.gate import cookie_name
from app.access.id_tokens import Expected, NotGood, believed
from app.kit.buckets import Buckets
from tests.access.fake_provider import CLIENT, Connected, FakeProvider, connect, hand_made, serving, signing_key
from tests.access.scene import Scene
from tests.support.world import NOW, World

SECONDS = int(NOW.timestamp())

LIES: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://login.example.org"},
    "an issuer with a slash more": {"iss": "/"},
    "no issuer": {"iss": None},
    "for somebody else": {"aud": "another-client"},
    "for us and for somebody else": {"aud": [CLIENT, "another-client"]},
    "for nobody": {"aud": []},
    "on behalf of somebody else": {"azp": "another-client"},
    "another nonce": {"nonce": "x" * 43},
    "no nonce": {"nonce": None},
    "a nonce among others": {"nonce": ["x"]},
    "over": {"exp": SECONDS - 60},
    "over in words": {"exp": "never"},
    "over, not a number": {"exp": True},
    "no end": {"exp": None},
    "made in the future": {"iat": SECONDS + 61},
    "made long ago": {"iat": SECONDS - 661},
    "no beginning": {"iat": None},
    "not good yet": {"nbf": SECONDS + 61},
    "about nobody": {"sub": None},
    "about an empty name": {"sub": ""},
    "about a number": {"sub": 7},
    "about too long a name": {"sub": "x" * 256},
}


@pytest.fixture
async def own(world: World) -> AsyncIterator[Connected]:
    world.app.state.sign_ins = Buckets(0, 1)  # more tries than anybody is given
    async with serving() as provider:
        yield await connect(world, provider)


async def refused(own: Connected, **claims: Any) -> None:
    """The sign-in is refused, nobody is signed in, and nothing is left but that the state was spent."""
    world, before = own.world, await Scene(own.world).digest()
    async with world.browser() as browser:
        answer = await own.sign_in(browser, **claims)
        assert answer.status_code == 403, answer.text
        assert "is not right" in answer.text
        assert cookie_name(world.context.settings) not in browser.cookies
    after = await Scene(world).digest()
    assert [name for name in after if after[name] != before[name]] == ["spent_challenge"]


async def test_the_right_token_opens(own: Connected) -> None:
    """So that the tests below can fail."""
    async with own.world.browser() as browser:
        for claims in ({}, {"aud": [CLIENT]}, {"azp": CLIENT}, {"exp": SECONDS - 59}, {"iat": SECONDS + 60}, {"nbf": SECONDS}):
            assert (await own.sign_in(browser, **claims)).status_code == 303, claims
            await browser.post("/sign-out")


async def test_no_lie_is_believed(own: Connected) -> None:
    for claims in LIES.values():
        if claims.get("iss") == "/":
            claims = {"iss": own.provider.issuer + "/"}
        await refused(own, **claims)


def _public_pem() -> bytes:
    return signing_key().as_pem(private=False)


def by_another_key(claims: Mapping[str, Any]) -> str:
    other = signing_key(1)
    return jwt.encode({"alg": "RS256", "kid": signing_key().kid}, dict(claims), other, ["RS256"])


def by_a_key_nobody_knows(claims: Mapping[str, Any]) -> str:
    return jwt.encode({"alg": "RS256", "kid": "key-1"}, dict(claims), signing_key(1), ["RS256"])


def with_its_own_key(claims: Mapping[str, Any]) -> str:
    own = signing_key(1)
    header = {"alg": "RS256", "kid": "key-1", "jwk": own.as_dict(private=False)}
    return jwt.encode(header, dict(claims), own, ["RS256"])


def by_a_weaker_way(claims: Mapping[str, Any]) -> str:
    anyhow = RSAKey.import_key(signing_key().as_pem(private=True))
    return jwt.encode({"alg": "RS512", "kid": signing_key().kid}, dict(claims), anyhow, ["RS512"])


def changed_afterwards(claims: Mapping[str, Any]) -> str:
    head, _, proof = jwt.encode({"alg": "RS256", "kid": signing_key().kid}, {"sub": "x"}, signing_key(), ["RS256"]).split(".")
    return ".".join((head, hand_made({}, claims, lambda _: b"").split(".")[1], proof))


FORGED: dict[str, Callable[[Mapping[str, Any]], str | None]] = {
    "signed by nobody": lambda claims: hand_made({"alg": "none"}, claims, lambda _: b""),
    "signed by nobody, who has a name": lambda claims: hand_made({"alg": "none", "kid": "key-0"}, claims, lambda _: b""),
    "NONE": lambda claims: hand_made({"alg": "NONE", "kid": "key-0"}, claims, lambda _: b""),
    "by the public key as a secret": lambda claims: hand_made(
        {"alg": "HS256", "kid": "key-0"}, claims, lambda said: hmac.digest(_public_pem(), said, "sha256")
    ),
    "by our own secret": lambda claims: hand_made(
        {"alg": "HS256"}, claims, lambda said: hmac.digest(b"not-so-secret-in-a-test", said, "sha256")
    ),
    "without a way": lambda claims: hand_made({"kid": "key-0"}, claims, lambda _: b""),
    "by another key": by_another_key,
    "by a key nobody knows": by_a_key_nobody_knows,
    "with its own key": with_its_own_key,
    "in a way not taken here": by_a_weaker_way,
    "changed afterwards": changed_afterwards,
    "no token at all": lambda _claims: None,
    "no token but words": lambda _claims: "x.y.z",
    "one part": lambda _claims: "x",
    "critical words": lambda claims: hand_made({"alg": "RS256", "kid": "key-0", "crit": ["x"], "x": 1}, claims, lambda _: b"x"),
    "a list": lambda _claims: jwt.encode({"alg": "RS256", "kid": "key-0"}, {}, signing_key(), ["RS256"]),
    "huge": lambda claims: jwt.encode({"alg": "RS256", "kid": "key-0"}, {**claims, "x": "y" * 200_000}, signing_key(), ["RS256"]),
}


@pytest.mark.long
async def test_no_forgery_is_believed(own: Connected) -> None:
    for forge in FORGED.values():
        own.provider.sign = forge
        await refused(own)
    own.provider.sign = None
    async with own.world.browser() as browser:
        assert (await own.sign_in(browser)).status_code == 303


async def test_a_new_key_of_the_provider_is_found_and_one_that_it_took_back_is_not(own: Connected) -> None:
    async with own.world.browser() as browser:
        own.provider.keys = [signing_key(1), signing_key(0)]
        assert (await own.sign_in(browser)).status_code == 303, "signed by the new one"
        own.provider.keys = [signing_key(0)]
        own.provider.sign = by_a_key_nobody_knows
        await browser.post("/sign-out")
        assert (await own.sign_in(browser)).status_code == 403


def keys(*listed: Any) -> Callable[[Request], JSONResponse]:
    return lambda _request: JSONResponse({"keys": list(listed)})


async def test_keys_that_are_none_sign_for_nobody(own: Connected) -> None:
    public = signing_key().as_dict(private=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = RSAKey.generate_key(1024, {"kid": "key-0"})
    for listed in (
        [],
        [{**public, "use": "enc"}],
        [{**public, "alg": "PS256"}],
        [{**public, "kty": "oct", "k": "eA"}],
        [{"kty": "oct", "kid": "key-0", "k": "eA"}],
        [{**public, "n": 7}],
        [{**public, "n": ""}],
        [public, public],
        ["key-0", None, [public]],
        [{"kid": "key-0"}],
    ):
        own.provider.instead["/jwks"] = keys(*listed)
        await refused(own)
    own.provider.instead["/jwks"] = keys(small.as_dict(private=False))
    own.provider.sign = lambda claims: jwt.encode({"alg": "RS256", "kid": "key-0"}, dict(claims), small, ["RS256"])
    await refused(own)


def test_every_way_of_signing_that_is_taken_works() -> None:
    expected = Expected("https://login.example.org", CLIENT, "n")
    claims = {"iss": expected.issuer, "aud": CLIENT, "sub": "s", "nonce": "n", "iat": SECONDS, "exp": SECONDS + 60}
    for algorithm, key in (
        ("RS256", signing_key()),
        ("PS256", RSAKey.import_key(signing_key().as_pem(private=True))),
        ("ES256", ECKey.generate_key("P-256")),
        ("ES384", ECKey.generate_key("P-384")),
    ):
        token = jwt.encode({"alg": algorithm}, dict(claims), key, [algorithm])
        assert believed(token, {"keys": [key.as_dict(private=False)]}, expected, NOW).subject == "s"
        with pytest.raises(NotGood):
            believed(token, {"keys": [signing_key(1).as_dict(private=False)]}, expected, NOW)
        for broken in (None, [], {}, {"keys": None}, json.loads('{"keys": {"x": 1}}'), "keys"):
            with pytest.raises(NotGood):
                believed(token, broken, expected, NOW)


def test_a_curve_that_does_not_belong_to_the_way_is_refused() -> None:
    key = ECKey.generate_key("P-384")
    header, claims = {"alg": "ES256"}, {"sub": "s"}
    token = hand_made(header, claims, lambda _: b"x" * 64)
    with pytest.raises(NotGood):
        believed(token, {"keys": [key.as_dict(private=False)]}, Expected("i", CLIENT, "n"), NOW)


def provider_says(own: Connected, **said: Any) -> FakeProvider:
    own.provider.description = said
    return own.provider


async def test_an_answer_that_names_another_provider_is_refused(world: World) -> None:
    """RFC 9207: somebody mixes up whose answer it is."""
    async with serving() as provider:
        provider.description = {"authorization_response_iss_parameter_supported": True}
        own = await connect(world, provider)
        for named, status in ((provider.issuer, 303), (None, 403), ("https://login.example.org", 403), ("", 403)):
            async with world.browser() as browser:
                asked = await own.go(browser)
                before = provider.asked.count("/token")
                answer = await own.back(browser, asked, provider.code(asked), iss=named)
                assert answer.status_code == status, named
                assert provider.asked.count("/token") - before == (status == 303), "the code goes to nobody"


async def test_who_does_not_announce_it_need_not_name_itself_but_may_not_name_another(own: Connected) -> None:
    for named, status in ((own.provider.issuer, 303), (None, 303), ("https://login.example.org", 403)):
        async with own.world.browser() as browser:
            asked = await own.go(browser)
            assert (await own.back(browser, asked, own.provider.code(asked), iss=named)).status_code == status, named
