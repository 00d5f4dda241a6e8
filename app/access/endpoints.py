"""Routes of access: who am I, tokens, people and roles."""

from uuid import UUID

from fastapi import APIRouter

from app.access import recovery, repository, service
from app.access.gate import Caller
from app.access.models import ApiToken
from app.access.roles import Role
from app.access.schemas import CreatedToken, GrantView, Me, NewAccount, NewToken, RecoveryView, TokenView
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


@router.post("/accounts/{account_id}/recovery", status_code=202)
async def let_back_in(account_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> RecoveryView:
    """Vouch for somebody who lost every way to sign in. They are told; after 24 hours a link lets them make a new one."""
    account = await repository.account_of(tx, caller.organization_id, account_id)
    return RecoveryView.model_validate(await recovery.vouch(tx, context.keyring, caller, account), from_attributes=True)


@router.post("/members/{member_id}/recovery", status_code=202)
async def let_member_back_in(member_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> RecoveryView:
    """The same for a member."""
    account = await repository.account_of_member(tx, caller.organization_id, member_id)
    return RecoveryView.model_validate(await recovery.vouch(tx, context.keyring, caller, account), from_attributes=True)
