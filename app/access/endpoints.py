"""Routes of access: who am I, tokens, people and roles."""

from uuid import UUID

from fastapi import APIRouter, Request

from app.access import provider_rows, providers, recovery, repository, service
from app.access.gate import Caller
from app.access.models import ApiToken, IdentityProvider
from app.access.provider_client import redirect_uri
from app.access.roles import Role
from app.access.schemas import (
    CreatedToken,
    GrantView,
    Me,
    NewAccount,
    NewProvider,
    NewToken,
    ProviderView,
    RecoveryView,
    TokenView,
)
from app.kit.config import Settings
from app.kit.context import Ctx, Tx
from app.kit.errors import not_found

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


def _provider_view(row: IdentityProvider, settings: Settings) -> ProviderView:
    names = set(ProviderView.model_fields) - {"sign_in_url", "redirect_uri"}
    link = f"{settings.origin}/sign-in/with/{row.id}"
    said = {name: getattr(row, name) for name in names}
    return ProviderView.model_validate({**said, "sign_in_url": link, "redirect_uri": redirect_uri(settings)})


@router.get("/identity-provider")
async def get_provider(caller: Caller, context: Ctx, tx: Tx) -> ProviderView:
    """Your organization's own sign-in."""
    row = await provider_rows.of_organization(tx, caller.organization_id)
    if row is None:
        raise not_found()
    return _provider_view(row, context.settings)


@router.post("/identity-provider")
async def keep_provider(body: NewProvider, request: Request, caller: Caller, context: Ctx) -> ProviderView:
    """Connect your organization's own sign-in, or change it. The provider is asked at once what it says of itself.

    Another issuer or client id removes the one before with all its links. Admins and counsel are told by mail.
    """
    secret = body.client_secret.get_secret_value() if body.client_secret else None
    wanted = providers.Wanted(body.issuer, body.client_id, secret, body.domains, body.accounts)
    await providers.require_suitable(context.settings, wanted)
    async with context.database.begin(acting=request.state.acting) as tx:
        row = await providers.keep(tx, context.keyring, caller, wanted)
        return _provider_view(row, context.settings)


@router.delete("/identity-provider", status_code=204)
async def remove_provider(caller: Caller, context: Ctx, tx: Tx) -> None:
    """End your organization's own sign-in: its secret, its links and every session that came by it."""
    await providers.remove(tx, context.keyring, caller)


@router.post("/identity-provider/off")
async def switch_provider_off(caller: Caller, context: Ctx, tx: Tx) -> ProviderView:
    """Let nobody in by it for a while; every session that came by it ends at once."""
    return _provider_view(await providers.switch(tx, context.keyring, caller, on=False), context.settings)


@router.post("/identity-provider/on")
async def switch_provider_on(caller: Caller, context: Ctx, tx: Tx) -> ProviderView:
    """Let people in by it again."""
    return _provider_view(await providers.switch(tx, context.keyring, caller, on=True), context.settings)
