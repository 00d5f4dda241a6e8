"""Programs' tokens: scoped, hashed, expiring, each its owner's alone."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from app.access.models import ApiToken
from app.access.policy import scopes_of
from app.access.roles import Role
from app.kit import clock
from app.kit.crypto import token_hash
from tests.access.scene import Scene
from tests.support.world import NOW, World

GOOD = {"label": "a program", "scopes": ["account"], "days": 7}


async def test_a_token_is_shown_once_and_kept_as_a_hash(world: World) -> None:
    async with await world.sign_in(Role.STAFF) as browser:
        made = (await browser.post("/v1/tokens", json=GOOD)).json()
        listed = (await browser.get("/v1/tokens")).json()
    assert made["token"].startswith("hl_")
    assert len(made["token"]) >= 46, "a prefix and 256 bits"
    assert [row["id"] for row in listed] == [made["id"]]
    assert "token" not in listed[0]
    async with world.context.database.begin(read_only=True) as tx:
        row = (await tx.execute(select(ApiToken))).scalars().one()
        assert row.token_hash == token_hash(made["token"])
        assert row.expires_at - row.created_at == timedelta(days=7)


async def test_a_token_ends_when_it_says(world: World) -> None:
    async with await world.sign_in(Role.STAFF) as browser:
        bearer = {"authorization": "Bearer " + (await browser.post("/v1/tokens", json=GOOD)).json()["token"]}
    for after, status in ((timedelta(days=7) - timedelta(seconds=1), 200), (timedelta(days=7), 401)):
        clock.set_to(NOW + after)
        assert (await world.client.get("/v1/me", headers=bearer)).status_code == status


async def test_last_use_is_noted(world: World) -> None:
    token_id, secret = await Scene(world).token(Role.STAFF)
    for after in (0, 30, 61):
        clock.set_to(NOW + timedelta(seconds=after))
        assert (await world.client.get("/v1/me", headers={"authorization": f"Bearer {secret}"})).status_code == 200
    async with world.context.database.begin(read_only=True) as tx:
        assert (await tx.get_one(ApiToken, token_id)).last_used_at == NOW + timedelta(seconds=61)


TOO_MUCH: list[dict[str, object]] = [
    {"scopes": []},
    {"scopes": ["roster:write"]},
    {"scopes": ["account", "ledger:read"]},
    {"scopes": ["*"]},
    {"days": 0},
    {"days": 91},
    {"days": "30"},
    {"label": ""},
    {"label": "x" * 81},
    {"label": "a\x00b"},
    {"role": "admin"},
    {"token": "hl_mine"},
]


async def test_a_token_that_could_do_more_is_refused(world: World) -> None:
    async with await world.sign_in(Role.STAFF) as browser:
        for change in TOO_MUCH:
            answer = await browser.post("/v1/tokens", json=GOOD | change)
            assert answer.status_code == (403 if "roster" in str(change) or "ledger" in str(change) else 422), change
        assert (await browser.get("/v1/tokens")).json() == []


async def test_a_token_makes_no_token(world: World) -> None:
    """A stolen one would otherwise never end, whoever revokes it."""
    _, secret = await Scene(world).token(Role.ADMIN)
    bearer = {"authorization": f"Bearer {secret}"}
    for scopes in (["account"], ["roles:read"]):
        assert (await world.client.post("/v1/tokens", headers=bearer, json=GOOD | {"scopes": scopes})).status_code == 403
    assert len((await world.client.get("/v1/tokens", headers=bearer)).json()) == 1


async def test_tokens_are_their_owners_alone(world: World) -> None:
    token_id, secret = await Scene(world).token(Role.MEMBER, who="M-1")
    async with await world.sign_in(Role.MEMBER, "M-2") as other, await world.sign_in(Role.ADMIN) as admin:
        for browser in (other, admin):
            assert (await browser.get("/v1/tokens")).json() == []
            assert (await browser.delete(f"/v1/tokens/{token_id}")).status_code == 404
    assert (await world.client.get("/v1/me/timeline", headers={"authorization": f"Bearer {secret}"})).status_code == 200


async def test_revoking_twice_is_the_same_as_once(world: World) -> None:
    async with await world.sign_in(Role.STAFF) as browser:
        token_id = UUID((await browser.post("/v1/tokens", json=GOOD)).json()["id"])
        for after in (0, 60):
            clock.set_to(NOW + timedelta(seconds=after))
            assert (await browser.delete(f"/v1/tokens/{token_id}")).status_code == 204
    async with world.context.database.begin(read_only=True) as tx:
        assert (await tx.get_one(ApiToken, token_id)).revoked_at == NOW


async def test_the_scheme_is_read_as_http_says_and_nothing_else_is(world: World) -> None:
    _, secret = await Scene(world).token(Role.STAFF)
    good = ["bearer {}", "BEARER {}", "Bearer   {}"]
    bad = ["{}", "Token {}", "Bearer{}", "Bearer {}x", "Bearer x{}", "Bearer {},{}", "Bearer \xff{}", "Bearer ", ""]
    for header in good + bad:
        value = header.format(secret, secret).encode("latin-1")
        answer = await world.client.get("/v1/me", headers=[(b"authorization", value)])
        assert answer.status_code == (200 if header in good else 401), header


async def test_a_token_speaks_for_one_role_only(world: World) -> None:
    """Staff who are also admins: a token of the staff lane carries nothing of the other."""
    scene = Scene(world)
    _, secret = await scene.token(Role.STAFF)
    bearer = {"authorization": f"Bearer {secret}"}
    assert (await world.client.get("/v1/me", headers=bearer)).json()["role"] == "staff"
    assert scopes_of(Role.STAFF) & scopes_of(Role.ADMIN) == {"account"}
    assert (await world.client.get("/v1/members", headers=bearer)).status_code == 403
