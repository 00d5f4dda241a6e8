"""API shapes of access."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    WithJsonSchema,
)

from app.access.policy import SCOPES
from app.access.roles import Role

Email = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+$", max_length=253
    ),
    Field(description="A plain address, in ASCII.", examples=["name@example.org"]),
]


class Strict(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Me(BaseModel):
    """Who you are here."""

    organization_id: UUID
    account_id: UUID
    role: Role
    member_id: UUID | None


def _scope(value: str) -> str:
    if value not in SCOPES:
        raise ValueError("choose from: " + ", ".join(SCOPES))
    return value


def _whole(value: Any) -> Any:
    """JSON knows one sort of number: 30.0 is the whole number 30."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Scope = Annotated[str, AfterValidator(_scope), WithJsonSchema({"type": "string", "enum": list(SCOPES)})]


class NewToken(Strict):
    """A token to make: what it is for, what it may do, how long (days)."""

    label: Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[^\x00]+$")]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=20)]
    days: Annotated[int, Field(ge=1, le=90, strict=True), BeforeValidator(_whole)] = 30


class TokenView(BaseModel):
    """One token, without its secret."""

    id: UUID
    label: str
    role: Role
    scopes: list[str]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class CreatedToken(TokenView):
    """A token just made: `token` is shown this once."""

    token: str


class NewAccount(Strict):
    """A person to let in: an address and a role. They get a one-time link by mail."""

    email: Email
    role: Role


class GrantView(BaseModel):
    """One live role of one account."""

    account_id: UUID
    role: Role
    granted_by: UUID | None
    granted_at: datetime


class NewProvider(Strict):
    """The organization's own sign-in to connect, or to change: a provider that speaks OpenID Connect, and who may use it.

    `client_secret` left out: the one that is there stays. `accounts`: ids of people with a role here, whatever their domain.
    """

    issuer: Annotated[str, StringConstraints(min_length=1, max_length=500), Field(examples=["https://login.example.org"])]
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    client_secret: Annotated[SecretStr | None, Field(min_length=1, max_length=1000)] = None
    domains: Annotated[list[Annotated[str, StringConstraints(max_length=253, to_lower=True)]], Field(max_length=200)] = []
    accounts: Annotated[list[UUID], Field(max_length=200)] = []


class ProviderView(BaseModel):
    """The organization's own sign-in, without its secret.

    `sign_in_url`: the link to hand round. `redirect_uri`: what the provider must know of us. `checked_at`: when its description
    last fitted.
    """

    id: UUID
    issuer: str
    client_id: str
    domains: list[str]
    accounts: list[UUID]
    created_at: datetime
    checked_at: datetime
    switched_off_at: datetime | None
    sign_in_url: str
    redirect_uri: str


class RecoveryView(BaseModel):
    """A new beginning that waits for its day: possible from `ready_at` until `ends_at`."""

    account_id: UUID
    ready_at: datetime
    ends_at: datetime
