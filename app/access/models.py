"""Accounts, roles, ways to sign in, sessions and tokens. Every secret is stored as a hash, every address sealed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.database import Base, PortableJson
from app.kit.ids import uuid7


class Account(Base):
    """One person who can sign in. `email_index` is a blind index over all organizations; `member_id` for members."""

    __tablename__ = "account"
    __table_args__ = (UniqueConstraint("organization_id", "member_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID] = mapped_column(index=True)
    member_id: Mapped[UUID | None]
    email_index: Mapped[bytes | None] = mapped_column(LargeBinary, index=True)
    email_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class RoleGrant(Base):
    """One role given to one account, by whom and when, and when it was taken back."""

    __tablename__ = "role_grant"
    __table_args__ = (Index("ix_role_grant_account_id", "account_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID] = mapped_column(index=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    role: Mapped[str] = mapped_column(String(20))
    granted_by: Mapped[UUID | None]
    granted_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class SignInLink(Base):
    """A one-time link: valid once, until `expires_at`."""

    __tablename__ = "sign_in_link"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), index=True)
    role: Mapped[str] = mapped_column(String(20))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    spent_at: Mapped[datetime | None]


class Passkey(Base):
    """One passkey of an account: its public half. `removed_at`: no longer good."""

    __tablename__ = "passkey"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), index=True)
    credential_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    label: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]


class Password(Base):
    """A member's password (Argon2id) with the secret of their code app, sealed. No good before `confirmed_at`.

    `last_step`: the 30 seconds whose code was used last; none is good twice.
    """

    __tablename__ = "password"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    code_secret_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    last_step: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]


class KnownBrowser(Base):
    """A browser in which somebody signed in to an account before: what others guess does not hold it up."""

    __tablename__ = "known_browser"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime]


class Guesses(Base):
    """How often somebody tried to sign in with a password, since when.

    `key`: what they are counted by, a keyed hash of the address that was typed, whether anybody has it or not, or the hash of
    a known browser.
    """

    __tablename__ = "guesses"

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    count: Mapped[int]
    since: Mapped[datetime] = mapped_column(index=True)


class RecoveryCode(Base):
    """The one code on paper with which somebody who lost every other way may begin a recovery."""

    __tablename__ = "recovery_code"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    spent_at: Mapped[datetime | None]


class Recovery(Base):
    """A new beginning for an account that lost its ways in: possible from `ready_at` until `ends_at`, unless somebody stops it.

    `begun_by`: the account that vouched for it; None for the recovery code, and for whoever runs the machine.
    """

    __tablename__ = "recovery"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), index=True)
    begun_by: Mapped[UUID | None]
    begun_at: Mapped[datetime]
    ready_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    stopped_at: Mapped[datetime | None]
    spent_at: Mapped[datetime | None]


class SpentChallenge(Base):
    """A challenge that a passkey has answered: never again. Kept until it would be too old anyway."""

    __tablename__ = "spent_challenge"

    challenge_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class IdentityProvider(Base):
    """An organization's own sign-in (OpenID Connect), at most one that was not removed. Nobody signs in by one switched off.

    Who may use it: whoever has an address in one of `domains`, and the accounts in `accounts` (ids as text). The secret, read
    only where it is asked for, is destroyed at the removal; the bare row stays.
    """

    __tablename__ = "identity_provider"
    __table_args__ = (
        Index(
            "uq_identity_provider_organization_id",
            "organization_id",
            unique=True,
            sqlite_where=text("removed_at IS NULL"),
            postgresql_where=text("removed_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID] = mapped_column(index=True)
    issuer: Mapped[str] = mapped_column(String(500))
    client_id: Mapped[str] = mapped_column(String(255))
    secret_sealed: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    domains: Mapped[list[Any]] = mapped_column(PortableJson)
    accounts: Mapped[list[Any]] = mapped_column(PortableJson)
    created_at: Mapped[datetime]
    checked_at: Mapped[datetime]
    switched_off_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]


class ProviderLink(Base):
    """Whom a provider means by a subject: one account. `subject_index`: a keyed hash, None once the person removed the link.

    `by_person`: made by somebody who was signed in otherwise; False: at their first sign-in, by their address. A link that was
    removed keeps its row: only its own person makes it again.
    """

    __tablename__ = "provider_link"
    __table_args__ = (UniqueConstraint("provider_id", "subject_index"),)

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True)
    provider_id: Mapped[UUID] = mapped_column(ForeignKey("identity_provider.id"), primary_key=True)
    subject_index: Mapped[bytes | None] = mapped_column(LargeBinary)
    by_person: Mapped[bool]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]


class Session(Base):
    """One signed-in browser, in one role. `standing`: how far it lets in; `proven_at`: when it was last shown who it is.

    `provider_id`: the organization's own sign-in by which it came; None for every other way.
    """

    __tablename__ = "session"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), index=True)
    role: Mapped[str] = mapped_column(String(20))
    standing: Mapped[str] = mapped_column(String(10))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    proven_at: Mapped[datetime | None]
    provider_id: Mapped[UUID | None] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]


class ApiToken(Base):
    """A program's token: one account's role, narrowed to scopes, until it expires or is revoked."""

    __tablename__ = "api_token"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), index=True)
    role: Mapped[str] = mapped_column(String(20))
    label: Mapped[str] = mapped_column(String(80))
    scopes: Mapped[list[Any]] = mapped_column(PortableJson)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class HeldDomain(Base):
    """An e-mail domain to which nothing is sent: the defendant is not a post box."""

    __tablename__ = "held_domain"

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    domain: Mapped[str] = mapped_column(String(253), primary_key=True)
    reason: Mapped[str] = mapped_column(String(200))
