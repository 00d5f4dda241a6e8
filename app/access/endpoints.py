"""Routes of access: who am I, tokens, people and roles."""

from uuid import UUID

from fastapi import APIRouter

from app.access import repository, service
from app.access.gate import Caller
from app.access.models import ApiToken
from app.access.roles import Role
from app.access.schemas import CreatedToken, GrantView, Me, NewAccount, NewToken, TokenView
from app.kit.context import Ctx, Tx

router = APIRouter(prefix="/v1", tags=["access"])


def _view(row: ApiToken) -> TokenView:
    return TokenView.model_validate(row, from_attributes=True)


@router.get("/me")
async def me(caller: Caller) -> Me:
    """Who you are here, and in which role."""
    return Me.model_validate(caller, from_attributes=True)


@router.get("/tokens")
async def list_tokens(caller: Caller, tx: Tx) -> list[TokenView]:
    """Your own tokens, newest first, without their secrets."""
    return [_view(row) for row in await repository.tokens_of(tx, caller.account_id)]


@router.post("/tokens", status_code=201)
async def create_token(body: NewToken, caller: Caller, context: Ctx, tx: Tx) -> CreatedToken:
    """Make a token for a program. Its secret is shown once, here."""
    token, row = await service.create_token(tx, context.keyring, caller, body.label, body.scopes, body.days)
    return CreatedToken(**_view(row).model_dump(), token=token)


@router.delete("/tokens/{token_id}", status_code=204)
async def revoke_token(token_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> None:
    """End one of your tokens now."""
    await service.revoke_token(tx, context.keyring, caller, token_id)


@router.get("/accounts")
async def list_accounts(caller: Caller, tx: Tx) -> list[GrantView]:
    """Who has which role in your organization, members left out."""
    rows = await repository.grants(tx, caller.organization_id)
    return [GrantView.model_validate(row, from_attributes=True) for row in rows]


@router.post("/accounts", status_code=201)
async def invite(body: NewAccount, caller: Caller, context: Ctx, tx: Tx) -> GrantView:
    """Give a person a role; they get a one-time link by mail."""
    account = await service.invite(tx, context, caller, body.email, body.role)
    grant = await repository.live_grant(tx, account.id, body.role)
    return GrantView.model_validate(grant, from_attributes=True)


@router.delete("/accounts/{account_id}/roles/{role}", status_code=204)
async def revoke_role(account_id: UUID, role: Role, caller: Caller, context: Ctx, tx: Tx) -> None:
    """Take a role back; its sessions and tokens end at once."""
    await service.revoke_role(tx, context.keyring, caller, account_id, role)
